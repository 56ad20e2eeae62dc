"""The branches of conversations on Postgres.

A change reads the branches, computes the new ones (`domain.branches`), and stores them in one
statement, on the condition that nothing has changed since. Otherwise it starts again.
"""

import random
from asyncio import sleep
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import starmap
from typing import Any, Final

from chatkeep.adapters.piccolo.branch_statements import DELETE, ENDS, SAVE, TREE
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row, from_text, to_text
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
            return self.known() | {"branch": branch} | branch_arrays(())
        changed = tree.changed_from(self.tree if self.is_branched else None)
        return self.known() | {"branch": tree.current} | branch_arrays(changed)

    def saved_by_append(self, tree: Tree) -> dict[str, Any]:
        """Return the same for an append, and whether it makes another branch the current one."""
        switches = not self.is_branched or tree.current != self.tree.current
        return self.saved(tree) | {"switches": switches}


class Known:
    """Conversations that had branches when they were last read, at most `most` of them.

    A read of one of these begins with its branches, and so takes one statement. It is only a guess:
    a conversation with the same id may have no branches, and then takes a second statement.
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
        found = {row["n"]: (row["position"], _message_id(row)) for row in rows}
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

        Raises `ConversationNotFoundError`, `MessageNotFoundError`, `BranchNotFoundError`.
        """
        if isinstance(place, AtTip):
            read = await self._read_tree(user_id, conversation_id)
            return read, read.tree.switch(place.branch)
        read = await self._read_tree(user_id, conversation_id, place.message_id)
        position = START if place.message_id is None else read.place
        if position is None:
            raise MessageNotFoundError(place.message_id or conversation_id)
        numbers = read.tree.may_end_at(position)
        paths = [read.tree.path(number) for number in numbers]
        found = await self.ends(user_id, conversation_id, paths, Order.DESC)
        tips = {
            number: START if end is None else end[0]
            for number, end in zip(numbers, found, strict=True)
        }
        return read, read.tree.place(position, tips, at)

    async def _read_tree(
        self, user_id: UserId, conversation_id: ConversationId, place: MessageId | None = None
    ) -> ReadTree:
        rows = await self._engine.fetch(
            TREE, conversation_id=conversation_id, user_id=user_id, message_id=place
        )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
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


def branch_arrays(branches: Sequence[Branch]) -> dict[str, Any]:
    """Return the values of branches by column. An array within is a text, as Postgres writes it."""
    return {
        "numbers": [str(each.number) for each in branches],
        "parents": [None if each.parent is None else str(each.parent) for each in branches],
        "left_ats": [str(each.left_at) for each in branches],
        "names": [to_text(each.name) for each in branches],
        "firsts": [_array(span.first for span in each.ranges) for each in branches],
        "lasts": [
            _array(span.last for span in each.ranges if not span.is_open) for each in branches
        ],
        "began": [each.created_at.isoformat() for each in branches],
    }


async def pause(attempt: int) -> None:
    """Wait a little before a change is computed again, longer after many attempts."""
    await sleep(random.uniform(0, _PAUSE * min(attempt, 10)))  # noqa: S311 - jitter


def crowded() -> StoreUnavailableError:
    return StoreUnavailableError("The branches of this conversation are changing all the time.")


def _message_id(row: Row) -> MessageId:
    key, text_id = row["id"], row["text_id"]
    return MessageId(with_text(key, text_id))


def _array(positions: Any) -> str:  # noqa: ANN401 - an iterable of numbers
    return "{" + ",".join(map(str, positions)) + "}"


def _to_branch(row: Row) -> Branch:
    firsts, lasts = row["firsts"], row["lasts"]
    lasts = [*lasts, *[LAST_POSITION] * (len(firsts) - len(lasts))]
    pairs = zip(map(int, firsts), map(int, lasts), strict=True)
    return Branch(
        row["number"],
        row["parent"],
        Position(row["left_at"]),
        tuple(starmap(Range, pairs)),
        row["created_at"],
        None if row["name"] is None else from_text(row["name"]),
    )
