"""Bytes of a conversation -> a document, for the codecs of `domain.formats`."""

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

    They are found by place in a list, and by name in an object. Of a list alone, whatever `member`
    is, they are its own elements. `data` is what `decode` accepts.
    """
    is_list = data.lstrip()[:1] == b"["
    inner = data if is_list else bytes(_members.decode(data).get(member, b""))
    first = inner.lstrip()[:1]
    if first == b"[":
        return {place: bytes(each).decode() for place, each in enumerate(_elements.decode(inner))}
    if first == b"{":
        return {name: bytes(each).decode() for name, each in _members.decode(inner).items()}
    return NO_ORIGINALS
