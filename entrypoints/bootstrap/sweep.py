"""Sweeps on Postgres: asked for by an operator, or done by the service once a day."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from chatkeep.adapters.clock import SystemClock
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.statement_metrics import own_work
from chatkeep.adapters.piccolo.sweeps import PiccoloDiary, PiccoloSweeps
from chatkeep.domain.operations.sweep import Cutoffs, Policy, Sweep, Swept
from chatkeep.entrypoints.bootstrap.database import engine
from chatkeep.entrypoints.scheduled_sweep import DailySweep
from chatkeep.entrypoints.settings import Settings


@asynccontextmanager
async def sweep_on(settings: Settings, policy: Policy) -> AsyncIterator[tuple[Sweep, Cutoffs]]:
    """Yield sweeps of the settings' Postgres, and what the policy means by now."""
    async with engine(settings).pooled() as database:
        yield Sweep(PiccoloSweeps(database)), policy.cutoffs(SystemClock().now())


@asynccontextmanager
async def swept_daily(
    database: Engine, policy: Policy, swept: Callable[[Swept], None]
) -> AsyncIterator[None]:
    """Sweep once a day for as long as the block lasts. A sweep under way is left at once."""
    if policy.is_empty:
        yield
        return
    daily = DailySweep(
        policy=policy,
        sweep=Sweep(PiccoloSweeps(database)),
        diary=PiccoloDiary(database),
        clock=SystemClock(),
        ready=database.is_ready,
        swept=swept,
    )
    with own_work("sweep"):  # the task keeps the context that it is made in
        task = asyncio.create_task(daily.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
