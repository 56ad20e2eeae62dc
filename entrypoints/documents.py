"""JSON from outside -> the JSON texts of the domain, checked."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from domain.errors import InvalidValueError
from domain.model import EMPTY_OBJECT, JsonText

MAX_DEPTH: Final = 500
"""Deeper down it would depend on what is left of the stack whether documents can be compared."""

_encode = msgspec.json.Encoder().encode
# What each kind of call holds: the member of the kind's name, and that member's text members.
_CALLS = {"function": ("name", "arguments"), "custom": ("name", "input")}
_EXPONENT: Final = re.compile(r"\de[-+]?\d")
_STRING_OR_EXPONENTIAL: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?e[-+]?\d+')


def json_text(value: object, *, field: str) -> JsonText:
    """Return any decoded JSON as a text: compact, and with every character as itself.

    Numbers are written out, as Postgres does, so that a limit counts what will be read again: else
    five bytes become 309. Raises `InvalidValueError` for one nested deeper than `MAX_DEPTH`.
    """
    try:
        text = _encode(value).decode()
    except RecursionError:
        raise _too_deep(field) from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise _too_deep(field)
    if _EXPONENT.search(text):
        text = _STRING_OR_EXPONENTIAL.sub(_written_out, text)
    return JsonText(text)


def metadata_text(metadata: Mapping[str, Any] | None, *, field: str = "metadata") -> JsonText:
    return json_text(metadata, field=field) if metadata else EMPTY_OBJECT


def tool_calls_text(calls: Sequence[Mapping[str, Any]] | None, *, field: str) -> JsonText | None:
    """Return tool calls as they were given, further members and all.

    They have the shape of OpenAI's chat API: an `id`, a `type` of `function` or `custom`, and a
    member of that name. Raises `InvalidValueError` for others, since no model would take them back.
    """
    if calls is None:
        return None
    for index, call in enumerate(calls):
        _check_call(call, f"{field}[{index}]")
    return json_text(calls, field=field)


def _check_call(call: Mapping[str, Any], field: str) -> None:
    if not _is_text(call.get("id")):
        raise InvalidValueError(f"{field}.id", "a tool call has an id, a text that is not empty")
    kind = call.get("type")
    if not isinstance(kind, str) or kind not in _CALLS:
        raise InvalidValueError(f"{field}.type", "a tool call is of type function or custom")
    called = call.get(kind)
    name, argument = _CALLS[kind]
    if not isinstance(called, Mapping) or not _is_text(called.get(name)):
        raise InvalidValueError(f"{field}.{kind}.{name}", "the called tool has a name")
    if not isinstance(called.get(argument), str):
        raise InvalidValueError(
            f"{field}.{kind}.{argument}", "is a text: JSON is handed over encoded, as models do"
        )


def _too_deep(field: str) -> InvalidValueError:
    return InvalidValueError(field, f"is nested more than {MAX_DEPTH} deep")


def _is_deeper(value: object, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(each, dict | list) for each in level)


def _written_out(token: re.Match[str]) -> str:
    if token[0].startswith('"'):
        return token[0]
    number = format(Decimal(token[0]), "f")
    return number if "." in number else f"{number}.0"  # or else it would be read as an integer


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
