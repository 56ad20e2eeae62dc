"""Finds messages on the paths of branches."""

from collections.abc import Sequence
from dataclasses import dataclass

from chatkeep.domain.branch_pages import BranchMessage
from chatkeep.domain.branches import Tree
from chatkeep.domain.model import (
    LAST_POSITION,
    BranchNumber,
    ConversationId,
    Message,
    MessageId,
    Order,
    Position,
    UserId,
)
from chatkeep.domain.ports import Log
from chatkeep.domain.ranges import START, Range, clip

End = tuple[Position, MessageId]
"""A message at the start or at the end of a part of a path."""


@dataclass(frozen=True, slots=True)
class PathReader:
    """Finds messages on paths. It reads the ranges of one branch after the other, of all at once.

    So it need not read the ranges of all ancestors to find the last message of a branch.
    """

    log: Log
    user_id: UserId
    conversation_id: ConversationId
    tree: Tree

    async def last_up_to(
        self, places: Sequence[tuple[BranchNumber | None, Position]]
    ) -> list[End | None]:
        """Return the last message up to a position on the path of a branch, for each."""
        found: list[End | None] = [None] * len(places)
        left = {n: self._climb(*place) for n, place in enumerate(places)}
        while left := {n: place for n, place in left.items() if place is not None}:
            asked = {place: self._own(*place) for place in left.values()}
            ends = dict(zip(asked, await self._ends([*asked.values()], Order.DESC), strict=True))
            for n, place in left.items():
                found[n] = ends[place]
            left = {
                n: None if ends[place] else self._climb(*self._parent(*place))
                for n, place in left.items()
            }
        return found

    async def continuations(self, parent: End | None) -> list[tuple[End, BranchNumber]]:
        """Return the messages that come directly after one, each with the branch that wrote it.

        After None, they are the first messages of all paths.
        """
        found: list[tuple[End, BranchNumber]] = []
        if parent is None:
            branches = self.tree.branches.values()
            places = [(each.number, START) for each in branches if each.parent is None]
        else:
            places = [(self.tree.writer(parent[0]), Position(parent[0] + 1))]
        while places:
            own = [[*clip(self.tree[number].ranges, first=first)] for number, first in places]
            later: list[tuple[BranchNumber, Position]] = []
            ends = await self._ends(own, Order.ASC)
            for (number, first), end in zip(places, ends, strict=True):
                if end is not None:
                    found.append((end, number))
                until = LAST_POSITION if end is None else end[0]
                later += [
                    (child.number, START)
                    for child in self.tree.children(number)
                    if first - 1 <= child.left_at < until
                ]
            places = later
        return found

    async def with_parents(self, messages: Sequence[Message]) -> list[BranchMessage]:
        """Return consecutive messages of all branches, oldest first, with parents and branches."""
        latest: dict[BranchNumber, MessageId] = {}
        parents: list[MessageId | None] = []
        writers = [self.tree.writer(each.position) for each in messages]
        asked: dict[int, tuple[BranchNumber, Position]] = {}
        for n, (message, writer) in enumerate(zip(messages, writers, strict=True)):
            parents.append(latest.get(writer))
            if writer not in latest:
                asked[n] = writer, Position(message.position - 1)
            latest[writer] = message.id
        ends = await self.last_up_to([*asked.values()])
        for n, end in zip(asked, ends, strict=True):
            parents[n] = end and end[1]
        return [*map(BranchMessage, messages, parents, writers)]

    async def _ends(self, paths: Sequence[Sequence[Range]], order: Order) -> Sequence[End | None]:
        return await self.log.ends(self.user_id, self.conversation_id, paths, order)

    def _own(self, number: BranchNumber, until: Position) -> tuple[Range, ...]:
        return tuple(clip(self.tree[number].ranges, last=until))

    def _parent(
        self, number: BranchNumber, until: Position
    ) -> tuple[BranchNumber | None, Position]:
        branch = self.tree[number]
        return branch.parent, min(until, branch.left_at)

    def _climb(
        self, number: BranchNumber | None, until: Position
    ) -> tuple[BranchNumber, Position] | None:
        """Return the nearest ancestor that wrote something up to a position."""
        while number is not None and not self._own(number, until):
            number, until = self._parent(number, until)
        return None if number is None else (number, until)
