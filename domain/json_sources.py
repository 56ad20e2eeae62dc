"""Splits JSON into values with their texts, so that unchanged parts stay byte for byte."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

from chatkeep.domain import json_values
from chatkeep.domain.json_values import TooManyValuesError
from chatkeep.domain.threads import SMALL

_T = TypeVar("_T")

MAX_VALUES: Final = 100_000
"""The most members and elements that are read of a large text."""

# Number values are not used. Integers are read as floats: `int` rejects more than 4,300 digits.
_JSON: Final = json.JSONDecoder(parse_int=float)
_BETWEEN_MEMBERS: Final = re.compile(r"[ \t\n\r,:]*")
_BETWEEN_ELEMENTS: Final = re.compile(r"[ \t\n\r,]*")
_SPACE: Final = " \t\n\r"
_UNKNOWN: Final = object()


class Source:
    """A value within a text. `value` is decoded at its first use.

    For a large text it is an outline: two levels of lists and objects, with `...` in place of
    anything deeper. Raises `TooManyValuesError`.
    """

    __slots__ = ("_value", "text")

    def __init__(self, text: str, value: object = _UNKNOWN) -> None:
        self.text = text
        self._value = value

    @property
    def value(self) -> object:
        if self._value is _UNKNOWN:
            self._value = _Outline().of(self.text, depth=2)
        return self._value


Members = dict[str, Source]


def members(text: str) -> Members | None:
    """Return the members of a well-formed object; None if the text is not an object.

    Raises `TooManyValuesError`.
    """
    text = text.strip(_SPACE)
    if not text.startswith("{"):
        return None
    found: Members = {}
    if len(text) > SMALL:
        for name, source in _Outline().count(json_values.members(text)):
            found[name] = Source(source)
        return found
    for key, source, value in _members(text):
        found[key] = Source(source, value)
    return found


def object_sources(text: str) -> dict[str, str]:
    """Return the members of a well-formed object, of any size, as texts."""
    return {key: source for key, source, _ in _members(text.strip(_SPACE))}


def write_object(sources: Mapping[str, str]) -> str:
    """Return the object whose members have these texts."""
    return f"{{{','.join(f'{dump(key)}:{source}' for key, source in sources.items())}}}"


def elements(text: str) -> list[tuple[object, str]]:
    """Return the elements of an array, each with its text; [] if the text is not an array."""
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


def parts(text: str) -> list[tuple[object, str]]:
    """Return the elements of an array, each with its text.

    A large array is decoded in small steps, and its elements are outlines like those of `Source`.
    Raises `TooManyValuesError`.
    """
    if len(text) <= SMALL:
        return elements(text)
    outline = _Outline()
    sources = outline.count(json_values.elements(text))
    return [(outline.of(source, depth=1), source) for source in sources]


def value_of(found: Members, key: str) -> object:
    """Return the value of a member; None if there is none."""
    member = found.get(key)
    return None if member is None else member.value


def write(found: Members, changes: dict[str, str], *, first: tuple[str, ...] = ()) -> str:
    """Return the object with the changes, texts by key, in place.

    New members are added at the end, but those named in `first` at the beginning.
    """
    new = [key for key in changes if key not in found]
    order = [*(key for key in first if key in new), *found, *(k for k in new if k not in first)]
    return write_object({key: changes.get(key) or found[key].text for key in order})


dump: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Writes a value as compact text, every character as itself."""


class _Outline:
    """Decodes values in small steps, and at most `MAX_VALUES` of them."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def of(self, text: str, *, depth: int) -> object:
        if text.startswith("["):
            if depth == 0:
                return ...
            elements = self.count(json_values.elements(text))
            return [self.of(element, depth=depth - 1) for element in elements]
        if text.startswith("{"):
            if depth == 0:
                return ...
            named = self.count(json_values.members(text))
            return {name: self.of(value, depth=depth - 1) for name, value in named}
        return _JSON.decode(text)

    def count(self, values: Iterable[_T]) -> Iterator[_T]:
        for value in values:
            self._left -= 1
            if self._left < 0:
                raise TooManyValuesError(f"has more than {MAX_VALUES} members and parts")
            yield value


def _members(text: str) -> Iterator[tuple[str, str, object]]:
    """Yield the names of an object's members, each with the text of its value and the value."""
    at = _skip(_BETWEEN_MEMBERS, text, 1)
    while text[at] != "}":
        key, at = _JSON.raw_decode(text, at)
        start = _skip(_BETWEEN_MEMBERS, text, at)
        value, at = _JSON.raw_decode(text, start)
        yield key, text[start:at], value
        at = _skip(_BETWEEN_MEMBERS, text, at)


def _skip(between: re.Pattern[str], text: str, at: int) -> int:
    skipped = between.match(text, at)
    return skipped.end() if skipped else at
