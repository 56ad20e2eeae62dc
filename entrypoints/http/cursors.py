"""Opaque cursors: where the next page of a list starts, and the filters of that list.

A cursor is neither secret nor trusted: every query that it leads to still names the user.
"""

import binascii
from base64 import b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import msgspec

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.log import Bounds
from chatkeep.domain.model import LAST_POSITION, ConversationId, MessageId, Order, Position, Status
from chatkeep.domain.ports import LastSeen

_T = TypeVar("_T", bound=msgspec.Struct)


class ConversationsCursor(msgspec.Struct, array_like=True, frozen=True):
    """The start of the next page of a list of conversations."""

    status: Status | None
    updated_at: datetime
    id: UUID

    @property
    def after(self) -> LastSeen:
        return LastSeen(self.updated_at, ConversationId(self.id))


class MessagesCursor(msgspec.Struct, array_like=True, frozen=True):
    """The start of the next page of a history.

    The page starts beyond `position`, in `order`, and ends before the message `until`, if given.
    """

    order: Order
    position: int
    until: UUID | None

    @property
    def bounds(self) -> Bounds:
        """Return the bounds of the next page."""
        position = Position(self.position)
        until = None if self.until is None else MessageId(self.until)
        if self.order is Order.ASC:
            return Bounds(after=position, before_message=until)
        return Bounds(before=position, after_message=until)


def encode(cursor: msgspec.Struct) -> str:
    return urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def decode_conversations(text: str) -> ConversationsCursor:
    """Return the cursor that `encode` wrote as `text`. Raises `InvalidValueError` if it did not."""
    cursor = _decode(text, ConversationsCursor)
    if cursor.updated_at.utcoffset() != timedelta(0):
        raise _unknown_cursor()
    return cursor


def decode_messages(text: str) -> MessagesCursor:
    """Return the cursor that `encode` wrote as `text`. Raises `InvalidValueError` if it did not."""
    cursor = _decode(text, MessagesCursor)
    if not 0 <= cursor.position <= LAST_POSITION:
        raise _unknown_cursor()
    return cursor


def check_agrees(parameter: str, requested: object, in_cursor: object) -> None:
    """Raise `InvalidValueError` if a parameter contradicts the cursor."""
    if requested is not None and requested != in_cursor:
        raise InvalidValueError(
            parameter, "differs from the cursor's list; leave it out, or start without a cursor"
        )


def _decode(text: str, kind: type[_T]) -> _T:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        raw = b64decode(padded, altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise _unknown_cursor() from None


def _unknown_cursor() -> InvalidValueError:
    return InvalidValueError("cursor", "is not a cursor of this list; use a page's next_cursor")
