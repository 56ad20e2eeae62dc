"""Indexes are brought up to date user by user, and a run always ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chatkeep.domain.model import UserId
from chatkeep.domain.operations.indexing import Indexed, Indexing
from chatkeep.domain.search import Left


@dataclass
class Indexes:
    """Users, each with the messages that are left. Those of `busy` never get fewer."""

    messages: dict[str, int]
    busy: frozenset[str] = frozenset()
    steps: list[str] = field(default_factory=list)

    async def users(self, *, after: UserId, limit: int, everybody: bool) -> Sequence[UserId]:
        names = [each for each in sorted(self.messages) if each > after]
        return [UserId(each) for each in names if everybody or not each.startswith("new")][:limit]

    async def left(self, user_id: UserId) -> Left:
        messages = self.messages.get(user_id, 0)
        return Left(min(messages, 1), messages)

    async def step(self, user_id: UserId) -> Left:
        self.steps.append(user_id)
        if user_id not in self.busy:
            self.messages[user_id] = max(0, self.messages[user_id] - 2)
        return await self.left(user_id)


async def run(indexes: Indexes, **how: object) -> Indexed:
    total = Indexed()
    async for each in Indexing(indexes).run(**how):  # type: ignore[arg-type] # its own parameters
        total += each
    return total


async def test_users_who_have_searched_are_indexed_to_the_end() -> None:
    indexes = Indexes({"alice": 3, "bob": 0, "new": 5, "zoe": 1})

    assert await run(indexes, dry_run=True) == Indexed(2, 2, 4)
    assert indexes.steps == []
    assert await run(indexes) == Indexed(2, 2, 4)
    assert indexes.messages == {"alice": 0, "bob": 0, "new": 5, "zoe": 0}
    assert await run(indexes) == Indexed()
    assert await run(indexes, everybody=True) == Indexed(1, 1, 5)


async def test_one_user_can_be_chosen_and_need_not_have_searched() -> None:
    indexes = Indexes({"alice": 3, "new": 5})

    assert await run(indexes, only=UserId("new")) == Indexed(1, 1, 5)
    assert await run(indexes, only=UserId("nobody")) == Indexed()
    assert indexes.messages["alice"] == 3


async def test_more_users_than_are_read_at_once_are_indexed() -> None:
    indexes = Indexes({f"user-{number:04}": 1 for number in range(1_100)})

    assert (await run(indexes)).users == 1_100
    assert not any(indexes.messages.values())


async def test_a_user_who_writes_all_the_time_keeps_it_from_no_other() -> None:
    indexes = Indexes({"alice": 5, "bob": 1}, busy=frozenset({"alice"}))

    await run(indexes)

    assert indexes.messages["bob"] == 0
    assert len(indexes.steps) < 200
