"""The search index is compared with the messages, and made again where it differs."""

from collections.abc import AsyncIterator

import pytest

from chatkeep.adapters.piccolo.stores import piccolo_stores
from chatkeep.domain.operations.selftest.builders import new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import new_messages
from chatkeep.testing.contract.search import search
from tests.e2e.doctor.examining import examine, execute
from tests.support import postgres


@pytest.fixture
async def searched(database_url: str) -> AsyncIterator[StoreUnderTest]:
    async with postgres.pool(database_url) as engine:
        store = StoreUnderTest.of(piccolo_stores(engine))
        for number in range(3):
            await store.start(*new_messages(f"apple {number}", "pear"))
        assert len(await search(store, "apple")) == 3
        yield store


async def test_what_has_changed_since_a_search_is_no_fault(
    searched: StoreUnderTest, database_url: str
) -> None:
    [conversation, *_] = await searched.list_conversations()
    await searched.append(conversation, new_message("apple again"))

    found = await examine(database_url)

    assert (found.failed, found.warned) == (set(), set())
    assert found.line("search").message.startswith("1 of 3 conversations in the index")


async def test_what_an_earlier_version_indexed_is_no_fault(
    searched: StoreUnderTest, database_url: str
) -> None:
    await execute(database_url, "UPDATE search_conversations SET index_version = 1")
    await execute(database_url, "DELETE FROM search_segments")

    found = await examine(database_url)

    assert (found.failed, found.warned) == (set(), set())
    assert found.line("search").message.startswith("3 of 3 conversations in the index wait")
    assert len(await search(searched, "apple")) == 3


@pytest.mark.parametrize(
    "drift",
    [
        "UPDATE messages SET content = 'plum' WHERE content = 'apple 1'",
        "DELETE FROM search_segments s USING messages m "  # noqa: ISC004 - one statement
        "WHERE s.conversation_id = m.conversation_id AND m.content = 'apple 1'",
    ],
    ids=["edited by hand", "lost"],
)
async def test_drift_is_found_and_repaired(
    searched: StoreUnderTest, database_url: str, drift: str
) -> None:
    await execute(database_url, drift)

    found = await examine(database_url)

    assert found.failed == {"search"}
    assert found.line("search").message.startswith("1 of 3 conversations in the index differ")
    found = await examine(database_url, repair=True)
    assert (found.failed, found.warned) == (set(), {"search"})
    assert len(await search(searched, "plum")) + len(await search(searched, "apple")) == 3
    assert (await examine(database_url)).failed == set()
