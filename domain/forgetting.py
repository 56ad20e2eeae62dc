"""Forgets what is kept for a while only: changes, drafts that have ended, lines of the audit.

A process does so about once an hour, if it has changed something meanwhile: a service without
users does not wake its database.
"""

import asyncio
import logging
import random
from contextlib import AbstractAsyncContextManager
from typing import Final

from chatkeep.domain.background import background
from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.domain.steps import forget_in_steps
from chatkeep.domain.use_case_base import UseCases

logger = logging.getLogger("chatkeep.events")

EVERY: Final = 3_600.0


class Forgetting:
    def __init__(self, chatkeep: UseCases) -> None:
        self._chatkeep = chatkeep

    def running(self) -> AbstractAsyncContextManager[None]:
        """Return a block during which what is too old is forgotten."""
        return background(self._run())

    async def forget(self) -> None:
        """Forget all that is too old now."""
        chatkeep = self._chatkeep
        oldest = chatkeep.clock.now() - chatkeep.changes_kept
        await forget_in_steps(chatkeep.events.forget, oldest)
        await chatkeep.drafts.forget()
        await chatkeep.audit.forget()

    async def _run(self) -> None:
        hub, seen = self._chatkeep.hub, 0
        while True:
            await asyncio.sleep(EVERY * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
            if hub.notified == seen:
                continue
            seen = hub.notified
            try:
                await self.forget()
            except StoreUnavailableError:
                logger.warning("what is old is not forgotten yet: the database does not answer")
            except Exception:
                logger.exception("what is old could not be forgotten")
