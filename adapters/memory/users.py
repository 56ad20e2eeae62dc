"""Users in memory."""

from dataclasses import dataclass
from heapq import nsmallest

from chatkeep.adapters.memory.store import KeptUser, MemoryStore
from chatkeep.domain.errors import UserRetainedError
from chatkeep.domain.finding import MatchCount
from chatkeep.domain.model import Status, Usage, UserId
from chatkeep.domain.pages import Page
from chatkeep.domain.ports import MAX_NAMED
from chatkeep.domain.user_list import MAX_COUNTED, ListedUser


@dataclass(frozen=True, slots=True)
class MemoryUsers:
    store: MemoryStore

    async def add(self, user_id: UserId) -> bool:
        new = user_id not in self.store.users
        if new:
            self.store.users[user_id] = KeptUser()
        return new

    async def page(self, *, prefix: str, after: str, limit: int) -> Page[ListedUser]:
        fitting = (each for each in self.store.users if each > after and each.startswith(prefix))
        found = nsmallest(limit + 1, fitting)
        return Page([self._listed(user_id) for user_id in found[:limit]], more=len(found) > limit)

    def _listed(self, user_id: UserId) -> ListedUser:
        kept = self.store.user(user_id).conversations.values()
        return ListedUser(
            user_id,
            MatchCount(min(len(kept), MAX_COUNTED), exact=len(kept) <= MAX_COUNTED),
            max((each.conversation.updated_at for each in kept), default=None),
        )

    async def usage(self, user_id: UserId) -> Usage:
        user = self.store.user(user_id)
        conversations = [kept.conversation for kept in user.conversations.values()]
        statuses = [conversation.status for conversation in conversations]
        return Usage(
            user_id=user_id,
            conversations=len(statuses),
            active=statuses.count(Status.ACTIVE),
            archived=statuses.count(Status.ARCHIVED),
            messages=len(user.messages),
            retained=sum(conversation.retain for conversation in conversations),
        )

    async def erasable(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        usage = await self.usage(user_id)
        if usage.retained and not even_retained:
            kept = self.store.user(user_id).conversations.values()
            retained = [each.conversation.id for each in kept if each.conversation.retain]
            raise UserRetainedError(user_id, usage.retained, retained[:MAX_NAMED])
        return usage if user_id in self.store.users else None

    async def erase(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        erased = await self.erasable(user_id, even_retained=even_retained)
        self.store.users.pop(user_id, None)
        return erased
