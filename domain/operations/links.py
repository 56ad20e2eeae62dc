"""Finds how the runs of a conversation's branches hang together, for exports of trees."""

from collections import defaultdict
from dataclasses import dataclass, field

from chatkeep.domain.branches import EVERY, Tree
from chatkeep.domain.formats.links import Ends, EndsOf, Links
from chatkeep.domain.log import Bounds, Entry, View
from chatkeep.domain.model import BranchNumber, Conversation, Order, Position
from chatkeep.domain.ports import Log
from chatkeep.domain.ranges import Range


async def find_links(log: Log, conversation: Conversation, tree: Tree, ends_of: EndsOf) -> Links:
    """Return the links of a conversation with branches.

    Two entries are read for each run, and of each nothing but the names is kept. Raises
    `ConversationNotFoundError`; `BranchNotFoundError` for a branch that was deleted meanwhile.
    """
    finding = _Finding(log, conversation, tree.last_position, ends_of)
    for branch in tree.branches.values():
        for index, written in enumerate(branch.ranges):
            left = (branch.parent, branch.left_at) if index == 0 else None
            await finding.add(branch.number, written, left)
    last = await finding.find_last(tree.current, None)
    return Links(finding.before, finding.after, None if last is None else last[1])


@dataclass
class _Finding:
    log: Log
    conversation: Conversation
    last_position: Position
    ends_of: EndsOf
    before: dict[Position, Ends | None] = field(default_factory=dict)
    after: defaultdict[Position, list[Ends]] = field(default_factory=lambda: defaultdict(list))
    _known: dict[tuple[BranchNumber | None, Position], tuple[Position, Ends] | None] = field(
        default_factory=dict
    )

    async def add(
        self,
        number: BranchNumber,
        written: Range,
        left: tuple[BranchNumber | None, Position] | None,
    ) -> None:
        """Find the first message of a run, and what comes before it on the path of its branch.

        Runs that `left` the same place have the same before them.
        """
        last = min(written.last, self.last_position)
        bounds = Bounds(after=Position(written.first - 1), before=Position(last + 1))
        first = await self._entry(bounds, Order.ASC, EVERY)
        if first is None:
            return
        position, ends = first
        if left is None:
            before = await self.find_last(number, position)
        else:
            if left not in self._known:
                self._known[left] = await self.find_last(number, position)
            before = self._known[left]
        if before is None:
            self.before[position] = None
        else:
            self.before[position] = before[1]
            self.after[before[0]].append(ends)

    async def find_last(
        self, number: BranchNumber, before: Position | None
    ) -> tuple[Position, Ends] | None:
        """Return the last message on the path of a branch, or the last one before a position."""
        bound = Position(self.last_position + 1) if before is None else before
        return await self._entry(Bounds(before=bound), Order.DESC, number)

    async def _entry(
        self, bounds: Bounds, order: Order, branch: BranchNumber
    ) -> tuple[Position, Ends] | None:
        page = await self.log.page(
            self.conversation.user_id,
            self.conversation.id,
            bounds,
            view=View.ORIGINALS,
            order=order,
            limit=1,
            branch=branch,
        )
        found: list[Entry] = [each for each in page.items if each.message is not None]
        if not found or found[0].message is None:
            return None
        return found[0].position, self.ends_of(found[0].message)
