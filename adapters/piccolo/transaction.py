"""Transactions on the engine."""

import contextlib
from typing import Any, Final, Literal

from piccolo.engine.postgres import PostgresTransaction

from chatkeep.adapters.piccolo.connection import BROKEN
from chatkeep.adapters.piccolo.statement import Statement

READ_SNAPSHOT: Final = Statement(
    "transaction.read_snapshot", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
)
"""Must come first in a transaction, which then reads everything as it was at that moment."""

READ_ONLY: Final = Statement("transaction.read_only", "SET TRANSACTION READ ONLY")


class Transaction(PostgresTransaction):
    """A transaction that always gives its connection back. Raise to roll back.

    Piccolo's own leaks its connection, and remains the current transaction, when BEGIN or COMMIT
    fails or is cancelled.
    """

    __slots__ = ()

    engine: Any  # an `Engine`: that module imports this one

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
                with contextlib.suppress(*BROKEN):
                    await self.transaction.rollback()
        finally:
            await self.engine.giveback(self.connection)
        return False
