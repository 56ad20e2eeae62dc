"""The metrics of events: who follows, how late they are told, and how often the store is asked."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final

from chatkeep.domain.hub import Hub
from chatkeep.domain.model import microseconds
from chatkeep.domain.operations.metrics import MetricFamily
from chatkeep.domain.polling import POLLED
from chatkeep.domain.ports import Clock

LAGS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the histogram, in seconds. A poll takes at least half a second."""


class EventMetrics:
    """Counts how late events are sent. `polls` counts the statements of `Poller`."""

    def __init__(self, hub: Hub, clock: Clock, polls: Mapping[str, int]) -> None:
        self._hub = hub
        self._clock = clock
        self._polls = polls
        self._lags = [0] * (len(LAGS) + 1)
        self._total = 0.0

    def record_sent(self, stored_at: int) -> None:
        """Count what was sent now; `stored_at` is in microseconds since 1970.

        Another process may have a clock that is ahead: then it counts as sent at once.
        """
        seconds = max(0, microseconds(self._clock.now()) - stored_at) / 1_000_000
        self._lags[bisect_left(LAGS, seconds)] += 1
        self._total += seconds

    def __call__(self) -> Iterator[MetricFamily]:
        yield MetricFamily.gauge(
            "chatkeep_event_readers",
            "Streams and long polls of events that are open",
            sum(1 for _ in self._hub),
        )
        yield MetricFamily.histogram(
            "chatkeep_event_lag_seconds",
            "Time from storing a message or a chunk to sending it to a reader who waits for it",
            LAGS,
            self._lags,
            self._total,
        )
        yield MetricFamily.counter(
            "chatkeep_event_polls",
            "Statements that asked what others have changed",
            [({"of": what}, self._polls.get(what, 0)) for what in POLLED],
        )
