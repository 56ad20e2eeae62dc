"""A timeout that is cheap to set and to cancel."""

import asyncio
from collections.abc import Callable
from math import inf


class Deadline:
    """Calls `on_timeout` when the time is over. Setting a new time replaces the previous one.

    Setting and cancelling rarely touch the event loop's timer: when it fires too early, it is
    started again for the rest of the time.
    """

    __slots__ = ("_at", "_loop", "_on_timeout", "_timer", "_timer_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_timeout: Callable[[], None]) -> None:
        self._loop = loop
        self._on_timeout = on_timeout
        self._at = inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    def set(self, seconds: float) -> None:
        self._at = self._loop.time() + seconds
        if self._at < self._timer_at:
            self._start()

    def cancel(self) -> None:
        self._at = inf

    def close(self) -> None:
        """Cancel the deadline for good, and release its timer."""
        self._at = inf
        if self._timer is not None:
            self._timer.cancel()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._at
        self._timer = self._loop.call_at(self._at, self._fire)

    def _fire(self) -> None:
        self._timer, self._timer_at = None, inf
        if self._at == inf:
            return
        if self._loop.time() < self._at:
            self._start()
        else:
            self._at = inf
            self._on_timeout()
