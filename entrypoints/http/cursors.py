"""Opaque cursors: where a page of a list goes on, and what the list was asked for.

A cursor is no secret and proves nothing: every query it leads to names the user all the same.
"""

import binascii
from base64 import b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import msgspec

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import LAST_POSITION, ConversationId, MessageId, Order, Position, Status
from chatkeep.domain.ports import LastSeen

_T = TypeVar("_T", bound=msgspec.Struct)


class ConversationsCursor(msgspec.Struct, array_like=True, frozen=True):
    """Where a list of conversations goes on."""

    status: Status | None
    updated_at: datetime
    id: UUID

    @property
    def after(self) -> LastSeen:
        return LastSeen(self.updated_at, ConversationId(self.id))


class MessagesCursor(msgspec.Struct, array_like=True, frozen=True):
    """Where a history goes on: past `position`, in `order`, up to `until`, if there is a bound."""

    order: Order
    position: int
    until: UUID | None

    @property
    def bounds(self) -> tuple[Position | MessageId | None, Position | MessageId | None]:
        """`after` and `before` of the next page."""
        position = Position(self.position)
        until = None if self.until is None else MessageId(self.until)
        return (position, until) if self.order is Order.ASC else (until, position)


def encode(cursor: msgspec.Struct) -> str:
    return urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def decode_conversations(text: str) -> ConversationsCursor:
    """Return what `text` says, or raise `InvalidValueError`."""
    cursor = _decode(text, ConversationsCursor)
    if cursor.updated_at.utcoffset() != timedelta(0):
        raise _foreign()
    return cursor


def decode_messages(text: str) -> MessagesCursor:
    """Return what `text` says, or raise `InvalidValueError`."""
    cursor = _decode(text, MessagesCursor)
    if not 0 <= cursor.position <= LAST_POSITION:
        raise _foreign()
    return cursor


def check_agrees(parameter: str, asked: object, cursor: object) -> None:
    """Raise when a parameter is repeated beside a cursor, but not as it was."""
    if asked is not None and asked != cursor:
        raise InvalidValueError(
            parameter, "differs from what the cursor was made for; leave it out, or start anew"
        )


def _decode(text: str, kind: type[_T]) -> _T:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        raw = b64decode(padded, altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise _foreign() from None


def _foreign() -> InvalidValueError:
    return InvalidValueError("cursor", "is not one of this list; take it from next_cursor")
