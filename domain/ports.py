"""What the use cases need of the outside: promises that every adapter keeps.

Common to all stores:

- Every call names the user. What belongs to somebody else is treated as if it did not exist.
- Each call happens wholly or not at all, also when several processes make it at once.
- What is returned is the caller's to keep: changing the store later does not change it.
- A page ends before its texts and JSON have more than `max_bytes` bytes, about; but where there is
  something it has at least one, however large. `more` says that there is more, for either reason.
- A store that cannot answer now raises `StoreUnavailableError`; the same call may be made again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, Self

from chatkeep.domain.items import Item, ItemId, NewItem, RequestKey
from chatkeep.domain.model import (
    Changes,
    Conversation,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    Status,
    Usage,
    UserId,
)
from chatkeep.domain.pages import NO_BOUND, Page


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the time in UTC, to the microsecond. It may stand still or jump back."""
        ...


@dataclass(frozen=True, slots=True)
class Created:
    """What a create stored, or had stored before (`created` is False)."""

    conversation: Conversation
    messages: tuple[Message, ...]
    created: bool


MAX_NAMED: Final = 5
"""Of the conversations that stand in the way of an erasure, an error names this many."""

MAX_HEAD: Final = 20
"""Of the system and developer messages that open a conversation, this many always stay in."""


@dataclass(frozen=True, slots=True)
class Window:
    """The two ends of a conversation, each oldest first; they do not overlap.

    `head` are the system and developer messages that open the conversation, at most the first
    `MAX_HEAD` of them, less those that are in `tail`, the last messages. `message_count` is how
    many messages the whole conversation has.
    """

    head: tuple[Message, ...]
    tail: tuple[Message, ...]
    message_count: int

    @classmethod
    def of(
        cls,
        opening: Sequence[Message],
        latest: Sequence[Message],
        *,
        limit: int,
        message_count: int,
    ) -> Self:
        """Make one of the opening messages and of the latest, at least the last `limit` ones."""
        tail = tuple(latest[-limit:])
        head = (message for message in opening if message.position < tail[0].position)
        return cls(tuple(head), tail, message_count)


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append stored, or had stored before; the window afterwards, if asked for."""

    messages: tuple[Message, ...]
    message_count: int
    window: Window | None


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
    async def create(
        self, conversation: Conversation, messages: Sequence[NewMessage], *, provision: bool
    ) -> Created:
        """Store a conversation with its first messages, which have ids, in their order.

        `message_count` is taken from `messages`; the other fields are stored as they are. A message
        without `created_at` gets the conversation's `updated_at`.
        A conversation of that id which is the same (`domain.model.recreated`) is returned as it is
        stored. Raises `ConversationIdTakenError` when it is another one, `MessageIdTakenError` when
        a message id is in use, `UserNotProvisionedError` when the user does not exist and either
        `provision` is false or they cannot be added.
        """
        ...

    async def get_or_create(self, conversation: Conversation, *, provision: bool) -> Created:
        """Return the user's conversation of that id, or store this one, which has no messages.

        Raises `UserNotProvisionedError` as `create` does.
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
        """Delete it with all its messages.

        Raises `ConversationNotFoundError`, `RetainedError` while it is on hold.
        """
        ...


class Messages(Protocol):
    async def append(  # noqa: PLR0913 - each is one independent part of the call
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        messages: Sequence[NewMessage],
        at: datetime,
        *,
        window: int | None = None,
        max_bytes: int = NO_BOUND,
    ) -> Appended:
        """Add messages, which have ids, after the last one, in their order, all or none.

        Their positions are consecutive and greater than any that the conversation ever had, even
        when the clock stands still or has gone back; `updated_at` moves to `at`, never backwards.
        With `window`, also return what `window` would afterwards, for that limit.
        Messages that are stored already, by the same append (`domain.model.replayed`), are
        returned and change nothing. Raises `ConversationNotFoundError`; `MessageIdTakenError` when
        an id is in use by any other message of the user.
        """
        ...

    async def history(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        order: Order,
        after: Position | MessageId | None,
        before: Position | MessageId | None,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Message]:
        """Return at most `limit` messages strictly between `after` and `before`.

        With `Order.ASC` the first of them, oldest first; with `Order.DESC` the last, latest first.
        Raises `ConversationNotFoundError`, and `MessageNotFoundError` for a bound that is the id of
        no message of this conversation.
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
        """Return the ends of the conversation: its head and its last `limit` messages.

        Each end has at most half of `max_bytes`, about: the head ends earlier then, and the last
        messages begin later, though the very last one is always there.
        Raises `ConversationNotFoundError`.
        """
        ...

    async def get(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> Message:
        """Return the message, or raise `MessageNotFoundError`."""
        ...

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> None:
        """Delete the message and count it no more.

        Raises `MessageNotFoundError`, `RetainedError` while its conversation is on hold.
        """
        ...


class Items(Protocol):
    """What is appended here and what `Messages` appends are one conversation, in one order.

    An item that is a message is one thing with it: deleting either deletes both. A message appended
    natively is one item or several (`domain.formats.native_items.NativeItems`), which go together.
    """

    async def create(
        self,
        conversation: Conversation,
        items: Sequence[NewItem],
        *,
        key: RequestKey | None,
        provision: bool,
    ) -> Conversation:
        """Store a conversation with its first items, in their order.

        A conversation of that id that was created with the same `key` is returned as it is stored.
        Raises `KeyTakenError` when it was created otherwise, be it without a key,
        `ItemIdTakenError` when an id is given twice, `UserNotProvisionedError` as
        `Conversations.create` does.
        """
        ...

    async def append(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        items: Sequence[NewItem],
        at: datetime,
        *,
        key: RequestKey | None = None,
    ) -> Sequence[Item]:
        """Add items after the last one, in their order, all or none; return them.

        Positions and `updated_at` are as `Messages.append` has them; `message_count` counts the
        messages among them.
        With a `key` that came before, with the same digest, what is still there of the items it
        brought is returned and nothing changes. Raises `KeyTakenError` when the digest differs,
        `ItemIdTakenError` when an item of this conversation, or another one of `items`, has an id,
        `ConversationNotFoundError`.
        """
        ...

    async def list(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        order: Order,
        after: ItemId | None,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Item]:
        """Return the first `limit` items in `order`, those past `after` if given.

        Raises `ConversationNotFoundError`, `ItemNotFoundError` when `after` is no item of it.
        """
        ...

    async def get(self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId) -> Item:
        """Return the item, or raise `ItemNotFoundError`."""
        ...

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId
    ) -> None:
        """Delete the item, with its message if it is one.

        Raises `ItemNotFoundError`, `RetainedError` while its conversation is on hold.
        """
        ...
