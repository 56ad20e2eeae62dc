"""Appending: order, counters and `updated_at`, all or nothing, alone and with others."""

import asyncio
from dataclasses import replace

import pytest

from chatkeep.domain.errors import ConversationNotFoundError, MessageIdTakenError
from chatkeep.domain.model import Changes, JsonText, Message, Role, microseconds
from tests.contract.builders import (
    ALICE,
    HOUR,
    NOON,
    SECOND,
    a_conversation,
    again,
    appended,
    contents,
    everything_of,
    history,
    id_of,
    ids,
    numbered,
    says,
    says_all,
    started,
)
from tests.contract.store import Store


def positions(messages: list[Message]) -> list[int]:
    return [message.position for message in messages]


async def test_an_append_answers_what_it_stored(store: Store) -> None:
    conversation = await started(store)
    new = says_all("hello", "are you there?")

    answer = await store.messages.append(ALICE, conversation.id, new, NOON + SECOND)

    assert list(answer.messages) == await history(store, conversation)
    assert ids(answer.messages) == [each.id for each in new]
    assert [each.created_at for each in answer.messages] == [NOON + SECOND] * 2
    assert {each.conversation_id for each in answer.messages} == {conversation.id}
    assert answer.message_count == 2
    assert answer.window is None


async def test_an_append_counts_its_messages_and_moves_the_last_activity(store: Store) -> None:
    conversation = await started(store, *numbered(2))

    answer = await store.messages.append(ALICE, conversation.id, numbered(3), NOON + HOUR)

    assert answer.message_count == 5
    assert await again(store, conversation) == conversation._replace(
        message_count=5, updated_at=NOON + HOUR
    )


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_comes_back_as_itself(store: Store, role: Role) -> None:
    conversation = await started(store)
    call_id = "call_1" if role is Role.TOOL else None

    await appended(store, conversation, says("hello", role, tool_call_id=call_id))

    [message] = await history(store, conversation)
    assert message.role is role
    assert message.tool_call_id == call_id


async def test_appends_keep_their_order_while_the_clock_stands_still(store: Store) -> None:
    conversation = await started(store, says("0"))

    for number in range(1, 6):
        await appended(store, conversation, says(str(number)), at=NOON)

    found = await history(store, conversation)
    first = microseconds(NOON)
    assert contents(found) == ["0", "1", "2", "3", "4", "5"]
    assert positions(found) == list(range(first, first + 6))


async def test_appends_keep_their_order_when_the_clock_goes_back(store: Store) -> None:
    conversation = await started(store)
    times = [NOON, NOON - HOUR, NOON - SECOND, NOON + SECOND, NOON - HOUR]

    for number, at in enumerate(times):
        await appended(store, conversation, says(str(number)), at=at)

    found = await history(store, conversation)
    noon = microseconds(NOON)
    assert contents(found) == ["0", "1", "2", "3", "4"]
    assert positions(found) == [noon, noon + 1, noon + 2, noon + 1_000_000, noon + 1_000_001]
    assert [each.created_at for each in found] == times


async def test_the_last_activity_never_goes_back(store: Store) -> None:
    conversation = await started(store)

    await appended(store, conversation, says("late"), at=NOON + HOUR)
    await appended(store, conversation, says("early"), at=NOON - HOUR)

    assert (await again(store, conversation)).updated_at == NOON + HOUR


async def test_a_batch_keeps_its_order_at_consecutive_positions(store: Store) -> None:
    conversation = await started(store)
    batch = says_all("d", "a", "c", "b")

    await appended(store, conversation, *batch)

    found = await history(store, conversation)
    first = microseconds(NOON)
    assert contents(found) == ["d", "a", "c", "b"]
    assert positions(found) == [first, first + 1, first + 2, first + 3]


async def test_a_batch_may_be_large(store: Store) -> None:
    conversation = await started(store)

    await appended(store, conversation, *numbered(250))

    assert contents(await history(store, conversation)) == [f"user {n}" for n in range(250)]


async def test_a_batch_may_mix_all_kinds_of_messages(store: Store) -> None:
    conversation = await started(store)
    calls = JsonText('[{"id":"call_1","type":"function"}]')
    batch = [
        says("be brief", Role.SYSTEM, metadata=JsonText('{"v":1}')),
        says("weather?", name="alice"),
        says(None, Role.ASSISTANT, tool_calls=calls),
        says("sunny", Role.TOOL, tool_call_id="call_1", name="weather"),
        says("", Role.ASSISTANT, created_at=NOON - HOUR),
    ]

    await appended(store, conversation, *batch)

    found = await history(store, conversation)
    assert len(found) == 5
    assert all(new.equals(stored) for new, stored in zip(batch, found, strict=True))
    assert found[0].tool_calls is None
    assert found[2].content is None
    assert found[4].content == ""


async def test_an_imported_message_keeps_its_time_and_still_comes_last(store: Store) -> None:
    conversation = await started(store, says("now"))

    await appended(store, conversation, says("long ago", created_at=NOON - 1_000 * HOUR))

    found = await history(store, conversation)
    assert contents(found) == ["now", "long ago"]
    assert found[1].created_at == NOON - 1_000 * HOUR


async def test_the_place_of_a_deleted_message_is_not_given_away_again(store: Store) -> None:
    conversation = await started(store)
    stored = await appended(store, conversation, *numbered(3))
    for message in stored:
        await store.messages.delete(ALICE, conversation.id, message.id)

    [later] = await appended(store, conversation, says("later"), at=NOON)

    assert later.position == stored[-1].position + 1
    assert (await again(store, conversation)).message_count == 1


async def test_an_append_leaves_title_status_and_metadata(store: Store) -> None:
    new = a_conversation(title="Kept", metadata=JsonText('{"kept":true}'))
    await store.conversations.create(new, (), provision=True)
    old = await again(store, new)

    await appended(store, new, says("hello"))

    assert await again(store, new) == old._replace(message_count=1)


async def test_an_append_to_no_conversation_is_refused(store: Store) -> None:
    await started(store, *numbered(1))
    before = await everything_of(store)
    unknown = a_conversation()

    with pytest.raises(ConversationNotFoundError) as refusal:
        await appended(store, unknown, *numbered(2))

    assert refusal.value.conversation_id == unknown.id
    assert await everything_of(store) == before


@pytest.mark.parametrize("where", [0, 1, 2])
@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_batch_with_a_message_id_in_use_stores_nothing(
    store: Store, where: int, *, elsewhere: bool
) -> None:
    taken = says("taken")
    conversation = await started(store, *numbered(2))
    await appended(store, await started(store) if elsewhere else conversation, taken)
    before = await everything_of(store)
    batch = numbered(3)
    batch[where] = replace(batch[where], id=taken.id)

    with pytest.raises(MessageIdTakenError) as refusal:
        await appended(store, conversation, *batch, at=NOON + HOUR)

    assert refusal.value.message_id == taken.id
    assert await everything_of(store) == before


async def test_a_batch_that_names_an_id_twice_stores_nothing(store: Store) -> None:
    conversation = await started(store, *numbered(1))
    before = await everything_of(store)
    twice = says("once")

    with pytest.raises(MessageIdTakenError) as refusal:
        await appended(store, conversation, *numbered(1), twice, twice, at=NOON + HOUR)

    assert refusal.value.message_id == twice.id
    assert await everything_of(store) == before


async def test_a_refused_batch_can_be_sent_again_with_free_ids(store: Store) -> None:
    taken = says("taken")
    conversation = await started(store, taken)
    batch = [says("a"), says("b", id=id_of(taken))]
    with pytest.raises(MessageIdTakenError):
        await appended(store, conversation, *batch)

    await appended(store, conversation, batch[0], says("b"))

    assert contents(await history(store, conversation)) == ["taken", "a", "b"]


async def test_appends_at_once_lose_nothing_and_keep_every_batch_together(store: Store) -> None:
    conversation = await started(store)
    batches = [
        says_all(*(f"batch {number}, message {index}" for index in range(1 + number % 5)))
        for number in range(20)
    ]

    answers = await asyncio.gather(
        *(
            store.messages.append(ALICE, conversation.id, batch, NOON + (number % 3 - 1) * SECOND)
            for number, batch in enumerate(batches)
        )
    )

    found = await history(store, conversation)
    assert sorted(ids(found)) == sorted(id_of(each) for batch in batches for each in batch)
    assert positions(found) == sorted(set(positions(found)))
    for batch, answer in zip(batches, answers, strict=True):
        start = ids(found).index(id_of(batch[0]))
        assert found[start : start + len(batch)] == list(answer.messages)
        assert ids(answer.messages) == [each.id for each in batch]
        assert answer.messages[-1].position - answer.messages[0].position == len(batch) - 1
    counts = {answer.message_count for answer in answers}
    assert len(counts) == 20
    assert max(counts) == 60
    kept = await again(store, conversation)
    assert (kept.message_count, kept.updated_at) == (60, NOON + SECOND)


async def test_appends_at_once_to_several_conversations_do_not_mix(store: Store) -> None:
    conversations = [await started(store) for _ in range(4)]

    await asyncio.gather(
        *(
            appended(store, conversation, *says_all(f"{index} to {conversation.id}", "and more"))
            for index in range(4)
            for conversation in conversations
        )
    )

    for conversation in conversations:
        found = await history(store, conversation)
        assert sorted(contents(found)[::2], key=str) == [
            f"{index} to {conversation.id}" for index in range(4)
        ]
        assert contents(found)[1::2] == ["and more"] * 4
        assert (await again(store, conversation)).message_count == 8


async def test_an_append_and_a_change_at_once_both_happen(store: Store) -> None:
    conversation = await started(store)

    await asyncio.gather(
        *(appended(store, conversation, says(str(number))) for number in range(5)),
        store.conversations.change(ALICE, conversation.id, Changes(title="Renamed")),
        *(appended(store, conversation, says(str(number))) for number in range(5)),
    )

    kept = await again(store, conversation)
    assert (kept.title, kept.message_count) == ("Renamed", 10)
    assert len(await history(store, conversation)) == 10
