"""Retrying an append: the same one returns what is stored, another one under its ids is refused."""

import asyncio
from typing import Any

import pytest

from chatkeep.domain.errors import MessageIdTakenError
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import JsonText, Role
from chatkeep.domain.operations.selftest.builders import ALICE, HOUR, NOON, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    SECOND,
    contents,
    error_of,
    everything_of,
    id_of,
    new_full_message,
    new_messages,
    normalize,
    numbered_messages,
)


async def test_an_append_again_answers_the_same_and_changes_nothing(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(2))
    batch = [new_full_message(), *numbered_messages(2)]
    first = await store.append(conversation, *batch)
    before = await everything_of(store)

    second = await store.append(conversation, *batch, at=NOON + HOUR)

    assert [normalize(each) for each in second] == [normalize(each) for each in first]
    assert await everything_of(store) == before


async def test_an_append_again_tells_how_many_messages_there_are_by_now(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start()
    batch = new_messages("first", "second")
    first = await store.append(conversation, *batch)
    await store.append(conversation, new_message("third"))

    second = await store.log.append(ALICE, conversation.id, entries_of(batch), NOON)

    assert second.messages == first
    assert second.message_count == 3
    assert contents(await store.history(conversation)) == ["first", "second", "third"]


async def test_an_append_again_may_write_its_json_differently(store: StoreUnderTest) -> None:
    conversation = await store.start()
    message = new_full_message()
    [first] = await store.append(conversation, message)
    rewritten = message._replace(
        tool_calls=JsonText('[{"function":{"arguments":"{}","name":"f"},"id":"call_1"}]'),
        metadata=JsonText('{"tokens":12.0,"model":"large"}'),
    )

    [second] = await store.append(conversation, rewritten)

    assert normalize(second) == normalize(first)
    assert len(await store.history(conversation)) == 1


async def test_an_append_sent_many_times_at_once_is_stored_once(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("hello"))
    batch = numbered_messages(3)

    answers = await asyncio.gather(
        *(
            store.log.append(ALICE, conversation.id, entries_of(batch), NOON + number * SECOND)
            for number in range(8)
        )
    )

    assert len({answer.messages for answer in answers}) == 1
    assert {answer.message_count for answer in answers} == {4}
    assert len(await store.history(conversation)) == 4
    kept = await store.reload(conversation)
    assert kept.message_count == 4
    assert kept.updated_at == answers[0].messages[0].created_at


@pytest.mark.parametrize(
    "other",
    [
        {"content": "looking it up "},
        {"content": ""},
        {"content": None},
        {"role": Role.USER},
        {"name": "Helper"},
        {"name": None},
        {"tool_call_id": "call_1"},
        {"tool_calls": None},
        {"tool_calls": JsonText("[]")},
        {"metadata": JsonText("{}")},
        {"metadata": JsonText('{"model": "large", "tokens": 13}')},
        {"created_at": NOON - HOUR},
    ],
)
async def test_another_message_under_the_same_id_is_refused(
    store: StoreUnderTest, other: dict[str, Any]
) -> None:
    conversation = await store.start()
    message = new_full_message()
    await store.append(conversation, message)
    before = await everything_of(store)

    with pytest.raises(MessageIdTakenError) as refusal:
        await store.append(conversation, message._replace(**other), at=NOON + HOUR)

    assert refusal.value.message_id == message.id
    assert await everything_of(store) == before


async def test_the_same_message_in_another_conversation_is_refused(store: StoreUnderTest) -> None:
    message = new_message("hello")
    await store.start(message)
    other = await store.start()
    before = await everything_of(store)

    with pytest.raises(MessageIdTakenError) as refusal:
        await store.append(other, message)

    assert refusal.value.message_id == message.id
    assert await everything_of(store) == before


@pytest.mark.parametrize("stored", [0, 1, 2])
async def test_a_batch_of_which_a_part_is_stored_is_refused(
    store: StoreUnderTest, stored: int
) -> None:
    conversation = await store.start()
    batch = numbered_messages(3)
    await store.append(conversation, batch[stored])
    before = await everything_of(store)

    with pytest.raises(MessageIdTakenError) as refusal:
        await store.append(conversation, *batch, at=NOON + HOUR)

    assert refusal.value.message_id == batch[stored].id
    assert await everything_of(store) == before


async def test_the_id_of_a_deleted_message_is_free_again(store: StoreUnderTest) -> None:
    conversation = await store.start()
    message = new_message("first life")
    await store.append(conversation, message, new_message("between"))
    await store.log.delete(ALICE, conversation.id, id_of(message))

    await store.append(conversation, message._replace(content="second life"))

    assert contents(await store.history(conversation)) == ["between", "second life"]


async def test_of_different_messages_under_one_id_at_once_one_is_stored(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start()
    message = new_message("?")

    errors = await asyncio.gather(
        *(
            error_of(
                store.append(conversation, new_message("aside"), message._replace(content=str(n)))
            )
            for n in range(6)
        )
    )

    assert sorted(str(type(error)) for error in errors) == sorted(
        [str(MessageIdTakenError)] * 5 + [str(type(None))]
    )
    winner = errors.index(None)
    assert contents(await store.history(conversation)) == ["aside", str(winner)]


async def test_of_one_batch_to_two_conversations_at_once_one_is_stored(
    store: StoreUnderTest,
) -> None:
    conversations = [await store.start(), await store.start()]
    batch = numbered_messages(3)

    errors = await asyncio.gather(
        *(error_of(store.append(conversation, *batch)) for conversation in conversations)
    )

    assert [type(error) for error in errors if error] == [MessageIdTakenError]
    counts = [(await store.reload(conversation)).message_count for conversation in conversations]
    assert counts == [0 if error else 3 for error in errors]
    assert (await store.users.usage(ALICE)).messages == 3
