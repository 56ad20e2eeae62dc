"""What follows from the counts of an overview."""

from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec import to_builtins

from chatkeep.domain.finding import MatchCount
from chatkeep.domain.operations.diagnostics import failed, ok, skipped, summarize, warning
from chatkeep.domain.overview import DraftCounts, Latencies, Overview, RecentDay, Totals
from chatkeep.entrypoints.http.overview_schemas import OverviewOut

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)


def overview(*messages: int, stored: int | None = 1_000, total: int | None = 10) -> Overview:
    return Overview(
        totals=Totals(1, 2, total, estimated=True),
        days=[
            RecentDay(date(2026, 11, 1) + timedelta(days=n), MatchCount(count, exact=True))
            for n, count in enumerate(messages)
        ],
        drafts=DraftCounts(0, 0, exact=True),
        stored_bytes=stored,
        database_bytes=None if stored is None else stored * 2,
    )


def test_what_the_doctor_found_is_counted_and_shown() -> None:
    results = [
        *(replace(each("fine"), check="promise") for each in (ok, ok, skipped)),
        replace(failed("broken", "mend it"), check="promise"),
        replace(warning("slow", "wait"), check="clock"),
        replace(failed("gone", "make it"), check="indexes"),
    ]

    found = summarize(AT, results)

    kept = {"promises_kept": 2, "promises_broken": 1}
    counts = {"ok": 2, "warnings": 1, "failed": 2, "skipped": 1, **kept}
    assert asdict(found) == {"at": AT, **counts}
    shown = OverviewOut.from_domain(AT, replace(overview(1), last_examination=found), 0)
    assert to_builtins(shown.last_examination, builtin_types=(datetime,)) == {
        "at": AT,
        "healthy": False,
        **counts,
    }


def test_growth_goes_by_whole_days() -> None:
    found = overview(1, 3, 100)

    assert found.messages_per_day == 2
    assert found.bytes_per_day == 200


def test_a_plan_is_full_at_that_growth() -> None:
    storage = OverviewOut.from_domain(AT, overview(1, 3, 9), 4_000).storage

    assert storage is not None
    assert (storage.bytes_per_day, storage.days_left) == (200, 10.0)


@pytest.mark.parametrize(
    ("found", "plan", "left"),
    [
        (overview(0, 0, 5), 4_000, None),
        (overview(1, 3, 9), 0, None),
        (overview(1, 3, 9), 500, 0.0),
        (overview(1, 3, 9, total=None), 4_000, None),
    ],
)
def test_what_is_not_known_is_null(found: Overview, plan: int, left: float | None) -> None:
    storage = OverviewOut.from_domain(AT, found, plan).storage

    assert storage is not None
    assert storage.days_left == left


def test_without_a_database_there_is_no_storage() -> None:
    assert OverviewOut.from_domain(AT, overview(1, stored=None), 0).storage is None


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((0, 0, 0), 0.5, None),
        ((1, 1, 0), 0.5, 0.001),
        ((1, 1, 0), 0.51, 0.01),
        ((1, 1, 2), 0.95, None),
        ((99, 1, 0), 0.99, 0.001),
    ],
)
def test_latencies_have_quantiles(
    counts: tuple[int, ...], share: float, expected: float | None
) -> None:
    assert Latencies((0.001, 0.01), counts).quantile(share) == expected
