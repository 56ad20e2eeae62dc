"""Time limits, and how often and for how long a request is retried."""

import asyncio
import random
from dataclasses import dataclass
from typing import Final

from chatkeep.adapters.piccolo.errors import Retry

MAX_CONFLICTS: Final = 5
MIN_RETRY_PAUSE: Final = 0.02
MAX_RETRY_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Time limits, in seconds.

    - `acquire`: to get a connection from the pool when all are in use.
    - `connect`: to open a connection; a serverless database may have to wake up first.
    - `command`: for one statement.
    - `outage`: how long requests wait for an unreachable database, counted from the start of the
      outage. After that they are refused at once until it is reachable again.
    - `idle`: an unused connection is closed after this time.
    - `recycle`: a connection is replaced at about this age.
    - `close`: to finish running statements at shutdown.
    """

    acquire: float = 30.0
    connect: float = 15.0
    command: float = 10.0
    outage: float = 15.0
    idle: float = 240.0
    recycle: float = 3600.0
    close: float = 10.0


class Retries:
    """Decides whether and when one request is retried."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._until: float | None = None
        self._count = 0
        self._conflicts = 0

    def pause(self, retry: Retry) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up."""
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._timing.outage
        self._count += 1
        self._conflicts += retry is Retry.SOON
        if retry is Retry.NEVER or self._conflicts > MAX_CONFLICTS:
            return None
        longest = min(MIN_RETRY_PAUSE * 2**self._count, MAX_RETRY_PAUSE)
        pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        return pause if now + pause < self._until else None

    def limit(self, timeout: float | None) -> float | None:
        """Return the timeout of the next attempt in seconds; None for the default.

        `timeout` is the caller's own, which takes precedence.
        """
        if timeout is not None or self._until is None:
            return timeout
        return min(self._timing.command, self._until - asyncio.get_running_loop().time())
