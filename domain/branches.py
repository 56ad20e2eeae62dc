"""The branches of a conversation: pure functions over ranges of positions.

Positions only grow, so the log is a sequence of runs, each of which one branch wrote. A branch
knows these runs as ranges, and where it left its parent. Its path is what a reader of the branch
sees: the ranges of its ancestors, each up to where the next one left, and then its own.

The current branch is the one that is being written: its last range is open. So an append needs to
know nothing about branches, and a conversation without any costs nothing.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self

from chatkeep.domain.errors import (
    BranchIsCurrentError,
    BranchNotFoundError,
    InvalidValueError,
    LimitExceededError,
    OtherBranchError,
    SharedByBranchesError,
)
from chatkeep.domain.model import (
    FIRST_POSITION,
    FIRST_REVISION,
    LAST_POSITION,
    BranchNumber,
    MessageId,
    Position,
)
from chatkeep.domain.ranges import START, Range, clip, contains, merge

MAIN: Final = BranchNumber(0)
"""The branch that every conversation begins with."""

EVERY: Final = BranchNumber(-1)
"""Stands for all branches together: the whole log in order of position."""

MAX_NUMBER: Final = 2**31 - 1
MAX_NAME_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch. `ranges` are what it wrote, in order; `left_at` is the position it left after.

    `parent` is the branch that wrote the message at `left_at`; None if the branch shares nothing.
    """

    number: BranchNumber
    parent: BranchNumber | None
    left_at: Position
    ranges: tuple[Range, ...]
    created_at: datetime
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    """All branches of a conversation, by number. `last_position` is the highest one so far."""

    branches: Mapping[BranchNumber, Branch]
    current: BranchNumber
    last_position: Position
    revision: int = field(default=FIRST_REVISION, compare=False)
    """That of the conversation when this was read."""

    _written: list[tuple[Range, BranchNumber]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )
    """All ranges in order, each with its branch: filled when `writer` first needs it."""

    _children: dict[BranchNumber | None, list[Branch]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """The branches by parent, each in order of their numbers, filled likewise."""

    @classmethod
    def linear(cls, last_position: Position, created_at: datetime) -> Self:
        """Return the tree of a conversation that never branched."""
        main = Branch(MAIN, None, START, (Range(FIRST_POSITION),), created_at)
        return cls({MAIN: main}, MAIN, last_position)

    def __getitem__(self, number: BranchNumber) -> Branch:
        """Return a branch, or raise `BranchNotFoundError`."""
        if number not in self.branches:
            raise BranchNotFoundError(number)
        return self.branches[number]

    def path(self, number: BranchNumber) -> tuple[Range, ...]:
        """Return the ranges that a reader of the branch sees, in order; no two overlap."""
        found: list[Range] = []
        for branch, until in self._ancestry(number):
            found += clip(reversed(branch.ranges), last=until)
        return tuple(reversed(found))

    def path_to(self, position: Position) -> tuple[Range, ...]:
        """Return the ranges before a position on the path of the branch that wrote it."""
        return tuple(clip(self.path(self.writer(position)), last=Position(position - 1)))

    def fork_path(
        self, branch: BranchNumber | None, at: Position | None
    ) -> tuple[BranchNumber, tuple[Range, ...]]:
        """Return the branch and the ranges for a fork, which end with the position `at`."""
        if branch is None:
            branch = self.current if at is None else self.writer(at)
        last = self.last_position if at is None else at
        return branch, tuple(clip(self.path(branch), last=last))

    def shared(self, number: BranchNumber) -> tuple[Range, ...]:
        """Return the ranges that the branch has from its parent."""
        branch = self[number]
        if branch.parent is None:
            return ()
        return tuple(clip(self.path(branch.parent), last=branch.left_at))

    def writer(self, position: Position) -> BranchNumber:
        """Return the branch that wrote the entry at a position."""
        if not self._written:  # a page asks for each of its messages
            self._written.extend(
                sorted(
                    (part, each.number) for each in self.branches.values() for part in each.ranges
                )
            )
        at = bisect_right(self._written, position, key=_first) - 1
        if at >= 0 and position <= self._written[at][0].last:
            return self._written[at][1]
        return self.current

    def may_end_at(self, position: Position) -> list[BranchNumber]:
        """Return the branches that an append after this position may continue, the first best."""
        found = []
        if position == START or contains(self.path(self.current), position):
            found.append(self.current)
        if position != START and (writer := self.writer(position)) not in found:
            found.append(writer)
        return found

    def place(
        self,
        position: Position,
        tips: Mapping[BranchNumber, Position],
        at: datetime,
        *,
        count: int,
        max_branches: int,
    ) -> Self:
        """Return the tree for an append after a position: what its current branch writes.

        `tips` are the last messages of the branches that `may_end_at` names, or `START`, in that
        order. So the other branches may be missing here, except for the one with the highest
        number: `count` is the number of all. Raises `LimitExceededError`.
        """
        for number, tip in tips.items():
            if tip == position:
                return self.switch(number)
        if 0 < max_branches <= count:
            raise LimitExceededError(
                "after",
                limit_name="max_branches",
                limit=max_branches,
                actual=count + 1,
                unit="branches",
            )
        return self.start(position, at)

    def children(self, number: BranchNumber) -> list[Branch]:
        """Return the branches that left this one, by number."""
        if not self._children:  # siblings ask for the children of many branches
            for each in sorted(self.branches.values(), key=lambda each: each.number):
                self._children.setdefault(each.parent, []).append(each)
        return self._children.get(number, [])

    def switch(self, number: BranchNumber) -> Self:
        """Return the tree in which this branch is the current one."""
        if self[number].number == self.current:
            return self
        closed = self._closed(self.branches[self.current])
        opened = self._opened(self[number])
        branches = {**self.branches, closed.number: closed, opened.number: opened}
        return replace(self, branches=branches, current=number)

    def start(self, left_at: Position, at: datetime) -> Self:
        """Return the tree with a new branch after a position, which is the current one."""
        number = BranchNumber(max(self.branches) + 1)
        if number > MAX_NUMBER:
            raise InvalidValueError("after", "the conversation has too many branches")
        parent = None if left_at == START else self.writer(left_at)
        new = Branch(number, parent, left_at, (), at)
        return replace(self, branches={**self.branches, number: new}).switch(number)

    def opened(self) -> Self:
        """Return the tree with an open range of the current branch, after the last position."""
        opened = self._opened(self[self.current])
        return replace(self, branches={**self.branches, opened.number: opened})

    def rename(self, number: BranchNumber, name: str | None) -> Self:
        renamed = replace(self[number], name=name)
        return replace(self, branches={**self.branches, number: renamed})

    def check_current(self, message_id: MessageId | None, position: Position) -> None:
        """Raise `OtherBranchError` if the message is not on the path of the current branch."""
        if message_id is not None and not contains(self.path(self.current), position):
            raise OtherBranchError(message_id, self.current)

    def rewritable(
        self, message_id: MessageId | None, position: Position, *, keep: bool
    ) -> tuple[Range, ...]:
        """Return the ranges of the current branch after a message, to delete what is in them.

        The message has the position; with None, that is `START`. Without `keep` it is included.
        Raises `OtherBranchError` if it is not on the path of the current branch, and
        `SharedByBranchesError` if other branches share what is in the ranges.
        """
        self.check_current(message_id, position)
        path = self.path(self.current)
        first = Position(position + 1) if keep else position
        freed = tuple(clip(path, first=first))
        sharing = {self.writer(each.first) for each in freed} - {self.current}
        sharing |= {each.number for each in self.children(self.current) if each.left_at >= first}
        if sharing:
            raise SharedByBranchesError(sorted(sharing))
        return freed

    def remove(self, number: BranchNumber) -> tuple[Self, tuple[Range, ...]]:
        """Return the tree without a branch, and the ranges that no other branch needs.

        What other branches share stays: it becomes part of the one that left last, which takes the
        place of the removed branch. No other path changes.
        Raises `BranchNotFoundError`; `BranchIsCurrentError` for the current branch.
        """
        gone = self[number]
        if number == self.current:
            raise BranchIsCurrentError(number)
        children = self.children(number)
        branches = {each.number: each for each in self.branches.values() if each != gone}
        if not children:
            return replace(self, branches=branches), gone.ranges
        heir = max(children, key=lambda each: (each.left_at, -each.number))
        for child in children:
            branches[child.number] = replace(child, parent=heir.number)
        branches[heir.number] = replace(
            heir,
            parent=gone.parent,
            left_at=gone.left_at,
            ranges=merge((*clip(gone.ranges, last=heir.left_at), *heir.ranges)),
        )
        freed = tuple(clip(gone.ranges, first=Position(heir.left_at + 1)))
        return replace(self, branches=branches), freed

    def changed_from(self, before: "Tree | None") -> list[Branch]:
        """Return the branches that are new or different."""
        known = {} if before is None else before.branches
        return [each for each in self.branches.values() if known.get(each.number) != each]

    def moved(self, by: int) -> Self:
        """Return the tree with all positions higher by a number."""

        def shift(position: Position) -> Position:
            return position if position in {START, LAST_POSITION} else Position(position + by)

        branches = {
            number: replace(
                each,
                left_at=shift(each.left_at),
                ranges=tuple(Range(shift(one), shift(other)) for one, other in each.ranges),
            )
            for number, each in self.branches.items()
        }
        return replace(self, branches=branches, last_position=shift(self.last_position))

    def _ancestry(self, number: BranchNumber) -> Iterator[tuple[Branch, Position]]:
        """Yield the branch and its ancestors, each with the last position that belongs to it."""
        until = LAST_POSITION
        at: BranchNumber | None = number
        while at is not None:
            branch = self[at]
            yield branch, until
            at, until = branch.parent, branch.left_at

    def _closed(self, branch: Branch) -> Branch:
        return replace(branch, ranges=tuple(clip(branch.ranges, last=self.last_position)))

    def _opened(self, branch: Branch) -> Branch:
        return replace(
            branch, ranges=merge((*branch.ranges, Range(Position(self.last_position + 1))))
        )


def _first(written: tuple[Range, BranchNumber]) -> Position:
    return written[0].first
