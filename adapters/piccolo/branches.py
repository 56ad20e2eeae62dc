"""The branches of conversations on Postgres.

A change of branches reads the old ones, computes the new ones (`domain.branches`), and stores them
in one statement, on the condition that nothing has changed since. Otherwise it starts again.
"""

import random
from asyncio import sleep
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from chatkeep.adapters.piccolo.branch_statements import DELETE, ENDS, SAVE, TREE
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.log_values import NO_MESSAGE
from chatkeep.adapters.piccolo.path_statements import PLACE
from chatkeep.adapters.piccolo.tree_rows import ReadTree, ranges_of, read_tree
from chatkeep.domain.branches import Tree
from chatkeep.domain.errors import (
    BranchNotFoundError,
    ConversationNotFoundError,
    MessageNotFoundError,
    RetainedError,
    StoreUnavailableError,
)
from chatkeep.domain.ids import with_text
from chatkeep.domain.model import (
    BranchNumber,
    ConversationId,
    MessageId,
    Order,
    Position,
    UserId,
)
from chatkeep.domain.places import AtTip, Place
from chatkeep.domain.ranges import START, Range

TRIES: Final = 100
"""How often a change of branches is computed again because of changes by others."""

_PAUSE: Final = 0.01


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
            TREE, conversation_id=conversation_id, user_id=user_id, message_id=place or NO_MESSAGE
        )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        return read_tree(conversation_id, rows)

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
            message_id=message_id or NO_MESSAGE,
        )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        read, tip = read_tree(conversation_id, rows), rows[0]["current_tip"]
        tips = {read.tree.current: START if tip is None else tip}
        for row in rows:
            if row["wrote"]:
                tips.setdefault(row["number"], row["tip"])
        paths = {
            row["number"]: tuple(ranges_of(row["path_firsts"], row["path_lasts"]))
            for row in rows
            if row["path_firsts"] is not None
        }
        return replace(read, tips=tips, paths=paths, count=max(1, rows[0]["branches"]))


async def pause(attempt: int) -> None:
    """Wait a little before a change is computed again, longer after many attempts."""
    await sleep(random.uniform(0, _PAUSE * min(attempt, 10)))  # noqa: S311 - jitter


def crowded() -> StoreUnavailableError:
    return StoreUnavailableError("The branches of this conversation are changing all the time.")


def message_id_of(key: MessageId, text_id: str | None) -> MessageId:
    return key if text_id is None else MessageId(with_text(key, text_id))
