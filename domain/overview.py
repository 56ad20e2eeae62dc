"""The overview of a service, for operators: totals, recent days, drafts, the last sweep, latencies.

It costs little however much is stored: totals are the planner's estimates, and what is counted is
counted up to a bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import accumulate
from typing import Final

from chatkeep.domain.examination import Examination
from chatkeep.domain.finding import MatchCount
from chatkeep.domain.idle import SweepResult

DAYS: Final = 14
"""The days whose messages are counted, with today, in UTC."""

MAX_A_DAY: Final = 50_000
"""The most messages of a day that are counted."""

MAX_DRAFTS: Final = 10_000
"""The most drafts that are looked at."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How many rows there are, None if unknown. `estimated` are the planner's numbers."""

    users: int | None
    conversations: int | None
    messages: int | None
    estimated: bool


@dataclass(frozen=True, slots=True)
class RecentDay:
    day: date
    messages: MatchCount


@dataclass(frozen=True, slots=True)
class DraftCounts:
    """Drafts that are kept now; exact up to `MAX_DRAFTS` drafts of any status."""

    active: int
    interrupted: int
    exact: bool


@dataclass(frozen=True, slots=True)
class LastSweep:
    """The daily sweep that was due last. `finished_at` is None while it runs, or if it broke."""

    due: datetime
    finished_at: datetime | None
    result: SweepResult


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long the statements of this process took: `counts` by upper `bounds`, in seconds.

    There is one count more, of those that took longer than the last bound.
    """

    bounds: Sequence[float]
    counts: Sequence[int]

    def quantile(self, share: float) -> float | None:
        """Return the bound that this share of the statements kept; None if there is none."""
        total = sum(self.counts)
        for bound, so_far in zip(self.bounds, accumulate(self.counts), strict=False):
            if total and so_far >= share * total:
                return bound
        return None


@dataclass(frozen=True, slots=True)
class Overview:
    """`stored_bytes` are those of chatkeep's tables, `database_bytes` of the whole database."""

    totals: Totals
    days: Sequence[RecentDay]
    drafts: DraftCounts
    last_sweep: LastSweep | None = None
    last_examination: Examination | None = None
    stored_bytes: int | None = None
    database_bytes: int | None = None
    latencies: Latencies | None = None

    @property
    def messages_per_day(self) -> float:
        """The mean of the days before today that are counted."""
        whole = self.days[:-1]
        return sum(each.messages.value for each in whole) / max(1, len(whole))

    @property
    def bytes_per_day(self) -> float | None:
        """By how much the tables grow, if each new message takes as much as those so far."""
        if not self.stored_bytes or not self.totals.messages:
            return None
        return self.messages_per_day * self.stored_bytes / self.totals.messages
