"""Pages of the messages of a conversation, of one of its branches, or of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from chatkeep.domain.branch_pages import BranchMessage
from chatkeep.domain.branch_paths import PathReader
from chatkeep.domain.branches import EVERY
from chatkeep.domain.log import EVERYTHING, Bounds, View, messages_in
from chatkeep.domain.model import BranchNumber, ConversationId, Message, Order, Position, UserId
from chatkeep.domain.pages import NO_BOUND
from chatkeep.domain.ports import Log


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A page of messages. `next` is the last position on it; None if it is the last page.

    `on_branch` has the same messages, each with the one before it and its branch, if a branch was
    asked for. `revision` is that of the conversation.
    """

    items: tuple[Message, ...]
    next: Position | None
    revision: int
    on_branch: tuple[BranchMessage, ...] | None = None


async def read_history(  # noqa: PLR0913 - each is one independent part of the question
    log: Log,
    user_id: UserId,
    conversation_id: ConversationId,
    branch: BranchNumber | None = None,
    *,
    bounds: Bounds = EVERYTHING,
    order: Order = Order.ASC,
    limit: int = 20,
    originals: bool = False,
    max_bytes: int = NO_BOUND,
) -> HistoryPage:
    """Return a page of the messages within `bounds`: of the current branch, of `branch` or `EVERY`.

    Raises `ConversationNotFoundError`, `BranchNotFoundError`, and `MessageNotFoundError` for a
    bound that is not a message of this conversation.
    """
    view = View.ORIGINALS if originals else View.MESSAGES
    on_branch: Sequence[BranchMessage] | None = None
    if branch is None or branch == EVERY:
        found = await log.page(
            user_id,
            conversation_id,
            bounds,
            view=view,
            order=order,
            limit=limit,
            branch=branch,
            max_bytes=max_bytes,
        )
        items, more, revision = messages_in(found.items), found.more, found.revision
        if branch is not None:
            on_branch = await _find_parents(log, user_id, conversation_id, items)
    else:
        page = await log.branch_page(
            user_id,
            conversation_id,
            bounds,
            view=view,
            order=order,
            limit=limit,
            branch=branch,
            max_bytes=max_bytes,
        )
        on_branch, more, revision = page.items, page.more, page.revision
        items = tuple([each.message for each in on_branch])
    return HistoryPage(
        items,
        items[-1].position if more else None,
        revision,
        None if on_branch is None else tuple(on_branch),
    )


async def with_parents(
    log: Log, user_id: UserId, conversation_id: ConversationId, messages: Sequence[Message]
) -> Sequence[BranchMessage]:
    """Return messages that follow each other in the log, each with its parent and branch."""
    tree = await log.tree(user_id, conversation_id)
    return await PathReader(log, user_id, conversation_id, tree).with_parents(messages)


async def _find_parents(
    log: Log, user_id: UserId, conversation_id: ConversationId, messages: Sequence[Message]
) -> Sequence[BranchMessage]:
    """Return consecutive messages of all branches, in either order, with parents and branches."""
    if not messages:
        return ()
    is_latest_first = messages[0].position > messages[-1].position
    in_order = messages[::-1] if is_latest_first else messages
    found = await with_parents(log, user_id, conversation_id, in_order)
    return found[::-1] if is_latest_first else found
