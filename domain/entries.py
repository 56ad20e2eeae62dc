"""What stands in a conversation, exactly: messages, and items that are none, in one order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol, Self

from chatkeep.domain.errors import ConversationIdTakenError
from chatkeep.domain.items import ItemId, ItemText, message_id_in
from chatkeep.domain.model import (
    FIRST_POSITION,
    Conversation,
    ConversationId,
    Message,
    NewMessage,
    Position,
    UserId,
    recreated,
)

BEFORE_FIRST: Final = Position(FIRST_POSITION - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What stands at one position of a conversation: a message, an item, or both in one.

    `item` is the text that it was sent as through OpenAI's API; None for what was not. An item
    without a `message` is one that is none, such as a model's reasoning.
    """

    position: Position
    created_at: datetime
    message: Message | None
    item: ItemText | None


@dataclass(frozen=True, slots=True)
class EntryPage:
    """`more`: there may be further entries after the last of these."""

    entries: tuple[Entry, ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenEntry:
    """An entry to import: at least one of `message` and `item`.

    `item_id` is the id that `item` has; `is_of_item`: the message says what the item says, and so
    is what would be stored of the item. `created_at` is that of an item that is no message.
    """

    message: NewMessage | None
    item: ItemText | None = None
    item_id: ItemId | None = None
    is_of_item: bool = False
    created_at: datetime | None = None

    def at(self, time: datetime) -> Self:
        if self.message is None:
            return replace(self, created_at=time)
        return replace(self, message=replace(self.message, created_at=time))

    @property
    def own_item_id(self) -> ItemId | None:
        """Return the item's id, unless it follows from the message's and is stored nowhere."""
        if self.item_id is None or self.message is None:
            return self.item_id
        return None if message_id_in(self.item_id) == self.message.id else self.item_id

    @property
    def time(self) -> datetime | None:
        return self.created_at if self.message is None else self.message.created_at


class Entries(Protocol):
    """What stands in conversations, exactly. As of all ports: see `domain.ports`."""

    async def page(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        after: Position,
        limit: int,
        max_bytes: int,
    ) -> EntryPage:
        """Return the first entries after that position, oldest first.

        At most `limit`, and no further one once they have about `max_bytes`. Raises
        `ConversationNotFoundError`.
        """
        ...

    async def restore(
        self, conversation: Conversation, entries: Sequence[GivenEntry], *, provision: bool
    ) -> bool:
        """Store a conversation with its entries, in their order; return whether it is new.

        Messages have ids, and whatever has no time gets the conversation's `updated_at`. All else
        is as `Conversations.create` has it, and so is what it raises.
        """
        ...


def check_same(
    new: Conversation, given: Sequence[GivenEntry], stored: Conversation, first: Sequence[Entry]
) -> None:
    """Raise `ConversationIdTakenError` unless what is stored begins with what is given.

    `first` are the first entries of what is stored, as many as were given.
    """
    recreated(
        new,
        [entry.message for entry in given if entry.message is not None],
        stored,
        [entry.message for entry in first if entry.message is not None],
    )
    if [entry.item for entry in first] != [entry.item for entry in given]:
        raise ConversationIdTakenError(new.id)
