"""Asks the store which of the conversations that are followed here others have changed.

One statement asks for all of them, at most every half second. A conversation without events is
asked for less and less often.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from chatkeep.domain.background import background
from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.domain.events import Followed
from chatkeep.domain.hub import Hub, Watch
from chatkeep.domain.ports import Events

logger = logging.getLogger("chatkeep.events")

TICK: Final = 0.5
"""Seconds between two polls of a conversation that had events just now."""

INTERVALS: Final = ((10.0, 1), (60.0, 4))
"""For how many seconds after the last event to poll, and every how many ticks."""

SLOWEST: Final = 10
"""Every how many ticks to poll later on."""

PAUSE: Final = 5.0
"""Seconds to wait when the store cannot answer."""

POLLED: Final = ("conversations", "users")
"""What a poll may ask for: one statement for all of each."""


class Poller:
    """Wakes the watches of a hub when others have changed what they watch.

    `counts` has the number of polls, by what they asked for.
    """

    def __init__(self, hub: Hub, events: Events) -> None:
        self._hub = hub
        self._events = events
        self.counts: Counter[str] = Counter()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Return a block during which the store is polled."""
        return background(self._run())

    async def _run(self) -> None:
        tick = 0
        while True:
            await self._hub.is_watched.wait()
            await asyncio.sleep(TICK)
            tick += 1
            try:
                await self.poll(tick)
            except StoreUnavailableError:
                await asyncio.sleep(PAUSE)
            except Exception:
                logger.exception("a poll for events failed")
                await asyncio.sleep(PAUSE)

    async def poll(self, tick: int) -> None:
        """Ask for the conversations whose turn it is at a tick, if there are any."""
        due = [watch for watch in self._hub if is_due(watch, tick)]
        if not due:
            return
        await self._poll_conversations(due)
        await self._poll_users(due)

    async def _poll_conversations(self, due: Sequence[Watch]) -> None:
        readers: dict[Followed, list[Watch]] = {}
        for watch in due:
            if (followed := watch.followed) is not None:
                readers.setdefault(followed, []).append(watch)
        if not readers:
            return
        self.counts["conversations"] += 1
        moved = await self._events.moved([*readers])
        # Some have been woken meanwhile, and have read on.
        self._hub.wake(watch for each in moved for watch in readers[each] if watch.followed == each)

    async def _poll_users(self, due: Sequence[Watch]) -> None:
        feeds = [(watch, user) for watch in due if (user := watch.followed_user) is not None]
        if not feeds:
            return
        self.counts["users"] += 1
        found = await self._events.activity([user for _, user in feeds])
        moved = []
        for (watch, _), activity in zip(feeds, found, strict=True):
            if watch.activity != activity:
                watch.activity = activity
                moved.append(watch)
        self._hub.wake(moved)


def is_due(watch: Watch, tick: int) -> bool:
    """Return whether a watch is polled at a tick."""
    idle = watch.idle_seconds()
    every = next((every for until, every in INTERVALS if idle < until), SLOWEST)
    return tick % every == 0
