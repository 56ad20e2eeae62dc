"""Deletes and rewrites what is in a log in memory."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chatkeep.adapters.memory.store import MemoryStore, by_position
from chatkeep.domain.editing import Replaced, Truncated, check_suffix, match_replace
from chatkeep.domain.log import Entry, entries_of, messages_in
from chatkeep.domain.model import ConversationId, MessageId, NewMessage, Position, UserId


@dataclass(frozen=True, slots=True)
class MemoryLogChanges:
    store: MemoryStore

    async def delete(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        expected: int | None = None,
    ) -> int:
        user = self.store.user(user_id)
        message = user.message(conversation_id, message_id)
        kept = user.conversations[conversation_id]
        user.remove(kept, Entry(message.position, message.created_at, message), expected)
        return kept.conversation.revision

    async def delete_at(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        position: Position,
        *,
        expected: int | None = None,
    ) -> int | None:
        user = self.store.user(user_id)
        kept = user.conversations.get(conversation_id)
        entry = None if kept is None else kept.at(position)
        if kept is None or entry is None:
            return None
        user.remove(kept, entry, expected)
        return kept.conversation.revision

    async def truncate(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        keep: bool,
    ) -> Truncated:
        user = self.store.user(user_id)
        position = user.message(conversation_id, message_id).position
        kept = user.conversations[conversation_id]
        bisect = bisect_right if keep else bisect_left
        start = bisect(kept.entries, position, key=by_position)
        before = kept.conversation.revision
        gone = user.remove_from(kept, start)
        if gone:
            kept.raise_revision(before)
        return Truncated(len(messages_in(gone)), kept.conversation.message_count)

    async def replace(  # noqa: PLR0913, PLR0917 - each is one independent part of the call
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: MessageId | None,
        expected: Sequence[MessageId],
        messages: Sequence[NewMessage],
        at: datetime,
    ) -> Replaced:
        kept = self.store.conversation(user_id, conversation_id)
        user = self.store.user(user_id)
        position = 0 if after is None else user.message(conversation_id, after).position
        start = bisect_right(kept.entries, position, key=by_position)
        suffix = kept.entries[start:]
        stored = match_replace(messages, suffix)
        if stored is not None:
            return Replaced(stored, 0, kept.conversation.message_count)
        check_suffix([each.id for each in messages_in(suffix)], expected)
        new = entries_of(messages)
        user.check_free(new, but=expected)
        before = kept.conversation.revision
        gone = user.remove_from(kept, start)
        if new:
            stored = messages_in(user.append(kept, new, at))
        kept.raise_revision(before)
        count = kept.conversation.message_count
        return Replaced(stored or (), len(messages_in(gone)), count)
