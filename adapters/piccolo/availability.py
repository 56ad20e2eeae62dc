"""A shared circuit breaker: one task probes an unreachable database, all requests use the result.

During an outage only that task connects. So a database that wakes up, or a proxy that counts
attempts, is not overrun by all requests at once, and requests wait only as long as is useful.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from chatkeep.adapters.piccolo.errors import AWAY, REFUSED, Failure, Retry, classify, describe
from chatkeep.domain.errors import StoreUnavailableError

logger = logging.getLogger("chatkeep.database")

MIN_PROBE_PAUSE: Final = 0.05
MAX_PROBE_PAUSE: Final = 1.0
MAX_PROBE_PAUSE_IF_REFUSED: Final = 10.0
_WAKE_JITTER: Final = 0.05


class AwayError(StoreUnavailableError):
    """No connection can be made now. The cause is the driver's error, if there is one.

    `since` is the time of the attempt or of the start of the outage, on the event loop's clock.
    """

    def __init__(self, failure: Failure, since: float) -> None:
        super().__init__(failure.reason, retry_after=failure.retry_after)
        self.retry = failure.retry
        self.since = since


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage. `since` is on the event loop's clock; `error` is the driver's latest error."""

    since: float
    failure: Failure
    error: Exception | None

    def to_error(self) -> AwayError:
        away = AwayError(self.failure, self.since)
        away.__cause__ = self.error
        return away


class OutageMonitor:
    """Tracks the current outage in `outage`, and probes the database until it is over.

    `probe` returns whether the database can serve requests, and raises if it cannot be reached.
    """

    def __init__(self, probe: Callable[[], Awaitable[bool]]) -> None:
        self.outage: Outage | None = None
        self.is_ready = False
        self._past_outages = 0.0  # seconds
        self._probe = probe
        self._is_running = False
        self._probing: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # set while there is nothing to wait for

    def start(self) -> None:
        """Start probing. Until it has answered once, the database counts as unreachable."""
        self._is_running = True
        self._begin(Outage(asyncio.get_running_loop().time(), AWAY, None))

    async def stop(self) -> None:
        self._is_running = False
        probing, self._probing = self._probing, None
        if probing is not None:
            probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probing

    def away_seconds(self) -> float:
        """Return the total duration of all outages, including the current one until now.

        The time before the first answer of the database does not count.
        """
        return self._past_outages + self._elapsed(asyncio.get_running_loop().time())

    def report(self, outage: Outage) -> Outage:
        """Record that a connection could not be made. Return the outage that this belongs to."""
        known = self.outage
        if outage.error and (
            known is None or known.error is None or known.failure != outage.failure
        ):
            logger.warning("the database is away: %s", describe(outage.error))
        if known is not None:
            outage = replace(outage, since=min(outage.since, known.since))
        self._begin(outage)
        return outage

    async def wait(self, seconds: float) -> None:
        """Return when the database answers or refuses to, or when `seconds` have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._settled.wait()
                await asyncio.sleep(random.uniform(0, _WAKE_JITTER))  # noqa: S311 - jitter

    def _begin(self, outage: Outage) -> None:
        self.outage = outage
        self.is_ready = False
        if outage.failure.retry is Retry.NEVER:
            self._settled.set()
        else:
            self._settled.clear()
        if self._is_running and (self._probing is None or self._probing.done()):
            self._probing = asyncio.create_task(self._probe_until_ready())

    async def _probe_until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        pause = MIN_PROBE_PAUSE
        if self.outage is not None and self.outage.error is not None:
            await _sleep(pause)  # a request has just tried
        while True:
            started = loop.time()
            try:
                ready = await self._probe()
            except Exception as error:  # noqa: BLE001 - after any error it is probed again
                failure = classify(error) or REFUSED
                self.report(Outage(started, failure, error))
                refused = failure.retry is Retry.NEVER
            else:
                self._end(loop.time(), ready=ready)
                if ready:
                    return
                refused = True
            await _sleep(pause)
            pause = min(pause * 2, MAX_PROBE_PAUSE_IF_REFUSED if refused else MAX_PROBE_PAUSE)

    def _elapsed(self, now: float) -> float:
        known = self.outage
        return 0.0 if known is None or known.error is None else now - known.since

    def _end(self, now: float, *, ready: bool) -> None:
        self._past_outages += self._elapsed(now)
        outage, self.outage = self.outage, None
        if outage is not None and outage.error is not None:
            logger.warning("the database is back, after %.1f s", now - outage.since)
        if not ready and outage is not None:
            logger.error("the database answers, but it is not migrated or cannot be read")
        self.is_ready = ready
        self._settled.set()


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
