"""Users in memory."""

from dataclasses import dataclass

from adapters.memory.store import KeptUser, MemoryStore
from domain.model import Status, Usage, UserId


@dataclass(frozen=True, slots=True)
class MemoryUsers:
    store: MemoryStore

    async def add(self, user_id: UserId) -> bool:
        new = user_id not in self.store.users
        if new:
            self.store.users[user_id] = KeptUser()
        return new

    async def usage(self, user_id: UserId) -> Usage:
        user = self.store.user(user_id)
        statuses = [kept.conversation.status for kept in user.conversations.values()]
        return Usage(
            user_id=user_id,
            conversations=len(statuses),
            active=statuses.count(Status.ACTIVE),
            archived=statuses.count(Status.ARCHIVED),
            messages=len(user.messages),
        )

    async def erase(self, user_id: UserId) -> bool:
        return self.store.users.pop(user_id, None) is not None
