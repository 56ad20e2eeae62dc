"""How many connections a server lets one process have: learned from what it refuses."""

import logging
import math
import random
from typing import Final

logger = logging.getLogger("chatkeep.database")

SHORTEST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 16.0
"""Seconds until a server that refused a connection is asked for one again."""

GIVE_WAY_EVERY: Final = 8.0
GIVE_WAY_FOR: Final = 1.5
"""Seconds. A process without any connection asks for one about every second, so it asks while one
is free for it; requests wait for it longer than both together."""

IDLE: Final = 2.0
"""Seconds for which connections may be idle where others want them; the last one may be longer."""


class CrowdedError(Exception):
    """The server has no connection left for us; it serves those that it has."""


class Allowance:
    """`size` connections: `most` unless the server has refused one.

    Processes do not know of each other, and one may have them all while another has none. So one
    that was refused another gives one up now and then, and asks for it again a moment later.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = most
        self._pause = SHORTEST_PAUSE
        self._gave_way = -math.inf

    @property
    def is_less(self) -> bool:
        return self.size < self.most

    def refused(self, size: int, error: CrowdedError) -> None:
        """Take note that the server has refused one more than `size` connections."""
        if not self.is_less:
            logger.warning("requests wait: the database has no more connections for us: %s", error)
        self.size = max(1, size)

    def granted(self, size: int) -> None:
        """Take note that the server has made the last of `size` connections."""
        self.size = max(self.size, size)
        self._pause = SHORTEST_PAUSE

    def pause(self) -> float:
        """Return for how many seconds not to ask for more: each time longer than before."""
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    def give_way(self, size: int, now: float) -> bool:
        """Decide whether to give one of `size` connections up; if so it is allowed no longer."""
        if size == 1 or now < self._gave_way + GIVE_WAY_EVERY:
            return False
        self._gave_way = now
        self._pause = SHORTEST_PAUSE
        self.size = size - 1
        return True
