"""The metrics of one engine and its database."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from math import inf
from typing import Final

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.adapters.piccolo.sizes import sizes
from chatkeep.adapters.piccolo.statement_metrics import BUCKETS, own_work, pool_usage
from chatkeep.domain.background import background
from chatkeep.domain.operations.metrics import MetricFamily
from chatkeep.domain.operations.stats import RelationSize

logger = logging.getLogger("chatkeep.database")

SIZES_EVERY_SECONDS: Final = 300.0
"""The shortest time between two readings of the tables' sizes."""

CHECK_SECONDS: Final = 15.0
"""The time between two checks whether a user has used the database."""


class DatabaseMetrics:
    """A `MetricSource`. A scrape costs no statement.

    `plan_bytes` is the room that the database's plan has; 0 if unknown.
    """

    def __init__(self, engine: Engine, plan_bytes: int) -> None:
        self._engine = engine
        self._plan_bytes = plan_bytes
        self.storage = StorageMetrics(engine, every=SIZES_EVERY_SECONDS, check=CHECK_SECONDS)

    def __call__(self) -> Iterator[MetricFamily]:
        metrics = self._engine.metrics
        yield MetricFamily.histogram(
            "chatkeep_statement_duration_seconds",
            "Time from sending a statement for a user to its result",
            BUCKETS,
            metrics.counts,
            metrics.seconds,
        )
        yield MetricFamily.counter(
            "chatkeep_own_statements",
            "Statements for the service's own purposes",
            [({"purpose": purpose}, count) for purpose, count in metrics.own.items()],
        )
        yield MetricFamily.counter(
            "chatkeep_retries",
            "Statements and connections retried because the database was not available at once",
            [({"cause": cause}, count) for cause, count in metrics.retries.items()],
        )
        yield MetricFamily.gauge(
            "chatkeep_database_ready",
            "1 if the database could serve at the last check",
            int(self._engine.is_ready()),
            combine="min",
        )
        yield MetricFamily.counter(
            "chatkeep_database_away_seconds",
            "Total time that the database was unreachable",
            [({}, self._engine.away_seconds())],
            combine="max",
        )
        yield from self._pool()
        if self._plan_bytes:
            yield MetricFamily.gauge(
                "chatkeep_plan_bytes",
                "CHATKEEP_PLAN_BYTES: the storage of the database's plan",
                self._plan_bytes,
                combine="max",
            )
        yield from self.storage.families()

    def _pool(self) -> Iterator[MetricFamily]:
        pool = pool_usage(self._engine.pool)
        if pool is None:
            return
        yield MetricFamily(
            name="chatkeep_pool_connections",
            kind="gauge",
            help="Connections to the database",
            samples=[
                ("chatkeep_pool_connections", {"state": "in_use"}, pool.size - pool.idle),
                ("chatkeep_pool_connections", {"state": "idle"}, pool.idle),
            ],
        )
        yield MetricFamily.gauge(
            "chatkeep_pool_max_connections", "Maximum number of connections", pool.max_size
        )
        yield MetricFamily.gauge(
            "chatkeep_pool_allowed_connections",
            "Connections that the database allows this process, as far as known",
            pool.allowed_size,
        )
        waiting = self._engine.metrics.waiting
        yield MetricFamily.gauge(
            "chatkeep_pool_waiting", "Requests waiting for a connection", waiting
        )


class StorageMetrics:
    """The sizes of the tables, read in the background and only while the database is in use.

    So a database that has gone to sleep is not woken. `every` and `check` are seconds: the shortest
    time between two reads, and between two checks whether a user has used the database.
    """

    def __init__(self, engine: Engine, *, every: float, check: float) -> None:
        self._engine = engine
        self._every = every
        self._check = check
        self._sizes: list[RelationSize] = []
        self._read_at = 0.0

    @asynccontextmanager
    async def updating(self, _app: object = None) -> AsyncIterator[None]:
        """Read the sizes from time to time until the block ends."""
        async with background(self._update()):
            yield

    def families(self) -> Iterator[MetricFamily]:
        """Yield the sizes as last read; nothing before the first time."""
        if not self._read_at:
            return
        name = "chatkeep_relation_bytes"
        yield MetricFamily(
            name=name,
            kind="gauge",
            help="Bytes of a table without its indexes, or of an index",
            samples=[
                (name, {"kind": each.kind, "table": each.table, "name": each.name}, each.bytes)
                for each in self._sizes
            ],
            combine="newest",
            at=self._read_at,
        )
        name = "chatkeep_table_rows_estimate"
        yield MetricFamily(
            name=name,
            kind="gauge",
            help="Rows of a table, as the planner estimates",
            samples=[
                (name, {"table": each.table}, each.rows)
                for each in self._sizes
                if each.rows is not None
            ],
            combine="newest",
            at=self._read_at,
        )
        yield MetricFamily.gauge(
            "chatkeep_storage_seen_timestamp_seconds",
            "Time of the last reading of the sizes",
            self._read_at,
            combine="max",
        )

    async def _update(self) -> None:
        seen = sum(self._engine.metrics.counts)
        due = -inf
        while True:
            await asyncio.sleep(self._check)
            counted = sum(self._engine.metrics.counts)
            if counted > seen and time.monotonic() >= due and self._engine.is_ready():
                due = time.monotonic() + self._every
                await self._read()
            seen = counted

    async def _read(self) -> None:
        try:
            with own_work("sizes"):
                self._sizes = await sizes(self._engine)
        except Exception as error:  # noqa: BLE001 - no request waits for it, and it is tried again
            logger.warning("the sizes of tables could not be read: %s", describe(error))
        else:
            self._read_at = time.time()
