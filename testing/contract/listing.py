"""The list of conversations: latest activity first, in pages."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from chatkeep.domain.finding import LastSeen
from chatkeep.domain.model import Changes, Conversation, ConversationId, Status
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    HOUR,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import SECOND, ids, numbered_messages

LIMIT = 4


def last_of(page: Sequence[Conversation]) -> LastSeen:
    return LastSeen(page[-1].updated_at, page[-1].id)


async def list_pages(
    store: StoreUnderTest, size: int, *, status: Status | None = None, after: LastSeen | None = None
) -> list[Sequence[Conversation]]:
    """Read Alice's list to its end; only the last page says that there is no more."""
    found = []
    while True:
        page = await store.conversations.list(ALICE, status=status, after=after, limit=size)
        found.append(page.items)
        assert len(page.items) <= size
        if not page.more:
            return found
        after = last_of(page.items)


async def start_some(store: StoreUnderTest, count: int) -> list[Conversation]:
    """Store conversations, each three with the same time; return them in the expected order."""
    new = [await store.start(at=NOON + (number // 3) * SECOND) for number in range(count)]
    return sorted(new, key=lambda each: (each.updated_at, each.id), reverse=True)


async def test_the_list_of_who_has_no_conversations_is_empty(store: StoreUnderTest) -> None:
    assert await store.list_conversations() == []
    await store.users.add(ALICE)
    assert await store.list_conversations() == []


async def test_the_latest_activity_comes_first(store: StoreUnderTest) -> None:
    first = await store.start()
    second = await store.start(at=NOON + SECOND)
    third = await store.start(at=NOON + 2 * SECOND)
    assert ids(await store.list_conversations()) == [third.id, second.id, first.id]

    await store.append(first, new_message("hello again"), at=NOON + HOUR)

    assert ids(await store.list_conversations()) == [first.id, third.id, second.id]


async def test_equal_activity_is_ordered_by_id_descending(store: StoreUnderTest) -> None:
    low = UUID("00000000-0000-4000-8000-000000000001")
    middle = UUID("7fffffff-ffff-4fff-8fff-ffffffffffff")
    high = UUID("80000000-0000-4000-8000-000000000000")
    for id_ in (middle, high, low):
        await store.start(id=ConversationId(id_))

    assert ids(await store.list_conversations()) == [high, middle, low]


async def test_the_list_shows_conversations_as_they_are(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(3))
    await store.conversations.change(ALICE, conversation.id, Changes(title="Renamed"))
    await store.append(conversation, *numbered_messages(2), at=NOON + HOUR)

    assert await store.list_conversations() == [await store.reload(conversation)]


@pytest.mark.parametrize("count", [0, 1, LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT])
async def test_pages_hold_every_conversation_once(store: StoreUnderTest, count: int) -> None:
    expected = await start_some(store, count)

    found = await list_pages(store, LIMIT)

    assert [each for page in found for each in page] == expected
    *full, last = map(len, found)
    assert full == [LIMIT] * len(full)
    assert last in ({0} if count == 0 else range(1, LIMIT + 1))


async def test_pages_of_any_size_list_the_same(store: StoreUnderTest) -> None:
    expected = await start_some(store, 7)

    for size in range(1, 9):
        found = await list_pages(store, size)
        assert [each for page in found for each in page] == expected


async def test_pages_that_cut_through_equal_activity_miss_nothing(store: StoreUnderTest) -> None:
    tied = sorted([await store.start() for _ in range(5)], key=lambda each: each.id)

    found = await list_pages(store, 2)

    assert [each for page in found for each in page] == tied[::-1]


@pytest.mark.parametrize("status", list(Status))
async def test_a_status_shows_only_its_conversations_on_every_page(
    store: StoreUnderTest, status: Status
) -> None:
    everything = await start_some(store, 9)
    for archived in everything[::2]:
        await store.conversations.change(ALICE, archived.id, Changes(status=Status.ARCHIVED))
    expected = everything[::2] if status is Status.ARCHIVED else everything[1::2]

    found = await list_pages(store, 2, status=status)

    assert ids(each for page in found for each in page) == ids(expected)
    assert {each.status for page in found for each in page} == {status}
    assert ids(await store.list_conversations(status=status)) == ids(expected)


async def test_a_conversation_moves_between_the_lists_with_its_status(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start()

    archived = await store.conversations.change(
        ALICE, conversation.id, Changes(status=Status.ARCHIVED)
    )

    assert await store.list_conversations(status=Status.ARCHIVED) == [archived]
    assert await store.list_conversations(status=Status.ACTIVE) == []
    assert await store.list_conversations() == [archived]


async def test_a_list_goes_on_after_a_conversation_that_was_deleted(store: StoreUnderTest) -> None:
    expected = await start_some(store, 6)
    first = await store.conversations.list(ALICE, status=None, after=None, limit=3)

    await store.conversations.delete(ALICE, first.items[-1].id)

    rest = await store.conversations.list(ALICE, status=None, after=last_of(first.items), limit=10)
    assert list(rest.items) == expected[3:]


async def test_a_list_goes_on_where_it_stopped_when_a_conversation_has_moved_up(
    store: StoreUnderTest,
) -> None:
    expected = await start_some(store, 6)
    first = await store.conversations.list(ALICE, status=None, after=None, limit=3)

    await store.append(first.items[-1], new_message("up"), at=NOON + HOUR)
    await store.start(at=NOON + 2 * HOUR)

    rest = await store.conversations.list(ALICE, status=None, after=last_of(first.items), limit=10)
    assert list(rest.items) == expected[3:]


async def test_nothing_comes_after_the_last_conversation(store: StoreUnderTest) -> None:
    expected = await start_some(store, 3)

    rest = await store.conversations.list(ALICE, status=None, after=last_of(expected), limit=10)

    assert list(rest.items) == []


async def test_a_list_can_start_after_a_time_at_which_nothing_happened(
    store: StoreUnderTest,
) -> None:
    await store.start(at=NOON + SECOND)
    older = await store.start(at=NOON - SECOND)
    between = LastSeen(NOON, new_conversation().id)

    rest = await store.conversations.list(ALICE, status=None, after=between, limit=10)

    assert list(rest.items) == [older]


async def test_a_list_holds_nothing_of_other_users(store: StoreUnderTest) -> None:
    mine = await store.start()
    theirs = await store.start(user_id=BOB)
    await store.start(user_id=BOB, id=mine.id)

    assert await store.list_conversations() == [mine]
    assert {each.user_id for each in await store.list_conversations(BOB)} == {BOB}
    after = LastSeen(theirs.updated_at + SECOND, theirs.id)
    found = await store.conversations.list(ALICE, status=None, after=after, limit=10)
    assert list(found.items) == [mine]


async def test_activity_a_microsecond_apart_is_told_apart(store: StoreUnderTest) -> None:
    times = [NOON.replace(microsecond=number) for number in (1, 2, 3)]
    new = [new_conversation()._replace(updated_at=at) for at in times]
    for each in new:
        await store.create(each, (), provision=True)

    found = await list_pages(store, 1)

    assert [each for page in found for each in page] == new[::-1]
