"""Interrupts the drafts whose producers are gone, also while they have no readers.

Each process looks after the drafts that were last written through it. It asks the store only at
their deadlines, so a database without active drafts can sleep. If the process dies too, those who
follow the conversation interrupt the draft, or the next request that reads it, or any other process
that is in use: those ask once a minute for all drafts that are overdue.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from chatkeep.domain.background import background
from chatkeep.domain.draft_use_cases import DraftUseCases
from chatkeep.domain.drafts import Draft
from chatkeep.domain.errors import NotFoundError, StoreUnavailableError
from chatkeep.domain.hub import Hub

logger = logging.getLogger("chatkeep.drafts")

TICK: Final = 0.5
"""Seconds between two looks at the deadlines, which are in memory."""

PAUSE: Final = 5.0
"""Seconds to wait when the store cannot answer."""

EVERY: Final = 60.0
"""About how many seconds pass between two looks at the drafts of other processes."""


class Interrupting:
    def __init__(self, drafts: DraftUseCases, hub: Hub) -> None:
        self._drafts = drafts
        self._hub = hub

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Return a block during which overdue drafts are interrupted."""
        async with background(self._watch_own()), background(self._watch_others()):
            yield

    async def interrupt_overdue(self) -> bool:
        """Interrupt the drafts of this process that are overdue.

        Return whether the store could answer. One that another process has written meanwhile is
        left to that one.
        """
        unanswered = await self._interrupt(
            self._drafts.deadlines.take_overdue(self._drafts.clock.now())
        )
        for draft in unanswered:
            self._drafts.deadlines.note(draft)
        return not unanswered

    async def interrupt_others(self) -> None:
        """Interrupt drafts of all processes that are overdue."""
        await self._interrupt(await self._drafts.overdue())

    async def _interrupt(self, found: Iterable[Draft]) -> list[Draft]:
        """Interrupt those that are still overdue. Return those for which the store had no answer.

        An error with one draft is logged, and keeps no other from being interrupted.
        """
        unanswered = []
        for draft in found:
            try:
                await self._drafts.get(draft.user_id, draft.conversation_id, draft.id)
            except NotFoundError:  # its conversation has been deleted
                continue
            except StoreUnavailableError:
                unanswered.append(draft)
            except Exception:
                logger.exception("an overdue draft could not be interrupted")
        return unanswered

    async def _watch_own(self) -> None:
        while True:
            await self._drafts.deadlines.is_needed.wait()
            await asyncio.sleep(TICK)
            if not await self.interrupt_overdue():
                await asyncio.sleep(PAUSE)

    async def _watch_others(self) -> None:
        seen = 0
        while True:
            await asyncio.sleep(EVERY * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
            if self._hub.notified == seen and not self._hub.is_watched.is_set():
                continue  # no call here has needed the store, so it may sleep
            seen = self._hub.notified
            try:
                await self.interrupt_others()
            except StoreUnavailableError:
                continue
            except Exception:
                logger.exception("overdue drafts could not be found")
