"""Piccolo's Postgres engine, made fit for a service.

It connects when asked, waits no longer than told, gives every connection back, and runs again what
is safe to run again.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from typing import Any, Literal

import asyncpg
from piccolo.engine.postgres import PostgresEngine, PostgresTransaction

from adapters.piccolo.errors import is_transient, unavailable

logger = logging.getLogger("chatkeep.database")

MAX_CONNECTIONS = 30
ACQUIRE_TIMEOUT = 30.0
CONNECT_TIMEOUT = 15.0
COMMAND_TIMEOUT = 10.0
RECYCLE_AFTER = 3600.0
RETRY_BUDGET = 10.0
PROBE_EVERY = 1.0


class Transaction(PostgresTransaction):
    """A transaction that always gives its connection back. Raise to roll back.

    Piccolo's own leaks its connection, and leaves itself set as the current transaction, when
    BEGIN or COMMIT fails or is cancelled.
    """

    __slots__ = ()

    engine: "Engine"

    async def __aenter__(self) -> PostgresTransaction:
        if self._parent is not None:
            return self._parent
        self.connection = await self.engine.checkout()
        try:
            self.transaction = self.connection.transaction()
            await self.transaction.start()
        except BaseException:
            await self.engine.giveback(self.connection)
            raise
        self.context = self.engine.current_transaction.set(self)
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: object,
    ) -> Literal[False]:
        if self._parent is not None:
            return False
        self.engine.current_transaction.reset(self.context)
        try:
            if exception is None:
                await self.transaction.commit()
            else:
                # A connection that cannot roll back is dead, and the server has rolled back for it.
                with contextlib.suppress(asyncpg.InterfaceError, asyncpg.PostgresError, OSError):
                    await self.transaction.rollback()
        finally:
            await self.engine.giveback(self.connection)
        return False


class Engine(PostgresEngine):
    """The engine of one database. `connect_args` go to `asyncpg.connect` as they are.

    Without a pool each statement, and each transaction, has a connection of its own: what Piccolo's
    commands do. With one (`start_connection_pool`), at most `MAX_CONNECTIONS`, none of them kept
    when idle, so that a serverless database may go to sleep.
    """

    __slots__ = ("_probing", "_reachable", "_recycling")

    def __init__(self, connect_args: dict[str, Any]) -> None:
        self._reachable = False
        self._probing: asyncio.Task[None] | None = None
        self._recycling: asyncio.Task[None] | None = None
        super().__init__(config=connect_args)

    async def check_version(self) -> None:
        """Do nothing: Piccolo would connect here, at construction, and hang when nobody answers."""

    async def prep_database(self) -> None:
        """Do nothing, for the same reason; no extension is needed."""

    async def start_connection_pool(self, **kwargs: Any) -> None:  # noqa: ANN401 - Piccolo's own
        await super().start_connection_pool(
            min_size=0,
            max_size=MAX_CONNECTIONS,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            reset=_no_reset,
            **kwargs,
        )
        self._recycling = asyncio.create_task(self._recycle())
        self._probing = asyncio.create_task(self._probe())

    async def close_connection_pool(self) -> None:
        for task in (self._recycling, self._probing):
            if task is not None:
                task.cancel()
        self._recycling = self._probing = None
        await super().close_connection_pool()

    def is_ready(self) -> bool:
        """Whether the database answered when it was last asked. Does not ask it.

        While it does not answer, it is asked every second until it does.
        """
        return self._reachable

    def transaction(self, allow_nested: bool = True) -> Transaction:  # noqa: FBT001, FBT002 - Piccolo's own
        return Transaction(self, allow_nested)

    async def checkout(self) -> Any:  # noqa: ANN401 - asyncpg is untyped
        if self.pool is None:
            return await self.get_new_connection()
        return await self.pool.acquire(timeout=ACQUIRE_TIMEOUT)

    async def giveback(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg is untyped
        await (connection.close() if self.pool is None else self.pool.release(connection))

    async def _run_in_pool(self, query: str, args: Sequence[Any] | None = None) -> Any:  # noqa: ANN401
        """Run a statement that Piccolo built. Piccolo's own waits for a connection for ever."""
        connection = await self.checkout()
        try:
            return await connection.fetch(query, *(args or ()))
        finally:
            await self.giveback(connection)

    async def fetch(self, sql: str, *args: object, timeout: float | None = None) -> list[Any]:  # noqa: ASYNC109 - it is the driver's
        """Run one statement and return its rows: the way of every request.

        It respects the current transaction. Outside of one it is run again, for at most
        `RETRY_BUDGET` seconds, when the database was away; so it must be one that may run twice.
        Raises `StoreUnavailableError` when the database stayed away, else what asyncpg raises.
        """
        transaction = self.current_transaction.get()
        if transaction is not None:
            rows: list[Any] = await transaction.connection.fetch(sql, *args, timeout=timeout)
            return rows
        started = asyncio.get_running_loop().time()
        delay = 0.05
        while True:
            try:
                connection = await self.checkout()
                try:
                    rows = await connection.fetch(sql, *args, timeout=timeout)
                except TimeoutError:
                    await self._expire()  # the siblings of a half-open connection may be so too
                    raise
                finally:
                    await self.giveback(connection)
            except Exception as error:
                reason = unavailable(error)
                if reason is None:
                    raise
                elapsed = asyncio.get_running_loop().time() - started
                if not is_transient(error) or elapsed + delay > RETRY_BUDGET:
                    logger.error("database unavailable: %s", type(error).__name__)  # noqa: TRY400 - said once, in short
                    self._lost()
                    raise reason from error
                logger.warning("database away, trying again: %s", type(error).__name__)
            else:
                return rows
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            delay = min(delay * 2, 1.0)

    def _lost(self) -> None:
        self._reachable = False
        if self.pool is not None and (self._probing is None or self._probing.done()):
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Ask the database, and whether it is migrated, until it answers."""
        while not self._reachable:
            with contextlib.suppress(Exception):  # whatever it is, it is tried again
                connection = await self.checkout()
                try:
                    await connection.fetch("SELECT FROM messages LIMIT 0")
                    self._reachable = True
                    return
                finally:
                    await self.giveback(connection)
            await asyncio.sleep(PROBE_EVERY)

    async def _expire(self) -> None:
        """Replace every connection: idle ones now, busy ones when they are given back."""
        if self.pool is not None:
            await self.pool.expire_connections()

    async def _recycle(self) -> None:
        """Replace the connections every hour or so, as load balancers between us would."""
        while self.pool is not None:
            await asyncio.sleep(RECYCLE_AFTER * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
            await self._expire()


async def _no_reset(_connection: object) -> None:
    """Save the round trip of a reset: no request leaves anything behind on its connection."""
