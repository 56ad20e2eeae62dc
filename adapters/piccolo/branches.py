"""The branches of conversations on Postgres.

A change of branches reads the old ones, computes the new ones (`domain.branches`), and stores them
in one statement, on the condition that nothing has changed since. Otherwise it starts again.
"""

import random
from asyncio import sleep
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final

from chatkeep.adapters.piccolo.branch_statements import DELETE, ENDS, SAVE, TREE
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.path_statements import PLACE
from chatkeep.adapters.piccolo.rows import Row, from_text, to_text
from chatkeep.adapters.piccolo.stored_paths import Paths, stored_paths
from chatkeep.domain.branches import START, AtTip, Branch, Place, Range, Tree
from chatkeep.domain.errors import (
    BranchNotFoundError,
    ConversationNotFoundError,
    MessageNotFoundError,
    RetainedError,
    RevisionConflictError,
    StoreUnavailableError,
)
from chatkeep.domain.ids import with_text
from chatkeep.domain.model import (
    LAST_POSITION,
    BranchNumber,
    ConversationId,
    MessageId,
    Order,
    Position,
    UserId,
)

TRIES: Final = 100
"""How often a change of branches is computed again because of changes by others."""

_PAUSE: Final = 0.01


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


class Known:
    """Conversations of which something was true when they were last read, at most `most` of them.

    It decides which statement is sent first. It is only a guess: if it is wrong, a read takes a
    second statement.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._ids: dict[ConversationId, None] = {}
        self._most = most

    def has(self, conversation_id: ConversationId) -> bool:
        return conversation_id in self._ids

    def add(self, conversation_id: ConversationId) -> None:
        if len(self._ids) >= self._most:
            del self._ids[next(iter(self._ids))]
        self._ids[conversation_id] = None

    def discard(self, conversation_id: ConversationId) -> None:
        self._ids.pop(conversation_id, None)


class PiccoloBranches:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def tree(self, user_id: UserId, conversation_id: ConversationId) -> Tree:
        return (await self._read_tree(user_id, conversation_id)).tree

    async def ends(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        paths: Sequence[Sequence[Range]],
        order: Order,
    ) -> Sequence[tuple[Position, MessageId] | None]:
        spans = [(str(n), *map(str, each)) for n, path in enumerate(paths) for each in path]
        numbers, lows, highs = zip(*spans, strict=True) if spans else ((), (), ())
        rows = await self._engine.fetch(
            ENDS[order],
            conversation_id=conversation_id,
            user_id=user_id,
            paths=numbers,
            lows=lows,
            highs=highs,
        )
        found = {
            row["n"]: (row["position"], message_id_of(row["id"], row["text_id"])) for row in rows
        }
        return [found.get(n) for n in range(len(paths))]

    async def change_branches(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        change: Callable[[Tree], Tree],
        *,
        expected: int | None = None,
    ) -> Tree:
        was_lost = False
        for attempt in range(TRIES):
            read = await self._read_tree(user_id, conversation_id)
            changed = change(read.tree)
            if changed == read.tree and was_lost:  # an attempt whose answer was lost has made it
                return read.tree
            read.check(expected)
            if changed == read.tree:
                return read.tree
            rows, again = await self._engine.fetch_noting(
                SAVE, conversation_id=conversation_id, user_id=user_id, **read.saved(changed)
            )
            if rows:
                return replace(changed, revision=rows[0]["revision"])
            was_lost = was_lost or again
            await pause(attempt)
        raise crowded()

    async def delete_branch(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        number: BranchNumber,
        *,
        expected: int | None = None,
    ) -> int:
        was_lost = False
        for attempt in range(TRIES):
            read = await self._read_tree(user_id, conversation_id)
            try:
                tree, freed = read.tree.remove(number)
            except BranchNotFoundError:
                if was_lost:  # an attempt whose answer was lost has deleted it
                    return read.tree.revision
                raise
            if not (read.retain or was_lost):  # a hold is the first reason
                read.check(expected)
            saved = read.saved(tree)
            rows, again = await self._engine.fetch_noting(
                DELETE,
                conversation_id=conversation_id,
                user_id=user_id,
                number=number,
                lows=[str(each.first) for each in freed],
                highs=[str(each.last) for each in freed],
                **{name: value for name, value in saved.items() if name != "branch"},
            )
            if rows:
                if rows[0]["retain"]:
                    raise RetainedError(conversation_id)
                return read.tree.revision + 1
            was_lost = was_lost or again
            await pause(attempt)
        raise crowded()

    async def find_place(
        self, user_id: UserId, conversation_id: ConversationId, place: Place, at: datetime
    ) -> tuple[ReadTree, Tree]:
        """Return the branches, and those for an append at a place.

        Raises `ConversationNotFoundError`, `MessageNotFoundError`, `BranchNotFoundError`,
        `LimitExceededError`.
        """
        if isinstance(place, AtTip):
            read = await self._read_place(user_id, conversation_id, number=place.branch)
            return read, read.tree.switch(place.branch)
        read = await self._read_place(user_id, conversation_id, message_id=place.message_id)
        position = START if place.message_id is None else read.place
        if position is None:
            raise MessageNotFoundError(place.message_id or conversation_id)
        tree = read.tree.place(
            position, read.tips, at, count=read.count, max_branches=place.max_branches
        )
        return read, tree

    async def _read_tree(
        self, user_id: UserId, conversation_id: ConversationId, place: MessageId | None = None
    ) -> ReadTree:
        rows = await self._engine.fetch(
            TREE, conversation_id=conversation_id, user_id=user_id, message_id=place
        )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        return _read(conversation_id, rows)

    async def _read_place(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        number: BranchNumber | None = None,
        message_id: MessageId | None = None,
    ) -> ReadTree:
        """Return only the branches that an append after a message or to a branch needs."""
        rows = await self._engine.fetch(
            PLACE,
            conversation_id=conversation_id,
            user_id=user_id,
            branch=None,
            number=number,
            message_id=message_id,
        )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        read, tip = _read(conversation_id, rows), rows[0]["current_tip"]
        tips = {read.tree.current: START if tip is None else tip}
        for row in rows:
            if row["wrote"]:
                tips.setdefault(row["number"], row["tip"])
        paths = {
            row["number"]: tuple(_ranges(row["path_firsts"], row["path_lasts"]))
            for row in rows
            if row["path_firsts"] is not None
        }
        return replace(read, tips=tips, paths=paths, count=max(1, rows[0]["branches"]))


def _read(conversation_id: ConversationId, rows: Sequence[Row]) -> ReadTree:
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


async def pause(attempt: int) -> None:
    """Wait a little before a change is computed again, longer after many attempts."""
    await sleep(random.uniform(0, _PAUSE * min(attempt, 10)))  # noqa: S311 - jitter


def crowded() -> StoreUnavailableError:
    return StoreUnavailableError("The branches of this conversation are changing all the time.")


def message_id_of(key: MessageId, text_id: str | None) -> MessageId:
    return key if text_id is None else MessageId(with_text(key, text_id))


def _array(positions: Any) -> str:  # noqa: ANN401 - an iterable of numbers
    return "{" + ",".join(map(str, positions)) + "}"


def _to_branch(row: Row) -> Branch:
    return Branch(
        row["number"],
        row["parent"],
        Position(row["left_at"]),
        tuple(_ranges(row["firsts"], row["lasts"])),
        row["created_at"],
        None if row["name"] is None else from_text(row["name"]),
    )


def _ranges(firsts: Sequence[str], lasts: Sequence[str]) -> Iterator[Range]:
    """Yield the ranges of two columns; the last one may be open."""
    for first, last in zip_longest(firsts, lasts, fillvalue=LAST_POSITION):
        yield Range(Position(int(first)), Position(int(last)))
