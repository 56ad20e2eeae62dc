"""Forgets changes that are older than readers of events may be away, and old lines of the audit.

A process does so about once an hour, if it has changed something meanwhile: a service without
users does not wake its database.
"""

import asyncio
import logging
import random
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Final

from chatkeep.domain.audit_use_cases import AuditUseCases
from chatkeep.domain.background import background
from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.domain.hub import Hub
from chatkeep.domain.ports import Clock, Events
from chatkeep.domain.steps import forget_in_steps

logger = logging.getLogger("chatkeep.events")

EVERY: Final = 3_600.0


class Forgetting:
    def __init__(
        self, hub: Hub, events: Events, clock: Clock, kept: timedelta, audit: AuditUseCases
    ) -> None:
        self._hub = hub
        self._audit = audit
        self._events = events
        self._clock = clock
        self._kept = kept

    def running(self) -> AbstractAsyncContextManager[None]:
        """Return a block during which old changes are forgotten."""
        return background(self._run())

    async def forget(self) -> int:
        """Forget all changes that are too old now. Return how many there were."""
        return await forget_in_steps(self._events.forget, self._clock.now() - self._kept)

    async def _run(self) -> None:
        seen = 0
        while True:
            await asyncio.sleep(EVERY * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
            if self._hub.notified == seen:
                continue
            seen = self._hub.notified
            try:
                await self.forget()
                await self._audit.forget()
            except StoreUnavailableError:
                logger.warning("what is old is not forgotten yet: the database does not answer")
            except Exception:
                logger.exception("what is old could not be forgotten")
