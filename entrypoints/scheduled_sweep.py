"""The daily sweep: the service archives and deletes conversations that have been idle for long.

All processes try in the same minute, and the first one does it. So a sleeping database is woken
once a day, and not by each process at another time.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from time import perf_counter
from typing import Final

from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.domain.idle import SweepResult
from chatkeep.domain.operations.sweep import Policy, Sweep
from chatkeep.domain.ports import Clock, SweepSchedule

logger = logging.getLogger("chatkeep.sweep")

AT: Final = time(3, 17, tzinfo=UTC)
DAY: Final = timedelta(days=1)
SPREAD: Final = 30.0
"""Each process waits up to this many seconds, so that they do not all connect at once."""

READY_CHECK_SECONDS: Final = 1.0
MAX_SLEEP_SECONDS: Final = 600.0
"""After each, the time left is computed again: clocks are set, and machines sleep."""


@dataclass(frozen=True, slots=True)
class DailySweep:
    """Sweeps by `policy` when it is due, and at the start if a sweep was due while nothing ran.

    `ready` says whether the database could serve when it was last asked, without asking it. `swept`
    is called with the result of each sweep of this process.
    """

    policy: Policy
    sweep: Sweep
    schedule: SweepSchedule
    clock: Clock
    ready: Callable[[], bool]
    swept: Callable[[SweepResult], None]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Run forever. A sweep that fails is logged, and the next one is a day later."""
        while not self.ready():
            await self.sleep(READY_CHECK_SECONDS)
        while True:
            await self.sleep(random.uniform(0, SPREAD))  # noqa: S311 - jitter
            due = latest_due(self.clock.now())
            try:
                await self.once(due)
            except StoreUnavailableError as error:
                logger.error("the sweep failed; the next is tomorrow: %s", error.reason)  # noqa: TRY400 - in short
            except Exception:
                logger.exception("the sweep failed; the next is tomorrow")
            await self._sleep_until(due + DAY)

    async def once(self, due: datetime) -> None:
        """Do the sweep that was due at `due`, unless another process has begun it."""
        now = self.clock.now()
        if not await self.schedule.claim(due, now):
            logger.info("another process does the sweep of %s, or has done it", due.date())
            return
        cutoffs = self.policy.cutoffs(now)
        expected = await self.sweep.count(cutoffs)
        total = SweepResult(retained=expected.retained)
        how = "swept, but stopped early"
        started = batch_started = perf_counter()
        try:
            async with aclosing(self.sweep.run(cutoffs)) as batches:
                async for swept in batches:
                    total += swept
                    # As long as the batch took, so that sweeping takes at most half of the time.
                    await self.sleep(perf_counter() - batch_started)
                    batch_started = perf_counter()
            how = "swept"
        finally:
            self.swept(total)
            logger.info("%s: %s; %.1f s", how, total, perf_counter() - started)
        await self.schedule.finish(due, self.clock.now(), total)

    async def _sleep_until(self, due: datetime) -> None:
        while (left := (due - self.clock.now()).total_seconds()) > 0:
            await self.sleep(min(left, MAX_SLEEP_SECONDS))


def latest_due(now: datetime) -> datetime:
    """Return the last time a sweep was due."""
    due = datetime.combine(now.date(), AT)
    return due if due <= now else due - DAY
