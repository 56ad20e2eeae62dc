"""Reading items: every one once, in order, in pages of any size, whatever is appended meanwhile."""

import asyncio

import pytest

from chatkeep.domain.errors import (
    ConversationNotFoundError,
    ItemNotFoundError,
)
from chatkeep.domain.items import ItemId
from chatkeep.domain.model import Order, Role
from tests.contract.builders import (
    ALICE,
    a_conversation,
    everything_of,
    history,
    says,
    started,
)
from tests.contract.items import (
    CALLS,
    KEY,
    TEXTS,
    append,
    items_of,
    mixed,
    names,
    page,
    paged,
    said,
)
from tests.contract.store import Store


@pytest.mark.parametrize("order", list(Order))
async def test_pages_of_any_size_have_every_item_once(store: Store, order: Order) -> None:
    conversation = await mixed(store)
    everything = await page(store, conversation)
    assert len({item.id for item in everything}) == len(everything) == 20
    if order is Order.DESC:
        everything.reverse()

    for limit in range(1, 22):
        assert await paged(store, conversation, order, limit) == everything


async def test_every_item_is_found_by_its_id(store: Store) -> None:
    conversation = await mixed(store)

    for item in await page(store, conversation):
        assert await store.items.get(ALICE, conversation.id, item.id) == item


@pytest.mark.parametrize("order", list(Order))
async def test_nothing_comes_after_the_last_item(store: Store, order: Order) -> None:
    conversation = await mixed(store)
    last = (await page(store, conversation, order=order))[-1]

    assert await page(store, conversation, order=order, after=last.id) == []


async def test_an_empty_conversation_has_no_items(store: Store) -> None:
    conversation = await started(store)

    assert await page(store, conversation) == []


@pytest.mark.parametrize(
    "unknown",
    [
        *("", "rs_2", "msg_" + "0" * 32, "fc_" + "f" * 32 + "_7", "x" * 300, "\U0001f9f5"),
        *("\0", "rs_1\0", "\ud800", "msg_" + "0" * 32 + "\0"),
    ],
)
async def test_an_unknown_item_is_not_found(store: Store, unknown: str) -> None:
    conversation = await mixed(store)
    before = await everything_of(store)

    for call in (store.items.get, store.items.delete):
        with pytest.raises(ItemNotFoundError) as missing:
            await call(ALICE, conversation.id, ItemId(unknown))
        assert missing.value.item_id == unknown
    for order in Order:
        with pytest.raises(ItemNotFoundError):
            await page(store, conversation, order=order, after=ItemId(unknown))
    assert await everything_of(store) == before


async def test_an_item_that_a_message_does_not_have_is_not_found(store: Store) -> None:
    conversation = await started(store, says("hello", Role.ASSISTANT, tool_calls=CALLS))
    [message] = await history(store, conversation)

    for unknown in (f"fc_{message.id.hex}_2", f"fco_{message.id.hex}", f"fc_{message.id.hex}_1"):
        with pytest.raises(ItemNotFoundError):
            await store.items.get(ALICE, conversation.id, ItemId(unknown))
        with pytest.raises(ItemNotFoundError):
            await page(store, conversation, after=ItemId(unknown))


async def test_an_unknown_conversation_is_not_found(store: Store) -> None:
    unknown = a_conversation()

    with pytest.raises(ConversationNotFoundError):
        await append(store, unknown, *said(3))
    with pytest.raises(ConversationNotFoundError):
        await append(store, unknown, *items_of(*TEXTS), key=KEY)
    with pytest.raises(ConversationNotFoundError):
        await page(store, unknown)
    with pytest.raises(ConversationNotFoundError):
        await page(store, unknown, after=ItemId("rs_1"))


async def test_many_appends_at_once_lose_double_and_mix_nothing(store: Store) -> None:
    """While they go on, a reader sees what there is, in order, with no hole in it."""
    conversation = await started(store)
    batches = {f"writer {n} batch {b}": 1 + (n * 7 + b * 5) % 20 for n in range(30) for b in (0, 1)}
    done = asyncio.Event()

    async def read(limit: int, order: Order) -> None:
        while not done.is_set():
            seen = names(await paged(store, conversation, order, limit))
            assert len(set(seen)) == len(seen)
            if order is Order.ASC:
                assert seen == names(await page(store, conversation))[: len(seen)]
            await asyncio.sleep(0.01)

    async def write(writer: int) -> None:
        for batch in (0, 1):
            name = f"writer {writer} batch {batch}"
            await append(store, conversation, *said(batches[name], name))

    readers = [
        asyncio.create_task(read(limit, order))
        for limit, order in ((1, Order.DESC), (3, Order.ASC), (20, Order.ASC), (7, Order.DESC))
    ]
    await asyncio.gather(*(write(n) for n in range(30)))
    done.set()
    await asyncio.gather(*readers)

    stored = names(await page(store, conversation, limit=10_000))
    assert len(stored) == sum(batches.values())
    at = 0
    while at < len(stored):
        name = stored[at].removesuffix(" 0")
        size = batches.pop(name)
        assert stored[at : at + size] == [f"{name} {n}" for n in range(size)]
        at += size
    assert batches == {}
