"""Readers who are woken at once have one read between them, never one from before they were."""

import asyncio

import pytest

from chatkeep.domain.shared_reads import SharedReads


class Store:
    """Answers with how often it was read, once it may. `fails` is what it raises instead."""

    def __init__(self) -> None:
        self.reads = 0
        self.may_answer = asyncio.Event()
        self.fails: Exception | None = None

    async def load(self) -> int:
        self.reads += 1
        count = self.reads
        await self.may_answer.wait()
        if self.fails is not None:
            raise self.fails
        return count


@pytest.fixture
def shared() -> SharedReads:
    return SharedReads()


@pytest.fixture
async def store() -> Store:
    return Store()


def reading(
    shared: SharedReads, store: Store, key: str, *, now: int, not_before: int
) -> "asyncio.Task[int]":
    return asyncio.create_task(shared.read(key, store.load, now=now, not_before=not_before))


async def test_those_who_want_the_same_read_it_once(shared: SharedReads, store: Store) -> None:
    same = [reading(shared, store, "a", now=5, not_before=5) for _ in range(20)]
    other = reading(shared, store, "b", now=5, not_before=5)
    await asyncio.sleep(0)
    store.may_answer.set()

    assert await asyncio.gather(*same, other) == [*[1] * 20, 2]
    assert await reading(shared, store, "a", now=5, not_before=5) == 3  # nothing is kept


async def test_who_was_woken_after_a_read_began_reads_again(
    shared: SharedReads, store: Store
) -> None:
    early = reading(shared, store, "a", now=5, not_before=5)
    await asyncio.sleep(0)
    late = reading(shared, store, "a", now=6, not_before=6)
    early_again = reading(shared, store, "a", now=6, not_before=5)
    await asyncio.sleep(0)
    store.may_answer.set()

    assert [await each for each in (early, late, early_again)] == [1, 2, 2]


async def test_a_failure_reaches_all_who_wait(shared: SharedReads, store: Store) -> None:
    store.fails = ConnectionError("away")
    both = [reading(shared, store, "a", now=1, not_before=0) for _ in range(2)]
    await asyncio.sleep(0)
    store.may_answer.set()

    assert await asyncio.gather(*both, return_exceptions=True) == [store.fails] * 2


async def test_when_the_first_one_leaves_the_others_get_their_answer(
    shared: SharedReads, store: Store
) -> None:
    first, other = [reading(shared, store, "a", now=1, not_before=0) for _ in range(2)]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    store.may_answer.set()

    assert await other == 1
    assert first.cancelled()
