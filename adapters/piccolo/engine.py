"""Piccolo's Postgres engine, made fit for a service.

It connects when it is used, bounds every wait, gives every connection back, and repeats statements
that were lost with a connection.
"""

import asyncio
import contextlib
import logging
import math
import random
from asyncio import sleep
from collections.abc import AsyncIterator, Sequence
from time import perf_counter
from typing import Any, Final, Self

import asyncpg
from piccolo.engine.postgres import PostgresEngine
from piccolo.query.base import Query

from chatkeep.adapters.piccolo.allowance import CrowdedError
from chatkeep.adapters.piccolo.availability import AwayError, Outage, OutageMonitor
from chatkeep.adapters.piccolo.citus_errors import as_raised
from chatkeep.adapters.piccolo.connection import BROKEN
from chatkeep.adapters.piccolo.connector import CANCEL_TIMEOUT, Connector
from chatkeep.adapters.piccolo.errors import CROWDED, TOO_SLOW, Failure, Retry, classify, describe
from chatkeep.adapters.piccolo.pool import Pool, PoolClosedError
from chatkeep.adapters.piccolo.retries import Retries, Timing
from chatkeep.adapters.piccolo.rules import describe_rule, find_rule
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.statement_metrics import RECONNECTED, EngineMetrics
from chatkeep.adapters.piccolo.transaction import Transaction
from chatkeep.domain.errors import StoreUnavailableError

logger = logging.getLogger("chatkeep.database")

MAX_CONNECTIONS: Final = 30
RENEW_EVERY: Final = 0.25
"""Seconds; shorter than a request is retried, so each retried request sees the pool renewed."""

PROBE: Final = Statement("engine.probe", "SELECT FROM messages LIMIT 0")
_LOOK_AGAIN: Final = (0.1, 0.5)


REPEATED: Final = "The answer to an earlier attempt of this statement was lost."


def was_repeated(error: BaseException) -> bool:
    """Return whether the answer to an earlier attempt was lost: it may have caused the error."""
    return REPEATED in getattr(error, "__notes__", ())


class Engine(PostgresEngine):
    """The engine of one database. `connect_args` go to `asyncpg.connect` as they are.

    Without a pool each statement and each transaction opens a connection: that is for commands.
    With one (`pooled`) there are at most `MAX_CONNECTIONS`. Idle ones are closed, so that a
    serverless database can go to sleep.

    `is_by_user`: the database has refused a statement about several users (`by_user.py`).
    """

    __slots__ = (
        "_connector",
        "_outages",
        "_recycling",
        "_renewed",
        "_timing",
        "is_by_user",
        "metrics",
    )

    def __init__(self, connect_args: dict[str, Any], timing: Timing | None = None) -> None:
        self.metrics = EngineMetrics()
        self.is_by_user = False
        self._timing = timing or Timing()
        self._outages = OutageMonitor(self._is_migrated)
        self._connector = Connector(connect_args, self._timing, self._outages)
        self._recycling: asyncio.Task[None] | None = None
        self._renewed = -math.inf
        super().__init__(config=connect_args)

    async def check_version(self) -> None:
        """Do nothing. Piccolo would connect here, at construction, and hang without an answer."""

    async def prep_database(self) -> None:
        """Do nothing, for the same reason. No extension is needed."""

    async def start_connection_pool(self) -> None:  # type: ignore[override] # takes no options
        """Return at once. The first connection is made while requests already come in."""
        self.pool = Pool(
            self._connector.connect_unless_away,
            max_size=MAX_CONNECTIONS,
            idle=self._timing.idle,
            cancel_timeout=CANCEL_TIMEOUT,
        )
        self._recycling = asyncio.create_task(self._recycle())
        self._outages.start()

    async def close_connection_pool(self) -> None:
        """Close the connections; those in use when they come back, or when time is up."""
        await self._outages.stop()
        if self._recycling is not None:
            self._recycling.cancel()
        pool: Pool | None = self.pool
        try:
            if pool is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._timing.close):
                        await pool.close()
        finally:
            self._recycling = self.pool = None

    @contextlib.asynccontextmanager
    async def pooled(self) -> AsyncIterator[Self]:
        """Yield the engine, with a pool until the block ends."""
        await self.start_connection_pool()
        try:
            yield self
        finally:
            await self.close_connection_pool()

    def is_ready(self) -> bool:
        """Return whether the database could serve at its last probe. Sends no statement.

        During an outage it is probed about every second.
        """
        return self._outages.is_ready

    def away_seconds(self) -> float:
        """Return how many seconds the database was away in all since the pool was started."""
        return self._outages.away_seconds()

    def transaction(self, allow_nested: bool = True) -> Transaction:  # noqa: FBT001, FBT002 - Piccolo's own
        return Transaction(self, allow_nested)

    async def checkout(self, retries: Retries | None = None) -> Any:  # noqa: ANN401 - asyncpg is untyped
        """Return a connection, to be given back.

        Raises `StoreUnavailableError` when no connection becomes free in time, and when an outage
        lasts for longer than requests wait (`Timing.outage`).
        """
        if self.pool is not None and (idle := self.pool.take()) is not None:
            return idle
        retries = retries or Retries(self._timing)
        while True:
            try:
                if self.pool is None:
                    return await self._connector.connect()
                self.metrics.waiting += 1
                try:
                    return await self.pool.acquire(timeout=self._timing.acquire)
                finally:
                    self.metrics.waiting -= 1
            except AwayError as away:
                await self._wait_until_back(retries, away)
            except CrowdedError as crowded:  # the pool has no connection that could become free
                outage = Outage(asyncio.get_running_loop().time(), CROWDED, crowded)
                await self._wait_until_back(retries, self._outages.report(outage).to_error())
            except TimeoutError as error:
                reason = "All connections to the database are in use."
                raise StoreUnavailableError(reason) from error
            except PoolClosedError as error:
                raise StoreUnavailableError("The service is about to stop.") from error

    async def giveback(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg is untyped
        """Take the connection back."""
        if self.pool is not None:
            self.pool.release(connection)
            return
        with contextlib.suppress(*BROKEN):
            await connection.close(timeout=CANCEL_TIMEOUT)

    async def fetch(self, statement: Statement, /, **values: object) -> list[Any]:
        """Run a statement with values for its parameters, by name, and return its rows.

        Within a transaction it is a part of that. Outside of one it is repeated after an outage,
        even when only the answer was lost, so it must be safe to run twice. Raises
        `StoreUnavailableError` when the database cannot serve, `DatabaseRuleError` for a rule that
        its owner added, else what asyncpg raises.
        """
        rows, _ = await self.run(
            statement.name, statement.sql, statement.bind(values), statement.timeout
        )
        return rows

    async def fetch_noting(
        self, statement: Statement, /, **values: object
    ) -> tuple[list[Any], bool]:
        """Do as `fetch` does, and also return whether the answer to an earlier attempt was lost.

        In that case the rows may show what the earlier attempt did, and so may an error: see
        `was_repeated`.
        """
        return await self.run(
            statement.name, statement.sql, statement.bind(values), statement.timeout
        )

    async def fetch_query(
        self,
        name: str,
        query: Query[Any, Any],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - it is the driver's
    ) -> list[Any]:
        """Run a query that Piccolo built, under a statement's name, as `fetch` does."""
        [querystring] = query.querystrings
        rows, _ = await self.run(name, *querystring.compile_string(), timeout)
        return rows

    async def run(
        self,
        name: str,
        sql: str,
        arguments: Sequence[object],
        timeout: float | None,  # noqa: ASYNC109 - it is the driver's
    ) -> tuple[list[Any], bool]:
        """Send SQL, as `fetch_noting` does. Every statement goes through this method."""
        transaction = self.current_transaction.get()
        metrics = self.metrics
        if transaction is not None:
            started = perf_counter()
            try:
                rows = await transaction.connection.fetch(sql, *arguments, timeout=timeout)
            except Exception as raised:  # noqa: BLE001 - is raised again, perhaps as another
                error = as_raised(raised)
                metrics.record(name, started, error)
                raise error from error.__cause__
            metrics.record(name, started)
            return rows, False
        retries = Retries(self._timing)
        again = False
        while True:
            connection = await self.checkout(retries)
            started = perf_counter()
            try:
                rows = await connection.fetch(sql, *arguments, timeout=retries.limit(timeout))
            except Exception as raised:  # noqa: BLE001 - is raised again, perhaps as another
                error = as_raised(raised)
                metrics.record(name, started, error)
                failure = await self._diagnose(connection, error, name)
                if failure is None:
                    if again:
                        error.add_note(REPEATED)
                    raise error from error.__cause__
                pause = retries.pause(failure.retry)
                if failure.stale:
                    await self._renew()
                if pause is None:
                    logger.error("the database does not serve: %s", describe(error))  # noqa: TRY400 - in short
                    raise failure.error() from error
                metrics.record_retry(failure)
                again = again or failure.retry is Retry.WHEN_BACK
            else:
                metrics.record(name, started)
                return rows, again
            finally:
                await self.giveback(connection)
            await sleep(pause)

    async def _diagnose(self, connection: Any, error: Exception, name: str) -> Failure | None:  # noqa: ANN401 - asyncpg is untyped
        """Return what the error means. After a timeout the connection may be slow, or dead.

        Raises `DatabaseRuleError`.
        """
        if (rule := find_rule(error)) is not None:
            seen = describe_rule(error)
            logger.warning("a rule of the database refused %s: %s", name, seen)
            raise rule from error
        if not isinstance(error, TimeoutError):
            return classify(error)
        self.metrics.own["probe"] += 1
        with contextlib.suppress(*BROKEN):
            await connection.execute("SELECT", timeout=CANCEL_TIMEOUT)
            return TOO_SLOW
        if self.pool is not None:
            self.pool.expire_connections()  # the others may be dead as well
        return classify(error)

    async def _renew(self) -> None:
        """Have the connections replaced, but not over and over when that does not help."""
        now = asyncio.get_running_loop().time()
        if self.pool is not None and now >= self._renewed + RENEW_EVERY:
            self._renewed = now
            self.pool.expire_connections()

    async def _wait_until_back(self, retries: Retries, away: AwayError) -> None:
        """Return when it is time to try again; raise `away` when the outage lasts too long."""
        pause = retries.pause(away.retry)
        left = away.since + self._timing.outage - asyncio.get_running_loop().time()
        if pause is None or left <= 0:
            raise away
        self.metrics.retries[RECONNECTED] += 1
        if self.pool is None:
            await sleep(pause)
        else:  # a connection that still works may become free before the outage ends
            await self._outages.wait(min(left, random.uniform(*_LOOK_AGAIN)))  # noqa: S311 - jitter

    async def _is_migrated(self) -> bool:
        """Probe whether the database is migrated; requests then use the connection."""
        pool: Any = self.pool
        self.metrics.own["probe"] += 1
        try:
            connection = await pool.add(self._connector.connect_for_pool)
        except CrowdedError:
            if not pool.get_size():
                raise
            connection = await pool.acquire(timeout=self._timing.acquire)
        try:
            await connection.fetch(PROBE.sql)
        except asyncpg.PostgresError as error:
            failure = classify(error)
            if failure is None or failure.retry is not Retry.NEVER:
                raise
            return False
        finally:
            pool.release(connection)
        return True

    async def _run_in_pool(self, query: str, args: Sequence[Any] | None = None) -> Any:  # noqa: ANN401
        """Run a query of Piccolo's. Its own method would wait for a connection without a limit."""
        connection = await self.checkout()
        try:
            return await connection.fetch(query, *(args or ()))
        finally:
            await self.giveback(connection)

    async def _recycle(self) -> None:
        """Replace the connections about once an hour, as some load balancers do."""
        while self.pool is not None:
            await sleep(self._timing.recycle * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
            self.pool.expire_connections()
