"""Adopting conversations from hand-made tables of the same database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chatkeep.adapters.clock import SystemClock
from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.operator.adoption.adoptions import PiccoloAdoptions
from chatkeep.adapters.operator.adoption.legacy_detection import Layout, detect
from chatkeep.adapters.operator.adoption.legacy_reader import HandMadeTables, Survey
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Timing
from chatkeep.domain.operations.adoption.layout import Wanted
from chatkeep.domain.operations.adoption.run import Adopted
from chatkeep.entrypoints.bootstrap.errors import unavailability
from chatkeep.entrypoints.settings import Settings

STATEMENT_SECONDS: Final = 3600.0
"""To sort millions of rows takes its time."""

__all__ = ["HandMadeTables", "Layout", "Sides", "Survey", "sides"]


@dataclass(frozen=True, slots=True)
class Sides:
    """The old tables, as they are now, and chatkeep's. `now` is the time of this run."""

    layout: Layout
    source: HandMadeTables
    target: Adopted
    now: datetime


@asynccontextmanager
async def sides(settings: Settings, wanted: Wanted) -> AsyncIterator[Sides]:
    """Yield both sides of an adoption on the settings' Postgres.

    Raises `AdoptionError` when the old tables cannot be found or understood, and
    `StoreUnavailableError`, also for what goes wrong within the block.
    """
    # Two of them: what is written is committed while the transaction that reads goes on.
    reading = _engine(settings)
    async with _engine(settings).pooled() as writing:
        with unavailability():
            target = PiccoloAdoptions(writing)
            await target.check_migrated()
            layout = await detect(writing, wanted)
            async with HandMadeTables.reading(reading, layout) as source:
                yield Sides(layout, source, target, SystemClock().now())


def _engine(settings: Settings) -> Engine:
    connect_args = parse_database_url(settings.database_url).connect_args
    return Engine(connect_args, Timing(command=STATEMENT_SECONDS))
