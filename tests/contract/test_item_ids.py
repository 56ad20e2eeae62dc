"""Ids of items, idempotency keys, and what is refused or answered again because of them."""

import asyncio
from dataclasses import replace

import pytest

from chatkeep.domain.errors import (
    ItemIdTakenError,
    KeyTakenError,
    UserNotProvisionedError,
)
from chatkeep.domain.model import JsonText, UserId
from tests.contract.builders import (
    ALICE,
    HOUR,
    NOON,
    SECOND,
    a_conversation,
    again,
    everything_of,
    listed,
    says,
    started,
)
from tests.contract.items import (
    KEY,
    TEXTS,
    append,
    items_of,
    page,
    said,
)
from tests.contract.store import Store

OWN = '{"type":"reasoning","id":"own","summary":[]}'
OWN_MESSAGE = '{"type":"message","id":"own","role":"user","content":"again"}'


@pytest.mark.parametrize("first", [OWN, OWN_MESSAGE])
@pytest.mark.parametrize("second", [OWN, OWN_MESSAGE])
async def test_an_id_comes_once_in_a_conversation(store: Store, first: str, second: str) -> None:
    conversation = await started(store)
    await append(store, conversation, *items_of(first))
    before = await everything_of(store), await page(store, conversation)

    with pytest.raises(ItemIdTakenError) as refusal:
        await append(store, conversation, *said(3), *items_of(second), at=NOON + HOUR)

    assert refusal.value.item_id == "own"
    assert (await everything_of(store), await page(store, conversation)) == before
    other = await started(store)
    await append(store, other, *items_of(second))
    assert len(await page(store, other)) == 1


async def test_an_id_comes_once_in_a_batch(store: Store) -> None:
    conversation = await started(store)

    with pytest.raises(ItemIdTakenError):
        await append(store, conversation, *items_of(OWN, OWN_MESSAGE))
    with pytest.raises(ItemIdTakenError):
        await store.items.create(a_conversation(), items_of(OWN, OWN), key=None, provision=True)

    assert await page(store, conversation) == []
    assert await listed(store) == [conversation]


async def test_an_id_that_a_native_message_has_is_taken(store: Store) -> None:
    conversation = await started(store, says("hello"))
    [item] = await page(store, conversation)
    copy = items_of(item.text)

    with pytest.raises(ItemIdTakenError) as refusal:
        await append(store, conversation, *copy, at=NOON + SECOND)

    assert refusal.value.item_id == item.id
    other = await started(store)
    assert [each.text for each in await append(store, other, *copy)] == [item.text]
    assert (await page(store, other))[0].id == item.id
    assert (await store.items.get(ALICE, other.id, item.id)).text == item.text


async def test_a_conversation_is_created_with_its_items(store: Store) -> None:
    new = a_conversation(metadata=JsonText('{"a": "b"}'))
    items = items_of(*TEXTS)

    created = await store.items.create(new, items, key=None, provision=True)

    assert created == new._replace(message_count=4)
    assert await again(store, new) == created
    assert [(item.id, item.text) for item in await page(store, new)] == [
        (item.id, item.text) for item in items
    ]


async def test_an_unknown_user_creates_nothing_unless_they_may_be_added(store: Store) -> None:
    nobody = a_conversation(UserId("nobody"))

    with pytest.raises(UserNotProvisionedError):
        await store.items.create(nobody, said(2), key=None, provision=False)

    assert await listed(store, UserId("nobody")) == []


async def test_the_same_key_again_answers_what_is_stored(store: Store) -> None:
    conversation = await started(store, says("hello"))
    first = await append(store, conversation, *said(4), key=KEY)
    await append(store, conversation, *said(2, "later"))
    before = await everything_of(store)

    second = await append(store, conversation, *said(4), at=NOON + HOUR, key=KEY)

    assert list(second) == list(first)
    assert await everything_of(store) == before


async def test_a_key_holds_for_its_conversation_and_its_request(store: Store) -> None:
    one, other = await started(store), await started(store)
    await append(store, one, *said(2), key=KEY)

    await append(store, other, *said(3), key=KEY)
    await append(store, other, *said(3), key=replace(KEY, key="another"))
    with pytest.raises(KeyTakenError) as refusal:
        await append(store, one, *said(2), key=replace(KEY, digest="of another request"))

    assert refusal.value.key == "key"
    assert len(await page(store, one)) == 2
    assert len(await page(store, other)) == 6


async def test_of_a_deleted_item_the_same_key_answers_the_others(store: Store) -> None:
    conversation = await started(store)
    first = await append(store, conversation, *said(3), key=KEY)
    await store.items.delete(ALICE, conversation.id, first[1].id)
    await append(store, conversation, *said(3, "later"))

    assert list(await append(store, conversation, *said(3), key=KEY)) == [first[0], first[2]]


async def test_the_same_key_many_times_at_once_stores_once(store: Store) -> None:
    conversation = await started(store)

    answers = await asyncio.gather(
        *(append(store, conversation, *said(3), at=NOON + n * SECOND, key=KEY) for n in range(10))
    )

    stored = await page(store, conversation)
    assert len(stored) == 3
    assert all(list(answer) == stored for answer in answers)


async def test_a_create_with_the_same_key_is_one(store: Store) -> None:
    new = a_conversation()
    created = await store.items.create(new, said(3), key=KEY, provision=True)

    later = new._replace(created_at=NOON + HOUR, updated_at=NOON + HOUR)
    assert await store.items.create(later, said(3), key=KEY, provision=True) == created
    with pytest.raises(KeyTakenError):
        await store.items.create(later, said(2), key=replace(KEY, digest="another"), provision=True)

    assert len(await page(store, new)) == 3
    assert await listed(store) == [created]


async def test_a_create_with_the_same_key_many_times_at_once_is_one(store: Store) -> None:
    new = a_conversation()
    times = [NOON + n * SECOND for n in range(10)]

    answers = await asyncio.gather(
        *(
            store.items.create(
                new._replace(created_at=at, updated_at=at), said(3), key=KEY, provision=True
            )
            for at in times
        )
    )

    assert await listed(store) == [answers[0]]
    assert answers == [answers[0]] * 10
    assert len(await page(store, new)) == 3


@pytest.mark.parametrize("items", [0, 3])
async def test_a_create_with_a_key_is_never_a_conversation_that_came_without_it(
    store: Store, items: int
) -> None:
    """Such as one that was imported, or made natively with the id that follows from the key."""
    new = a_conversation()
    await store.items.create(new, said(items), key=None, provision=True)
    before = await everything_of(store)

    for later in (new, new._replace(created_at=NOON + HOUR, updated_at=NOON + HOUR)):
        with pytest.raises(KeyTakenError):
            await store.items.create(later, said(items), key=KEY, provision=True)

    assert await everything_of(store) == before


async def test_equal_appends_without_a_key_are_each_stored(store: Store) -> None:
    conversation = await started(store)

    answers = await asyncio.gather(
        *(append(store, conversation, *said(2)) for _ in range(10)),
    )

    assert len({item.id for answer in answers for item in answer}) == 20
    assert len(await page(store, conversation)) == 20
