"""The tools of operators on the Postgres of the settings: doctor, stats, adopt, move, distribute.

Every function raises `StoreUnavailableError` when the database cannot serve, and `DatabaseError`
when it refuses a statement.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from chatkeep.adapters.clock import SystemClock
from chatkeep.adapters.database_url import DatabaseUrl, parse_database_url
from chatkeep.adapters.operator.adoption.legacy_detection import detect
from chatkeep.adapters.operator.adoption.legacy_reader import PiccoloLegacyTables
from chatkeep.adapters.operator.adoption.target import PiccoloAdoptionTarget
from chatkeep.adapters.operator.distribution import run as distribution
from chatkeep.adapters.operator.doctor.keeping import keep
from chatkeep.adapters.operator.doctor.runner import Doctor
from chatkeep.adapters.operator.move import run as moves
from chatkeep.adapters.operator.stats.report import collect_stats
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Timing
from chatkeep.domain.operations.adoption.layout import AdoptionOptions
from chatkeep.domain.operations.adoption.ports import AdoptionSession
from chatkeep.domain.operations.diagnostics import CheckResult, summarize
from chatkeep.domain.operations.distribution import ClusterPlan, Report
from chatkeep.domain.operations.move import Advance, MovePreview, MoveResult
from chatkeep.domain.operations.stats import Stats, StatsOptions
from chatkeep.domain.ports import Clock
from chatkeep.entrypoints.bootstrap.database import direct_url, make_engine, make_unpooled_engine
from chatkeep.entrypoints.bootstrap.use_cases import open_pool
from chatkeep.entrypoints.settings import Settings

WHOLE_TABLES: Final = Timing(command=3_600.0)
"""To sort millions of rows takes its time."""

LONGEST_COPY: Final = Timing(command=86_400.0)


def examination(settings: Settings, *, repair: bool = False, clock: Clock | None = None) -> Doctor:
    """Return the checks of `chatkeep doctor`. Raises `DatabaseUrlError`."""
    return Doctor(
        url=parse_database_url(settings.database_url),
        direct=direct_url(settings),
        clock=clock or SystemClock(),
        provision_users=settings.provision_users,
        repair=repair,
    )


async def keep_examination(settings: Settings, results: Iterable[CheckResult]) -> str | None:
    """Keep what the doctor found, for the overview. Return why that was not possible, or None."""
    clock = SystemClock()
    examination = summarize(clock.now(), results)
    return await keep(parse_database_url(settings.database_url), examination, clock)


async def stats(options: StatsOptions, settings: Settings) -> Stats:
    return await collect_stats(
        make_unpooled_engine(parse_database_url(settings.database_url)), options
    )


@asynccontextmanager
async def adoption_on(
    settings: Settings, options: AdoptionOptions
) -> AsyncIterator[AdoptionSession]:
    """Yield both sides of an adoption.

    Raises `AdoptionError` when the legacy tables cannot be found or understood.
    """
    # Two engines: what is written is committed while the transaction that reads goes on.
    reading = make_engine(settings, WHOLE_TABLES)
    async with open_pool(settings, WHOLE_TABLES) as writing:
        target = PiccoloAdoptionTarget(writing)
        await target.check_migrated()
        layout = await detect(writing, options)
        async with PiccoloLegacyTables.reading(reading, layout) as source:
            yield AdoptionSession(layout, source, target, SystemClock().now())


def target_name(url: str) -> str:
    """Return how to show the database of a URL, without its password.

    Raises `DatabaseUrlError`.
    """
    return str(_target(url))


async def preview_move(url: str, settings: Settings) -> MovePreview:
    """Return what there is to move to the database of that URL, and change nothing.

    Raises `MoveError` when the target cannot take it, or cannot be reached.
    """
    return await moves.preview(_source(settings), make_unpooled_engine(_target(url)))


async def migrate_target(url: str) -> None:
    """Bring the database of that URL to the newest schema. Raises `MoveError`."""
    await moves.migrate_target(make_unpooled_engine(_target(url)))


async def move(url: str, advance: Advance, settings: Settings) -> MoveResult:
    """Copy everything to the database of that URL and compare the two. Raises `MoveError`."""
    async with Engine(_target(url).connect_args, LONGEST_COPY).pooled() as target:
        return await moves.move(_source(settings), target, advance)


async def distribution_plan(settings: Settings) -> ClusterPlan:
    """Return what `distribute` would do. Raises `DistributionError`."""
    return await distribution.plan(make_unpooled_engine(direct_url(settings)))


async def distribute(report: Report, settings: Settings) -> ClusterPlan:
    """Distribute the database over its cluster, and return the plan. Raises `DistributionError`."""
    return await distribution.distribute(make_unpooled_engine(direct_url(settings)), report)


def _target(url: str) -> DatabaseUrl:
    return parse_database_url(url).direct()


def _source(settings: Settings) -> Engine:
    """Return an engine past the pooler, since its sessions are long."""
    return make_unpooled_engine(parse_database_url(settings.database_url).direct())
