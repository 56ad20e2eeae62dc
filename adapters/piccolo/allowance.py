"""How many connections the server lets this process have, learned from its refusals."""

import logging
import math
import random
from typing import Final

logger = logging.getLogger("chatkeep.database")

MIN_PAUSE: Final = 1.0
MAX_PAUSE: Final = 16.0
"""Seconds between a refusal and the next attempt to open another connection."""

YIELD_EVERY: Final = 8.0
YIELD_FOR: Final = 1.5
"""Seconds. A process without a connection asks for one about every second, so within `YIELD_FOR` it
gets the one that was given up. Its requests wait for longer than both together."""

IDLE: Final = 2.0
"""Seconds that a connection may be idle while connections are scarce. The last one may be longer.
"""


class CrowdedError(Exception):
    """The server has no more connections for us. Those that are open still work."""


class Allowance:
    """`size` connections are allowed: `most`, unless the server has refused one.

    Processes do not know of each other, and one may hold every connection while another has none.
    So a process that was refused gives one up from time to time, and asks for it back a moment
    later.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = most
        self._pause = MIN_PAUSE
        self._yielded = -math.inf

    @property
    def is_reduced(self) -> bool:
        return self.size < self.most

    def record_refusal(self, size: int, error: CrowdedError) -> None:
        """Allow `size` connections: the server has refused one more."""
        if not self.is_reduced:
            logger.warning("requests wait: the database has no more connections for us: %s", error)
        self.size = max(1, size)

    def record_success(self, size: int) -> None:
        """Allow at least `size` connections: the last of them was just opened."""
        self.size = max(self.size, size)
        self._pause = MIN_PAUSE

    def next_pause(self) -> float:
        """Return for how many seconds not to ask for more. It grows with each call."""
        pause, self._pause = self._pause, min(2 * self._pause, MAX_PAUSE)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    def yield_one(self, size: int, now: float) -> bool:
        """Return whether to give up one of `size` connections now; then one less is allowed."""
        if size == 1 or now < self._yielded + YIELD_EVERY:
            return False
        self._yielded = now
        self._pause = MIN_PAUSE
        self.size = size - 1
        return True
