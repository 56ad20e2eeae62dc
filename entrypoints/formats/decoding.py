"""Bytes of a conversation -> a document, for the codecs of `domain.formats`."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import NO_ORIGINALS, WHOLE, Originals

_decoder: Final = msgspec.json.Decoder(Any)
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw])
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode(data: bytes) -> object:
    """Return the JSON value. Raises `InvalidValueError`."""
    try:
        return _decoder.decode(data.decode())
    except UnicodeDecodeError as error:
        raise InvalidValueError(
            WHOLE, f"is not UTF-8: {error.object[error.start]:#x} at byte {error.start + 1}"
        ) from error
    except msgspec.ValidationError as error:
        raise InvalidValueError(WHOLE, "contains a number that is out of range") from error
    except msgspec.DecodeError as error:
        raise InvalidValueError(WHOLE, f"is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidValueError(WHOLE, "is nested too deeply") from error


def find_originals(data: bytes, member: str) -> Originals:
    """Return the texts of what is in a member of an object, exactly as they are in `data`.

    They are found by name if the member is an object. If it is a list, they are found by place, and
    the other members of the object by name. Of a list alone, whatever `member` is, they are its own
    elements. `data` is what `decode` accepts.
    """
    if data.lstrip()[:1] == b"[":
        return _find_elements(data)
    members = _members.decode(data)
    inner = bytes(members.pop(member, b""))
    first = inner.lstrip()[:1]
    if first == b"[":
        return {**_find_members(members), **_find_elements(inner)}
    return _find_members(_members.decode(inner)) if first == b"{" else NO_ORIGINALS


def _find_elements(data: bytes) -> Originals:
    return {place: bytes(each).decode() for place, each in enumerate(_elements.decode(data))}


def _find_members(members: Mapping[str, msgspec.Raw]) -> Originals:
    return {name: bytes(each).decode() for name, each in members.items()}
