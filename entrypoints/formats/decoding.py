"""Bytes of a conversation -> a document, for the codecs of `domain.formats`."""

from typing import Any, Final

import msgspec

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import WHOLE

_decoder: Final = msgspec.json.Decoder(Any)


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
