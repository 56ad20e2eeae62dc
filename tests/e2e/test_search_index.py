"""The search index on Postgres: steps of any size, several searches at once, and what it costs."""

import asyncio
from random import Random

import pytest

from chatkeep.adapters.memory.stores import memory_stores
from chatkeep.adapters.piccolo import search_indexing
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.search import PiccoloSearch
from chatkeep.adapters.piccolo.search_indexing import IndexBudget
from chatkeep.domain import search_index
from chatkeep.domain.model import Changes, Conversation, Role
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, NOON, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.search import Left
from chatkeep.testing.builders import SECOND, new_conversation_id, new_messages, numbered_messages
from chatkeep.testing.contract.search import Words, search
from tests.support.postgres import query
from tests.support.service_process import FULL

SMALL = IndexBudget(seconds=0, steps=1, messages=3, bytes=60)
ROWS = (
    "SELECT (SELECT count(*) FROM search_conversations) AS conversations, "
    "(SELECT count(*) FROM search_segments) AS segments"
)


@pytest.fixture
def small(engine: Engine, postgres_store: StoreUnderTest) -> StoreUnderTest:
    """Return a store whose searches add very little to the index."""
    return with_search(postgres_store, PiccoloSearch(engine, SMALL))


def with_search(store: StoreUnderTest, its_search: PiccoloSearch) -> StoreUnderTest:
    return StoreUnderTest(
        **{
            name: getattr(store, name)
            for name in StoreUnderTest.__dataclass_fields__
            if name != "search"
        },
        search=its_search,
    )


async def left(store: StoreUnderTest, wanted: str = "user") -> Left:
    return (await store.search.find(ALICE, Words(wanted), limit=1)).left


async def test_who_never_searches_takes_no_row(
    engine: Engine, postgres_store: StoreUnderTest
) -> None:
    await postgres_store.start(*numbered_messages(50))
    await postgres_store.start(*numbered_messages(50), user_id=BOB)
    assert await search(postgres_store, "user", user_id=BOB, limit=100)

    [row] = await query(engine, ROWS)

    assert row["conversations"] == 1
    assert 1 <= row["segments"] <= 50


async def test_the_latest_is_found_first_and_the_rest_later(small: StoreUnderTest) -> None:
    for number in range(3):
        messages = new_messages(*(f"apple {number}-{n}" for n in range(5)))
        await small.start(*messages, at=NOON + number * SECOND)

    found = await small.search.find(ALICE, Words("apple"), limit=100)

    texts = [hit.message.text for hit in found.hits if hit.message]
    assert texts == ["apple 2-4", "apple 2-3", "apple 2-2"]
    assert found.left == Left(3, 15)
    calls = 0
    while (found := await small.search.find(ALICE, Words("apple"), limit=100)).left != Left():
        assert len(found.hits) >= len(texts)
        texts = [hit.message.text for hit in found.hits if hit.message]
        calls += 1
        assert calls < 20
    assert len(found.hits) == 15


async def test_small_steps_lead_to_the_same_index_whatever_changes(
    small: StoreUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes of all kinds between searches, compared with a store that has no index."""
    monkeypatch.setattr(search_index, "SEGMENT_BYTES", 40)
    monkeypatch.setattr(search_indexing, "MAX_CONVERSATIONS", 2)
    words = ["apple", "pear", "plum", "grape", "a longer one " * 9]
    for seed in range(40 if FULL else 3):
        chance = Random(seed)
        stores = (StoreUnderTest.of(memory_stores()), small)
        opening = {new_conversation_id(): numbered_messages(2) for _ in range(3)}
        for store in stores:
            await store.users.erase(ALICE)
            for its_id, messages in opening.items():
                await store.start(*messages, id=its_id)
        kept = await small.list_conversations()
        for _ in range(12):
            await change(chance, words, stores, kept)
            word = chance.choice(words)
            assert await search(small, word) == await search(stores[0], word), seed


async def change(
    chance: Random,
    words: list[str],
    stores: tuple[StoreUnderTest, ...],
    conversations: list[Conversation],
) -> None:
    """Make one change in all stores."""
    conversation = chance.choice(conversations)
    messages = await stores[0].history(conversation)
    message = chance.choice(messages) if messages else None
    new = [
        new_message(" ".join(chance.choices(words, k=2)), Role.USER)
        for _ in range(chance.choice([1, 1, 4]))
    ]
    what = chance.choice(["append", "append", "edit", "edit", "delete", "truncate", "title"])
    for store in stores:
        if what == "append" or message is None:
            await store.append(conversation, *new)
        elif what == "edit":
            await store.put(conversation, new[0]._replace(id=message.id))
        elif what == "delete":
            await store.log.delete(ALICE, conversation.id, message.id)
        elif what == "truncate":
            await store.log.truncate(ALICE, conversation.id, message.id, keep=True)
        else:
            await store.conversations.change(
                ALICE, conversation.id, Changes(title=words[len(messages) % 4])
            )


async def test_searches_at_once_index_everything_once(
    engine: Engine, postgres_store: StoreUnderTest
) -> None:
    for number in range(12):
        await postgres_store.start(*new_messages(*(f"apple {number}-{n}" for n in range(10))))
    searches = [
        with_search(postgres_store, PiccoloSearch(engine, IndexBudget(messages=20)))
        for _ in range(6)
    ]

    found = await asyncio.gather(*(search(each, "apple") for each in searches))

    assert all(sorted(each) == sorted(found[0]) for each in found)
    assert len(found[0]) == 120
    [row] = await query(engine, ROWS)
    assert row["conversations"] == 12
    assert row["segments"] == 12


async def test_searches_and_changes_at_once_neither_fail_nor_lose_anything(
    engine: Engine, postgres_store: StoreUnderTest
) -> None:
    rounds = 60 if FULL else 8
    conversations = [await postgres_store.start(*numbered_messages(5)) for _ in range(4)]

    async def write(conversation: Conversation) -> None:
        for number in range(rounds):
            [message] = await postgres_store.append(conversation, new_message(f"apple {number}"))
            if number % 3 == 1:
                await postgres_store.put(conversation, new_message(f"pear {number}", id=message.id))
            if number % 3 == 2:
                await postgres_store.log.delete(ALICE, conversation.id, message.id)

    async def find() -> None:
        for _ in range(rounds):
            found = await postgres_store.search.find(ALICE, Words("apple"), limit=20)
            assert all(hit.message and "apple" in hit.message.text for hit in found.hits)

    async def start_and_delete() -> None:
        for _ in range(rounds):
            short = await postgres_store.start(*numbered_messages(3))
            await postgres_store.conversations.delete(ALICE, short.id)

    await asyncio.gather(*map(write, conversations), find(), find(), find(), start_and_delete())

    apples = len([number for number in range(rounds) if number % 3 == 0])
    assert len(await search(postgres_store, "apple")) == 4 * apples
    pears = len([number for number in range(rounds) if number % 3 == 1])
    assert len(await search(postgres_store, "pear")) == 4 * pears


async def test_an_erasure_during_searches_takes_everything(
    engine: Engine, postgres_store: StoreUnderTest
) -> None:
    for _ in range(3):
        for _ in range(10):
            await postgres_store.start(*numbered_messages(10))

        await asyncio.gather(
            *(postgres_store.search.find(ALICE, Words("user"), limit=5) for _ in range(4)),
            postgres_store.users.erase(ALICE),
        )

        await postgres_store.users.erase(ALICE)
        [row] = await query(engine, ROWS)
        assert dict(row) == {"conversations": 0, "segments": 0}


async def test_what_an_earlier_version_indexed_is_indexed_again(
    engine: Engine, small: StoreUnderTest
) -> None:
    """Its segments and titles are as if they had been made without the words."""
    for number in range(2):
        conversation = await small.start(*new_messages(*(f"apple {number}-{n}" for n in range(5))))
        await small.conversations.change(ALICE, conversation.id, Changes(title="apple"))
    assert len(await search(small, "apple")) == 12
    assert await left(small) == Left()
    await query(engine, "UPDATE search_segments SET filter = '\\x00000000'")
    await query(
        engine, "UPDATE search_conversations SET title_filter = '\\x00000000', index_version = 1"
    )
    await query(engine, "UPDATE search_segments SET places = ''")

    first = await left(small)

    assert first.conversations in {1, 2}
    assert len(await search(small, "apple")) == 12
    assert await left(small) == Left()
    [row] = await query(engine, "SELECT min(index_version) AS version FROM search_conversations")
    assert row["version"] == search_index.INDEX_VERSION
