"""Adding to the search index of users what it does not have, while they do not search."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from chatkeep.domain.model import UserId
from chatkeep.domain.search import Left

_USERS_AT_ONCE: Final = 500
_STEPS_MORE: Final = 100


class SearchIndexes(Protocol):
    """The search indexes of all users."""

    async def users(self, *, after: UserId, limit: int, everybody: bool) -> Sequence[UserId]:
        """Return users in order, after one: those who have an index, or all."""
        ...

    async def left(self, user_id: UserId) -> Left:
        """Return what the index of the user does not have."""
        ...

    async def step(self, user_id: UserId) -> Left:
        """Add a small part of it, the latest conversations first, and return what is left then."""
        ...


@dataclass(frozen=True, slots=True)
class Indexed:
    """The additions to the indexes of some users, made or to be made."""

    users: int = 0
    conversations: int = 0
    messages: int = 0

    def __add__(self, other: "Indexed") -> "Indexed":
        return Indexed(
            self.users + other.users,
            self.conversations + other.conversations,
            self.messages + other.messages,
        )


@dataclass(frozen=True, slots=True)
class Indexing:
    """Brings indexes up to date, one user after the other, in small steps.

    Each step is kept, so a run that ends early can be repeated and goes on. Searches of the same
    users may do the same at any time.
    """

    indexes: SearchIndexes

    async def run(
        self, *, only: UserId | None = None, everybody: bool = False, dry_run: bool = False
    ) -> AsyncGenerator[Indexed, None]:
        """Yield for each user what was added, or with `dry_run` what there is to add."""
        if only is not None:
            yield await self._bring_up(only, dry_run=dry_run)
            return
        after = UserId("")
        while some := await self.indexes.users(
            after=after, limit=_USERS_AT_ONCE, everybody=everybody
        ):
            for user_id in some:
                yield await self._bring_up(user_id, dry_run=dry_run)
            after = some[-1]

    async def _bring_up(self, user_id: UserId, *, dry_run: bool) -> Indexed:
        before = await self.indexes.left(user_id)
        if not before.conversations:
            return Indexed()
        left = before
        # Each step adds an entry at least: a user who writes all the time does not keep it here.
        steps = before.conversations + before.messages + _STEPS_MORE
        while left.conversations and steps and not dry_run:
            left = await self.indexes.step(user_id)
            steps -= 1
        return Indexed(1, before.conversations, before.messages)
