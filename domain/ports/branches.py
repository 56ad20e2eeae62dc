"""The port to the branches of logs; a part of `Log`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from chatkeep.domain.branches import Tree
from chatkeep.domain.model import (
    BranchNumber,
    ConversationId,
    MessageId,
    Order,
    Position,
    UserId,
)
from chatkeep.domain.ranges import Range


class Branches(Protocol):
    """The branches of logs. A conversation that never branched has one, `branches.MAIN`."""

    async def tree(self, user_id: UserId, conversation_id: ConversationId) -> Tree:
        """Return all branches of the conversation. Raises `ConversationNotFoundError`."""
        ...

    async def ends(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        paths: Sequence[Sequence[Range]],
        order: Order,
    ) -> Sequence[tuple[Position, MessageId] | None]:
        """Return the first message of each path in `order`; None for a path without messages."""
        ...

    async def change_branches(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        change: Callable[[Tree], Tree],
        *,
        expected: int | None = None,
    ) -> Tree:
        """Replace the branches with what `change` makes of them, and return that.

        `change` keeps every branch, and may be called several times. It is not activity:
        `updated_at` stays the same. Raises `ConversationNotFoundError`, and what `change` raises.
        """
        ...

    async def delete_branch(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        number: BranchNumber,
        *,
        expected: int | None = None,
    ) -> int:
        """Delete a branch with the entries that no other branch shares (`Tree.remove`).

        Return the revision of the conversation.

        Raises `ConversationNotFoundError`, `BranchNotFoundError`; `BranchIsCurrentError` for the
        current branch; `RetainedError` while the conversation is on hold.
        """
        ...
