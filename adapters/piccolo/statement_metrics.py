"""The counts of an engine: plain numbers that a scrape reads.

Counting takes less than a microsecond per statement: it needs neither look-ups nor locks.
"""

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import Any, ClassVar, Final, Literal, Protocol, get_args

from chatkeep.adapters.piccolo.errors import Failure, Retry
from chatkeep.adapters.piccolo.pool import Pool

logger = logging.getLogger("chatkeep.database")

BUCKETS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Upper bounds, in seconds, of the histogram of statements."""

RECONNECTED: Final = "connection"

Trace = Callable[[str, float, Exception | None], None]
"""Called after each statement with its name, the seconds it took, and its error."""


Purpose = Literal["probe", "sizes", "sweep"]
"""The purposes of the service's own statements: probes, sizes of tables, sweeps."""

_purpose: Final[ContextVar[Purpose | None]] = ContextVar("purpose", default=None)


@contextmanager
def own_work(purpose: Purpose) -> Iterator[None]:
    """Within the block, count statements as the service's own, apart from those for users."""
    before = _purpose.set(purpose)
    try:
        yield
    finally:
        _purpose.reset(before)


class Request(Protocol):
    """Counts the statements of one request."""

    statements: int


@dataclass(frozen=True, slots=True)
class SlowStatement:
    """A line of the log: the statement's name, never its values."""

    event: ClassVar[str] = "slow_statement"

    statement: str
    duration_ms: float

    def __str__(self) -> str:
        return f"slow statement {self.statement}: {self.duration_ms:.0f} ms"


class EngineMetrics:
    """Counts of one engine since it was made. Only the thread of its event loop may touch them.

    `counts` are the statements for users by duration, one number for each of `BUCKETS` and one for
    those that took longer; `seconds` is the sum of their durations. `own` are the statements that
    the service sent by itself (`own_work`). `waiting` is the number of callers that are waiting for
    a connection. `retries` are by cause: `away`, `busy` and `read_only` for a statement,
    `connection` for an attempt to reach a database that is away.

    A statement that takes `slow` seconds or more is logged. `request` has the current `Request`.
    """

    __slots__ = ("counts", "own", "request", "retries", "seconds", "slow", "trace", "waiting")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0
        self.own: dict[Purpose, int] = dict.fromkeys(get_args(Purpose), 0)
        self.waiting = 0
        self.retries = dict.fromkeys(("away", "busy", "read_only", RECONNECTED), 0)
        self.slow = inf
        self.request: ContextVar[Any] = ContextVar("request", default=None)
        self.trace: Trace | None = None

    def record(self, name: str, started: float, error: Exception | None = None) -> None:
        """Count the statement of that name, sent at `started` on the clock `perf_counter`."""
        seconds = perf_counter() - started
        purpose = _purpose.get()
        if purpose is None:
            self.counts[bisect_left(BUCKETS, seconds)] += 1
            self.seconds += seconds
        else:
            self.own[purpose] += 1
        request = self.request.get()
        if request is not None:
            request.statements += 1
        if seconds >= self.slow:
            logger.warning(SlowStatement(name, round(seconds * 1000, 1)))
        if self.trace is not None:
            self.trace(name, seconds, error)

    def record_retry(self, failure: Failure) -> None:
        """Count a statement that is repeated."""
        if failure.retry is Retry.WHEN_BACK:
            self.retries["away"] += 1
        else:
            self.retries["read_only" if failure.stale else "busy"] += 1


@dataclass(frozen=True, slots=True)
class PoolUsage:
    """Numbers of connections. `allowed_size` is as many as the server allows, as far as known."""

    size: int
    idle: int
    max_size: int
    allowed_size: int


def pool_usage(pool: Pool | None) -> PoolUsage | None:
    """Return how a pool is used; None without a pool."""
    if pool is None:
        return None
    return PoolUsage(
        pool.get_size(), pool.get_idle_size(), pool.get_max_size(), pool.get_allowed_size()
    )
