"""Content parts: the content of a message as a list, in the form of OpenAI's chat API.

    [{"type": "text", "text": "What is this?"},
     {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]

The list is kept as it was sent: the order of keys, unknown members and the digits of numbers. Only
white space between tokens, and escapes that JSON does not need, are not kept. Parts of the kinds
below are checked, parts of other kinds only need a `type`.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import isinf
from typing import Any, Final, NamedTuple

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.json_fields import MAX_DEPTH, TOO_DEEP, is_deeper, json_text
from chatkeep.domain.json_sources import elements
from chatkeep.domain.model import JsonText, Limits

BETWEEN_TEXTS: Final = "\n\n"
"""Joins the texts of several parts."""

MAX_PARTS: Final = 1_000
"""The most parts that a caller may send in one message."""

MAX_VALUES: Final = 100_000
"""The most values within a list of parts."""

TEXTS: Final = {"text": "text", "refusal": "refusal"}
"""The kinds of parts that are text, and the member with the text."""

# A string, or white space, which JSON has only between tokens. Strings have an end; where one is
# required, the search takes quadratic time in a text that is not JSON.
_STRING_OR_SPACE: Final = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*"?)|[ \t\n\r]+')
# A number that programs may write in another way when they decode and encode it.
_ODD_NUMBER: Final = re.compile(r"\d[.eE]|\d{16}|-0")


class Part(NamedTuple):
    """A part: its place in the list from 0, `type`, decoded value and JSON text."""

    place: int
    kind: str
    value: Mapping[str, Any]
    source: str


class Content(NamedTuple):
    """Content that was sent as parts. `text` is None if no part is text."""

    parts: JsonText
    text: str | None


def parse_parts(document: str, *, field: str, limits: Limits | None = None) -> Content:
    """Return a JSON array of parts as the domain keeps it, and its text.

    The document is well-formed JSON without unpaired surrogates. Numbers of any length are kept.
    Raises `InvalidValueError` or `LimitExceededError`, naming the field below `field`.
    """
    return check_compact(compact(document), field=field, limits=limits)


def check_compact(source: str, *, field: str, limits: Limits | None = None) -> Content:
    """Do what `parse_parts` does with a text that `compact` has returned."""
    # A character has at most four bytes: only the bytes of long texts are counted.
    if limits is not None and len(source) * 4 > limits.max_item_bytes:
        limits.check("max_item_bytes", len(source.encode()), field=field, unit="bytes")
    marks = _count(source, ",[{")
    if marks > MAX_DEPTH:  # those in strings are counted too
        marks = _count(_without_strings(source), ",[{")
    if marks > MAX_VALUES:
        raise InvalidValueError(field, f"has more than {MAX_VALUES} values")
    try:
        parts = json.loads(
            source, object_pairs_hook=_members(field), parse_int=_number, parse_float=_number
        )
    except RecursionError:
        raise InvalidValueError(field, TOO_DEEP) from None
    except OverflowError:
        raise InvalidValueError(field, "contains a number that is out of range") from None
    if marks > MAX_DEPTH and is_deeper(parts, MAX_DEPTH):
        raise InvalidValueError(field, TOO_DEEP)
    check_parts(parts, field=field)
    if limits is not None and len(parts) > MAX_PARTS:
        raise InvalidValueError(field, f"has {len(parts)} parts; at most {MAX_PARTS}")
    return Content(JsonText(source), text_of(parts))


def encode_parts(parts: Sequence[Any], *, field: str) -> Content:
    """Return decoded parts as the domain keeps them. Raises `InvalidValueError`."""
    check_parts(parts, field=field)
    return Content(json_text(parts, field=field), text_of(parts))


def check_parts(parts: object, *, field: str) -> None:
    """Raise `InvalidValueError` unless `parts` is a list of parts, at least one."""
    if not isinstance(parts, list):
        raise InvalidValueError(field, "must be a string or an array of parts")
    if not parts:
        raise InvalidValueError(field, "is an empty array; give at least one part")
    for index, part in enumerate(parts):
        _check_part(part, f"{field}[{index}]")


def are_parts(values: object) -> bool:
    """Return whether this is a list of parts, at least one."""
    try:
        check_parts(values, field="")
    except InvalidValueError:
        return False
    return True


def text_of(parts: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the text of all parts that are text; None if none is."""
    texts = [part[TEXTS[part["type"]]] for part in parts if part["type"] in TEXTS]
    return BETWEEN_TEXTS.join(texts) if texts else None


def split_parts(parts: JsonText) -> list[Part]:
    """Return the parts of a stored list."""
    return [
        Part(place, value["type"], value, source)
        for place, (value, source) in enumerate(elements(parts))
        if isinstance(value, dict) and isinstance(value.get("type"), str)
    ]


def has_odd_numbers(parts: JsonText) -> bool:
    """Return whether a number may be written differently after decoding and encoding."""
    return _ODD_NUMBER.search(_without_strings(parts)) is not None


def _check_part(part: object, field: str) -> None:
    if not isinstance(part, Mapping):
        raise InvalidValueError(field, "must be an object with a type")
    kind = part.get("type")
    if not isinstance(kind, str) or not kind:
        raise InvalidValueError(f"{field}.type", "must be a string that is not empty")
    if check := _CHECKS.get(kind):
        check(part, field)


def _check_text(part: Mapping[str, Any], field: str) -> None:
    name = TEXTS[part["type"]]
    if not isinstance(part.get(name), str):
        raise InvalidValueError(f"{field}.{name}", "must be a string")


def _check_image(part: Mapping[str, Any], field: str) -> None:
    image, field = _member(part, "image_url", field)
    _check_strings(image, field, required=("url",), optional=("detail",))


def _check_audio(part: Mapping[str, Any], field: str) -> None:
    audio, field = _member(part, "input_audio", field)
    _check_strings(audio, field, required=("data", "format"))


def _check_file(part: Mapping[str, Any], field: str) -> None:
    file, field = _member(part, "file", field)
    _check_strings(file, field, optional=("file_data", "file_id", "filename"))
    if not (file.get("file_data") or file.get("file_id")):
        raise InvalidValueError(field, "must have file_data or file_id, a string that is not empty")


def _member(part: Mapping[str, Any], name: str, field: str) -> tuple[Mapping[str, Any], str]:
    member = part.get(name)
    if not isinstance(member, Mapping):
        raise InvalidValueError(f"{field}.{name}", "must be an object")
    return member, f"{field}.{name}"


def _check_strings(
    member: Mapping[str, Any],
    field: str,
    *,
    required: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    for name in required:
        if not isinstance(member.get(name), str) or not member[name]:
            raise InvalidValueError(f"{field}.{name}", "must be a string that is not empty")
    for name in optional:
        if not isinstance(member.get(name), str | None):
            raise InvalidValueError(f"{field}.{name}", "must be a string or null")


_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any], str], None]]] = {
    "text": _check_text,
    "refusal": _check_text,
    "image_url": _check_image,
    "input_audio": _check_audio,
    "file": _check_file,
}


def compact(document: str) -> str:
    """Remove white space between tokens, and escapes that JSON does not need."""
    if not any(mark in document for mark in "\\ \t\n\r"):
        return document
    return _STRING_OR_SPACE.sub(_compact_token, document)


def _count(text: str, marks: str) -> int:
    return sum(map(text.count, marks))


def _compact_token(token: re.Match[str]) -> str:
    string: str | None = token[1]
    if string is None:
        return ""
    return json.dumps(json.loads(string), ensure_ascii=False) if "\\" in string else string


def _without_strings(source: str) -> str:
    return _STRING_OR_SPACE.sub("", source)


def _members(field: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Return a hook that makes objects, and refuses those with a key twice.

    Programs do not agree which of the two values counts.
    """

    def make(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
            raise InvalidValueError(field, f"has an object with the key {twice[:50]!r} twice")
        return members

    return make


def _number(literal: str) -> float:
    value = float(literal)
    if isinf(value):
        raise OverflowError(literal)
    return value
