"""Branches in the service's own format.

A message has the number of the `branch` that wrote it, unless that is 0. The conversation has the
`branches`, and the number of the current one as `branch`. A branch left its `parent` after the
first `left_after` of the messages; with 0 and no parent, it shares nothing with others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from chatkeep.domain.branches import MAIN, MAX_NAME_CHARS, MAX_NUMBER, Branch, Tree
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import Document, get_optional, get_required, objects, without
from chatkeep.domain.formats.values import read_time
from chatkeep.domain.log import Entry
from chatkeep.domain.model import BranchNumber, Position
from chatkeep.domain.ranges import START, Range

BRANCH: Final = "branch"
BRANCHES: Final = "branches"
UNDATED: Final = datetime.min.replace(tzinfo=UTC)
"""The time of a branch whose document does not have one."""

_FIELDS: Final = frozenset({"number", "parent", "left_after", "name", "created_at"})


class BranchWriter:
    """Writes the branches of one conversation, whose entries come in order."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._pending = sorted({each.left_at for each in tree.branches.values()}, reverse=True)
        self._runs = sorted(
            (*each, branch.number) for branch in tree.branches.values() for each in branch.ranges
        )
        self._run = 0
        self._written = 0
        self._before: dict[Position, int] = {}

    def mark(self, document: Any, entry: Entry) -> Document:  # noqa: ANN401 - what a writer wrote
        """Return the document of the next entry, with its branch."""
        while self._pending and self._pending[-1] < entry.position:
            self._before[self._pending.pop()] = self._written
        self._written += 1
        number = self._writer(entry.position)
        return document if number == MAIN else {**document, BRANCH: number}

    def _writer(self, position: Position) -> BranchNumber:
        """Return the branch that wrote the entry at a position, which never goes back."""
        while self._run < len(self._runs) and self._runs[self._run][1] < position:
            self._run += 1
        if self._run < len(self._runs) and self._runs[self._run][0] <= position:
            return self._runs[self._run][2]
        return self._tree.current

    def tail(self) -> Document:
        """Return the members of the conversation, after the last entry."""
        branches = []
        for _, each in sorted(self._tree.branches.items()):
            left_after = self._before.get(each.left_at, self._written)
            document: Document = {"number": each.number, "parent": each.parent}
            document["left_after"] = left_after
            if each.name is not None:
                document["name"] = each.name
            branches.append({**document, "created_at": each.created_at})
        return {BRANCHES: branches, BRANCH: self._tree.current}


def take_branches(given: Document, messages: list[Document]) -> Tree | None:
    """Take the branches out of the document and its messages; None if there are none.

    Positions are places in `messages`, from 1. Raises `InvalidValueError` naming the field.
    """
    if given.keys().isdisjoint({BRANCH, BRANCHES}) and not any(BRANCH in each for each in messages):
        return None
    numbers = [
        get_optional(each, BRANCH, f"messages[{index}]", int) for index, each in enumerate(messages)
    ]
    messages[:] = [without(each, BRANCH) for each in messages]
    documents = objects(given, BRANCHES) if BRANCHES in given else []
    current = get_optional(given, BRANCH, "", int)
    given.pop(BRANCHES, None)
    given.pop(BRANCH, None)
    if not documents:
        if current is not None or any(number is not None for number in numbers):
            raise InvalidValueError(BRANCHES, "is missing")
        return None
    wrote = [MAIN if number is None else BranchNumber(number) for number in numbers]
    ranges = _ranges(wrote)
    found: dict[BranchNumber, Branch] = {}
    for index, document in enumerate(documents):
        field = f"{BRANCHES}[{index}]"
        branch = _branch(document, field, ranges, len(wrote))
        if branch.number in found:
            raise InvalidValueError(f"{field}.number", "is that of an earlier branch")
        found[branch.number] = branch
    for index, branch in enumerate(found.values()):
        _check_parent(branch, found, f"{BRANCHES}[{index}]")
    for index, number in enumerate(wrote):
        if number not in found:
            raise InvalidValueError(f"messages[{index}].{BRANCH}", f"there is no branch {number}")
    if current not in found:
        raise InvalidValueError(BRANCH, "must be the number of a branch, the current one")
    last = Position(len(messages))
    return Tree(found, BranchNumber(current), last).opened()


def dated(tree: Tree, at: datetime) -> Tree:
    """Return the tree with this time for the branches that have none."""
    branches = {
        number: replace(each, created_at=at) if each.created_at == UNDATED else each
        for number, each in tree.branches.items()
    }
    return replace(tree, branches=branches)


def _ranges(wrote: Sequence[BranchNumber]) -> dict[BranchNumber, list[Range]]:
    """Return the ranges of places that each branch wrote."""
    found: dict[BranchNumber, list[Range]] = {}
    for place, number in enumerate(wrote, 1):
        ranges = found.setdefault(number, [])
        if ranges and ranges[-1].last == place - 1:
            ranges[-1] = Range(ranges[-1].first, Position(place))
        else:
            ranges.append(Range(Position(place), Position(place)))
    return found


def _branch(
    document: Document, field: str, ranges: Mapping[BranchNumber, Sequence[Range]], most: int
) -> Branch:
    for name in document:
        if name not in _FIELDS:
            raise InvalidValueError(f"{field}.{name}", "is not a field of this format")
    number = BranchNumber(_integer(document, "number", field, MAX_NUMBER))
    parent = get_optional(document, "parent", field, int)
    left_after = _integer(document, "left_after", field, most)
    if parent is None and left_after:
        raise InvalidValueError(f"{field}.left_after", "must be 0 without a parent")
    name = get_optional(document, "name", field, str)
    if name is not None and len(name) > MAX_NAME_CHARS:
        raise InvalidValueError(f"{field}.name", f"has more than {MAX_NAME_CHARS} characters")
    own = tuple(ranges.get(number, ()))
    if own and own[0].first <= left_after:
        raise InvalidValueError(f"{field}.left_after", f"is behind message {own[0].first} of it")
    return Branch(
        number,
        None if parent is None else BranchNumber(parent),
        Position(START + left_after),
        own,
        read_time(document, "created_at", field) or UNDATED,
        name,
    )


def _integer(document: Document, name: str, field: str, most: int) -> Any:  # noqa: ANN401 - an int
    value = get_required(document, name, field, int)
    if not 0 <= value <= most:
        raise InvalidValueError(f"{field}.{name}", f"must be from 0 to {most}")
    return value


def _check_parent(branch: Branch, found: dict[BranchNumber, Branch], field: str) -> None:
    """Check that the branch has a parent which left no later, and no ring of parents."""
    seen = {branch.number}
    at = branch
    while at.parent is not None:
        if at.parent not in found:
            raise InvalidValueError(f"{field}.parent", f"there is no branch {at.parent}")
        if found[at.parent].left_at > at.left_at:
            raise InvalidValueError(f"{field}.left_after", "is before its parent left")
        if at.parent in seen:
            raise InvalidValueError(f"{field}.parent", "is one that left this branch")
        at = found[at.parent]
        seen.add(at.number)
