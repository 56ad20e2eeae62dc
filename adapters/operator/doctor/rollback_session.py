"""The doctor's session: one connection on which everything is rolled back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from chatkeep.adapters.database_url import DatabaseUrl
from chatkeep.adapters.operator.doctor.catalogue import Catalogue
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Retries
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.transaction import READ_ONLY
from chatkeep.domain.ports import Clock

LOCK_TIMEOUT: Final = "3s"
STATEMENT_TIMEOUT: Final = "60s"
IDLE_TIMEOUT: Final = "30s"
COMMAND_TIMEOUT: Final = 70.0
"""Seconds; for a server that ignores its own limit, or does not answer at all."""

SET_LIMITS: Final = Statement(
    "doctor.set_limits",
    """
SELECT set_config('lock_timeout', :lock_timeout, true),
       set_config('statement_timeout', :statement_timeout, true),
       set_config('idle_in_transaction_session_timeout', :idle_timeout, true)""",
)
SAVE: Final = Statement("doctor.save", "SAVEPOINT statement")
UNDO: Final = Statement("doctor.undo", "ROLLBACK TO SAVEPOINT statement")


class SessionEngine(Engine):
    """Engine bound to one borrowed connection; opening and closing it is the caller's job.

    While `saves` is set, a failed statement is rolled back alone and the transaction goes on. The
    adapters rely on that: each of their statements is otherwise a separate transaction.
    """

    __slots__ = ("_connection", "saves")

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - asyncpg is untyped
        super().__init__({})
        self._connection = connection
        self.saves = False

    async def checkout(self, retries: Retries | None = None) -> Any:  # noqa: ANN401, ARG002 - the engine's own
        return self._connection

    async def giveback(self, connection: object) -> None:
        """Keep it: its owner closes it."""

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
                await self._connection.execute(SAVE.sql)
            return await super().run(name, sql, arguments, timeout)
        except asyncpg.PostgresError:
            if self.saves:
                await self._connection.execute(UNDO.sql)
            raise
        except TimeoutError:
            # The server does not answer, and a rollback would wait for it just as long.
            self._connection.terminate()
            raise


class _RollBack(Exception):  # noqa: N818 - nothing is wrong
    """Ends a transaction that has done all that it was for."""


@dataclass
class RollbackSession:
    """The state that the checks share.

    `failed` are the names of the checks that have failed so far. `migrated` means that no migration
    is pending. `weak_keys` are the foreign keys that are missing or not enforced.
    """

    engine: SessionEngine
    connection: Any
    url: DatabaseUrl
    clock: Clock
    provision_users: bool
    pooled: bool = False
    migrated: bool = True
    catalogue: Catalogue | None = None
    failed: set[str] = field(default_factory=set)
    weak_keys: set[str] = field(default_factory=set)

    def is_consequence(self, error: Exception) -> bool:
        """Return whether the error follows from a check that has already failed."""
        match error:
            case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
                return bool(self.failed & {"tables", "columns"})
            case asyncpg.InsufficientPrivilegeError():
                return "privileges" in self.failed
        return False

    @asynccontextmanager
    async def begin_read_only(self) -> AsyncIterator[SessionEngine]:
        """Yield the engine in a transaction that can change nothing."""
        async with self.begin() as engine:
            await engine.fetch(READ_ONLY)
            yield engine

    @asynccontextmanager
    async def begin_rollback(self) -> AsyncIterator[SessionEngine]:
        """Yield the engine in a transaction that is rolled back at its end.

        A failed statement is rolled back alone, and the transaction goes on.
        """
        with suppress(_RollBack):
            async with self.begin() as engine:
                engine.saves = True
                try:
                    yield engine
                finally:
                    engine.saves = False
                raise _RollBack

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SessionEngine]:
        """Yield the engine in a transaction that is committed, with limits on how long it waits."""
        try:
            async with self.engine.transaction():
                await self.engine.fetch(
                    SET_LIMITS,
                    lock_timeout=LOCK_TIMEOUT,
                    statement_timeout=STATEMENT_TIMEOUT,
                    idle_timeout=IDLE_TIMEOUT,
                )
                yield self.engine
        except TimeoutError:
            self.connection.terminate()
            raise
