"""The overview on Postgres: of all users, an operator's. Its cost has a bound."""

from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from typing import Final

from chatkeep.adapters.piccolo.by_user import fetch_at_once
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.adapters.piccolo.sizes import sizes
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.statement_metrics import BUCKETS
from chatkeep.domain.examination import Examination
from chatkeep.domain.finding import MatchCount
from chatkeep.domain.idle import SweepResult
from chatkeep.domain.overview import (
    DAYS,
    MAX_A_DAY,
    MAX_DRAFTS,
    DraftCounts,
    LastSweep,
    Latencies,
    Overview,
    RecentDay,
    Totals,
)

# Each day is counted by the BRIN index on `created_at`, and no further than the bound.
RECENT_DAYS: Final = Statement(
    "overview.recent_days",
    f"""
SELECT first.at, counted.messages
FROM generate_series(:first::timestamptz, :last::timestamptz, interval '24 hours') AS first (at)
CROSS JOIN LATERAL (
  SELECT count(*) AS messages FROM (
    SELECT FROM messages m
    WHERE m.created_at >= first.at AND m.created_at < first.at + interval '24 hours'
    LIMIT {MAX_A_DAY + 1}
  ) m
) counted
ORDER BY first.at""",
)

DAY: Final = Statement(
    "overview.day",
    f"""
SELECT :first::timestamptz AS at, count(*) AS messages FROM (
  SELECT 1 FROM messages m
  WHERE m.created_at >= :first AND m.created_at < :first + interval '24 hours'
  LIMIT {MAX_A_DAY + 1}
) m""",
)
"""One of them, for a database that is distributed by user."""

DRAFTS: Final = Statement(
    "overview.drafts",
    f"""
SELECT count(*) FILTER (WHERE status = 'active') AS active,
       count(*) FILTER (WHERE status = 'interrupted') AS interrupted, count(*) AS seen
FROM (SELECT status FROM drafts LIMIT {MAX_DRAFTS + 1}) d""",
)

LAST_SWEEP: Final = Statement(
    "overview.last_sweep",
    """
SELECT due, finished_at, archived, deleted, messages, retained
FROM conversation_sweeps ORDER BY due DESC LIMIT 1""",
)

LAST_EXAMINATION: Final = Statement(
    "overview.last_examination",
    """
SELECT at, ok, warnings, failed, skipped, promises_kept, promises_broken
FROM doctor_results WHERE id = 1""",
)

RECORD_EXAMINATION: Final = Statement(
    "overview.record_examination",
    """
INSERT INTO doctor_results
  (id, at, ok, warnings, failed, skipped, promises_kept, promises_broken)
VALUES (1, :at, :ok, :warnings, :failed, :skipped, :promises_kept, :promises_broken)
ON CONFLICT (id) DO UPDATE SET
  at = excluded.at, ok = excluded.ok, warnings = excluded.warnings, failed = excluded.failed,
  skipped = excluded.skipped, promises_kept = excluded.promises_kept,
  promises_broken = excluded.promises_broken""",
)

DATABASE: Final = Statement(
    "overview.database", "SELECT pg_database_size(current_database()) AS bytes"
)


class PiccoloOverviews:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def collect(self, at: datetime) -> Overview:
        today = datetime.combine(at.astimezone(UTC).date(), time(), UTC)
        relations = await sizes(self._engine)
        rows = {each.name: each.rows for each in relations if each.kind == "table"}
        days = await self._recent_days(today)
        [drafts] = await self._engine.fetch(DRAFTS)
        swept = await self._engine.fetch(LAST_SWEEP)
        examined = await self._engine.fetch(LAST_EXAMINATION)
        [database] = await self._engine.fetch(DATABASE)
        return Overview(
            totals=Totals(
                rows.get("users"), rows.get("conversations"), rows.get("messages"), estimated=True
            ),
            days=[_day(row) for row in days],
            drafts=DraftCounts(
                drafts["active"], drafts["interrupted"], exact=drafts["seen"] <= MAX_DRAFTS
            ),
            last_sweep=_sweep(swept[0]) if swept else None,
            last_examination=Examination(**dict(examined[0])) if examined else None,
            stored_bytes=sum(each.bytes for each in relations),
            database_bytes=database["bytes"],
            latencies=Latencies(BUCKETS, tuple(self._engine.metrics.counts)),
        )

    async def record_examination(self, examination: Examination) -> None:
        await self._engine.fetch(RECORD_EXAMINATION, **asdict(examination))

    async def _recent_days(self, today: datetime) -> list[Row]:
        first = today - timedelta(days=DAYS - 1)
        days = await fetch_at_once(self._engine, RECENT_DAYS, {"first": first, "last": today})
        if days is None:
            each = [first + timedelta(days=n) for n in range(DAYS)]
            days = [row for at in each for row in await self._engine.fetch(DAY, first=at)]
        return days


def _day(row: Row) -> RecentDay:
    counted = row["messages"]
    count = MatchCount(min(counted, MAX_A_DAY), exact=counted <= MAX_A_DAY)
    return RecentDay(row["at"].astimezone(UTC).date(), count)


def _sweep(row: Row) -> LastSweep:
    result = SweepResult(
        archived=row["archived"],
        deleted=row["deleted"],
        messages=row["messages"],
        retained=row["retained"],
    )
    return LastSweep(row["due"], row["finished_at"], result)
