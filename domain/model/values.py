"""Ids, positions, orders and times."""

import os
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NewType
from uuid import UUID

from chatkeep.domain.errors import InvalidValueError

UserId = NewType("UserId", str)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", UUID)

BranchNumber = NewType("BranchNumber", int)

Position = NewType("Position", int)
"""The place of an entry in its conversation: strictly increasing, final, at least 1."""
MAX_ID_CHARS: Final = 255
FIRST_REVISION: Final = 1
MAX_REVISION: Final = 2**53 - 1
"""The highest that an import may set: every JSON parser reads it exactly, and it can still grow."""

NO_REVISION: Final = -1
"""What no conversation has: a change that expects it is always a conflict."""

FIRST_POSITION: Final = Position(1)
LAST_POSITION: Final = Position(2**63 - 1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Order(StrEnum):
    ASC = "asc"
    DESC = "desc"


class Unset:
    """The type of `UNSET`, which means no change; None is a value."""


UNSET: Final = Unset()


def check_user_id(user_id: str) -> UserId:
    """Return `user_id` if it is valid. Raises `InvalidValueError`."""
    if not user_id:
        raise InvalidValueError("user_id", "is empty")
    if len(user_id) > MAX_ID_CHARS:
        raise InvalidValueError("user_id", f"has {len(user_id)} characters; at most {MAX_ID_CHARS}")
    if "\x00" in user_id:
        raise InvalidValueError("user_id", "contains the NUL character")
    return UserId(user_id)


def microseconds(at: datetime) -> Position:
    """Return a time as a position: microseconds since 1970."""
    return Position((at - EPOCH) // timedelta(microseconds=1))


def uuid7(at: datetime) -> UUID:
    """Return a new UUID version 7 (RFC 9562), ordered by time to the millisecond."""
    milliseconds = (at - EPOCH) // timedelta(milliseconds=1)
    random = int.from_bytes(os.urandom(10))
    return UUID(
        int=(milliseconds & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (random >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | random & 0x3FFF_FFFF_FFFF_FFFF
    )
