"""Forgets changes that are older than readers of events may be away, and old lines of the audit.

A process does so about once an hour, if it has changed something meanwhile: a service without
users does not wake its database.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from chatkeep.domain.audit_use_cases import AuditUseCases
from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.domain.hub import Hub
from chatkeep.domain.ports import Clock, Events

logger = logging.getLogger("chatkeep.events")

EVERY: Final = 3_600.0
STEP: Final = 1_000
"""How many changes are forgotten at once, so that no statement takes long."""


class Forgetting:
    def __init__(
        self, hub: Hub, events: Events, clock: Clock, kept: timedelta, audit: AuditUseCases
    ) -> None:
        self._hub = hub
        self._audit = audit
        self._events = events
        self._clock = clock
        self._kept = kept

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Forget old changes until the block ends."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def forget(self) -> int:
        """Forget all changes that are too old now. Return how many there were."""
        before = self._clock.now() - self._kept
        forgotten = 0
        while True:
            step = await self._events.forget(before, limit=STEP)
            forgotten += step
            if step < STEP:
                return forgotten

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
