"""A log as OpenAI's Conversations API sees it: items, each under an id.

An item is an entry that was sent as one, or what an entry that was appended natively is as items:
one of them, or several, which go together (`domain.formats.openai_items.ItemWriter`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chatkeep.domain.errors import ItemNotFoundError
from chatkeep.domain.formats.openai_items import ItemWriter, find_earlier_calls
from chatkeep.domain.items import Item, ItemId, message_id_in
from chatkeep.domain.log import Bounds, Entry, NewEntry, RequestKey, View
from chatkeep.domain.model import Conversation, ConversationId, Order, UserId
from chatkeep.domain.pages import NO_BOUND, Page
from chatkeep.domain.ports import Log


@dataclass(frozen=True, slots=True)
class ItemLog:
    log: Log

    async def create(
        self,
        conversation: Conversation,
        entries: Sequence[NewEntry],
        *,
        key: RequestKey | None,
        provision: bool,
    ) -> Conversation:
        """Store a conversation with its first items. Raises the errors of `Log.create`."""
        created = await self.log.create(conversation, entries, key=key, provision=provision)
        return created.conversation

    async def append(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        *,
        key: RequestKey | None = None,
    ) -> Sequence[Item]:
        """Append items, and return them. Raises the errors of `Log.append`."""
        appended = await self.log.append(user_id, conversation_id, entries, at, key=key)
        return await self._items(user_id, conversation_id, appended.entries, Order.ASC)

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
        """Return at most `limit` items in `order`, starting after the item `after` if it is given.

        Raises `ConversationNotFoundError`; `ItemNotFoundError` if it has no item `after`.
        """
        page = await self.log.page(
            user_id,
            conversation_id,
            Bounds(past_item=after),
            view=View.ITEMS,
            order=order,
            limit=limit,
            max_bytes=max_bytes,
        )
        items = await self._items(user_id, conversation_id, page.items, order)
        if after is not None and page.items and _is_generated_for(after, page.items[0]):
            first = [item.id for item in items if item.position == page.items[0].position]
            if after not in first:
                raise ItemNotFoundError(after)
            items = items[first.index(after) + 1 :]
        return Page(items[:limit], more=page.more or len(items) > limit)

    async def get(self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId) -> Item:
        """Return the item. Raises `ItemNotFoundError`."""
        for entry in await self.log.find(user_id, conversation_id, item_id):
            for item in await self._items(user_id, conversation_id, [entry], Order.ASC):
                if item.id == item_id:
                    return item
        raise ItemNotFoundError(item_id)

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId
    ) -> None:
        """Delete the item with its message and all items of that message.

        Raises `ItemNotFoundError`; `RetainedError` while its conversation is on hold.
        """
        item = await self.get(user_id, conversation_id, item_id)
        if await self.log.delete_at(user_id, conversation_id, item.position) is None:
            raise ItemNotFoundError(item_id)

    async def _items(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[Entry],
        order: Order,
    ) -> Sequence[Item]:
        """Return the items of consecutive entries, in order."""
        oldest_first = entries if order is Order.ASC else entries[::-1]
        native = [
            entry.message
            for entry in oldest_first
            if entry.item is None and entry.message is not None
        ]
        earlier: Mapping[str, bool] = {}
        if unknown := find_earlier_calls(native):
            first = oldest_first[0].position
            earlier = await self.log.calls_before(user_id, conversation_id, first, unknown)
        writer = ItemWriter(earlier)
        found: list[Item] = []
        for entry in oldest_first:
            if entry.item is not None and entry.item_id is not None:
                item = Item(entry.item_id, entry.item, entry.position, entry.created_at)
                found.append(item)
            elif entry.message is not None:
                found += writer.write(entry.message)
        return found if order is Order.ASC else found[::-1]


def _is_generated_for(item_id: ItemId, entry: Entry) -> bool:
    """Return whether the entry is a native message and this is a generated id of its items."""
    message = entry.message
    return entry.item is None and message is not None and message_id_in(item_id) == message.id
