"""Opaque cursors: where the next page of a list starts, and the filters of that list.

A cursor is neither secret nor trusted: every query that it leads to still names the user.
"""

import binascii
from base64 import b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Self, TypeVar
from uuid import UUID

import msgspec

from chatkeep.domain.branches import EVERY, MAX_NUMBER
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.finding import Filter, LastSeen, Sort
from chatkeep.domain.ids import of_conversation, parse_id
from chatkeep.domain.log import Bounds
from chatkeep.domain.model import (
    LAST_POSITION,
    BranchNumber,
    ConversationId,
    Order,
    Position,
    Status,
)

_T = TypeVar("_T", bound=msgspec.Struct)


class ConversationsCursor(msgspec.Struct, array_like=True, frozen=True):
    """The start of the next page of a list of conversations with a status at most."""

    status: Status | None
    updated_at: datetime
    id: UUID

    @property
    def sort(self) -> Sort:
        return Sort.UPDATED

    @property
    def after(self) -> LastSeen:
        return LastSeen(self.updated_at, ConversationId(self.id))

    @property
    def wanted(self) -> Filter:
        return Filter(status=self.status)


class FilteredCursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The start of the next page of a list of conversations with other filters, or another order.

    An older version refuses it, since it is not an array: it would ignore them.
    """

    at: datetime
    id: UUID
    status: Status | None = None
    metadata: dict[str, str] = {}
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    sort: Sort = Sort.UPDATED

    @classmethod
    def of(cls, wanted: Filter, sort: Sort, after: LastSeen) -> Self:
        return cls(
            after.at,
            after.id,
            wanted.status,
            dict(wanted.metadata),
            wanted.updated_after,
            wanted.updated_before,
            sort,
        )

    @property
    def after(self) -> LastSeen:
        return LastSeen(self.at, ConversationId(self.id))

    @property
    def wanted(self) -> Filter:
        return Filter(
            status=self.status,
            metadata=self.metadata,
            updated_after=self.updated_after,
            updated_before=self.updated_before,
        )


class MessagesCursor(msgspec.Struct, array_like=True, frozen=True):
    """The start of the next page of a history.

    The page starts beyond `position`, in `order`, and ends before the message `until`, if given.
    """

    order: Order
    position: int
    until: str | None

    def bounds(self, conversation_id: ConversationId) -> Bounds:
        """Return the bounds of the next page in the conversation. Raises `InvalidValueError`."""
        position = Position(self.position)
        until = None
        if self.until is not None:
            try:
                until = of_conversation(conversation_id, parse_id(self.until))
            except InvalidValueError:
                raise unknown_cursor() from None
        if self.order is Order.ASC:
            return Bounds(after=position, before_message=until)
        return Bounds(before=position, after_message=until)


class BranchCursor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """As `MessagesCursor`, for the history of a branch (`parameters.HistoryBranch`).

    An older version refuses it, since it is not an array: it would ignore the branch.
    """

    branch: int
    order: Order
    position: int
    until: str | None = None

    def bounds(self, conversation_id: ConversationId) -> Bounds:
        return MessagesCursor(self.order, self.position, self.until).bounds(conversation_id)


class _BranchesCursor(msgspec.Struct, array_like=True, frozen=True, tag="branches"):
    """The start of the next page of a list of branches."""

    after: int


def encode(cursor: msgspec.Struct) -> str:
    return urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def decode_conversations(text: str) -> ConversationsCursor | FilteredCursor:
    """Return the cursor that `encode` wrote as `text`. Raises `InvalidValueError` if it did not."""
    raw = _decode_base64(text)
    cursor = (
        _decode(raw, FilteredCursor) if raw.startswith(b"{") else _decode(raw, ConversationsCursor)
    )
    for at in (cursor.after.at, cursor.wanted.updated_after, cursor.wanted.updated_before):
        if at is not None and at.utcoffset() != timedelta(0):
            raise unknown_cursor()
    return cursor


def decode_messages(text: str) -> MessagesCursor | BranchCursor:
    """Return the cursor that `encode` wrote as `text`. Raises `InvalidValueError` if it did not."""
    raw = _decode_base64(text)
    cursor = _decode(raw, BranchCursor) if raw.startswith(b"{") else _decode(raw, MessagesCursor)
    if not 0 <= cursor.position <= LAST_POSITION:
        raise unknown_cursor()
    if isinstance(cursor, BranchCursor) and not EVERY <= cursor.branch <= MAX_NUMBER:
        raise unknown_cursor()
    return cursor


def decode(text: str, kind: type[_T]) -> _T:
    """Return the cursor that `encode` wrote as `text`. Raises `InvalidValueError` if it did not."""
    return _decode(_decode_base64(text), kind)


def encode_branches(after: BranchNumber) -> str:
    return encode(_BranchesCursor(after))


def decode_branches(text: str) -> BranchNumber:
    """Return what `encode_branches` wrote. Raises `InvalidValueError` if it did not."""
    cursor = decode(text, _BranchesCursor)
    if not 0 <= cursor.after <= MAX_NUMBER:
        raise unknown_cursor()
    return BranchNumber(cursor.after)


def decode_as(text: str, kind: type[_T]) -> _T | None:
    """Return what `encode` wrote as `text`; None if it did not write such a cursor."""
    try:
        return _decode(_decode_base64(text), kind)
    except InvalidValueError:
        return None


def check_filter_agrees(requested: Filter, in_cursor: Filter) -> None:
    """Raise `InvalidValueError` if a parameter of a list contradicts the cursor."""
    check_agrees("status", requested.status, in_cursor.status)
    check_agrees("metadata", requested.metadata or None, in_cursor.metadata)
    check_agrees("updated_after", requested.updated_after, in_cursor.updated_after)
    check_agrees("updated_before", requested.updated_before, in_cursor.updated_before)


def check_agrees(parameter: str, requested: object, in_cursor: object) -> None:
    """Raise `InvalidValueError` if a parameter contradicts the cursor."""
    if requested is not None and requested != in_cursor:
        raise InvalidValueError(
            parameter, "differs from the cursor's list; leave it out, or start without a cursor"
        )


def _decode_base64(text: str) -> bytes:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return b64decode(padded, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise unknown_cursor() from None


def _decode(raw: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise unknown_cursor() from None


def unknown_cursor() -> InvalidValueError:
    return InvalidValueError("cursor", "is not a cursor of this list; use a page's next_cursor")
