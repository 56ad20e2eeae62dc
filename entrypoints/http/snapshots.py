"""Limits costly work that many may request: it is done once for all who ask within a time."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic
from typing import Final, Generic, TypeVar

FRESH_SECONDS: Final = 1.0

T = TypeVar("T")


class Snapshot(Generic[T]):
    """The result of `make`, at most `seconds` old; if none are given, `FRESH_SECONDS`."""

    def __init__(self, make: Callable[[], Awaitable[T]], seconds: float | None = None) -> None:
        self._make = make
        self._seconds = seconds
        self._made: T | None = None
        self._made_at = -inf
        self._making = asyncio.Lock()

    async def get(self) -> T:
        async with self._making:  # later callers wait, and get the first caller's result
            seconds = FRESH_SECONDS if self._seconds is None else self._seconds
            if self._made is None or monotonic() - self._made_at >= seconds:
                self._made = await self._make()
                self._made_at = monotonic()
            return self._made
