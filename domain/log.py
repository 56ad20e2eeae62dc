"""The log of a conversation: the ordered list of everything in it.

Its elements are entries. Most entries are messages. Entries from OpenAI's Conversations API are
items, whose text is kept as it was sent; an item may be a message too.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple, Self
from uuid import UUID, uuid5

from chatkeep.domain.errors import ConversationIdTakenError, ItemIdTakenError, MessageIdTakenError
from chatkeep.domain.ids import of_conversation, same_id
from chatkeep.domain.items import ItemId, ItemText, message_id_in
from chatkeep.domain.model import (
    FIRST_POSITION,
    BranchNumber,
    Conversation,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Position,
    same_json,
    uuid7,
)
from chatkeep.domain.pages import Page
from chatkeep.domain.window import Window

BEFORE_FIRST: Final = Position(FIRST_POSITION - 1)


class View(StrEnum):
    """The parts of entries that a page contains.

    - `MESSAGES`: the entries that are messages, without their originals and the texts of items.
    - `ORIGINALS`: the same, with the originals of messages.
    - `ITEMS`: all entries; those with an item come without their message.
    - `WHOLE`: all entries, complete.
    """

    MESSAGES = "messages"
    ORIGINALS = "originals"
    ITEMS = "items"
    WHOLE = "whole"


class Entry(NamedTuple):
    """One element of a log: a message, an item, or both.

    `item` is its text as sent through OpenAI's API, and `item_id` the id in that text; both are
    None for a message from elsewhere. An entry without a `message` is an item of another kind, such
    as a model's reasoning.
    """

    position: Position
    created_at: datetime
    message: Message | None
    item: ItemText | None = None
    item_id: ItemId | None = None


class NewEntry(NamedTuple):
    """An entry to store. It has a `message`, with an id, or an `item`, or both.

    `item_id` is the id in the text of `item`; `is_minted` means that this service generated it, so
    it is unique. `is_of_item` means that the message was derived from the item, and needs no
    separate check. `created_at` is the time of an item without a message.
    """

    message: NewMessage | None
    item: ItemText | None = None
    item_id: ItemId | None = None
    is_minted: bool = False
    is_of_item: bool = False
    created_at: datetime | None = None

    @property
    def own_item_id(self) -> ItemId | None:
        """The item's id to store; None if it can be derived from the message's id."""
        if self.item_id is None or self.message is None:
            return self.item_id
        follows = self.is_minted or message_id_in(self.item_id) == self.message.id
        return None if follows else self.item_id

    @property
    def time(self) -> datetime | None:
        return self.created_at if self.message is None else self.message.created_at

    def at(self, time: datetime) -> Self:
        """Return this entry with the time `time`."""
        if self.message is None:
            return self._replace(created_at=time)
        return self._replace(message=self.message._replace(created_at=time))

    def to_entry(self, conversation_id: ConversationId, position: Position, at: datetime) -> Entry:
        """Return this entry as stored in its conversation. `at` is its time if it has none."""
        message = self.message
        if message is None:
            return Entry(position, self.created_at or at, None, self.item, self.item_id)
        found = message.to_message(conversation_id, position, at)
        return Entry(position, found.created_at, found, self.item, self.item_id)

    def equals(self, stored: Entry) -> bool:
        """Return whether storing this entry would give `stored`."""
        if self.item != stored.item or (self.message is None) != (stored.message is None):
            return False
        return self.message is None or stored.message is None or self.message.equals(stored.message)


class Bounds(NamedTuple):
    """A range of a log, without its two ends.

    `after` and `before` are positions; `after_message` and `before_message` are the ids of messages
    at the ends. `past_item` is the item after which a page starts, in the page's order.
    """

    after: Position | None = None
    before: Position | None = None
    after_message: MessageId | None = None
    before_message: MessageId | None = None
    past_item: ItemId | None = None


EVERYTHING: Final = Bounds()


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An `Idempotency-Key` and a digest of the request."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Created:
    """The result of a create. `created` is False if it was stored before.

    If a repeated create was recognised by its key, `entries` are those that are left; they are
    empty if it had items.
    """

    conversation: Conversation
    entries: tuple[Entry, ...]
    created: bool

    @property
    def messages(self) -> tuple[Message, ...]:
        return messages_in(self.entries)


@dataclass(frozen=True, slots=True)
class Appended:
    """The result of an append, also of a repeated one; the window after it, if requested.

    `message_count` and `revision` are those of the conversation after this append. Of a repeated
    append they are the current ones; the revision is the one after the expected one, if any.
    """

    entries: tuple[Entry, ...]
    message_count: int
    window: Window | None
    revision: int
    branch: BranchNumber | None = None
    """The branch that they are in; None in a conversation without branches."""

    @property
    def messages(self) -> tuple[Message, ...]:
        return messages_in(self.entries)


@dataclass(frozen=True, slots=True)
class LogPage(Page[Entry]):
    """A page of a log, and the revision of its conversation."""

    revision: int


def apply_view(entries: Iterable[Entry], view: View) -> list[Entry]:
    """Return the parts of complete entries that are in a view."""
    if view is View.MESSAGES:
        return [
            Entry(each.position, each.created_at, each.message.without_original())
            for each in entries
            if each.message is not None
        ]
    if view is View.ORIGINALS:
        return [
            Entry(each.position, each.created_at, each.message)
            for each in entries
            if each.message is not None
        ]
    if view is View.ITEMS:
        return [each if each.item is None else each._replace(message=None) for each in entries]
    return [*entries]


def messages_in(entries: Iterable[Entry]) -> tuple[Message, ...]:
    return tuple([entry.message for entry in entries if entry.message is not None])


def messages_of(entries: Iterable[NewEntry]) -> list[NewMessage]:
    return [entry.message for entry in entries if entry.message is not None]


def entries_of(messages: Iterable[NewMessage]) -> list[NewEntry]:
    """Return entries that are only messages."""
    return [NewEntry(message) for message in messages]


def assign_ids(
    messages: Sequence[NewMessage],
    at: datetime,
    *,
    within: ConversationId,
    seed: UUID | None = None,
) -> list[NewMessage]:
    """Return the messages of a batch for a conversation, with new ids for those that have none.

    If the caller chose one id, that of the conversation (`seed`) or of any message, the whole batch
    is safe to send again: the other ids are derived from it.
    """
    ids = [None if each.id is None else of_conversation(within, each.id) for each in messages]
    seed = seed or next((each for each in ids if each is not None), None)
    return [
        message
        if own is message.id is not None
        else message._replace(id=own or MessageId(uuid5(seed, str(index)) if seed else uuid7(at)))
        for index, (message, own) in enumerate(zip(messages, ids, strict=True))
    ]


def item_ids_given(entries: Sequence[NewEntry]) -> list[ItemId]:
    """Return the ids of items that the caller chose.

    Raises `ItemIdTakenError` for a duplicate.
    """
    ids = [entry.item_id for entry in entries if entry.item_id is not None and not entry.is_minted]
    if len(set(ids)) < len(ids):
        [(twice, _)] = Counter(ids).most_common(1)
        raise ItemIdTakenError(twice)
    return ids


def match_append(
    conversation_id: ConversationId, given: Sequence[NewMessage], stored: Sequence[Message]
) -> tuple[Message, ...]:
    """Return the messages that a repeated append stored the first time.

    `stored` are the user's messages with an id of `given`, at least one, in any conversation.
    Raises `MessageIdTakenError` if they are not from the same append.
    """
    by_id = {message.id: message for message in stored}
    found = []
    for new in given:
        old = by_id.get(new.id) if new.id is not None else None
        if old is None:
            continue
        if old.conversation_id != conversation_id or not new.equals(old):
            raise MessageIdTakenError(old.id)
        found.append(old._replace(conversation_id=conversation_id))
    if len(found) != len(given):
        raise MessageIdTakenError(stored[0].id)
    return tuple(found)


def match_create(
    given: Conversation,
    given_entries: Sequence[NewEntry],
    stored: Conversation,
    stored_entries: Sequence[Entry],
) -> Created:
    """Return the result that a repeated create had the first time.

    `stored_entries` are the first entries of the stored conversation, as many as were given.
    Raises `ConversationIdTakenError` if it is not from the same create.
    """
    if (
        not same_id(given.id, stored.id)
        or given.title != stored.title
        or (given.retain and not stored.retain)  # otherwise a hold would seem to be set
        or not same_json(given.metadata, stored.metadata)
        or len(given_entries) != len(stored_entries)
        or not all(map(NewEntry.equals, given_entries, stored_entries))
    ):
        raise ConversationIdTakenError(stored.id)
    return Created(stored, tuple(stored_entries), created=False)
