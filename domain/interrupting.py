"""Interrupts the drafts whose producers are gone, also while they have no readers.

Each process looks after the drafts that were last written through it. It asks the store only at
their deadlines, so a database without active drafts can sleep. If the process dies too, those who
follow the conversation interrupt the draft, or the next request that reads it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from chatkeep.domain.draft_use_cases import DraftUseCases
from chatkeep.domain.errors import NotFoundError, StoreUnavailableError

logger = logging.getLogger("chatkeep.drafts")

TICK: Final = 0.5
"""Seconds between two looks at the deadlines, which are in memory."""

PAUSE: Final = 5.0
"""Seconds to wait when the store cannot answer."""


class Interrupting:
    def __init__(self, drafts: DraftUseCases) -> None:
        self._drafts = drafts

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Interrupt overdue drafts until the block ends."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def interrupt_overdue(self) -> bool:
        """Interrupt the drafts that are overdue. Return whether the store could answer.

        One that another process has written meanwhile is left to that one.
        """
        found = self._drafts.deadlines.take_overdue(self._drafts.clock.now())
        could_answer = True
        for draft in found:
            try:
                await self._drafts.get(draft.user_id, draft.conversation_id, draft.id)
            except NotFoundError:  # its conversation has been deleted
                continue
            except StoreUnavailableError:
                self._drafts.deadlines.note(draft)
                could_answer = False
        return could_answer

    async def _run(self) -> None:
        while True:
            await self._drafts.deadlines.is_needed.wait()
            await asyncio.sleep(TICK)
            try:
                could_answer = await self.interrupt_overdue()
            except Exception:
                logger.exception("an overdue draft could not be interrupted")
                could_answer = False
            if not could_answer:
                await asyncio.sleep(PAUSE)
