"""Idempotency keys of native requests: messages are stored once, whatever ids they get."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from chatkeep.domain.errors import (
    ConversationNotFoundError,
    KeyTakenError,
    MessageIdTakenError,
)
from chatkeep.domain.log import Appended, Created, RequestKey, entries_of
from chatkeep.domain.model import Changes, Conversation, NewMessage, Status
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    HOUR,
    KEY,
    NOON,
    OTHER_KEY,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    SECOND,
    assert_unchanged,
    contents,
    error_of,
    new_full_message,
    new_message_id,
    normalize,
    numbered_messages,
)

ANOTHER_KEY = replace(KEY, key="another")


def sent_again(messages: Sequence[NewMessage]) -> list[NewMessage]:
    """Return them with new ids, as a request without ids has each time."""
    return [message._replace(id=new_message_id()) for message in messages]


async def append_with_key(
    store: StoreUnderTest,
    conversation: Conversation,
    messages: Sequence[NewMessage],
    key: RequestKey = KEY,
    *,
    window: int | None = None,
) -> Appended:
    return await store.log.append(
        conversation.user_id,
        conversation.id,
        entries_of(sent_again(messages)),
        NOON,
        key=key,
        window=window,
    )


async def create_with_key(
    store: StoreUnderTest,
    conversation: Conversation,
    messages: Sequence[NewMessage],
    key: RequestKey = KEY,
) -> Created:
    return await store.log.create(
        conversation, entries_of(sent_again(messages)), key=key, provision=True
    )


BATCHES = [
    [new_message("one")],
    [new_message("one"), new_message("two"), new_message("three")],
    [new_full_message(), new_message("plain")],
]


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("window", [None, 3])
async def test_an_append_with_the_same_key_is_stored_once(
    store: StoreUnderTest, batch: list[NewMessage], window: int | None
) -> None:
    conversation = await store.start(*numbered_messages(2))
    first = await append_with_key(store, conversation, batch, window=window)
    await store.append(conversation, new_message("later"))

    async with assert_unchanged(store, ALICE):
        again = await append_with_key(store, conversation, batch, window=window)

    assert [*map(normalize, again.messages)] == [*map(normalize, first.messages)]
    assert (again.message_count, again.revision) == (len(batch) + 3, 3)
    if window is not None:
        history = await store.history(conversation)
        assert again.window is not None
        assert [each.id for each in again.window.tail] == [each.id for each in history[-window:]]


async def test_an_append_with_the_same_key_many_times_at_once_is_stored_once(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start()
    batch = numbered_messages(2)

    answers = await asyncio.gather(
        *(append_with_key(store, conversation, batch) for _ in range(10))
    )

    stored = tuple(await store.history(conversation))
    assert contents(stored) == contents(answers[0].messages)
    assert {answer.messages for answer in answers} == {stored}
    assert (await store.reload(conversation)).revision == 2


async def test_another_append_with_the_same_key_is_refused(store: StoreUnderTest) -> None:
    conversation = await store.start()
    await append_with_key(store, conversation, numbered_messages(1))

    async with assert_unchanged(store, ALICE):
        with pytest.raises(KeyTakenError) as refusal:
            await append_with_key(store, conversation, numbered_messages(1), OTHER_KEY)

    assert refusal.value.key == KEY.key


async def test_a_key_is_valid_in_its_conversation(store: StoreUnderTest) -> None:
    one, other = await store.start(), await store.start()
    bobs = await store.start(user_id=BOB)
    for conversation in (one, other, bobs):
        await append_with_key(store, conversation, numbered_messages(1))
    await append_with_key(store, one, numbered_messages(1), ANOTHER_KEY)

    lengths = [len(await store.history(each)) for each in (one, other, bobs)]
    assert lengths == [2, 1, 1]


async def test_an_append_with_a_key_and_all_its_messages_deleted_is_not_stored_again(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start(*numbered_messages(1))
    first = await append_with_key(store, conversation, numbered_messages(2))
    for message in first.messages:
        await store.log.delete(ALICE, conversation.id, message.id)

    again = await append_with_key(store, conversation, numbered_messages(2))

    assert (again.messages, again.message_count) == ((), 1)
    assert len(await store.history(conversation)) == 1


async def test_a_message_id_that_is_taken_is_refused_with_a_key_too(store: StoreUnderTest) -> None:
    conversation = await store.start(taken := new_message("first"))

    async with assert_unchanged(store, ALICE):
        with pytest.raises(MessageIdTakenError) as refusal:
            await store.log.append(
                ALICE,
                conversation.id,
                entries_of([new_message("new"), taken._replace(content="other")]),
                NOON,
                key=KEY,
            )
    assert refusal.value.message_id == taken.id
    # What was refused did not use the key.
    appended = await append_with_key(store, conversation, numbered_messages(1), OTHER_KEY)
    assert len(appended.messages) == 1


async def test_a_repeated_append_may_be_recognised_by_its_ids_under_another_key(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start()
    entries = entries_of(numbered_messages(2))
    first = await store.log.append(ALICE, conversation.id, entries, NOON, key=KEY)

    async with assert_unchanged(store, ALICE):
        again = await store.log.append(ALICE, conversation.id, entries, NOON, key=ANOTHER_KEY)

    assert again.messages == first.messages


async def test_an_append_with_a_key_needs_its_conversation(store: StoreUnderTest) -> None:
    unknown = new_conversation()
    bobs = await store.start(user_id=BOB)
    for each in (unknown, bobs._replace(user_id=ALICE)):
        with pytest.raises(ConversationNotFoundError):
            await append_with_key(store, each, numbered_messages(1))


@pytest.mark.parametrize("batch", [[], *BATCHES])
async def test_a_create_with_the_same_key_is_one_conversation_and_returns_its_messages(
    store: StoreUnderTest, batch: list[NewMessage]
) -> None:
    new = new_conversation(title="Trip")
    first = await create_with_key(store, new, batch)
    await store.append(new, new_message("later"))
    archived = await store.conversations.change(ALICE, new.id, Changes(status=Status.ARCHIVED))

    later = new._replace(created_at=NOON + HOUR, updated_at=NOON + HOUR)
    async with assert_unchanged(store, ALICE):
        again = await create_with_key(store, later, batch)
        with pytest.raises(KeyTakenError):
            await create_with_key(store, later, batch, OTHER_KEY)

    assert (first.created, again.created) == (True, False)
    assert again.conversation == archived
    assert [*map(normalize, again.messages)] == [*map(normalize, first.messages)]


async def test_a_create_with_the_same_key_many_times_at_once_is_one_conversation(
    store: StoreUnderTest,
) -> None:
    new = new_conversation()
    batch = numbered_messages(2)

    answers = await asyncio.gather(
        *(
            create_with_key(store, new._replace(created_at=at, updated_at=at), batch)
            for at in (NOON + n * SECOND for n in range(10))
        )
    )

    assert sum(answer.created for answer in answers) == 1
    assert len({answer.messages for answer in answers}) == 1
    assert {answer.conversation for answer in answers} == {await store.reload(new)}
    assert len(await store.history(new)) == 2


async def test_the_keys_of_a_deleted_conversation_are_free_again(store: StoreUnderTest) -> None:
    new = new_conversation()
    await create_with_key(store, new, numbered_messages(1))
    await store.conversations.delete(ALICE, new.id)

    again = await create_with_key(store, new, numbered_messages(2), OTHER_KEY)

    assert again.created
    assert await error_of(create_with_key(store, new, numbered_messages(2), OTHER_KEY)) is None
    assert len(await store.history(new)) == 2
