"""What is asked of a conversation with many branches takes time for all of them, not its square."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from chatkeep.domain.branch_use_cases import BranchUseCases
from chatkeep.domain.branches import Branch, Tree
from chatkeep.domain.errors import SharedByBranchesError
from chatkeep.domain.model import (
    BranchNumber,
    ConversationId,
    Limits,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    Role,
    UserId,
)
from chatkeep.domain.ports import Log
from chatkeep.domain.ranges import START, Range

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FEW, MANY = 200, 400
CONVERSATION, MESSAGE = ConversationId(UUID(int=1)), MessageId(UUID(int=2))


class Counted(int):
    """A number that counts how often any of its kind is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return int(self) == other

    def __lt__(self, other: int) -> bool:
        Counted.compared += 1
        return int(self) < other

    def __le__(self, other: int) -> bool:
        Counted.compared += 1
        return int(self) <= other

    def __gt__(self, other: int) -> bool:
        Counted.compared += 1
        return int(self) > other

    def __ge__(self, other: int) -> bool:
        Counted.compared += 1
        return int(self) >= other

    __hash__ = int.__hash__


def at(number: int) -> Position:
    return Position(Counted(number))


def branch(number: int, parent: int | None, left_at: int, written: Range) -> Branch:
    its_parent = None if parent is None else BranchNumber(Counted(parent))
    return Branch(BranchNumber(Counted(number)), its_parent, at(left_at), (written,), NOON)


def tree_of(branches: Sequence[Branch], last: int) -> Tree:
    latest = branches[-1]
    opened = Branch(
        latest.number, latest.parent, latest.left_at, (Range(latest.ranges[0].first),), NOON
    )
    found = {each.number: each for each in (*branches[:-1], opened)}
    return Tree(found, latest.number, at(last))


def regenerated(count: int) -> Tree:
    """Return the branches of a conversation in which one answer was generated `count` times."""
    main = branch(0, None, START, Range(at(1), at(10)))
    others = (branch(n, 0, 9, Range(at(10 + n), at(10 + n))) for n in range(1, count))
    return tree_of([main, *others], 9 + count)


def chained(count: int) -> Tree:
    """Return branches each of which left the one before it, after two of its four messages."""
    main = branch(0, None, START, Range(at(1), at(4)))
    others = (
        branch(n, n - 1, 4 * n - 2, Range(at(4 * n + 1), at(4 * n + 4))) for n in range(1, count)
    )
    return tree_of([main, *others], 4 * count)


@dataclass
class LogOfTree:
    """A log of which only the branches are read; there is a message at each position."""

    of: Tree

    async def tree(self, *_: object) -> Tree:
        return self.of

    async def get(self, _: UserId, conversation_id: ConversationId, __: MessageId) -> Message:
        new = NewMessage(id=MESSAGE, role=Role.USER, content="")
        return new.to_message(conversation_id, at(15), NOON)

    async def ends(
        self, _: UserId, __: ConversationId, paths: Sequence[Sequence[Range]], order: Order
    ) -> list[Any]:
        is_first = order is Order.ASC
        return [
            (path[0].first if is_first else path[-1].last, MESSAGE) if path else None
            for path in paths
        ]


async def find_siblings(tree: Tree) -> None:
    log = cast("Log", LogOfTree(tree))
    found = await BranchUseCases(log, Limits()).siblings(UserId("ann"), CONVERSATION, MESSAGE)
    assert len(found) == len(tree.branches)
    assert [each.is_current for each in found] == [False] * (len(found) - 1) + [True]


async def truncate(tree: Tree) -> None:
    with pytest.raises(SharedByBranchesError) as refused:
        tree.rewritable(MESSAGE, at(1), keep=True)
    assert len(refused.value.numbers) == len(tree.branches) - 1


@pytest.mark.parametrize(("make", "ask"), [(regenerated, find_siblings), (chained, truncate)])
async def test_twice_as_many_branches_take_about_twice_as_long(
    make: Callable[[int], Tree], ask: Callable[[Tree], Any]
) -> None:
    took = []
    for count in (FEW, MANY):
        tree = make(count)
        Counted.compared = 0
        await ask(tree)
        took.append(Counted.compared)

    assert took[1] < 3 * took[0]
