"""What the use cases need of the outside: promises that every adapter keeps.

Common to all stores:

- Every call names the user. What belongs to another user is treated as if it did not exist.
- Each call happens wholly or not at all, also when several processes make it at once.
- What is returned is the caller's to keep: changing the store later does not change it.
- A page ends before its texts and JSON have more than `max_bytes` bytes, approximately; but where
  there is something it has at least one, however large. `more` says that there is more, for either
  reason.
- A store that cannot answer now raises `StoreUnavailableError`; the same call may be made again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from chatkeep.domain.context import Window
from chatkeep.domain.idle import Cutoffs, IdleConversation, SweepResult
from chatkeep.domain.items import ItemId
from chatkeep.domain.log import Appended, Bounds, Created, Entry, NewEntry, RequestKey, View
from chatkeep.domain.model import (
    Changes,
    Conversation,
    ConversationId,
    Message,
    MessageId,
    Order,
    Position,
    Status,
    Usage,
    UserId,
)
from chatkeep.domain.pages import NO_BOUND, Page

MAX_NAMED: Final = 5
"""The error about conversations that prevent an erasure names at most this many of them."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the time in UTC, to the microsecond. It may stand still or jump back."""
        ...


@dataclass(frozen=True, slots=True)
class LastSeen:
    """The last conversation of a page: where the next page goes on."""

    updated_at: datetime
    id: ConversationId


class Users(Protocol):
    async def add(self, user_id: UserId) -> bool:
        """Make sure that the user exists; return whether they are new.

        Raises `UserNotProvisionedError` when the users table does not take them.
        """
        ...

    async def usage(self, user_id: UserId) -> Usage:
        """Return what the user has stored; all zero for a user who does not exist."""
        ...

    async def erasable(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        """Return what `erase` would now, and raise what it would; delete nothing."""
        ...

    async def erase(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        """Delete the user and everything they own; return what that was, None if no such user.

        Raises `UserRetainedError`, and deletes nothing, while a conversation of theirs is on hold,
        unless `even_retained`.
        """
        ...


class Conversations(Protocol):
    async def get_or_create(self, conversation: Conversation, *, provision: bool) -> Created:
        """Return the user's conversation of that id, or store this one, which has no messages.

        Raises `UserNotProvisionedError` as `Log.create` does.
        """
        ...

    async def get(self, user_id: UserId, conversation_id: ConversationId) -> Conversation:
        """Return the conversation, or raise `ConversationNotFoundError`."""
        ...

    async def list(
        self,
        user_id: UserId,
        *,
        status: Status | None,
        after: LastSeen | None,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Conversation]:
        """Return at most `limit` conversations, latest activity first, ties by id, descending.

        Only those of `status`, if given; only those that come after `after`, if given.
        """
        ...

    async def change(
        self, user_id: UserId, conversation_id: ConversationId, changes: Changes
    ) -> Conversation:
        """Apply the changes and return the conversation, or raise `ConversationNotFoundError`."""
        ...

    async def delete(self, user_id: UserId, conversation_id: ConversationId) -> None:
        """Delete it with everything in it.

        Raises `ConversationNotFoundError`, `RetainedError` while it is on hold.
        """
        ...


class Log(Protocol):
    """The entries of conversations: one ordered list for each.

    An entry that is a message and an item is one thing: deleting it deletes both.
    """

    async def create(
        self,
        conversation: Conversation,
        entries: Sequence[NewEntry],
        *,
        key: RequestKey | None = None,
        provision: bool,
    ) -> Created:
        """Store a conversation with its first entries, whose messages have ids, in their order.

        `message_count` is taken from `entries`; the other fields are stored as they are. An entry
        without a time gets the conversation's `updated_at`.
        A conversation of that id which is the same (`domain.log.match_create`), or was created with
        the same `key`, is returned as it is stored. Raises `ConversationIdTakenError` when it is
        another one, and with a `key` `KeyTakenError`; `MessageIdTakenError` when a message id is in
        use, `ItemIdTakenError` when an item id is given twice, `UserNotProvisionedError` when the
        user does not exist and either `provision` is false or they cannot be added.
        """
        ...

    async def append(  # noqa: PLR0913 - each is one independent part of the call
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        *,
        key: RequestKey | None = None,
        window: int | None = None,
        max_bytes: int = NO_BOUND,
    ) -> Appended:
        """Add entries, whose messages have ids, after the last one, in their order, all or none.

        Their positions are consecutive and greater than any that the conversation ever had, even
        when the clock stands still or has gone back; `updated_at` moves to `at`, never backwards.
        With `window`, also return what `window` would afterwards, for that limit.
        The same append again changes nothing and returns what is stored. It is recognised by its
        `key`, then what is still there is returned, as `View.ITEMS` has it; without items, by the
        ids of its messages (`domain.log.match_append`).
        Raises `ConversationNotFoundError`; `KeyTakenError` when the key came with another digest;
        `MessageIdTakenError` when an id is in use by any other message of the user;
        `ItemIdTakenError` when an item of this conversation, or another one of `entries`, has an
        id.
        """
        ...

    async def page(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        bounds: Bounds,
        *,
        view: View,
        order: Order,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Entry]:
        """Return at most `limit` entries of `view` within `bounds`.

        With `Order.ASC` the first of them, oldest first; with `Order.DESC` the last, latest first.
        When `bounds.past_item` is an item of an entry that was appended natively, which may be
        several items, that entry comes first, beyond `limit`.
        Raises `ConversationNotFoundError`; `MessageNotFoundError` and `ItemNotFoundError` for a
        bound that is the id of nothing in this conversation.
        """
        ...

    async def window(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Window:
        """Return the two ends of the conversation: its head and its last `limit` messages.

        Each end has at most half of `max_bytes`, approximately: the head ends earlier then, and the
        last messages begin later, though the very last one is always there.
        Raises `ConversationNotFoundError`.
        """
        ...

    async def get(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> Message:
        """Return the message, or raise `MessageNotFoundError`."""
        ...

    async def find(
        self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId
    ) -> Sequence[Entry]:
        """Return the entries that an item of this id may belong to, as `View.ITEMS` has them.

        They are the one that has this item, and the native message that ids of its form are of.
        """
        ...

    async def calls_before(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        position: Position,
        call_ids: Collection[str],
    ) -> Mapping[str, bool]:
        """Return which of the tool calls were made shortly before `position`.

        The value says whether a custom tool was called; of calls with one id the last one counts.
        """
        ...

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> None:
        """Delete the message and count it no more.

        Raises `MessageNotFoundError`, `RetainedError` while its conversation is on hold.
        """
        ...

    async def delete_at(
        self, user_id: UserId, conversation_id: ConversationId, position: Position
    ) -> bool:
        """Delete the entry at that position; return whether there was one.

        Raises `RetainedError` while its conversation is on hold.
        """
        ...


class Sweeps(Protocol):
    """Sweeps over every user's conversations. One on hold (`retain`) is never deleted.

    Calls that change conversations check again, at the moment of the change, that each is still
    idle and not on hold, and skip those that another transaction is changing.
    Raises `StoreUnavailableError` when the store cannot answer; the same call may be made again.
    """

    async def count(self, cutoffs: Cutoffs) -> SweepResult:
        """Return what a sweep would do now, and how many on hold it would skip."""
        ...

    async def to_delete(self, before: datetime, *, limit: int) -> Sequence[IdleConversation]:
        """Return up to `limit` conversations of any status idle since before then, in any order."""
        ...

    async def to_archive(self, before: datetime, *, limit: int) -> Sequence[IdleConversation]:
        """Return up to `limit` active conversations idle since before then, in any order."""
        ...

    async def delete(self, idle: Sequence[IdleConversation], before: datetime) -> SweepResult:
        """Delete those that are still idle since before then, with everything in them."""
        ...

    async def archive(self, idle: Sequence[IdleConversation], before: datetime) -> SweepResult:
        """Archive those that are still active and idle since before then."""
        ...


class SweepSchedule(Protocol):
    """Records the daily sweeps of the service, so that only one process runs each."""

    async def claim(self, due: datetime, at: datetime) -> bool:
        """Claim the sweep due at `due`. Return False if another process already claimed it."""
        ...

    async def finish(self, due: datetime, at: datetime, swept: SweepResult) -> None:
        """Record the result of the sweep due at `due`, which ended at `at`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """All the ports that one adapter keeps data behind, over the same data."""

    users: Users
    conversations: Conversations
    log: Log
    sweeps: Sweeps
    sweep_schedule: SweepSchedule
