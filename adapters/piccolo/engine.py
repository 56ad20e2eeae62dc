"""Piccolo's Postgres engine, made fit for a service.

It connects when asked, waits no longer than told, gives every connection back, and runs again what
is safe to run again.
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
from chatkeep.adapters.piccolo.connection import BROKEN, PooledConnection
from chatkeep.adapters.piccolo.errors import (
    CROWDED,
    REFUSED,
    TOO_SLOW,
    EncodingError,
    Failure,
    Retry,
    classify,
    describe,
)
from chatkeep.adapters.piccolo.pool import Pool, PoolClosedError
from chatkeep.adapters.piccolo.retries import Retries, Timing
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.statement_metrics import RECONNECTED, Observed, name_of
from chatkeep.adapters.piccolo.transaction import Transaction
from chatkeep.domain.errors import StoreUnavailableError

logger = logging.getLogger("chatkeep.database")

MAX_CONNECTIONS: Final = 30
CONNECT_TIMEOUT: Final = Timing().connect
CANCEL_TIMEOUT: Final = 2.0
"""So long, in seconds, may a server take to confirm that it has cancelled a statement."""

RENEW_EVERY: Final = 0.25
"""Seconds; short enough for each request that is tried again to have it happen once."""

ENCODING: Final = "UTF8"
PROBE: Final = Statement("engine.probe", "SELECT FROM messages LIMIT 0")
_LOOK_AGAIN: Final = (0.1, 0.5)


class Engine(PostgresEngine):
    """The engine of one database. `connect_args` go to `asyncpg.connect` as they are.

    Without a pool each statement, and each transaction, has a connection of its own: what Piccolo's
    commands do. With one (`pooled`), at most `MAX_CONNECTIONS`, none of them kept
    when idle, so that a serverless database may go to sleep.
    """

    __slots__ = ("_outages", "_recycling", "_renewed", "_timing", "observed")

    def __init__(self, connect_args: dict[str, Any], timing: Timing | None = None) -> None:
        self.observed = Observed()
        self._timing = timing or Timing()
        self._outages = OutageMonitor(self._is_migrated)
        self._recycling: asyncio.Task[None] | None = None
        self._renewed = -math.inf
        super().__init__(config=connect_args)

    async def check_version(self) -> None:
        """Do nothing: Piccolo would connect here, at construction, and hang when nobody answers."""

    async def prep_database(self) -> None:
        """Do nothing, for the same reason; no extension is needed."""

    async def start_connection_pool(self) -> None:  # type: ignore[override] # takes no options
        """Return at once: the first connection is made while requests come in already."""
        self.pool = Pool(
            self._connect_to_serve,
            max_size=MAX_CONNECTIONS,
            idle=self._timing.idle,
            cancel_timeout=CANCEL_TIMEOUT,
        )
        self._recycling = asyncio.create_task(self._recycle())
        self._outages.start()

    async def close_connection_pool(self) -> None:
        """Close the connections, those that are in use when they are given back or time is up."""
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
        """Whether the database could serve when it was last asked. Does not ask it.

        While it could not, it is asked every second or so until it can.
        """
        return self._outages.is_ready

    def away_seconds(self) -> float:
        """Return for how long, in all, the database was away since the pool was started."""
        return self._outages.away_seconds()

    def transaction(self, allow_nested: bool = True) -> Transaction:  # noqa: FBT001, FBT002 - Piccolo's own
        return Transaction(self, allow_nested)

    async def checkout(self, retries: Retries | None = None) -> Any:  # noqa: ANN401 - asyncpg is untyped
        """Return a connection, to be given back.

        Raises `StoreUnavailableError`: when none becomes free in time, and when the database has
        been away for longer than anybody waits for it.
        """
        if self.pool is not None and (idle := self.pool.take()) is not None:
            return idle
        retries = retries or Retries(self._timing)
        while True:
            try:
                if self.pool is None:
                    return await self._connect()
                self.observed.waiting += 1
                try:
                    return await self.pool.acquire(timeout=self._timing.acquire)
                finally:
                    self.observed.waiting -= 1
            except AwayError as away:
                await self._wait_until_back(retries, away)
            except CrowdedError as crowded:  # and there is none to wait for
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

    async def fetch(
        self,
        statement: Statement | str,
        /,
        *arguments: object,
        timeout: Any = None,  # noqa: ANN401, ASYNC109 - of a text; a statement has its own
        **values: object,
    ) -> list[Any]:
        """Run a statement with values for its parameters, by name, and return its rows.

        It respects the current transaction. Outside of one it is run again when the database was
        away, also when that happened before the answer came: it must be one that may run twice.
        Raises `StoreUnavailableError` when the database cannot serve, else what asyncpg raises.
        """
        if isinstance(statement, str):
            rows, _ = await self.run(name_of(statement), statement, arguments, timeout)
        else:
            rows, _ = await self.run(
                statement.name, statement.sql, statement.bind(values), statement.timeout
            )
        return rows

    async def fetch_noting(
        self,
        statement: Statement | str,
        /,
        *arguments: object,
        timeout: Any = None,  # noqa: ANN401, ASYNC109 - of a text; a statement has its own
        **values: object,
    ) -> tuple[list[Any], bool]:
        """Do as `fetch` does; also return whether the answer to an earlier attempt was lost.

        Then what is found may be what that attempt made.
        """
        if isinstance(statement, str):
            return await self.run(name_of(statement), statement, arguments, timeout)
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
        """Run a query that Piccolo built, under that name, and return its rows as `fetch` does."""
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
        """Run what Postgres is sent, and return what `fetch_noting` does: all goes through here."""
        transaction = self.current_transaction.get()
        observed = self.observed
        if transaction is not None:
            started = perf_counter()
            try:
                rows = await transaction.connection.fetch(sql, *arguments, timeout=timeout)
            except Exception as error:
                observed.ran(name, started, error)
                raise
            observed.ran(name, started)
            return rows, False
        retries = Retries(self._timing)
        again = False
        while True:
            connection = await self.checkout(retries)
            started = perf_counter()
            try:
                rows = await connection.fetch(sql, *arguments, timeout=retries.limit(timeout))
            except Exception as error:
                observed.ran(name, started, error)
                found = await self._examined(connection, error)
                if found is None:
                    raise
                pause = retries.pause(found.retry)
                if found.stale:
                    await self._renew()
                if pause is None:
                    logger.error("the database does not serve: %s", describe(error))  # noqa: TRY400 - in short
                    raise found.error() from error
                observed.retried(found)
                again = again or found.retry is Retry.WHEN_BACK
            else:
                observed.ran(name, started)
                return rows, again
            finally:
                await self.giveback(connection)
            await sleep(pause)

    async def _examined(self, connection: Any, error: Exception) -> Failure | None:  # noqa: ANN401 - asyncpg is untyped
        """Find out what is wrong. After a timeout the connection may be slow, or gone unnoticed."""
        if not isinstance(error, TimeoutError):
            return classify(error)
        self.observed.own["probe"] += 1
        with contextlib.suppress(*BROKEN):
            await connection.execute("SELECT", timeout=CANCEL_TIMEOUT)
            return TOO_SLOW
        if self.pool is not None:
            self.pool.expire_connections()  # its siblings may be gone as well
        return classify(error)

    async def _renew(self) -> None:
        """Have the connections replaced, though not over and over when that does not help."""
        now = asyncio.get_running_loop().time()
        if self.pool is not None and now >= self._renewed + RENEW_EVERY:
            self._renewed = now
            self.pool.expire_connections()

    async def _wait_until_back(self, retries: Retries, away: AwayError) -> None:
        """Return when trying again makes sense; raise `away` when waiting does not any more."""
        pause = retries.pause(away.retry)
        left = away.since + self._timing.outage - asyncio.get_running_loop().time()
        if pause is None or left <= 0:
            raise away
        self.observed.retries[RECONNECTED] += 1
        if self.pool is None:
            await sleep(pause)
        else:  # a connection that still works may become free before the database is back
            await self._outages.wait(min(left, random.uniform(*_LOOK_AGAIN)))  # noqa: S311 - jitter

    async def _connect(self) -> Any:  # noqa: ANN401 - asyncpg is untyped
        """Return a connection that is not of the pool."""
        started = asyncio.get_running_loop().time()
        try:
            return await _connected(self.config)
        except Exception as error:
            found = classify(error)
            if found is None:
                raise
            raise Outage(started, found, error).to_error() from error

    async def _connect_to_serve(self) -> PooledConnection:
        """Return a connection for the pool, unless the database is known to be away."""
        if self._outages.outage is not None:
            raise self._outages.outage.to_error()
        started = asyncio.get_running_loop().time()
        try:
            return await self._connect_for_pool()
        except CrowdedError:
            raise
        except Exception as error:
            found = classify(error) or REFUSED
            raise self._outages.report(Outage(started, found, error)).to_error() from error

    async def _connect_for_pool(self) -> PooledConnection:
        try:
            connection: PooledConnection = await _connected(
                self.config
                | {
                    "timeout": self._timing.connect,
                    "command_timeout": self._timing.command,
                    "connection_class": PooledConnection,
                }
            )
        except Exception as error:
            if classify(error) is CROWDED:
                raise CrowdedError(describe(error)) from error
            raise
        return connection

    async def _is_migrated(self) -> bool:
        """Find out whether the database serves us, by a connection that requests then have."""
        pool: Any = self.pool
        self.observed.own["probe"] += 1
        try:
            connection = await pool.add(self._connect_for_pool)
        except CrowdedError:
            if not pool.get_size():
                raise
            connection = await pool.acquire(timeout=self._timing.acquire)
        try:
            await connection.fetch(PROBE.sql)
        except asyncpg.PostgresError as error:
            found = classify(error)
            if found is None or found.retry is not Retry.NEVER:
                raise
            return False
        finally:
            pool.release(connection)
        return True

    async def _run_in_pool(self, query: str, args: Sequence[Any] | None = None) -> Any:  # noqa: ANN401
        """Run a statement that Piccolo built. Piccolo's own waits for a connection for ever."""
        connection = await self.checkout()
        try:
            return await connection.fetch(query, *(args or ()))
        finally:
            await self.giveback(connection)

    async def _recycle(self) -> None:
        """Replace the connections every hour or so, as load balancers between us would."""
        while self.pool is not None:
            await sleep(self._timing.recycle * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
            self.pool.expire_connections()


async def _connected(args: dict[str, Any]) -> Any:  # noqa: ANN401 - asyncpg is untyped
    """Return a connection to a database that can hold every text."""
    connection = await asyncpg.connect(**args)
    # The server says this by itself while it connects.
    encoding = getattr(connection.get_settings(), "server_encoding", ENCODING)
    if encoding != ENCODING:
        with contextlib.suppress(*BROKEN):
            await connection.close(timeout=CANCEL_TIMEOUT)
        raise EncodingError(encoding)
    return connection
