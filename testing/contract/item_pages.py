"""Reading items: each once, in order, in pages of any size, while others are appended."""

import asyncio

import pytest

from chatkeep.domain.errors import (
    ConversationNotFoundError,
    ItemNotFoundError,
)
from chatkeep.domain.items import ItemId
from chatkeep.domain.model import Order, Role
from chatkeep.domain.operations.selftest.builders import ALICE, KEY, new_conversation, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    CALLS,
    ITEM_TEXTS,
    everything_of,
    names,
    new_items,
    numbered_items,
    page_through_items,
    start_mixed,
)


@pytest.mark.parametrize("order", list(Order))
async def test_pages_of_any_size_have_every_item_once(store: StoreUnderTest, order: Order) -> None:
    conversation = await start_mixed(store)
    everything = await store.list_items(conversation)
    assert len({item.id for item in everything}) == len(everything) == 20
    if order is Order.DESC:
        everything.reverse()

    for limit in range(1, 22):
        assert await page_through_items(store, conversation, order, limit) == everything


async def test_every_item_is_found_by_its_id(store: StoreUnderTest) -> None:
    conversation = await start_mixed(store)

    for item in await store.list_items(conversation):
        assert await store.items.get(ALICE, conversation.id, item.id) == item


@pytest.mark.parametrize("order", list(Order))
async def test_nothing_comes_after_the_last_item(store: StoreUnderTest, order: Order) -> None:
    conversation = await start_mixed(store)
    last = (await store.list_items(conversation, order=order))[-1]

    assert await store.list_items(conversation, order=order, after=last.id) == []


async def test_an_empty_conversation_has_no_items(store: StoreUnderTest) -> None:
    conversation = await store.start()

    assert await store.list_items(conversation) == []


@pytest.mark.parametrize(
    "unknown",
    [
        *("", "rs_2", "msg_" + "0" * 32, "fc_" + "f" * 32 + "_7", "x" * 300, "\U0001f9f5"),
        *("\0", "rs_1\0", "\ud800", "msg_" + "0" * 32 + "\0"),
    ],
)
async def test_an_unknown_item_is_not_found(store: StoreUnderTest, unknown: str) -> None:
    conversation = await start_mixed(store)
    before = await everything_of(store)

    for call in (store.items.get, store.items.delete):
        with pytest.raises(ItemNotFoundError) as missing:
            await call(ALICE, conversation.id, ItemId(unknown))
        assert missing.value.item_id == unknown
    for order in Order:
        with pytest.raises(ItemNotFoundError):
            await store.list_items(conversation, order=order, after=ItemId(unknown))
    assert await everything_of(store) == before


async def test_an_item_that_a_message_does_not_have_is_not_found(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("hello", Role.ASSISTANT, tool_calls=CALLS))
    [message] = await store.history(conversation)

    for unknown in (f"fc_{message.id.hex}_2", f"fco_{message.id.hex}", f"fc_{message.id.hex}_1"):
        with pytest.raises(ItemNotFoundError):
            await store.items.get(ALICE, conversation.id, ItemId(unknown))
        with pytest.raises(ItemNotFoundError):
            await store.list_items(conversation, after=ItemId(unknown))


async def test_an_unknown_conversation_is_not_found(store: StoreUnderTest) -> None:
    unknown = new_conversation()

    with pytest.raises(ConversationNotFoundError):
        await store.append_items(unknown, *numbered_items(3))
    with pytest.raises(ConversationNotFoundError):
        await store.append_items(unknown, *new_items(*ITEM_TEXTS), key=KEY)
    with pytest.raises(ConversationNotFoundError):
        await store.list_items(unknown)
    with pytest.raises(ConversationNotFoundError):
        await store.list_items(unknown, after=ItemId("rs_1"))


async def test_many_appends_at_once_lose_double_and_mix_nothing(store: StoreUnderTest) -> None:
    """Meanwhile a reader sees a prefix of the log, in order and without gaps."""
    conversation = await store.start()
    batches = {f"writer {n} batch {b}": 1 + (n * 7 + b * 5) % 20 for n in range(30) for b in (0, 1)}
    done = asyncio.Event()

    async def read(limit: int, order: Order) -> None:
        while not done.is_set():
            seen = names(await page_through_items(store, conversation, order, limit))
            assert len(set(seen)) == len(seen)
            if order is Order.ASC:
                assert seen == names(await store.list_items(conversation))[: len(seen)]
            await asyncio.sleep(0.01)

    async def write(writer: int) -> None:
        for batch in (0, 1):
            name = f"writer {writer} batch {batch}"
            await store.append_items(conversation, *numbered_items(batches[name], name))

    readers = [
        asyncio.create_task(read(limit, order))
        for limit, order in ((1, Order.DESC), (3, Order.ASC), (20, Order.ASC), (7, Order.DESC))
    ]
    await asyncio.gather(*(write(n) for n in range(30)))
    done.set()
    await asyncio.gather(*readers)

    stored = names(await store.list_items(conversation, limit=10_000))
    assert len(stored) == sum(batches.values())
    at = 0
    while at < len(stored):
        name = stored[at].removesuffix(" 0")
        size = batches.pop(name)
        assert stored[at : at + size] == [f"{name} {n}" for n in range(size)]
        at += size
    assert batches == {}
