"""Entries in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

from chatkeep.adapters.memory.conversations import MemoryConversations
from chatkeep.adapters.memory.store import KeptConversation, MemoryStore, size, size_of_message
from chatkeep.domain.entries import (
    BEFORE_FIRST,
    Entry,
    EntryPage,
    GivenEntry,
    check_same,
)
from chatkeep.domain.items import Item
from chatkeep.domain.model import Conversation, ConversationId, Position, UserId, microseconds


@dataclass(frozen=True, slots=True)
class MemoryEntries:
    store: MemoryStore

    async def page(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        after: Position,
        limit: int,
        max_bytes: int,
    ) -> EntryPage:
        found = _after(self.store.conversation(user_id, conversation_id), after)[:limit]
        entries: list[Entry] = []
        size = 0
        for entry in found:
            if size >= max_bytes:
                break
            entries.append(entry)
            size += _bytes(entry)
        return EntryPage(tuple(entries), more=len(entries) < len(found) or len(found) == limit)

    async def restore(
        self, conversation: Conversation, entries: Sequence[GivenEntry], *, provision: bool
    ) -> bool:
        existing = self.store.user(conversation.user_id).conversations.get(conversation.id)
        if existing is not None:
            first = _after(existing, BEFORE_FIRST)[: len(entries)]
            check_same(conversation, entries, existing.conversation, first)
            return False
        messages = [entry.message for entry in entries if entry.message is not None]
        conversations = MemoryConversations(self.store)
        await conversations.create(conversation, messages, provision=provision)
        user = self.store.user(conversation.user_id)
        kept = self.store.conversation(conversation.user_id, conversation.id)
        added = iter(kept.messages)
        kept.messages = []
        place = max(microseconds(conversation.updated_at), BEFORE_FIRST + 1)
        for position, entry in enumerate(entries, place):
            at = entry.time or conversation.updated_at
            if entry.message is not None:
                message = next(added)._replace(position=Position(position))
                kept.messages.append(message)
                user.messages[message.id] = message
            if entry.item is not None and entry.item_id is not None:
                kept.items[Position(position)] = Item(
                    id=entry.item_id, text=entry.item, position=Position(position), created_at=at
                )
            kept.last_position = position
        return True


def _after(kept: KeptConversation, after: Position) -> list[Entry]:
    messages = {message.position: message for message in kept.messages}
    found = []
    for position in sorted(messages.keys() | kept.items.keys()):
        if position > after:
            message, item = messages.get(position), kept.items.get(position)
            dated = message or item
            if dated is not None:
                found.append(
                    Entry(
                        position=position,
                        created_at=dated.created_at,
                        message=message,
                        item=None if item is None else item.text,
                    )
                )
    return found


def _bytes(entry: Entry) -> int:
    return size(entry.item) + (size_of_message(entry.message) if entry.message else 0)
