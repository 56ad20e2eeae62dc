"""The use cases of reading a conversation: its history, and what to hand to a model next."""

from operator import attrgetter
from typing import Final

from chatkeep.domain.context import Context, select
from chatkeep.domain.formats.expansion import expand
from chatkeep.domain.history import HistoryPage, read_history
from chatkeep.domain.log import EVERYTHING, Bounds
from chatkeep.domain.model import BranchNumber, ConversationId, Order, UserId
from chatkeep.domain.threads import run_aside
from chatkeep.domain.use_case_base import UseCases
from chatkeep.domain.window import Window

_original: Final = attrgetter("original")


class ReadingUseCases(UseCases):
    __slots__ = ()

    async def history(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        branch: BranchNumber | None = None,
        *,
        bounds: Bounds = EVERYTHING,
        order: Order = Order.ASC,
        limit: int = 20,
        originals: bool = False,
    ) -> HistoryPage:
        """Return a page of the messages within `bounds`, in `order`.

        They are from the current branch, or from `branch`, or from all with `EVERY`. With
        `originals`, the messages come with their originals.

        Raises `ConversationNotFoundError`, `BranchNotFoundError`, `MessageNotFoundError` for a
        bound that is not a message of this conversation, `LimitExceededError` for a `limit` over
        `max_page`.
        """
        self.limits.check_page(limit)
        return await read_history(
            self.log,
            user_id,
            conversation_id,
            branch,
            bounds=bounds,
            order=order,
            limit=limit,
            originals=originals,
            max_bytes=self.limits.max_bytes,
        )

    async def context(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        limit: int = 20,
        max_chars: int | None = None,
        max_tokens: int | None = None,
        for_model: bool = True,
        branch: BranchNumber | None = None,
    ) -> Context:
        """Return the messages to hand to the model next: see `domain.context.select`.

        They are from the current branch, or from `branch`.
        With `for_model`, messages that a model cannot take as they are become those that it can
        take: see `formats.expansion.expand`.
        Raises `ConversationNotFoundError`, `BranchNotFoundError`, `LimitExceededError` for a
        `limit` over `max_page`.
        """
        self.limits.check_page(limit)
        window = await self.log.window(
            user_id,
            conversation_id,
            limit=limit,
            branch=branch,
            max_bytes=self.limits.max_bytes,
        )
        return await select_context(window, max_chars, max_tokens, for_model=for_model)


async def select_context(
    window: Window, max_chars: int | None, max_tokens: int | None, *, for_model: bool
) -> Context:
    """Return the context of a window. Large originals are read in a thread."""
    if not for_model or not (any(map(_original, window.tail)) or any(map(_original, window.head))):
        return select(window, max_chars=max_chars, max_tokens=max_tokens)
    size = sum(len(each.original or "") for each in (*window.head, *window.tail))
    return await run_aside(
        size, lambda: select(expand(window), max_chars=max_chars, max_tokens=max_tokens)
    )
