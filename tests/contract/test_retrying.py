"""Retrying an append: the same again answers what is stored, another under its ids is refused."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from chatkeep.domain.errors import MessageIdTakenError
from chatkeep.domain.model import JsonText, Role
from tests.contract.builders import (
    ALICE,
    HOUR,
    NOON,
    SECOND,
    a_full_message,
    again,
    appended,
    contents,
    everything_of,
    history,
    id_of,
    numbered,
    plain,
    refused,
    says,
    says_all,
    started,
)
from tests.contract.store import Store


async def test_an_append_again_answers_the_same_and_changes_nothing(store: Store) -> None:
    conversation = await started(store, *numbered(2))
    batch = [a_full_message(), *numbered(2)]
    first = await appended(store, conversation, *batch)
    before = await everything_of(store)

    second = await appended(store, conversation, *batch, at=NOON + HOUR)

    assert [plain(each) for each in second] == [plain(each) for each in first]
    assert await everything_of(store) == before


async def test_an_append_again_tells_how_many_messages_there_are_by_now(store: Store) -> None:
    conversation = await started(store)
    batch = says_all("first", "second")
    first = await appended(store, conversation, *batch)
    await appended(store, conversation, says("third"))

    second = await store.messages.append(ALICE, conversation.id, batch, NOON)

    assert second.messages == first
    assert second.message_count == 3
    assert contents(await history(store, conversation)) == ["first", "second", "third"]


async def test_an_append_again_may_write_its_json_differently(store: Store) -> None:
    conversation = await started(store)
    message = a_full_message()
    [first] = await appended(store, conversation, message)
    rewritten = replace(
        message,
        tool_calls=JsonText('[{"function":{"arguments":"{}","name":"f"},"id":"call_1"}]'),
        metadata=JsonText('{"tokens":12.0,"model":"large"}'),
    )

    [second] = await appended(store, conversation, rewritten)

    assert plain(second) == plain(first)
    assert len(await history(store, conversation)) == 1


async def test_an_append_sent_many_times_at_once_is_stored_once(store: Store) -> None:
    conversation = await started(store, says("hello"))
    batch = numbered(3)

    answers = await asyncio.gather(
        *(
            store.messages.append(ALICE, conversation.id, batch, NOON + number * SECOND)
            for number in range(8)
        )
    )

    assert len({answer.messages for answer in answers}) == 1
    assert {answer.message_count for answer in answers} == {4}
    assert len(await history(store, conversation)) == 4
    kept = await again(store, conversation)
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
    store: Store, other: dict[str, Any]
) -> None:
    conversation = await started(store)
    message = a_full_message()
    await appended(store, conversation, message)
    before = await everything_of(store)

    with pytest.raises(MessageIdTakenError) as refusal:
        await appended(store, conversation, replace(message, **other), at=NOON + HOUR)

    assert refusal.value.message_id == message.id
    assert await everything_of(store) == before


async def test_the_same_message_in_another_conversation_is_refused(store: Store) -> None:
    message = says("hello")
    await started(store, message)
    other = await started(store)
    before = await everything_of(store)

    with pytest.raises(MessageIdTakenError) as refusal:
        await appended(store, other, message)

    assert refusal.value.message_id == message.id
    assert await everything_of(store) == before


@pytest.mark.parametrize("stored", [0, 1, 2])
async def test_a_batch_of_which_a_part_is_stored_is_refused(store: Store, stored: int) -> None:
    conversation = await started(store)
    batch = numbered(3)
    await appended(store, conversation, batch[stored])
    before = await everything_of(store)

    with pytest.raises(MessageIdTakenError) as refusal:
        await appended(store, conversation, *batch, at=NOON + HOUR)

    assert refusal.value.message_id == batch[stored].id
    assert await everything_of(store) == before


async def test_the_id_of_a_deleted_message_is_free_again(store: Store) -> None:
    conversation = await started(store)
    message = says("first life")
    await appended(store, conversation, message, says("between"))
    await store.messages.delete(ALICE, conversation.id, id_of(message))

    await appended(store, conversation, replace(message, content="second life"))

    assert contents(await history(store, conversation)) == ["between", "second life"]


async def test_of_different_messages_under_one_id_at_once_one_is_stored(store: Store) -> None:
    conversation = await started(store)
    message = says("?")

    errors = await asyncio.gather(
        *(
            refused(appended(store, conversation, says("aside"), replace(message, content=str(n))))
            for n in range(6)
        )
    )

    assert sorted(str(type(error)) for error in errors) == sorted(
        [str(MessageIdTakenError)] * 5 + [str(type(None))]
    )
    winner = errors.index(None)
    assert contents(await history(store, conversation)) == ["aside", str(winner)]


async def test_of_one_batch_to_two_conversations_at_once_one_is_stored(store: Store) -> None:
    conversations = [await started(store), await started(store)]
    batch = numbered(3)

    errors = await asyncio.gather(
        *(refused(appended(store, conversation, *batch)) for conversation in conversations)
    )

    assert [type(error) for error in errors if error] == [MessageIdTakenError]
    counts = [(await again(store, conversation)).message_count for conversation in conversations]
    assert counts == [0 if error else 3 for error in errors]
    assert (await store.users.usage(ALICE)).messages == 3
