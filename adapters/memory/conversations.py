"""Conversations in memory."""

from dataclasses import dataclass
from typing import Final

from chatkeep.adapters.memory.store import KeptConversation, MemoryStore, size
from chatkeep.domain.finding import Filter, Found, LastSeen
from chatkeep.domain.log import Created
from chatkeep.domain.model import Changes, Conversation, ConversationId, Status, Unset, UserId
from chatkeep.domain.pages import NO_BOUND, Page, count_fitting

_ALL: Final = 2**62
"""More conversations than any user has."""


@dataclass(frozen=True, slots=True)
class MemoryConversations:
    store: MemoryStore

    async def get_or_create(self, conversation: Conversation, *, provision: bool) -> Created:
        user = self.store.owner(conversation.user_id, provision=provision)
        existing = user.conversations.get(conversation.id)
        if existing is not None:
            return Created(existing.conversation, (), created=False)
        kept = KeptConversation(conversation._replace(message_count=0))
        user.conversations[conversation.id] = kept
        self.store.users[conversation.user_id] = user
        return Created(kept.conversation, (), created=True)

    async def get(self, user_id: UserId, conversation_id: ConversationId) -> Conversation:
        return self.store.conversation(user_id, conversation_id).conversation

    async def list(
        self,
        user_id: UserId,
        *,
        status: Status | None,
        after: LastSeen | None,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Conversation]:
        found = [
            conversation
            for kept in self.store.user(user_id).conversations.values()
            if status in (None, (conversation := kept.conversation).status)
            and (after is None or _activity(conversation) < (after.at, after.id))
        ]
        found.sort(key=_activity, reverse=True)
        sizes = (size(each.title, each.metadata) for each in found[:limit])
        fit = count_fitting(sizes, max_bytes)
        return Page(found[:fit], more=len(found) > fit)

    async def find(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        wanted: Filter,
        *,
        after: LastSeen | None,
        limit: int,
        max_read: int,
        max_bytes: int = NO_BOUND,
    ) -> Found:
        everything = await self.list(user_id, status=None, after=after, limit=_ALL)
        read = everything.items[:max_read]
        found = [each for each in read if wanted.matches(each)]
        sizes = (size(each.title, each.metadata) for each in found[:limit])
        fit = min(count_fitting(sizes, max_bytes), len(found))
        if fit < len(found):
            return Found(found[:fit], _last_seen(found[fit - 1]))
        return Found(found, _last_seen(read[-1]) if len(everything.items) > len(read) else None)

    async def change(
        self, user_id: UserId, conversation_id: ConversationId, changes: Changes
    ) -> Conversation:
        kept = self.store.conversation(user_id, conversation_id)
        old, new = kept.conversation, changes
        kept.conversation = old._replace(
            title=old.title if isinstance(new.title, Unset) else new.title,
            status=old.status if isinstance(new.status, Unset) else new.status,
            metadata=old.metadata if isinstance(new.metadata, Unset) else new.metadata,
            retain=old.retain if isinstance(new.retain, Unset) else new.retain,
        )
        return kept.conversation

    async def delete(self, user_id: UserId, conversation_id: ConversationId) -> None:
        self.store.conversation(user_id, conversation_id).check_deletable()
        self.store.user(user_id).drop(conversation_id)


def _last_seen(conversation: Conversation) -> LastSeen:
    return LastSeen(conversation.updated_at, conversation.id)


def _activity(conversation: Conversation) -> tuple[object, ...]:
    return conversation.updated_at, conversation.id
