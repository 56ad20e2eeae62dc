"""A time limit that is mostly called off."""

import asyncio
from collections.abc import Callable
from math import inf


class Deadline:
    """Calls `missed` when the time that was set is over. Setting it anew forgets the last one.

    Setting and calling off cost next to nothing: a timer that finds its time put off waits again.
    """

    __slots__ = ("_at", "_loop", "_missed", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, missed: Callable[[], None]) -> None:
        self._loop = loop
        self._missed = missed
        self._at = inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    def set(self, seconds: float) -> None:
        self._at = self._loop.time() + seconds
        if self._at < self._timer_at:
            self._start()

    def call_off(self) -> None:
        self._at = inf

    def close(self) -> None:
        """Call it off for good, and let go of the timer."""
        self._at = inf
        if self._timer is not None:
            self._timer.cancel()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._at
        self._timer = self._loop.call_at(self._at, self._look)

    def _look(self) -> None:
        self._timer, self._timer_at = None, inf
        if self._at == inf:
            return
        if self._loop.time() < self._at:
            self._start()
        else:
            self._at = inf
            self._missed()
