"""Limits costly work that anybody may request: it runs at most once a second."""

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
        async with self._making:  # later callers wait, and get the first caller's result
            if monotonic() - self._made_at >= FRESH_SECONDS:
                self._made = await self._make()
                self._made_at = monotonic()
            return self._made
