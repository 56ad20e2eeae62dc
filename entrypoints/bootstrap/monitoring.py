"""What an operator is shown of the database: metrics, slow statements, traces."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from math import inf
from typing import Final

from litestar import Litestar

from chatkeep.adapters import telemetry
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.adapters.piccolo.sizes import RelationSize, sizes
from chatkeep.adapters.piccolo.statement_metrics import BUCKETS, own_work, pool_figures
from chatkeep.adapters.telemetry import Telemetry, TracesError
from chatkeep.entrypoints.http.metrics.metric_families import Family
from chatkeep.entrypoints.logs import UNDER_WAY
from chatkeep.entrypoints.settings import Settings, SettingsError

logger = logging.getLogger("chatkeep.database")

EVERY: Final = 300.0
"""Seconds between two looks at how large the tables are, at least."""

LOOK: Final = 15.0
"""So many seconds ago, at most, somebody used the database when it is asked."""


class DatabaseFigures:
    """The metrics of one engine, a `Source`; what they are costs a scrape no statement."""

    def __init__(self, engine: Engine, plan_bytes: int) -> None:
        self._engine = engine
        self._plan_bytes = plan_bytes
        self.storage = Storage(engine, every=EVERY, look=LOOK)

    def __call__(self) -> Iterator[Family]:
        observed = self._engine.observed
        yield Family.histogram(
            "chatkeep_statement_duration_seconds",
            "Time from sending a statement for a user to its answer",
            BUCKETS,
            observed.counts,
            observed.seconds,
        )
        yield Family.counter(
            "chatkeep_own_statements",
            "Statements that the service sent by itself",
            [({"purpose": purpose}, count) for purpose, count in observed.own.items()],
        )
        yield Family.counter(
            "chatkeep_retries",
            "What was tried again because the database could not do it at once",
            [({"cause": cause}, count) for cause, count in observed.retries.items()],
        )
        yield Family.gauge(
            "chatkeep_database_ready",
            "1 when the database could serve when last asked",
            int(self._engine.is_ready()),
            combine="min",
        )
        yield Family.counter(
            "chatkeep_database_away_seconds",
            "For how long the database could not be reached",
            [({}, self._engine.away_seconds())],
            combine="max",
        )
        yield from self._pool()
        if self._plan_bytes:
            yield Family.gauge(
                "chatkeep_plan_bytes",
                "CHATKEEP_PLAN_BYTES: room that the database's plan has",
                self._plan_bytes,
                combine="max",
            )
        yield from self.storage.families()

    def _pool(self) -> Iterator[Family]:
        pool = pool_figures(self._engine.pool)
        if pool is None:
            return
        yield Family(
            name="chatkeep_pool_connections",
            kind="gauge",
            help="Connections to the database",
            samples=[
                ("chatkeep_pool_connections", {"state": "in_use"}, pool.size - pool.idle),
                ("chatkeep_pool_connections", {"state": "idle"}, pool.idle),
            ],
        )
        yield Family.gauge(
            "chatkeep_pool_max_connections", "Connections there may be", pool.max_size
        )
        yield Family.gauge(
            "chatkeep_pool_allowed_connections",
            "Connections that the database lets us have, as far as known",
            pool.allowed_size,
        )
        waiting = self._engine.observed.waiting
        yield Family.gauge("chatkeep_pool_waiting", "Who waits for a connection", waiting)


class Storage:
    """How large the tables are, looked at in the background and only while somebody uses them.

    A database that has gone to sleep is not woken for it.
    """

    def __init__(self, engine: Engine, *, every: float, look: float) -> None:
        self._engine = engine
        self._every = every
        self._look = look
        self._found: list[RelationSize] = []
        self._at = 0.0

    @asynccontextmanager
    async def watched(self, _app: Litestar | None = None) -> AsyncIterator[None]:
        """Look at the sizes within the block, from time to time."""
        task = asyncio.create_task(self._keep_looking())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def families(self) -> Iterator[Family]:
        """Yield what was found; nothing before the first look."""
        if not self._at:
            return
        name = "chatkeep_relation_bytes"
        yield Family(
            name=name,
            kind="gauge",
            help="Bytes of a table, its indexes not included, or of an index",
            samples=[
                (name, {"kind": each.kind, "table": each.table, "name": each.name}, each.bytes)
                for each in self._found
            ],
            combine="newest",
            at=self._at,
        )
        name = "chatkeep_table_rows_estimate"
        yield Family(
            name=name,
            kind="gauge",
            help="Rows of a table, as the planner guesses",
            samples=[
                (name, {"table": each.table}, each.rows)
                for each in self._found
                if each.rows is not None
            ],
            combine="newest",
            at=self._at,
        )
        yield Family.gauge(
            "chatkeep_storage_seen_timestamp_seconds",
            "When the sizes were looked at",
            self._at,
            combine="max",
        )

    async def _keep_looking(self) -> None:
        seen = sum(self._engine.observed.counts)
        due = -inf
        while True:
            await asyncio.sleep(self._look)
            counted = sum(self._engine.observed.counts)
            if counted > seen and time.monotonic() >= due and self._engine.is_ready():
                due = time.monotonic() + self._every
                await self._look_once()
            seen = counted

    async def _look_once(self) -> None:
        try:
            with own_work("sizes"):
                self._found = await sizes(self._engine)
        except Exception as error:  # noqa: BLE001 - nobody waits for it, and there is a next time
            logger.warning("the sizes of tables could not be read: %s", describe(error))
        else:
            self._at = time.time()


def observe(engine: Engine, settings: Settings) -> DatabaseFigures:
    """Have the engine count for requests and log what is slow; return its metrics."""
    engine.observed.tally = UNDER_WAY
    engine.observed.slow = settings.slow_query_ms / 1000 or inf
    return DatabaseFigures(engine, settings.plan_bytes)


def traces(engine: Engine) -> Telemetry | None:
    """Return the maker of spans, for the engine's statements too, if the environment asks for one.

    Raises `SettingsError` for what it asks and there is not; for all of OpenTelemetry see
    `untraced`.
    """
    if not telemetry.is_requested() or not telemetry.is_installed():
        return None
    try:
        made = Telemetry.from_environment(version("chatkeep"))
    except TracesError as error:
        raise SettingsError(str(error)) from error
    engine.observed.traced = made.statement
    return made


def untraced() -> str | None:
    """Return why there are no traces although they are asked for."""
    if telemetry.is_requested() and not telemetry.is_installed():
        return telemetry.MISSING
    return None
