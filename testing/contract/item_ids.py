"""Ids of items and idempotency keys: which requests they refuse, and which they answer again."""

import asyncio
from dataclasses import replace

import pytest

from chatkeep.domain.errors import (
    ItemIdTakenError,
    KeyTakenError,
    UserNotProvisionedError,
)
from chatkeep.domain.model import JsonText, UserId
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    HOUR,
    KEY,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.places import After, Place
from chatkeep.testing.builders import ITEM_TEXTS, SECOND, everything_of, new_items, numbered_items

OWN = '{"type":"reasoning","id":"own","summary":[]}'
OWN_MESSAGE = '{"type":"message","id":"own","role":"user","content":"again"}'


@pytest.mark.parametrize("own", [OWN, OWN_MESSAGE])
@pytest.mark.parametrize("place", [None, After(None)])
async def test_an_equal_request_in_the_same_microsecond_is_another_one(
    store: StoreUnderTest, own: str, place: Place | None
) -> None:
    """Only the clock told it apart from an attempt whose answer was lost."""
    conversation = await store.start()
    first, second = new_items(own), new_items(own)
    await store.log.append(ALICE, conversation.id, first, NOON, place=place)
    before = await everything_of(store)

    with pytest.raises(ItemIdTakenError):
        await store.log.append(ALICE, conversation.id, second, NOON, place=place)

    assert await everything_of(store) == before


@pytest.mark.parametrize("first", [OWN, OWN_MESSAGE])
@pytest.mark.parametrize("second", [OWN, OWN_MESSAGE])
async def test_an_id_comes_once_in_a_conversation(
    store: StoreUnderTest, first: str, second: str
) -> None:
    conversation = await store.start()
    await store.append_items(conversation, *new_items(first))
    before = await everything_of(store), await store.list_items(conversation)

    with pytest.raises(ItemIdTakenError) as refusal:
        await store.append_items(
            conversation, *numbered_items(3), *new_items(second), at=NOON + HOUR
        )

    assert refusal.value.item_id == "own"
    assert (await everything_of(store), await store.list_items(conversation)) == before
    other = await store.start()
    await store.append_items(other, *new_items(second))
    assert len(await store.list_items(other)) == 1


async def test_an_id_comes_once_in_a_batch(store: StoreUnderTest) -> None:
    conversation = await store.start()

    with pytest.raises(ItemIdTakenError):
        await store.append_items(conversation, *new_items(OWN, OWN_MESSAGE))
    with pytest.raises(ItemIdTakenError):
        await store.items.create(new_conversation(), new_items(OWN, OWN), key=None, provision=True)

    assert await store.list_items(conversation) == []
    assert await store.list_conversations() == [conversation]


async def test_an_id_that_a_native_message_has_is_taken(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("hello"))
    [item] = await store.list_items(conversation)
    copy = new_items(item.text)

    with pytest.raises(ItemIdTakenError) as refusal:
        await store.append_items(conversation, *copy, at=NOON + SECOND)

    assert refusal.value.item_id == item.id
    other = await store.start()
    assert [each.text for each in await store.append_items(other, *copy)] == [item.text]
    assert (await store.list_items(other))[0].id == item.id
    assert (await store.items.get(ALICE, other.id, item.id)).text == item.text


async def test_a_conversation_is_created_with_its_items(store: StoreUnderTest) -> None:
    new = new_conversation(metadata=JsonText('{"a": "b"}'))
    items = new_items(*ITEM_TEXTS)

    created = await store.items.create(new, items, key=None, provision=True)

    assert created == new._replace(message_count=4)
    assert await store.reload(new) == created
    assert [(item.id, item.text) for item in await store.list_items(new)] == [
        (entry.item_id, entry.item) for entry in items
    ]


async def test_an_unknown_user_creates_nothing_unless_they_may_be_added(
    store: StoreUnderTest,
) -> None:
    unknown = new_conversation(UserId("unknown"))

    with pytest.raises(UserNotProvisionedError):
        await store.items.create(unknown, numbered_items(2), key=None, provision=False)

    assert await store.list_conversations(UserId("unknown")) == []


async def test_the_same_key_again_answers_what_is_stored(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("hello"))
    first = await store.append_items(conversation, *numbered_items(4), key=KEY)
    await store.append_items(conversation, *numbered_items(2, "later"))
    before = await everything_of(store)

    second = await store.append_items(conversation, *numbered_items(4), at=NOON + HOUR, key=KEY)

    assert list(second) == list(first)
    assert await everything_of(store) == before


async def test_a_key_holds_for_its_conversation_and_its_request(store: StoreUnderTest) -> None:
    one, other = await store.start(), await store.start()
    await store.append_items(one, *numbered_items(2), key=KEY)

    await store.append_items(other, *numbered_items(3), key=KEY)
    await store.append_items(other, *numbered_items(3), key=replace(KEY, key="another"))
    with pytest.raises(KeyTakenError) as refusal:
        await store.append_items(
            one, *numbered_items(2), key=replace(KEY, digest="of another request")
        )

    assert refusal.value.key == "key"
    assert len(await store.list_items(one)) == 2
    assert len(await store.list_items(other)) == 6


async def test_of_a_deleted_item_the_same_key_answers_the_others(store: StoreUnderTest) -> None:
    conversation = await store.start()
    first = await store.append_items(conversation, *numbered_items(3), key=KEY)
    await store.items.delete(ALICE, conversation.id, first[1].id)
    await store.append_items(conversation, *numbered_items(3, "later"))

    assert list(await store.append_items(conversation, *numbered_items(3), key=KEY)) == [
        first[0],
        first[2],
    ]


async def test_the_same_key_many_times_at_once_stores_once(store: StoreUnderTest) -> None:
    conversation = await store.start()

    answers = await asyncio.gather(
        *(
            store.append_items(conversation, *numbered_items(3), at=NOON + n * SECOND, key=KEY)
            for n in range(10)
        )
    )

    stored = await store.list_items(conversation)
    assert len(stored) == 3
    assert all(list(answer) == stored for answer in answers)


async def test_a_create_with_the_same_key_is_one(store: StoreUnderTest) -> None:
    new = new_conversation()
    created = await store.items.create(new, numbered_items(3), key=KEY, provision=True)

    later = new._replace(created_at=NOON + HOUR, updated_at=NOON + HOUR)
    assert await store.items.create(later, numbered_items(3), key=KEY, provision=True) == created
    with pytest.raises(KeyTakenError):
        await store.items.create(
            later, numbered_items(2), key=replace(KEY, digest="another"), provision=True
        )

    assert len(await store.list_items(new)) == 3
    assert await store.list_conversations() == [created]


async def test_a_create_with_the_same_key_many_times_at_once_is_one(store: StoreUnderTest) -> None:
    new = new_conversation()
    times = [NOON + n * SECOND for n in range(10)]

    answers = await asyncio.gather(
        *(
            store.items.create(
                new._replace(created_at=at, updated_at=at),
                numbered_items(3),
                key=KEY,
                provision=True,
            )
            for at in times
        )
    )

    assert await store.list_conversations() == [answers[0]]
    assert answers == [answers[0]] * 10
    assert len(await store.list_items(new)) == 3


@pytest.mark.parametrize("items", [0, 3])
async def test_a_create_with_a_key_is_never_a_conversation_that_came_without_it(
    store: StoreUnderTest, items: int
) -> None:
    """It was imported, say, or created natively with the id that is derived from the key."""
    new = new_conversation()
    await store.items.create(new, numbered_items(items), key=None, provision=True)
    before = await everything_of(store)

    for later in (new, new._replace(created_at=NOON + HOUR, updated_at=NOON + HOUR)):
        with pytest.raises(KeyTakenError):
            await store.items.create(later, numbered_items(items), key=KEY, provision=True)

    assert await everything_of(store) == before


async def test_equal_appends_without_a_key_are_each_stored(store: StoreUnderTest) -> None:
    conversation = await store.start()

    answers = await asyncio.gather(
        *(store.append_items(conversation, *numbered_items(2)) for _ in range(10)),
    )

    assert len({item.id for answer in answers for item in answer}) == 20
    assert len(await store.list_items(conversation)) == 20
