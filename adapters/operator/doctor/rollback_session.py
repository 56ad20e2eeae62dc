"""A database under examination: one connection, on which everything is undone."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from chatkeep.adapters.database_url import DatabaseUrl
from chatkeep.adapters.operator.doctor.catalogue import Catalogue
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Retries
from chatkeep.domain.ports import Clock

LOCK_TIMEOUT: Final = "3s"
STATEMENT_TIMEOUT: Final = "60s"
IDLE_TIMEOUT: Final = "30s"
COMMAND_TIMEOUT: Final = 70.0
"""Seconds, in case the server does not keep to its own limit, or cannot be heard."""

BOUNDS: Final = f"""
SELECT set_config('lock_timeout', '{LOCK_TIMEOUT}', true),
       set_config('statement_timeout', '{STATEMENT_TIMEOUT}', true),
       set_config('idle_in_transaction_session_timeout', '{IDLE_TIMEOUT}', true)"""
READ_ONLY: Final = "SET LOCAL transaction_read_only = on"
SAVE: Final = "SAVEPOINT statement"
BACK: Final = "ROLLBACK TO SAVEPOINT statement"


class HeldConnection(Engine):
    """An engine of one connection, which it neither makes nor gives back.

    While `saves`, a statement that fails is undone by itself, and the transaction goes on: as if
    each were a transaction of its own, which is what the adapters count on.
    """

    __slots__ = ("_connection", "saves")

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg is untyped
        super().__init__({})
        self._connection = connection
        self.saves = False

    async def checkout(self, retries: Retries | None = None) -> Any:  # noqa: ANN401, ARG002 - the engine's own
        return self._connection

    async def giveback(self, connection: object) -> None:
        """Keep it: it is closed by who made it."""

    async def run(
        self,
        name: str,
        sql: str,
        arguments: Sequence[object],
        timeout: float | None,  # noqa: ASYNC109 - it is the driver's
    ) -> tuple[list[Any], bool]:
        try:
            if self.saves:
                # It is never released, which saves a round trip: the next one takes its place.
                await self._connection.execute(SAVE)
            return await super().run(name, sql, arguments, timeout)
        except asyncpg.PostgresError:
            if self.saves:
                await self._connection.execute(BACK)
            raise
        except TimeoutError:
            self._connection.terminate()  # nobody is heard there; to roll back would wait as long
            raise


class _Undone(Exception):  # noqa: N818 - nothing is wrong
    """Ends a transaction that did all it was for."""


@dataclass
class Patient:
    """`failed` are the checks that failed so far; `migrated`: no migration is pending.

    `weak_keys` are the foreign keys that are not there, or not relied on.
    """

    engine: HeldConnection
    connection: Any
    url: DatabaseUrl
    clock: Clock
    provision_users: bool
    pooled: bool = False
    migrated: bool = True
    catalogue: Catalogue | None = None
    failed: set[str] = field(default_factory=set)
    weak_keys: set[str] = field(default_factory=set)

    def foretold(self, error: Exception) -> bool:
        """Whether the error comes of what was found to be wrong already."""
        match error:
            case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
                return bool(self.failed & {"tables", "columns"})
            case asyncpg.InsufficientPrivilegeError():
                return "privileges" in self.failed
        return False

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[HeldConnection]:
        """Yield the engine in a transaction that can change nothing."""
        async with self.changing() as engine:
            await engine.fetch(READ_ONLY)
            yield engine

    @asynccontextmanager
    async def rehearsing(self) -> AsyncIterator[HeldConnection]:
        """Yield the engine in a transaction that is rolled back; a failed statement alone too."""
        with suppress(_Undone):
            async with self.changing() as engine:
                engine.saves = True
                try:
                    yield engine
                finally:
                    engine.saves = False
                raise _Undone

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[HeldConnection]:
        """Yield the engine in a transaction that is committed, and never waits for long."""
        try:
            async with self.engine.transaction():
                await self.engine.fetch(BOUNDS)
                yield self.engine
        except TimeoutError:
            self.connection.terminate()
            raise
