"""Finds the values within a well-formed JSON text without decoding them.

The standard library's parser decodes everything in one call that lets no other thread run: ten
million characters take a second or more. This takes many short steps, linear in the text.
"""

import json
import re
from array import array
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

MAX_CONTAINERS: Final = 500_000
"""The most lists and objects within one value; answers of models have a third of that."""

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_SCALAR: Final = re.compile(r"[^ \t\n\r,\]}]+")
# Everything up to the next bracket. The number of strings and escapes is bounded, since no other
# thread runs during a match.
_UP_TO_BRACKET: Final = re.compile(
    r'[^"\[\]{}]*(?:"[^"\\]*(?:\\.[^"\\]*){0,100}"[^"\[\]{}]*){0,100}', re.DOTALL
)
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
# Some strings, and what is around them.
_SOME: Final = re.compile(rf'[^"]*(?:{_STRING.pattern}[^"]*){{0,100}}', re.DOTALL)
# Brackets as changes of the depth, which are signed bytes; all other bytes.
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS: Final = bytes({*range(256)} - {*b"[{]}"})
_STEPS_AT_ONCE: Final = 10_000
_IN_STRING: Final = re.compile(r'[^"\\]*(?:\\.[^"\\]*){0,10000}', re.DOTALL)


class TooManyValuesError(ValueError):
    """A text has too many values. The message continues a sentence that begins with its name."""


def elements(text: str) -> Iterator[str]:
    """Yield the texts of an array's elements.

    Raises `ValueError` for anything but an array, `TooManyValuesError` for too large an element.
    """
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise ValueError("is not an array")
    at = _skip(text, at + 1)
    while text[at] != "]":
        end = _end(text, at)
        yield text[at:end]
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def members(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names of an object's members, each with the text of its value.

    Raises `ValueError` for anything but an object, `TooManyValuesError` for too large a value.
    """
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("is not an object")
    at = _skip(text, at + 1)
    while text[at] != "}":
        name_ends = _end_of_string(text, at)
        name = json.loads(text[at:name_ends])
        start = _skip(text, _skip(text, name_ends) + 1)  # beyond the colon
        end = _end(text, start)
        yield name, text[start:end]
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def measure_depth(text: str) -> int:
    """Return how deep arrays and objects nest in a well-formed value."""
    at = level = deepest = 0
    while at < len(text):
        some = _SOME.match(text, at)
        chunk = some[0] if some else ""
        at += len(chunk) or len(text)
        structure = _STRING.sub("", chunk).encode()
        steps = array("b", structure.translate(_STEPS, _NO_BRACKETS))
        for start in range(0, len(steps), _STEPS_AT_ONCE):
            levels = [*accumulate(steps[start : start + _STEPS_AT_ONCE], initial=level)]
            level, deepest = levels[-1], max(deepest, *levels)
    return deepest


def _end(text: str, at: int) -> int:
    """Return the end of the value that begins at `at`."""
    first = text[at]
    if first == '"':
        return _end_of_string(text, at)
    if first not in "[{":
        scalar = _SCALAR.match(text, at)
        return at + 1 if scalar is None else scalar.end()
    depth = opened = 0
    while True:
        between = _UP_TO_BRACKET.match(text, at)
        at = at if between is None else between.end()
        mark = text[at]
        if mark == '"':
            at = _end_of_string(text, at)
            continue
        at += 1
        if mark in "[{":
            depth += 1
            opened += 1
            if opened > MAX_CONTAINERS:
                raise TooManyValuesError(f"has more than {MAX_CONTAINERS} lists and objects")
        else:
            depth -= 1
            if not depth:
                return at


def _end_of_string(text: str, at: int) -> int:
    at += 1
    while True:
        within = _IN_STRING.match(text, at)
        at = at if within is None else within.end()
        if text[at] == '"':
            return at + 1


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()
