"""Conversations in memory."""

from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from chatkeep.adapters.memory.store import KeptConversation, MemoryStore, size
from chatkeep.domain.events import EventKind
from chatkeep.domain.finding import Filter, Found, LastSeen, MatchCount, Sort, too_many_to_sort
from chatkeep.domain.log import Created
from chatkeep.domain.model import Changes, Conversation, ConversationId, Status, Unset, UserId
from chatkeep.domain.pages import NO_BOUND, Page, count_fitting
from chatkeep.domain.revisions import check_revision

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
        sort: Sort = Sort.UPDATED,
        after: LastSeen | None,
        limit: int,
        max_read: int,
        max_bytes: int = NO_BOUND,
    ) -> Found:
        everything = (await self.list(user_id, status=None, after=None, limit=_ALL)).items
        if sort is Sort.CREATED and sum(map(wanted.times.matches, everything)) > max_read:
            raise too_many_to_sort(max_read)
        time = attrgetter(f"{sort.value}_at")

        def place(conversation: Conversation) -> LastSeen:
            return LastSeen(time(conversation), conversation.id)

        later = sorted(
            (each for each in everything if after is None or place(each) < after),
            key=place,
            reverse=True,
        )
        read = later if sort is Sort.CREATED else later[:max_read]
        found = [each for each in read if wanted.matches(each)]
        sizes = (size(each.title, each.metadata) for each in found[:limit])
        fitting = found[: count_fitting(sizes, max_bytes)]
        last = None
        if len(fitting) < len(found):
            last = fitting[-1]
        elif len(read) < len(later):
            last = read[-1]
        return Found(fitting, None if last is None else place(last))

    async def count(self, user_id: UserId, wanted: Filter, *, max_read: int) -> MatchCount:
        everything = (await self.list(user_id, status=None, after=None, limit=_ALL)).items
        within = [each for each in everything if wanted.times.matches(each)]
        value = sum(map(wanted.matches, within[:max_read]))
        return MatchCount(value, exact=len(within) <= max_read)

    async def change(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        changes: Changes,
        *,
        expected: int | None = None,
    ) -> Conversation:
        kept = self.store.conversation(user_id, conversation_id)
        check_revision(kept.conversation, expected)
        old, new = kept.conversation, changes
        kept.conversation = old._replace(
            title=old.title if isinstance(new.title, Unset) else new.title,
            status=old.status if isinstance(new.status, Unset) else new.status,
            metadata=old.metadata if isinstance(new.metadata, Unset) else new.metadata,
            retain=old.retain if isinstance(new.retain, Unset) else new.retain,
        )
        kept.raise_revision()
        self.store.user(user_id).note(kept, EventKind.CONVERSATION_UPDATED)
        return kept.conversation

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, *, expected: int | None = None
    ) -> None:
        kept = self.store.conversation(user_id, conversation_id)
        kept.check_deletable()
        check_revision(kept.conversation, expected)
        self.store.user(user_id).drop(conversation_id)


def _activity(conversation: Conversation) -> tuple[object, ...]:
    return conversation.updated_at, conversation.id
