"""Lets readers who are woken at once, and have read equally far, have one read between them.

A conversation that is open in twenty tabs would be read twenty times for each chunk.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _UnderWay(NamedTuple):
    moment: int
    task: "asyncio.Future[Any]"


class SharedReads:
    """The reads of this process that are under way. A moment is a number that only grows."""

    def __init__(self) -> None:
        self._reads: dict[Hashable, _UnderWay] = {}

    async def read(
        self, key: Hashable, load: Callable[[], Awaitable[T]], *, now: int, not_before: int
    ) -> T:
        """Return what `load` gives, or what a read with this key gives that is under way.

        That one must have begun at the moment `not_before` or later. `now` is the moment. When the
        caller is cancelled, the read goes on for the others.
        """
        found = self._reads.get(key)
        if found is None or found.moment < not_before:
            found = _UnderWay(now, asyncio.ensure_future(load()))
            self._reads[key] = found
            found.task.add_done_callback(partial(self._end, key))
        result: T = await asyncio.shield(found.task)
        return result

    def _end(self, key: Hashable, task: "asyncio.Future[Any]") -> None:
        if key in self._reads and self._reads[key].task is task:
            del self._reads[key]
        if not task.cancelled():
            task.exception()  # those who wait have it, or are gone
