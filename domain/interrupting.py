"""Interrupts the drafts whose producers are gone, also while they have no readers.

Each process looks after the drafts that were last written through it. It asks the store only at
their deadlines, so a database without active drafts can sleep. If the process dies too, those who
follow the conversation interrupt the draft, or the next request that reads it.
"""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Final

from chatkeep.domain.background import background
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

    def running(self) -> AbstractAsyncContextManager[None]:
        """Return a block during which overdue drafts are interrupted."""
        return background(self._run())

    async def interrupt_overdue(self) -> bool:
        """Interrupt the drafts that are overdue. Return whether the store could answer.

        One that another process has written meanwhile is left to that one. An error with one draft
        is logged, and keeps no other from being interrupted.
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
            except Exception:
                logger.exception("an overdue draft could not be interrupted")
        return could_answer

    async def _run(self) -> None:
        while True:
            await self._drafts.deadlines.is_needed.wait()
            await asyncio.sleep(TICK)
            if not await self.interrupt_overdue():
                await asyncio.sleep(PAUSE)
