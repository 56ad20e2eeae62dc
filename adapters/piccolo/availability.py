"""Whether the database is away, and since when: everybody's knowledge, one task's work to find out.

While it is away only that task connects to it, so that a database that wakes up, or a proxy that
counts attempts, is not met by everybody at once, and nobody waits longer for it than makes sense.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from chatkeep.adapters.piccolo.errors import AWAY, REFUSED, Again, Trouble, described, trouble
from chatkeep.domain.errors import StoreUnavailableError

logger = logging.getLogger("chatkeep.database")

SHORTEST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
LONGEST_PAUSE_WHEN_REFUSED: Final = 10.0
_HERD: Final = 0.05


class AwayError(StoreUnavailableError):
    """No connection can be made now. The cause is what the driver said, if it did.

    `since`: when it was tried, or when the outage began, on the event loop's clock.
    """

    def __init__(self, found: Trouble, since: float) -> None:
        super().__init__(found.reason, retry_after=found.retry_after)
        self.again = found.again
        self.since = since


@dataclass(frozen=True, slots=True)
class Outage:
    """`since` is on the event loop's clock; `error` is the last thing that the driver said."""

    since: float
    trouble: Trouble
    error: Exception | None

    def raised(self) -> AwayError:
        away = AwayError(self.trouble, self.since)
        away.__cause__ = self.error
        return away


class Watch:
    """Knows the outage, if there is one; `ask` finds out whether it is over.

    `ask` returns whether the database can serve us, and raises when it cannot be reached.
    """

    def __init__(self, ask: Callable[[], Awaitable[bool]]) -> None:
        self.outage: Outage | None = None
        self.is_ready = False
        self._away = 0.0
        self._ask = ask
        self._watching = False
        self._asking: asyncio.Task[None] | None = None
        self._decided = asyncio.Event()  # there is nothing to wait for

    def start(self) -> None:
        """Begin: nothing is known yet, so the database counts as away until it has answered."""
        self._watching = True
        self._begin(Outage(asyncio.get_running_loop().time(), AWAY, None))

    async def stop(self) -> None:
        self._watching = False
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking

    def away_seconds(self) -> float:
        """Return how long all outages took together, this one until now included.

        What passes before the database is heard of for the first time is none.
        """
        return self._away + self._lasts(asyncio.get_running_loop().time())

    def lost(self, outage: Outage) -> Outage:
        """Take note that a connection could not be made. Return the outage that this belongs to."""
        known = self.outage
        if outage.error and (
            known is None or known.error is None or known.trouble != outage.trouble
        ):
            logger.warning("the database is away: %s", described(outage.error))
        if known is not None:
            outage = replace(outage, since=min(outage.since, known.since))
        self._begin(outage)
        return outage

    async def wait(self, seconds: float) -> None:
        """Return when the database is back or refuses us, at the latest after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._decided.wait()
                await asyncio.sleep(random.uniform(0, _HERD))  # noqa: S311 - jitter

    def _begin(self, outage: Outage) -> None:
        self.outage = outage
        self.is_ready = False
        if outage.trouble.again is Again.NEVER:
            self._decided.set()
        else:
            self._decided.clear()
        if self._watching and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask_until_ready())

    async def _ask_until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        pause = SHORTEST_PAUSE
        if self.outage is not None and self.outage.error is not None:
            await _rest(pause)  # somebody else has just asked
        while True:
            started = loop.time()
            try:
                ready = await self._ask()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is asked again
                found = trouble(error) or REFUSED
                self.lost(Outage(started, found, error))
                refused = found.again is Again.NEVER
            else:
                self._over(loop.time(), ready=ready)
                if ready:
                    return
                refused = True
            await _rest(pause)
            pause = min(pause * 2, LONGEST_PAUSE_WHEN_REFUSED if refused else LONGEST_PAUSE)

    def _lasts(self, now: float) -> float:
        known = self.outage
        return 0.0 if known is None or known.error is None else now - known.since

    def _over(self, now: float, *, ready: bool) -> None:
        self._away += self._lasts(now)
        outage, self.outage = self.outage, None
        if outage is not None and outage.error is not None:
            logger.warning("the database is back, after %.1f s", now - outage.since)
        if not ready and outage is not None:
            logger.error("the database answers, but is not migrated, or refuses to be read")
        self.is_ready = ready
        self._decided.set()


async def _rest(seconds: float) -> None:
    await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
