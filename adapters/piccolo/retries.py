"""How long things may take, and how often and for how long a request is tried again."""

import asyncio
import random
from dataclasses import dataclass
from typing import Final

from chatkeep.adapters.piccolo.errors import Again

MOST_REFUSALS: Final = 5
SHORTEST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things may take, in seconds.

    `acquire`: to get one of the connections when all are in use. `connect`: to make one; a
    serverless database wakes up meanwhile. `command`: a statement. `patience`: how long requests
    wait for a database that is away, counted from when it went; after that they are refused at once
    until it is back. A connection is closed when nobody used it for `idle`, and replaced after
    about `recycle`. `close`: what is under way at the end.
    """

    acquire: float = 30.0
    connect: float = 15.0
    command: float = 10.0
    patience: float = 15.0
    idle: float = 240.0
    recycle: float = 3600.0
    close: float = 10.0


class Retries:
    """How often, and for how long, one request is tried again."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._until: float | None = None
        self._count = 0
        self._refused = 0

    def pause(self, again: Again) -> float | None:
        """Return for how long to wait before the next attempt; None when there is to be none."""
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._timing.patience
        self._count += 1
        self._refused += again is Again.SOON
        if again is Again.NEVER or self._refused > MOST_REFUSALS:
            return None
        longest = min(SHORTEST_PAUSE * 2**self._count, LONGEST_PAUSE)
        pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        return pause if now + pause < self._until else None

    def limit(self, given: float | None) -> float | None:
        """Return the time limit of the next attempt; None for the usual one."""
        if given is not None or self._until is None:
            return given
        return min(self._timing.command, self._until - asyncio.get_running_loop().time())
