"""The overview in memory. Nothing is estimated; there are no bytes and no statements."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chatkeep.adapters.memory.store import MemoryStore
from chatkeep.domain.drafts import DraftStatus
from chatkeep.domain.examination import Examination
from chatkeep.domain.finding import MatchCount
from chatkeep.domain.overview import (
    DAYS,
    MAX_A_DAY,
    DraftCounts,
    Overview,
    RecentDay,
    Totals,
)


@dataclass(frozen=True, slots=True)
class MemoryOverviews:
    store: MemoryStore

    async def collect(self, at: datetime) -> Overview:
        kept = [each for user in self.store.users.values() for each in user.conversations.values()]
        by_day = Counter(
            entry.message.created_at.astimezone(UTC).date()
            for each in kept
            for entry in each.entries
            if entry.message is not None
        )
        statuses = Counter(one.draft.status for each in kept for one in each.drafts.values())
        today = at.astimezone(UTC).date()
        days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
        return Overview(
            totals=Totals(len(self.store.users), len(kept), by_day.total(), estimated=False),
            days=[
                RecentDay(day, MatchCount(min(by_day[day], MAX_A_DAY), by_day[day] <= MAX_A_DAY))
                for day in days
            ],
            drafts=DraftCounts(
                statuses[DraftStatus.ACTIVE], statuses[DraftStatus.INTERRUPTED], exact=True
            ),
            last_examination=self.store.examination,
        )

    async def record_examination(self, examination: Examination) -> None:
        self.store.examination = examination
