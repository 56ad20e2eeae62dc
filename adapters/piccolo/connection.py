"""A connection of the pool."""

from typing import Final

import asyncpg

BROKEN: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresError,
)
"""The errors that any method of a dead connection may raise."""


class PooledConnection(asyncpg.Connection):  # type: ignore[misc] # asyncpg is untyped
    """A connection with the time of its last release and the generation that it belongs to.

    Errors on close are suppressed: the connection is being discarded, and a dead one always raises.
    """

    __slots__ = ("generation", "idle_since")

    generation: int
    idle_since: float

    def is_reusable(self) -> bool:
        """Return whether it can be reused at once: no open transaction, no pending cancellation.

        If BEGIN was cancelled before the server ran it, only asyncpg believes in a transaction, and
        would start the next one with SAVEPOINT.
        """
        return not (
            self.is_closed()
            or self._protocol._is_cancelling()  # noqa: SLF001 - as asyncpg's own pool does
            or self.is_in_transaction()
            or self._top_xact is not None
        )

    async def wait_for_cancellation(self, timeout: float) -> None:  # noqa: ASYNC109 - asyncpg's way
        """Wait until the server has confirmed that it cancelled the last statement."""
        if not self.is_closed():
            await self._protocol._wait_for_cancellation(timeout)  # noqa: SLF001 - as asyncpg's own pool does

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's
        try:
            await super().close(timeout=timeout)
        except BROKEN:
            self.terminate()
