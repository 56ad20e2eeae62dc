"""Decodes the JSON documents within a body, such as metadata, and checks them.

A body is decoded with its documents left as text, which is fast whatever they contain. A document
that is certain to exceed its limit is refused before it is decoded: Python's objects take up to a
hundred times its size.
"""

from collections.abc import Callable
from math import isinf
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, UnsetType

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.json_fields import check_original, metadata_text, tool_calls_text
from chatkeep.domain.model import EMPTY_OBJECT, JsonText, Limits, OriginalText
from chatkeep.domain.parts import parse_parts
from chatkeep.entrypoints.http.validation import explain_body_error

_T = TypeVar("_T")

_NULL: Final = b"null"
_KINDS: Final = {b"{": "an object", b"t": "a boolean", b"f": "a boolean"}
_WHITE_SPACE: Final = b" \t\n\r"


def _float(literal: str) -> float:
    """Read a number like `1e308`, much faster than msgspec does."""
    value = float(literal)
    if isinf(value):
        raise ValueError("Number out of range")
    return value


def encode(value: object) -> str:
    """Return a JSON value as text, ten times as fast as the standard library does."""
    return _encode(value).decode()


_Object = dict[str, Any]
_encode: Final = msgspec.json.Encoder().encode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_object: Final = msgspec.json.Decoder(_Object, float_hook=_float).decode
_decode_object_or_null: Final = msgspec.json.Decoder(_Object | None, float_hook=_float).decode
_decode_objects_or_null: Final = msgspec.json.Decoder(
    list[_Object] | None, float_hook=_float
).decode


def parse_metadata(
    given: Raw | UnsetType, limits: Limits, *, field: str = "metadata", may_be_null: bool = True
) -> JsonText:
    """Return metadata as the domain keeps it.

    Raises `InvalidValueError` or `LimitExceededError` naming the field.
    """
    if isinstance(given, UnsetType):
        return EMPTY_OBJECT
    document = bytes(given)
    size = minimal_size(document)
    if size > limits.max_metadata_bytes:
        limits.check("max_metadata_bytes", len(document), field=field, unit="bytes")
    decode = _decode_object_or_null if may_be_null else _decode_object
    metadata = decode_document(decode, document, field)
    return metadata_text(metadata, field=field, limits=limits, encode=encode)


def parse_tool_calls(given: Raw | UnsetType, limits: Limits, *, field: str) -> JsonText | None:
    """Return tool calls as the domain keeps them. Raises as `parse_metadata` does."""
    if isinstance(given, UnsetType):
        return None
    document = bytes(given)
    size = minimal_size(document)
    if size > limits.max_message_chars:
        limits.check("max_message_chars", len(document), field=field, unit="characters")
    calls = decode_document(_decode_objects_or_null, document, field)
    return tool_calls_text(calls, field=field, limits=limits, encode=encode)


def parse_original(given: Raw | UnsetType, limits: Limits, *, field: str) -> OriginalText | None:
    """Return a message's original, exactly as it was sent.

    Raises `InvalidValueError` or `LimitExceededError` naming the field, and `UnicodeDecodeError`.
    """
    if isinstance(given, UnsetType):
        return None
    document = bytes(given)
    if document == _NULL:
        return None
    limits.check("max_item_bytes", len(document), field=field, unit="bytes")
    return check_original(document.decode(), field=field)


def parse_content(
    given: Raw | UnsetType, limits: Limits, *, field: str
) -> tuple[str | None, JsonText | None]:
    """Return the text of a content, and its parts if it was sent as a list of parts.

    Raises `InvalidValueError` or `LimitExceededError` naming the field, and `UnicodeDecodeError`.
    """
    if isinstance(given, UnsetType):
        return None, None
    document = bytes(given)
    match document[:1]:
        case b'"':
            return _decode_text(document), None
        case b"n":
            return None, None
        case b"[":
            content = parse_parts(document.decode(), field=field, limits=limits)
            return content.text, content.parts
    kind = _KINDS.get(document[:1], "a number")
    raise InvalidValueError(field, f"must be a string, an array of parts or null, not {kind}")


def minimal_size(document: bytes) -> int:
    """Return a lower bound of the characters of the document once it is compact.

    There are no more values than that either: commas and brackets cannot be written in
    another way. What shrinks most is an escaped surrogate pair, from twelve bytes to one character.
    A number counts with all its digits.
    """
    marks = document.count(b",") + document.count(b"[") + document.count(b"{")
    return max(marks, len(document.translate(None, _WHITE_SPACE)) // len(r"\ud83e\uddf5"))


def decode_document(decode: Callable[[bytes], _T], document: bytes, field: str) -> _T:
    """Return what `decode` returns. Raises `InvalidValueError` naming the field."""
    try:
        return decode(document)
    except msgspec.ValidationError as error:
        within, reason = explain_body_error(error, whole="")
        raise InvalidValueError(f"{field}{within}", reason) from None
    except RecursionError:
        raise InvalidValueError(field, "is nested too deeply") from None
