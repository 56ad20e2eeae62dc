"""The audit: lines of what operators asked for, latest first, about one user or about all."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from chatkeep.domain.audit import LATEST, AuditLine, AuditPlace, Operator
from chatkeep.domain.model import UserId
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, NOON
from chatkeep.domain.operations.selftest.store import StoreUnderTest

ANNA = Operator("Anna Müller")


def line(number: int, user_id: UserId = ALICE, *, minutes: int | None = None) -> AuditLine:
    """Return a line with that number for an id; later numbers are later."""
    at = NOON + timedelta(minutes=number if minutes is None else minutes)
    return AuditLine(UUID(int=number), at, ANNA, user_id, "getHistory", f"chat {number}", "m/1")


async def all_lines(
    store: StoreUnderTest, user_id: UserId | None = None, size: int = 100
) -> list[AuditLine]:
    """Return the lines of all pages of that size."""
    found: list[AuditLine] = []
    while True:
        place = found[-1].place if found else LATEST
        page = await store.audit.page(user_id, place, limit=size)
        found += page.items
        assert len(page.items) == size or not page.more
        if not page.more:
            return found


@pytest.mark.parametrize("size", [1, 2, 5, 100])
async def test_lines_are_listed_latest_first(store: StoreUnderTest, size: int) -> None:
    lines = [line(number, (ALICE, BOB)[number % 2]) for number in range(6)]
    for each in (lines[3], *lines[:3], *lines[4:]):
        await store.audit.add(each)

    assert await all_lines(store, size=size) == lines[::-1]
    assert await all_lines(store, BOB, size=size) == lines[5::-2]
    assert await all_lines(store, UserId("carol"), size=size) == []


async def test_lines_of_the_same_moment_are_all_listed(store: StoreUnderTest) -> None:
    lines = [line(number, minutes=0) for number in range(5)]
    for each in lines:
        await store.audit.add(each)

    assert await all_lines(store, size=2) == lines[::-1]


async def test_a_line_is_kept_as_it_is_and_once(store: StoreUnderTest) -> None:
    plain = replace(line(1), conversation_id=None, message_id=None)
    await store.audit.add(plain)
    await store.audit.add(plain)

    assert await all_lines(store) == [plain]


async def test_lines_stay_when_their_user_is_erased(store: StoreUnderTest) -> None:
    await store.users.add(ALICE)
    await store.audit.add(line(1))
    await store.users.erase(ALICE)

    assert await all_lines(store, ALICE) == [line(1)]


async def test_the_oldest_lines_are_forgotten_first(store: StoreUnderTest) -> None:
    lines = [line(number, (ALICE, BOB)[number % 2]) for number in range(5)]
    for each in lines:
        await store.audit.add(each)

    assert await store.audit.forget(lines[3].at, limit=2) == 2
    assert await all_lines(store) == lines[:1:-1]
    assert await store.audit.forget(lines[3].at, limit=2) == 1
    assert await store.audit.forget(lines[3].at, limit=2) == 0
    assert await all_lines(store) == lines[:2:-1]


async def test_a_place_between_lines_is_a_place(store: StoreUnderTest) -> None:
    for number in (1, 3):
        await store.audit.add(line(number))

    page = await store.audit.page(None, AuditPlace(line(2).at, UUID(int=0)), limit=5)

    assert list(page.items) == [line(1)]
