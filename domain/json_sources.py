"""JSON in parts, each value beside its own text: what is not changed stays to the letter."""

import json
import re
from typing import Final

# Number values are never used. Integers are read as floats, since `int` refuses very long ones.
_JSON: Final = json.JSONDecoder(parse_int=float)
_BETWEEN_MEMBERS: Final = re.compile(r"[ \t\n\r,:]*")
_BETWEEN_ELEMENTS: Final = re.compile(r"[ \t\n\r,]*")
_SPACE: Final = " \t\n\r"

Members = dict[str, tuple[object, str]]
"""The members of an object: of each its value and its text."""


def members(text: str) -> Members | None:
    """Return the members of the object that a well-formed text is; None of anything else."""
    text = text.strip(_SPACE)
    if not text.startswith("{"):
        return None
    found: Members = {}
    at = _skip(_BETWEEN_MEMBERS, text, 1)
    while text[at] != "}":
        key, at = _JSON.raw_decode(text, at)
        start = _skip(_BETWEEN_MEMBERS, text, at)
        value, at = _JSON.raw_decode(text, start)
        found[key] = (value, text[start:at])
        at = _skip(_BETWEEN_MEMBERS, text, at)
    return found


def elements(text: str) -> list[tuple[object, str]]:
    """Return the elements of an array, each with its text; none of anything else."""
    text = text.strip()
    if not text.startswith("["):
        return []
    found = []
    try:
        at = _skip(_BETWEEN_ELEMENTS, text, 1)
        while text[at] != "]":
            value, end = _JSON.raw_decode(text, at)
            found.append((value, text[at:end]))
            at = _skip(_BETWEEN_ELEMENTS, text, end)
    except (ValueError, IndexError, RecursionError):  # not JSON, not closed, nested too deeply
        return []
    return found if at == len(text) - 1 else []


def value_of(found: Members, key: str) -> object:
    """Return the value of a member; None when there is none."""
    member = found.get(key)
    return None if member is None else member[0]


def write(found: Members, changes: dict[str, str], *, first: tuple[str, ...] = ()) -> str:
    """Return the object with the changes, texts by key, in place.

    New members are added at the end, but those named in `first` at the beginning.
    """
    new = [key for key in changes if key not in found]
    order = [*(key for key in first if key in new), *found, *(k for k in new if k not in first)]
    sources = (f"{dump(key)}:{changes.get(key) or found[key][1]}" for key in order)
    return f"{{{','.join(sources)}}}"


def dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _skip(between: re.Pattern[str], text: str, at: int) -> int:
    skipped = between.match(text, at)
    return skipped.end() if skipped else at
