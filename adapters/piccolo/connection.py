"""A connection of the pool, and what one that went dead may do."""

from typing import Final

import asyncpg

BROKEN: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresError,
)
"""What a connection that went dead may raise, whatever it is asked to do."""


class PooledConnection(asyncpg.Connection):  # type: ignore[misc] # asyncpg is untyped
    """A connection that remembers when it was taken back, and how old it is among the others.

    It closes without a word: nobody looks at the errors of those that are replaced, and those that
    went dead unnoticed do raise one.
    """

    __slots__ = ("generation", "idle_since")

    generation: int
    idle_since: float

    def is_reusable(self) -> bool:
        """Whether the next one may have it at once, with nothing left of whoever had it before."""
        return not (
            self.is_closed()
            or self._protocol._is_cancelling()  # noqa: SLF001 - as asyncpg's own pool does
            or self.is_in_transaction()
        )

    async def come_to_rest(self, timeout: float) -> None:  # noqa: ASYNC109 - asyncpg's way
        """Wait until the server has confirmed that it cancelled the last statement."""
        if not self.is_closed():
            await self._protocol._wait_for_cancellation(timeout)  # noqa: SLF001 - as asyncpg's own pool does

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's
        try:
            await super().close(timeout=timeout)
        except BROKEN:
            self.terminate()
