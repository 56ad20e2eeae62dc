"""JSON of a conversation -> a value of a type; what does not fit is told by the field's name."""

from typing import Any, Final, TypeVar

import msgspec

from chatkeep.domain.errors import InvalidValueError
from chatkeep.entrypoints.http.validation import invalid_body

T = TypeVar("T")

WHOLE: Final = "conversation"
"""The name of the field when it is everything."""


def decoded(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """Return the value. Raises `InvalidValueError` naming the field."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InvalidValueError(
            WHOLE, f"is not UTF-8: {error.object[error.start]:#x} at byte {error.start + 1}"
        ) from error
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise misfit(error) from error
    except msgspec.DecodeError as error:
        raise InvalidValueError(WHOLE, f"is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidValueError(WHOLE, "is nested too deep") from error


def converted(value: Any, type_: type[T], *, field: str) -> T:  # noqa: ANN401 - any JSON
    """Return a decoded value as one of that type. Raises `InvalidValueError` below `field`."""
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        found = misfit(error)
        dot = "" if found.field.startswith("[") else "."
        path = field if found.field == WHOLE else f"{field}{dot}{found.field}"
        raise InvalidValueError(path, found.reason) from error


def misfit(error: msgspec.ValidationError) -> InvalidValueError:
    return InvalidValueError(*invalid_body(error, whole=WHOLE, unknown="is no key of this format"))
