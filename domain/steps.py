"""Forgets what is old in steps."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Final, Protocol

STEP: Final = 1_000
"""How many rows are forgotten at once, so that no statement takes long."""


class _Forgets(Protocol):
    def __call__(self, before: datetime, *, limit: int) -> Awaitable[int]: ...


async def forget_in_steps(forget: _Forgets, before: datetime, *, step: int = STEP) -> int:
    """Call `forget`, for `step` rows each time, until nothing from before that time is left.

    Return how many there were.
    """
    forgotten = 0
    while True:
        count = await forget(before, limit=step)
        forgotten += count
        if count < step:
            return forgotten
