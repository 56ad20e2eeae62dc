"""The ranges that a branch has from its parent, as they are stored with it.

`paths.py` reads them.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from chatkeep.domain.branches import Branch, Tree
from chatkeep.domain.model import BranchNumber
from chatkeep.domain.ranges import Range, clip

MOST_RANGES: Final = 100
"""A branch with more ranges from its parent has none stored: each branch would store them again."""

Paths = Mapping[BranchNumber, tuple[Range, ...] | None]


def stored_paths(tree: Tree, branches: Iterable[Branch], known: Paths) -> Paths:
    """Return the ranges to store with branches of the tree; None if they are too many or not known.

    `known` are those that were stored.
    """
    found: dict[BranchNumber, tuple[Range, ...] | None] = {}
    for number, ranges in known.items():
        if ranges is not None and number in tree.branches:
            found[number] = tuple(clip(ranges, last=tree[number].left_at))
    for branch in branches:
        way: list[Branch] = []
        at: Branch | None = branch
        while at is not None and at.number not in found:
            way.append(at)
            at = None if at.parent is None else tree.branches.get(at.parent)
        for each in reversed(way):
            found[each.number] = _from_parent(tree, each, found)
    return found


def _from_parent(tree: Tree, branch: Branch, found: Paths) -> tuple[Range, ...] | None:
    if branch.parent is None:
        return ()
    shared = found.get(branch.parent)
    if shared is None or branch.parent not in tree.branches:
        return None
    ranges = tuple(clip((*shared, *tree[branch.parent].ranges), last=branch.left_at))
    return ranges if len(ranges) <= MOST_RANGES else None
