"""Adopting conversations from hand-made tables of the same database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from adapters.clock import SystemClock
from adapters.database_url import parse_database_url
from adapters.piccolo.adoptions import PiccoloAdoptions
from adapters.piccolo.engine import Engine
from adapters.piccolo.hand_made_layout import Layout, detect
from adapters.piccolo.hand_made_tables import HandMadeTables, Survey
from adapters.piccolo.retries import Timing
from domain.adoption_layout import Wanted
from domain.adoption_run import Adopted
from entrypoints.bootstrap.errors import unavailability
from entrypoints.settings import Settings

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
