"""Ids and times in documents, as strings."""

import re
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import Document, get_optional, path
from chatkeep.domain.ids import parse_id

_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,100}))?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)
_MICROSECOND_DIGITS: Final = 6
_NO_TIME: Final = "is not a time in the form of RFC 3339, such as 2026-01-31T12:00:00Z"


def read_id(document: Document, within: str) -> UUID | None:
    """Return the member `id`; None when it is null or not there. Raises `InvalidValueError`."""
    text = get_optional(document, "id", within, str)
    if text is None:
        return None
    return parse_id(text, field=path(within, "id"))


def read_time(document: Document, name: str, within: str) -> datetime | None:
    """Return a time in UTC; None when it is null or not there. Raises `InvalidValueError`."""
    text = get_optional(document, name, within, str)
    if text is None:
        return None
    time = parse_time(text, path(within, name))
    # Not the first and last year: offsets overflow there, and Postgres reads the ends as infinity.
    if not MINYEAR < time.year < MAXYEAR:
        reason = f"is in the year {time.year}, which is out of range"
        raise InvalidValueError(path(within, name), reason)
    return time if time.tzinfo is UTC else time.astimezone(UTC)


def parse_time(text: str, field: str) -> datetime:
    """Return a time, rounded to microseconds, with its offset. Raises `InvalidValueError`."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise InvalidValueError(field, _NO_TIME)
    date, time, fraction, offset = found.groups()
    if offset is None:
        raise InvalidValueError(field, "lacks a timezone; add Z, or an offset like +02:00")
    try:
        parsed = datetime.fromisoformat(f"{date}T{time}{'Z' if offset in 'Zz' else offset}")
        if fraction is not None:
            digits = fraction.ljust(_MICROSECOND_DIGITS + 1, "0")
            microseconds = int(digits[:_MICROSECOND_DIGITS])
            microseconds += digits[_MICROSECOND_DIGITS] >= "5"
            parsed += timedelta(microseconds=microseconds)
    except (ValueError, OverflowError):
        raise InvalidValueError(field, _NO_TIME) from None
    return parsed


def write_time(time: datetime) -> str:
    """Return a time in the format of RFC 3339, with `Z` for UTC."""
    text = time.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text
