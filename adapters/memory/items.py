"""Items in memory: those sent as items, merged by position with the messages that were not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice

from chatkeep.adapters.memory.conversations import MemoryConversations
from chatkeep.adapters.memory.store import KeptConversation, MemoryStore, by_position, size
from chatkeep.domain.errors import (
    ConversationIdTakenError,
    ItemIdTakenError,
    ItemNotFoundError,
    KeyTakenError,
)
from chatkeep.domain.formats.native_items import NativeItems
from chatkeep.domain.items import Item, ItemId, NewItem, RequestKey, given_ids
from chatkeep.domain.model import (
    Conversation,
    ConversationId,
    Order,
    Position,
    UserId,
    microseconds,
)
from chatkeep.domain.pages import NO_BOUND, Page, fitting


@dataclass(frozen=True, slots=True)
class MemoryItems:
    store: MemoryStore

    async def create(
        self,
        conversation: Conversation,
        items: Sequence[NewItem],
        *,
        key: RequestKey | None,
        provision: bool,
    ) -> Conversation:
        given_ids(items)
        existing = self.store.user(conversation.user_id).conversations.get(conversation.id)
        if existing is not None:
            if key is None:
                raise ConversationIdTakenError(conversation.id)
            _keyed(existing, key)
            return existing.conversation
        conversations = MemoryConversations(self.store)
        await conversations.create(conversation, (), provision=provision)
        self._add(conversation.user_id, conversation.id, items, conversation.updated_at, key)
        return self.store.conversation(conversation.user_id, conversation.id).conversation

    async def append(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        items: Sequence[NewItem],
        at: datetime,
        *,
        key: RequestKey | None = None,
    ) -> Sequence[Item]:
        kept = self.store.conversation(user_id, conversation_id)
        if key is not None and key.key in kept.keys:
            first, last = _keyed(kept, key)
            return [item for item in _items(kept) if first <= item.position <= last]
        given = set(given_ids(items))
        for item in _items(kept):
            if item.id in given:
                raise ItemIdTakenError(item.id)
        return self._add(user_id, conversation_id, items, at, key)

    async def list(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        order: Order,
        after: ItemId | None,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Item]:
        kept = self.store.conversation(user_id, conversation_id)
        found: Iterable[Item] = _items(kept) if order is Order.ASC else reversed([*_items(kept)])
        if after is not None:
            found = iter(found)
            if not any(item.id == after for item in found):
                raise ItemNotFoundError(after)
        some = [*islice(found, limit + 1)]
        fit = fitting((size(item.text) for item in some[:limit]), max_bytes)
        return Page(some[:fit], more=len(some) > fit)

    async def get(self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId) -> Item:
        kept = self.store.user(user_id).conversations.get(conversation_id)
        for item in _items(kept) if kept else ():
            if item.id == item_id:
                return item
        raise ItemNotFoundError(item_id)

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId
    ) -> None:
        position = (await self.get(user_id, conversation_id, item_id)).position
        kept = self.store.conversation(user_id, conversation_id)
        kept.check_deletable()
        for message in kept.messages:
            if message.position == position:
                kept.remove(message)
                del self.store.user(user_id).messages[message.id]
                return
        del kept.items[position]

    def _add(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        items: Sequence[NewItem],
        at: datetime,
        key: RequestKey | None,
    ) -> tuple[Item, ...]:
        kept, user = (
            self.store.conversation(user_id, conversation_id),
            self.store.user(user_id),
        )
        first = max(microseconds(at), kept.last_position + 1)
        stored = tuple(
            item.stored(Position(position), at) for position, item in enumerate(items, first)
        )
        for new, item in zip(items, stored, strict=True):
            kept.items[item.position] = item
            if new.message is not None:
                message = new.message.stored(conversation_id, item.position, at)
                kept.messages.append(message)
                user.messages[message.id] = message
        last = Position(first + len(items) - 1)
        kept.last_position = max(kept.last_position, last) if items else kept.last_position
        if key is not None:
            kept.keys[key.key] = (key, Position(first), last)
        kept.conversation = kept.conversation._replace(
            message_count=len(kept.messages),
            updated_at=max(at, kept.conversation.updated_at),
        )
        return stored


def _items(kept: KeptConversation) -> Iterator[Item]:
    """Yield all items, oldest first."""
    as_items = NativeItems()
    native = (
        item
        for message in kept.messages
        for item in as_items.of(message)
        if message.position not in kept.items
    )
    return merge(kept.items.values(), native, key=by_position)


def _keyed(kept: KeptConversation, key: RequestKey) -> tuple[Position, Position]:
    """Return the positions that the request of that key was given, or raise `KeyTakenError`."""
    found = kept.keys.get(key.key)
    if found is None or found[0] != key:
        raise KeyTakenError(key.key)
    return found[1:]
