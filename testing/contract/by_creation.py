"""The list of conversations by their time of creation."""

import json
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import pytest

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.finding import Filter, LastSeen, Sort
from chatkeep.domain.model import Changes, Conversation, ConversationId, JsonText, Status
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, HOUR, NOON, new_conversation
from chatkeep.domain.operations.selftest.store import MANY, StoreUnderTest
from chatkeep.domain.pages import NO_BOUND
from chatkeep.testing.builders import SECOND, ids

KB: Final = 1_000


async def list_by_creation(
    store: StoreUnderTest,
    wanted: Filter | None = None,
    *,
    limit: int = MANY,
    max_read: int = MANY,
    max_bytes: int = NO_BOUND,
) -> list[Sequence[Conversation]]:
    """Return the pages of Alice's list."""
    pages: list[Sequence[Conversation]] = []
    after: LastSeen | None = None
    while not pages or after is not None:
        page = await store.conversations.find(
            ALICE,
            wanted or Filter(),
            sort=Sort.CREATED,
            after=after,
            limit=limit,
            max_read=max_read,
            max_bytes=max_bytes,
        )
        assert len(page.items) <= limit
        pages.append(page.items)
        after = page.next
    return pages


async def start_created(store: StoreUnderTest, agents: str) -> list[Conversation]:
    """Store a conversation for each letter, in pairs of one time; return them latest first.

    Their activity is in the opposite order.
    """
    new = [
        new_conversation(metadata=JsonText(json.dumps({"agent": agent})))._replace(
            created_at=NOON + (number // 2) * SECOND, updated_at=NOON + HOUR - number * SECOND
        )
        for number, agent in enumerate(agents)
    ]
    for each in new:
        await store.create(each, (), provision=True)
    latest_first = sorted(new, key=lambda each: (each.created_at, each.id), reverse=True)
    return [await store.reload(each) for each in latest_first]


async def test_an_unknown_user_has_nothing_by_creation(store: StoreUnderTest) -> None:
    assert await list_by_creation(store) == [[]]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_the_latest_creation_comes_first(store: StoreUnderTest, limit: int) -> None:
    expected = await start_created(store, "abababa")

    pages = await list_by_creation(store, limit=limit)

    assert [each for page in pages for each in page] == expected


async def test_activity_does_not_change_the_order(store: StoreUnderTest) -> None:
    expected = await start_created(store, "abab")

    await store.append(expected[-1], at=NOON + 9 * HOUR)

    [page] = await list_by_creation(store)
    assert ids(page) == ids(expected)


async def test_equal_creation_is_ordered_by_id_descending(store: StoreUnderTest) -> None:
    low, high = UUID(int=1), UUID(int=2**128 - 1)
    for id_ in (high, low):
        await store.start(id=ConversationId(id_))

    [page] = await list_by_creation(store)

    assert ids(page) == [high, low]


@pytest.mark.parametrize("limit", [1, 2, MANY])
@pytest.mark.parametrize("status", [None, *Status])
async def test_all_filters_apply_to_the_list_by_creation(
    store: StoreUnderTest, status: Status | None, limit: int
) -> None:
    everything = await start_created(store, "abbbabab")
    await store.conversations.change(ALICE, everything[4].id, Changes(status=Status.ARCHIVED))
    by_activity = sorted(each.updated_at for each in everything)
    wanted = Filter(
        status=status,
        metadata={"agent": "b"},
        updated_after=by_activity[0],
        updated_before=by_activity[-1],
    )
    everything = [await store.reload(each) for each in everything]
    expected = [each for each in everything if wanted.matches(each)]
    assert expected

    pages = await list_by_creation(store, wanted, limit=limit)

    assert [each for page in pages for each in page] == expected


async def test_more_than_can_be_sorted_are_refused(store: StoreUnderTest) -> None:
    """All within the times count, whether they match or not."""
    everything = await start_created(store, "aaaab")
    [page] = await list_by_creation(store, max_read=5)
    assert ids(page) == ids(everything)

    for wanted in (Filter(), Filter(metadata={"agent": "b"}), Filter(status=Status.ARCHIVED)):
        with pytest.raises(InvalidValueError) as refusal:
            await list_by_creation(store, wanted, max_read=4)
        assert refusal.value.field == "sort"

    earliest = min(each.updated_at for each in everything)
    [page] = await list_by_creation(store, Filter(updated_after=earliest), max_read=4)
    assert len(page) == 4


async def test_a_list_by_creation_is_bounded_in_bytes(store: StoreUnderTest) -> None:
    expected = []
    for number, size in enumerate((1, 1, 1, 1, 50, 1, 50)):
        metadata = JsonText(json.dumps({"note": str(number).ljust(size * KB, "x")}))
        new = new_conversation(metadata=metadata, at=NOON - number * HOUR)
        await store.create(new, (), provision=True)
        expected.append(await store.reload(new))

    pages = await list_by_creation(store, limit=4, max_bytes=5 * KB)

    assert [each for page in pages for each in page] == expected
    assert [len(page) for page in pages] == [4, 1, 1, 1]


async def test_a_list_by_creation_holds_nothing_of_other_users(store: StoreUnderTest) -> None:
    mine = await store.start()
    await store.start(user_id=BOB)
    await store.start(user_id=BOB, id=mine.id)

    assert await list_by_creation(store) == [[mine]]
