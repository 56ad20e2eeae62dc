"""The overview, which is for operators: the messages of recent days, and the drafts there are."""

from dataclasses import replace
from datetime import timedelta

from chatkeep.domain.examination import Examination
from chatkeep.domain.finding import MatchCount
from chatkeep.domain.operations.selftest.builders import BOB, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.overview import DAYS, DraftCounts


async def test_the_messages_of_each_recent_day_are_counted(store: StoreUnderTest) -> None:
    now = store.at
    for days, messages in ((0, 2), (1, 3), (DAYS - 1, 1), (DAYS, 5), (-1, 5)):
        at = now - timedelta(days=days)
        await store.start(*(new_message(f"{n}") for n in range(messages)), user_id=BOB, at=at)

    found = await store.overviews.collect(now)

    assert [each.day for each in found.days] == [
        (now - timedelta(days=back)).date() for back in range(DAYS - 1, -1, -1)
    ]
    assert [each.messages for each in found.days] == [
        MatchCount(count, exact=True) for count in (1, *[0] * (DAYS - 3), 3, 2)
    ]
    assert found.messages_per_day == 4 / (DAYS - 1)


async def test_an_empty_store_has_an_overview(store: StoreUnderTest) -> None:
    found = await store.overviews.collect(store.at)

    assert found.drafts == DraftCounts(active=0, interrupted=0, exact=True)
    assert found.messages_per_day == 0


async def test_the_doctors_last_result_replaces_the_one_before(store: StoreUnderTest) -> None:
    first = Examination(
        at=store.at, ok=40, warnings=1, failed=2, skipped=3, promises_kept=20, promises_broken=2
    )
    last = replace(first, at=store.at + timedelta(days=1), failed=0, promises_broken=0)

    await store.overviews.record_examination(first)
    assert (await store.overviews.collect(store.at)).last_examination == first
    await store.overviews.record_examination(last)

    assert (await store.overviews.collect(store.at)).last_examination == last
    assert (first.healthy, last.healthy) == (False, True)
