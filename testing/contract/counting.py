"""Counts of the conversations that match a filter."""

import json
from typing import Any

import pytest

from chatkeep.domain.finding import Filter, MatchCount
from chatkeep.domain.model import Changes, JsonText, Status
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, NOON, new_conversation
from chatkeep.domain.operations.selftest.store import MANY, StoreUnderTest
from chatkeep.testing.builders import SECOND


async def start_counted(store: StoreUnderTest, agents: str) -> None:
    """Store a conversation for each letter, latest activity first; the first is archived."""
    for number, agent in enumerate(agents):
        metadata = JsonText(json.dumps({"agent": agent}))
        new = new_conversation(metadata=metadata, at=NOON - number * SECOND)
        await store.create(new, (), provision=True)
        if number == 0:
            await store.conversations.change(ALICE, new.id, Changes(status=Status.ARCHIVED))


async def test_an_unknown_user_counts_nothing(store: StoreUnderTest) -> None:
    assert await store.conversations.count(ALICE, Filter(), max_read=MANY) == MatchCount(
        0, exact=True
    )


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        ({}, 6),
        ({"status": Status.ARCHIVED}, 1),
        ({"status": Status.ACTIVE}, 5),
        ({"metadata": {"agent": "a"}}, 4),
        ({"metadata": {"agent": "a"}, "status": Status.ACTIVE}, 3),
        ({"metadata": {"agent": "c"}}, 0),
        ({"updated_after": NOON - 3 * SECOND}, 3),
        ({"updated_before": NOON - 3 * SECOND}, 2),
        ({"updated_after": NOON - 3 * SECOND, "updated_before": NOON}, 2),
    ],
    ids=str,
)
async def test_a_count_has_all_that_matches(
    store: StoreUnderTest, wanted: dict[str, Any], value: int
) -> None:
    await start_counted(store, "aabaab")

    found = await store.conversations.count(ALICE, Filter(**wanted), max_read=6)

    assert found == MatchCount(value, exact=True)


async def test_a_count_reads_no_further_than_its_bound(store: StoreUnderTest) -> None:
    await start_counted(store, "aabaab")

    for max_read, value in ((1, 1), (3, 2), (5, 4)):
        wanted = Filter(metadata={"agent": "a"})
        found = await store.conversations.count(ALICE, wanted, max_read=max_read)
        assert found == MatchCount(value, exact=False)
    recent = Filter(updated_after=NOON - 3 * SECOND)
    assert await store.conversations.count(ALICE, recent, max_read=3) == MatchCount(3, exact=True)


async def test_a_count_has_nothing_of_other_users(store: StoreUnderTest) -> None:
    mine = await store.start()
    await store.start(user_id=BOB)
    await store.start(user_id=BOB, id=mine.id)

    assert await store.conversations.count(ALICE, Filter(), max_read=MANY) == MatchCount(
        1, exact=True
    )
