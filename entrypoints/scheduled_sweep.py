"""What the service does by itself once a day: it archives and deletes what nobody used for long.

All processes try in the same minute, and the first one does it: so a database that went to sleep
is woken once a day for it, and not by each process at another time.
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
from chatkeep.domain.operations.sweep import Diary, Policy, Sweep, Swept
from chatkeep.domain.ports import Clock

logger = logging.getLogger("chatkeep.sweep")

AT: Final = time(3, 17, tzinfo=UTC)
DAY: Final = timedelta(days=1)
SPREAD: Final = 30.0
"""Over so many seconds the processes spread, lest all of them connect at once."""

LOOK_AGAIN: Final = 1.0
LONGEST_SLEEP: Final = 600.0
"""Seconds; clocks are set, and machines sleep."""


@dataclass(frozen=True, slots=True)
class DailySweep:
    """Sweeps by `policy` when it is due, and at the start what was due while nothing ran.

    `ready` tells, without asking it, whether the database could serve when it last was asked;
    `swept` is called with what came of a sweep of this process.
    """

    policy: Policy
    sweep: Sweep
    diary: Diary
    clock: Clock
    ready: Callable[[], bool]
    swept: Callable[[Swept], None]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Go on for ever. What fails is logged, and tried again a day later."""
        while not self.ready():
            await self.sleep(LOOK_AGAIN)
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
        """Do the sweep that was due then, unless somebody has begun it."""
        now = self.clock.now()
        if not await self.diary.claim(due, now):
            logger.info("the sweep of %s is done elsewhere, or was before", due.date())
            return
        cutoffs = self.policy.cutoffs(now)
        expected = await self.sweep.count(cutoffs)
        total = Swept(retained=expected.retained)
        how = "swept, but cut off"
        started = batch_started = perf_counter()
        try:
            async with aclosing(self.sweep.run(cutoffs)) as batches:
                async for swept in batches:
                    total += swept
                    # As long as the batch took: at most half of the time is for sweeping.
                    await self.sleep(perf_counter() - batch_started)
                    batch_started = perf_counter()
            how = "swept"
        finally:
            self.swept(total)
            logger.info("%s: %s; %.1f s", how, total, perf_counter() - started)
        await self.diary.finish(due, self.clock.now(), total)

    async def _sleep_until(self, due: datetime) -> None:
        while (left := (due - self.clock.now()).total_seconds()) > 0:
            await self.sleep(min(left, LONGEST_SLEEP))


def latest_due(now: datetime) -> datetime:
    """Return when a sweep was last due."""
    due = datetime.combine(now.date(), AT)
    return due if due <= now else due - DAY
