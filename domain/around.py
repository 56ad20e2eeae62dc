"""The use cases of opening a conversation at a message that a search has found, or at a time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from chatkeep.domain.branch_pages import BranchMessage
from chatkeep.domain.branches import MAIN
from chatkeep.domain.errors import MessageNotFoundError
from chatkeep.domain.history import HistoryPage, read_history
from chatkeep.domain.ids import written_id
from chatkeep.domain.items import ItemId
from chatkeep.domain.log import EVERYTHING, Bounds
from chatkeep.domain.model import (
    BranchNumber,
    Conversation,
    ConversationId,
    Limits,
    MessageId,
    Order,
    Position,
    UserId,
)
from chatkeep.domain.ports import Conversations, Log


@dataclass(frozen=True, slots=True)
class MessagesAround:
    """The messages around one, oldest first, on one branch.

    `branch` is None in a conversation without branches. `before` is the position of the first one
    if there may be others before it, and `after` that of the last one if there are others after it.
    """

    items: tuple[BranchMessage, ...]
    branch: BranchNumber | None
    before: Position | None
    after: Position | None
    revision: int


Pages = Callable[[Bounds, Order, int], Awaitable[HistoryPage]]


@dataclass(frozen=True, slots=True)
class AroundUseCase:
    conversations: Conversations
    log: Log
    limits: Limits

    async def around(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        limit: int = 20,
        branch: BranchNumber | None = None,
        originals: bool = False,
    ) -> MessagesAround:
        """Return at most `limit` messages, half of them before this one.

        `message_id` may also be the id of an item of OpenAI's API: then they are those around it.
        They are on `branch`; None is the current one if it has the message, or else the branch that
        wrote it. Raises `ConversationNotFoundError`, `BranchNotFoundError`;
        `MessageNotFoundError` if the branch does not have the message; `LimitExceededError` for a
        `limit` over `max_page`.
        """
        self.limits.check_page(limit)
        conversation = await self.conversations.get(user_id, conversation_id)
        position, is_message = await self._position(user_id, conversation_id, message_id)
        is_linear = branch is None and conversation.branch is None
        if branch is None:
            branch = MAIN if is_linear else await self._branch(user_id, conversation_id, position)
        pages = self._pages(conversation, branch, originals=originals)
        found, first = await _around(pages, position, limit)
        if is_message and first != position:
            raise MessageNotFoundError(message_id)
        return replace(found, branch=None if is_linear else branch)

    async def around_time(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        at: datetime,
        *,
        limit: int = 20,
        branch: BranchNumber | None = None,
        originals: bool = False,
    ) -> MessagesAround:
        """Return at most `limit` messages, half of them before the first that is not before `at`.

        If all are, the last `limit` messages. They are on `branch`; None is the current one.
        Raises `ConversationNotFoundError`, `BranchNotFoundError`; `LimitExceededError` for a
        `limit` over `max_page`.
        """
        self.limits.check_page(limit)
        conversation = await self.conversations.get(user_id, conversation_id)
        position = await self.log.position_since(user_id, conversation_id, at)
        is_linear = branch is None and conversation.branch is None
        if branch is None:
            branch = MAIN if conversation.branch is None else conversation.branch
        pages = self._pages(conversation, branch, originals=originals)
        first = None
        if position is not None:
            found, first = await _around(pages, position, limit)
        if first is None:
            last = await pages(EVERYTHING, Order.DESC, limit)
            items = (last.on_branch or ())[::-1]
            found = MessagesAround(items, None, last.next, None, last.revision)
        return replace(found, branch=None if is_linear else branch)

    def _pages(self, conversation: Conversation, branch: BranchNumber, *, originals: bool) -> Pages:
        async def page(bounds: Bounds, order: Order, most: int) -> HistoryPage:
            return await read_history(
                self.log,
                conversation.user_id,
                conversation.id,
                branch,
                bounds=bounds,
                order=order,
                limit=most,
                originals=originals,
                max_bytes=self.limits.max_bytes,
            )

        return page

    async def _position(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> tuple[Position, bool]:
        """Return the position of the message or item, and whether the id is that of a message."""
        try:
            return (await self.log.get(user_id, conversation_id, message_id)).position, True
        except MessageNotFoundError:
            item_id = ItemId(str(written_id(message_id)))
            for entry in await self.log.find(user_id, conversation_id, item_id):
                return entry.position, False
            raise

    async def _branch(
        self, user_id: UserId, conversation_id: ConversationId, position: Position
    ) -> BranchNumber:
        tree = await self.log.tree(user_id, conversation_id)
        if any(first <= position <= last for first, last in tree.path(tree.current)):
            return tree.current
        return tree.writer(position)


async def _around(
    pages: Pages, position: Position, limit: int
) -> tuple[MessagesAround, Position | None]:
    """Return at most `limit` messages, half of them before `position`, as if without branches.

    Also return the position of the first that is not before it, if there is one.
    """
    earlier: tuple[BranchMessage, ...] = ()
    before: Position | None = position
    if limit > 1:
        found = await pages(Bounds(before=position), Order.DESC, limit // 2)
        earlier, before = (found.on_branch or ())[::-1], found.next
    later = await pages(Bounds(after=Position(position - 1)), Order.ASC, limit - len(earlier))
    first = later.items[0].position if later.items else None
    items = (*earlier, *(later.on_branch or ()))
    return MessagesAround(items, None, before, later.next, later.revision), first
