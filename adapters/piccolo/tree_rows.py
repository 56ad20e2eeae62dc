"""Converts between branches and their rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from chatkeep.adapters.piccolo.rows import Row, from_text, to_text
from chatkeep.adapters.piccolo.stored_paths import Paths, stored_paths
from chatkeep.domain.branches import Branch, Tree
from chatkeep.domain.errors import (
    RevisionConflictError,
)
from chatkeep.domain.model import (
    LAST_POSITION,
    BranchNumber,
    ConversationId,
    Position,
)
from chatkeep.domain.ranges import Range


@dataclass(frozen=True, slots=True)
class ReadTree:
    """The branches as they were read. `place` is the position of the message that was asked for."""

    conversation_id: ConversationId
    tree: Tree
    is_branched: bool
    message_count: int
    retain: bool
    place: Position | None
    paths: Paths = field(default_factory=dict)
    tips: Mapping[BranchNumber, Position] = field(default_factory=dict)
    count: int = 0
    """If only what an append needs was read: how many branches there are, and where these end."""

    def known(self) -> dict[str, Any]:
        """Return the values of the condition `UNCHANGED`."""
        return {
            "known_revision": self.tree.revision,
            "known_position": self.tree.last_position,
            "known_count": self.message_count,
        }

    def agrees(self, expected: int | None) -> bool:
        return expected is None or self.tree.revision == expected

    def check(self, expected: int | None) -> None:
        """Raise `RevisionConflictError` if the caller expects another revision; None is any."""
        if not self.agrees(expected):
            raise RevisionConflictError(self.conversation_id, self.tree.revision)

    def saved(self, tree: Tree) -> dict[str, Any]:
        """Return the values that store `tree` instead of these branches."""
        if tree == self.tree:
            branch = self.tree.current if self.is_branched else None
            return self.known() | {"branch": branch} | branch_arrays((), {})
        changed = tree.changed_from(self.tree if self.is_branched else None)
        paths = stored_paths(tree, changed, self.paths)
        return self.known() | {"branch": tree.current} | branch_arrays(changed, paths)

    def saved_by_append(self, tree: Tree) -> dict[str, Any]:
        """Return the same for an append, and whether it makes another branch the current one."""
        switches = not self.is_branched or tree.current != self.tree.current
        return self.saved(tree) | {"switches": switches}


def read_tree(conversation_id: ConversationId, rows: Sequence[Row]) -> ReadTree:
    row, last = rows[0], Position(rows[0]["last_position"])
    is_branched = row["branch"] is not None
    if is_branched:
        branches = map(_to_branch, rows)
        tree = Tree({each.number: each for each in branches}, row["branch"], last)
    else:
        tree = Tree.linear(last, row["began"])
    tree = replace(tree, revision=row["revision"])
    return ReadTree(
        conversation_id, tree, is_branched, row["message_count"], row["retain"], row["place"]
    )


def branch_arrays(branches: Sequence[Branch], paths: Paths) -> dict[str, Any]:
    """Return the values of branches by column. An array within is a text, as Postgres writes it."""
    stored = [paths[each.number] for each in branches]
    return {
        "numbers": [str(each.number) for each in branches],
        "parents": [None if each.parent is None else str(each.parent) for each in branches],
        "left_ats": [str(each.left_at) for each in branches],
        "names": [to_text(each.name) for each in branches],
        "firsts": [_array(span.first for span in each.ranges) for each in branches],
        "lasts": [
            _array(span.last for span in each.ranges if not span.is_open) for each in branches
        ],
        "path_firsts": [
            None if path is None else _array(span.first for span in path) for path in stored
        ],
        "path_lasts": [
            None if path is None else _array(span.last for span in path) for path in stored
        ],
        "began": [each.created_at.isoformat() for each in branches],
    }


def _array(positions: Any) -> str:  # noqa: ANN401 - an iterable of numbers
    return "{" + ",".join(map(str, positions)) + "}"


def _to_branch(row: Row) -> Branch:
    return Branch(
        row["number"],
        row["parent"],
        Position(row["left_at"]),
        tuple(ranges_of(row["firsts"], row["lasts"])),
        row["created_at"],
        None if row["name"] is None else from_text(row["name"]),
    )


def ranges_of(firsts: Sequence[str], lasts: Sequence[str]) -> Iterator[Range]:
    """Yield the ranges of two columns; the last one may be open."""
    for first, last in zip_longest(firsts, lasts, fillvalue=LAST_POSITION):
        yield Range(Position(int(first)), Position(int(last)))
