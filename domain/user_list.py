"""The list of users, for services: what it has of each, and which ids begin with a prefix."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.finding import MatchCount
from chatkeep.domain.model import MAX_ID_CHARS, UserId

MAX_COUNTED: Final = 1_000
"""The most conversations of a user that the list counts."""

_LAST: Final = "\U0010ffff"
_BEFORE_SURROGATES: Final = "\ud7ff"
_AFTER_SURROGATES: Final = "\ue000"


@dataclass(frozen=True, slots=True)
class ListedUser:
    """A user. `latest_activity` is that of their conversations; None if they have none."""

    id: UserId
    conversations: MatchCount
    latest_activity: datetime | None


def check_prefix(prefix: str) -> None:
    """Raise `InvalidValueError` if no id can begin with it."""
    if len(prefix) > MAX_ID_CHARS:
        raise InvalidValueError(
            "prefix", f"has {len(prefix)} characters; an id has at most {MAX_ID_CHARS}"
        )
    if "\x00" in prefix:
        raise InvalidValueError("prefix", "contains the NUL character, which no id has")


def end_of_prefix(prefix: str) -> str:
    """Return the text before which all ids with the prefix are, by code points.

    It is never shorter than it must be: of all texts that begin otherwise, none is in between.
    """
    kept = prefix.rstrip(_LAST)
    if not kept:
        return _LAST * (MAX_ID_CHARS + 1)
    last = _AFTER_SURROGATES if kept[-1] == _BEFORE_SURROGATES else chr(ord(kept[-1]) + 1)
    return kept[:-1] + last
