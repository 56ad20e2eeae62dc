"""The list of users, which is for operators: by the code points of their ids, with a prefix."""

from datetime import timedelta

import pytest

from chatkeep.domain.finding import MatchCount
from chatkeep.domain.model import UserId
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, NOON, new_conversation
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.user_list import MAX_COUNTED, ListedUser

IDS = ("a", "A", "a b", "a%", "a_", "ab", "aB", "ab\ud7ff", "ab\ue000", "ab\U0010ffff", "aé", "b")


async def listed(store: StoreUnderTest, prefix: str = "", size: int = 100) -> list[str]:
    """Return the ids of all pages of that size."""
    found: list[str] = []
    while True:
        page = await store.users.page(prefix=prefix, after=found[-1] if found else "", limit=size)
        found += [user.id for user in page.items]
        assert len(page.items) == size or not page.more
        if not page.more:
            return found


@pytest.mark.parametrize("size", [1, 2, 5, 100])
async def test_users_are_listed_by_the_code_points_of_their_ids(
    store: StoreUnderTest, size: int
) -> None:
    for user_id in IDS:
        await store.users.add(UserId(user_id))

    assert await listed(store, size=size) == sorted(IDS)


@pytest.mark.parametrize(
    "prefix",
    ["a", "A", "ab", "a%", "a_", "ab\ud7ff", "ab\U0010ffff", "\U0010ffff", "c", "b" * 255],
)
async def test_a_prefix_leaves_those_that_begin_with_it(store: StoreUnderTest, prefix: str) -> None:
    for user_id in IDS:
        await store.users.add(UserId(user_id))

    expected = sorted(each for each in IDS if each.startswith(prefix))

    assert await listed(store, prefix) == expected
    assert await listed(store, prefix, size=1) == expected


async def test_a_page_after_an_id_that_is_gone_goes_on_behind_it(store: StoreUnderTest) -> None:
    for user_id in ("ann", "bob", "carol"):
        await store.users.add(UserId(user_id))
    await store.users.erase(BOB)

    page = await store.users.page(prefix="", after=BOB, limit=10)

    assert [user.id for user in page.items if user.id > BOB] == ["carol"]


async def test_each_user_has_the_number_and_the_latest_activity_of_their_own_conversations(
    store: StoreUnderTest,
) -> None:
    await store.users.add(UserId("without any"))
    for hours in (3, 7, 5):
        await store.log.create(
            new_conversation(ALICE, at=NOON + timedelta(hours=hours)), [], provision=True
        )
    await store.log.create(new_conversation(BOB, at=NOON), [], provision=True)

    page = await store.users.page(prefix="", after="", limit=10)

    assert {user.id: user for user in page.items} == {
        ALICE: ListedUser(ALICE, MatchCount(3, exact=True), NOON + timedelta(hours=7)),
        BOB: ListedUser(BOB, MatchCount(1, exact=True), NOON),
        "without any": ListedUser(UserId("without any"), MatchCount(0, exact=True), None),
    }


async def test_no_more_than_a_bound_of_conversations_are_counted(store: StoreUnderTest) -> None:
    for _ in range(MAX_COUNTED + 1):
        await store.log.create(new_conversation(ALICE), [], provision=True)

    [user] = (await store.users.page(prefix=ALICE, after="", limit=1)).items

    assert user.conversations == MatchCount(MAX_COUNTED, exact=False)
