"""What is costly to make and asked for by anybody: made once a second, however many ask."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic
from typing import Final

FRESH_SECONDS: Final = 1.0


class Snapshot:
    """The bytes that `make` returned at most `FRESH_SECONDS` ago."""

    def __init__(self, make: Callable[[], Awaitable[bytes]]) -> None:
        self._make = make
        self._made = b""
        self._made_at = -inf
        self._making = asyncio.Lock()

    async def get(self) -> bytes:
        async with self._making:  # whoever comes meanwhile gets what the first one waits for
            if monotonic() - self._made_at >= FRESH_SECONDS:
                self._made = await self._make()
                self._made_at = monotonic()
            return self._made
