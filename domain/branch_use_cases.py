"""The use cases of branches: what a chat page needs to show and to choose them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chatkeep.domain.branch_paths import PathReader
from chatkeep.domain.branches import MAX_NAME_CHARS, Tree
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import (
    LAST_POSITION,
    UNSET,
    BranchNumber,
    ConversationId,
    Limits,
    MessageId,
    Position,
    Unset,
    UserId,
)
from chatkeep.domain.ports import Log
from chatkeep.domain.ranges import contains


@dataclass(frozen=True, slots=True)
class BranchSummary:
    """A branch. `left_at` is the last message that it shares with its parent, `tip` its last one.

    Each is None if there is no such message.
    """

    number: BranchNumber
    name: str | None
    is_current: bool
    parent: BranchNumber | None
    left_at: MessageId | None
    tip: MessageId | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BranchesPage:
    """Branches by number. `next` is the last number on the page; None if it is the last page."""

    items: tuple[BranchSummary, ...]
    next: BranchNumber | None
    revision: int


@dataclass(frozen=True, slots=True)
class Sibling:
    """A message that continues from the same message as another one, and who wrote it."""

    message_id: MessageId
    branch: BranchNumber
    is_current: bool
    """Whether it is on the path of the current branch."""


@dataclass(frozen=True, slots=True)
class BranchUseCases:
    """All methods raise `ConversationNotFoundError`."""

    log: Log
    limits: Limits

    async def list(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        after: BranchNumber | None = None,
        limit: int = 20,
    ) -> BranchesPage:
        """Return a page of the branches, by number, after one of them.

        Raises `LimitExceededError` for a `limit` over `max_page`.
        """
        self.limits.check_page(limit)
        tree = await self.log.tree(user_id, conversation_id)
        numbers = sorted(each for each in tree.branches if after is None or each > after)
        shown = numbers[:limit]
        items = await self._summaries(user_id, conversation_id, tree, shown)
        return BranchesPage(items, shown[-1] if len(numbers) > limit else None, tree.revision)

    async def change(  # noqa: PLR0913 - each is one independent part of the change
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        number: BranchNumber,
        *,
        name: str | Unset | None = UNSET,
        is_current: bool = False,
        expected: int | None = None,
    ) -> tuple[BranchSummary, int]:
        """Rename a branch, and make it the current one if `is_current`.

        Return it with the revision of the conversation.
        Raises `BranchNotFoundError`, `RevisionConflictError`, and `InvalidValueError` for a long
        name.
        """
        if isinstance(name, str) and len(name) > MAX_NAME_CHARS:
            raise InvalidValueError("name", f"has {len(name)} characters; at most {MAX_NAME_CHARS}")

        def change(tree: Tree) -> Tree:
            changed = tree if isinstance(name, Unset) else tree.rename(number, name)
            return changed.switch(number) if is_current or number not in tree.branches else changed

        tree = await self.log.change_branches(user_id, conversation_id, change, expected=expected)
        [summary] = await self._summaries(user_id, conversation_id, tree, [number])
        return summary, tree.revision

    async def delete(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        number: BranchNumber,
        *,
        expected: int | None = None,
    ) -> int:
        """Delete a branch with the messages that no other branch shares. Return the revision.

        Raises `BranchNotFoundError`, `BranchIsCurrentError`, `RetainedError`,
        `RevisionConflictError`.
        """
        return await self.log.delete_branch(user_id, conversation_id, number, expected=expected)

    async def siblings(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> tuple[Sibling, ...]:
        """Return the messages that continue from the same message, itself included, by position.

        Raises `MessageNotFoundError`.
        """
        message = await self.log.get(user_id, conversation_id, message_id)
        tree = await self.log.tree(user_id, conversation_id)
        reader = PathReader(self.log, user_id, conversation_id, tree)
        before = Position(message.position - 1)
        [parent] = await reader.last_up_to([(tree.writer(message.position), before)])
        found = await reader.continuations(parent)
        current = tree.path(tree.current)
        return tuple(
            Sibling(each, number, is_current=contains(current, position))
            for (position, each), number in sorted(found)
        )

    async def _summaries(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        tree: Tree,
        numbers: Sequence[BranchNumber],
    ) -> tuple[BranchSummary, ...]:
        reader = PathReader(self.log, user_id, conversation_id, tree)
        tips = await reader.last_up_to([(number, LAST_POSITION) for number in numbers])
        lefts = await reader.last_up_to(
            [(tree[number].parent, tree[number].left_at) for number in numbers]
        )
        return tuple(
            BranchSummary(
                number,
                tree[number].name,
                number == tree.current,
                tree[number].parent,
                left and left[1],
                tip and tip[1],
                tree[number].created_at,
            )
            for number, tip, left in zip(numbers, tips, lefts, strict=True)
        )
