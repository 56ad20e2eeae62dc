"""Waits for conditions that have no event to wait for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

PATIENCE: Final = 120.0
"""Seconds; more than the slowest machine needs, however much else it does."""


async def until(holds: Callable[[], bool | Awaitable[bool]], *, every: float = 0.005) -> None:
    """Return as soon as the condition holds; check it again `every` so many seconds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(every)
