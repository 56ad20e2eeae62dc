"""Tracebacks for the log: where an error came from, without anything that users wrote.

The text of an error may contain a value of a row, a parameter or a document. So it is left out,
except for errors whose text the program itself writes.
"""

import traceback
from typing import Final

from chatkeep.domain.errors import StoreUnavailableError

_OF_THE_PROGRAM: Final = (
    AssertionError,
    AttributeError,
    ImportError,
    NameError,
    OSError,
    RuntimeError,
    StoreUnavailableError,
    SystemExit,
    TypeError,
)
# Attributes of a driver's error that are names, not values.
_NAMES: Final = ("sqlstate", "table_name", "column_name", "constraint_name")

_CAUSE: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"


def without_values(error: BaseException) -> str:
    """Return the traceback of an error, with its causes and the members of a group."""
    return _format(error, set()).rstrip("\n")


def _format(error: BaseException, seen: set[int]) -> str:
    seen.add(id(error))
    before = ""
    cause, context = error.__cause__, error.__context__
    if cause is not None and id(cause) not in seen:
        before = _format(cause, seen) + _CAUSE
    elif context is not None and not error.__suppress_context__ and id(context) not in seen:
        before = _format(context, seen) + _CONTEXT
    frames = "".join(traceback.format_tb(error.__traceback__))
    text = f"Traceback (most recent call last):\n{frames}{summary(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            if id(member) not in seen:
                lines = _format(member, seen).splitlines(keepends=True)
                text += "".join(f"  {line}" for line in lines)
    return before + text


def summary(error: BaseException) -> str:
    """Return the error on one line, with its text only if that cannot contain values."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    if isinstance(error, _OF_THE_PROGRAM):
        return f"{name}: {error}"
    names = [f"{each} {found}" for each in _NAMES if (found := getattr(error, each, None))]
    return f"{name} ({', '.join(names)})" if names else name
