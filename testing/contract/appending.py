"""Appending: order, counters and `updated_at`, all or nothing, alone and with others."""

import asyncio

import pytest

from chatkeep.domain.errors import ConversationNotFoundError, MessageIdTakenError
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import Changes, JsonText, Message, Role, microseconds
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    HOUR,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    SECOND,
    contents,
    everything_of,
    id_of,
    ids,
    new_messages,
    numbered_messages,
)


def positions(messages: list[Message]) -> list[int]:
    return [message.position for message in messages]


async def test_an_append_answers_what_it_stored(store: StoreUnderTest) -> None:
    conversation = await store.start()
    new = new_messages("hello", "are you there?")

    answer = await store.log.append(ALICE, conversation.id, entries_of(new), NOON + SECOND)

    assert list(answer.messages) == await store.history(conversation)
    assert ids(answer.messages) == [each.id for each in new]
    assert [each.created_at for each in answer.messages] == [NOON + SECOND] * 2
    assert {each.conversation_id for each in answer.messages} == {conversation.id}
    assert answer.message_count == 2
    assert answer.window is None


async def test_an_append_counts_its_messages_and_moves_the_last_activity(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start(*numbered_messages(2))

    answer = await store.log.append(
        ALICE, conversation.id, entries_of(numbered_messages(3)), NOON + HOUR
    )

    assert answer.message_count == 5
    assert await store.reload(conversation) == conversation._replace(
        message_count=5, updated_at=NOON + HOUR, revision=2
    )


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_comes_back_as_itself(store: StoreUnderTest, role: Role) -> None:
    conversation = await store.start()
    call_id = "call_1" if role is Role.TOOL else None

    await store.append(conversation, new_message("hello", role, tool_call_id=call_id))

    [message] = await store.history(conversation)
    assert message.role is role
    assert message.tool_call_id == call_id


async def test_appends_keep_their_order_while_the_clock_stands_still(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("0"))

    for number in range(1, 6):
        await store.append(conversation, new_message(str(number)), at=NOON)

    found = await store.history(conversation)
    first = microseconds(NOON)
    assert contents(found) == ["0", "1", "2", "3", "4", "5"]
    assert positions(found) == list(range(first, first + 6))


async def test_appends_keep_their_order_when_the_clock_goes_back(store: StoreUnderTest) -> None:
    conversation = await store.start()
    times = [NOON, NOON - HOUR, NOON - SECOND, NOON + SECOND, NOON - HOUR]

    for number, at in enumerate(times):
        await store.append(conversation, new_message(str(number)), at=at)

    found = await store.history(conversation)
    noon = microseconds(NOON)
    assert contents(found) == ["0", "1", "2", "3", "4"]
    assert positions(found) == [noon, noon + 1, noon + 2, noon + 1_000_000, noon + 1_000_001]
    assert [each.created_at for each in found] == times


async def test_the_last_activity_never_goes_back(store: StoreUnderTest) -> None:
    conversation = await store.start()

    await store.append(conversation, new_message("late"), at=NOON + HOUR)
    await store.append(conversation, new_message("early"), at=NOON - HOUR)

    assert (await store.reload(conversation)).updated_at == NOON + HOUR


async def test_a_batch_keeps_its_order_at_consecutive_positions(store: StoreUnderTest) -> None:
    conversation = await store.start()
    batch = new_messages("d", "a", "c", "b")

    await store.append(conversation, *batch)

    found = await store.history(conversation)
    first = microseconds(NOON)
    assert contents(found) == ["d", "a", "c", "b"]
    assert positions(found) == [first, first + 1, first + 2, first + 3]


async def test_a_batch_may_be_large(store: StoreUnderTest) -> None:
    conversation = await store.start()

    await store.append(conversation, *numbered_messages(250))

    assert contents(await store.history(conversation)) == [f"user {n}" for n in range(250)]


async def test_a_batch_may_mix_all_kinds_of_messages(store: StoreUnderTest) -> None:
    conversation = await store.start()
    calls = JsonText('[{"id":"call_1","type":"function"}]')
    batch = [
        new_message("be brief", Role.SYSTEM, metadata=JsonText('{"v":1}')),
        new_message("weather?", name="alice"),
        new_message(None, Role.ASSISTANT, tool_calls=calls),
        new_message("sunny", Role.TOOL, tool_call_id="call_1", name="weather"),
        new_message("", Role.ASSISTANT, created_at=NOON - HOUR),
    ]

    await store.append(conversation, *batch)

    found = await store.history(conversation)
    assert len(found) == 5
    assert all(new.equals(stored) for new, stored in zip(batch, found, strict=True))
    assert found[0].tool_calls is None
    assert found[2].content is None
    assert found[4].content == ""


async def test_an_imported_message_keeps_its_time_and_still_comes_last(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start(new_message("now"))

    await store.append(conversation, new_message("long ago", created_at=NOON - 1_000 * HOUR))

    found = await store.history(conversation)
    assert contents(found) == ["now", "long ago"]
    assert found[1].created_at == NOON - 1_000 * HOUR


async def test_the_place_of_a_deleted_message_is_not_given_away_again(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start()
    stored = await store.append(conversation, *numbered_messages(3))
    for message in stored:
        await store.log.delete(ALICE, conversation.id, message.id)

    [later] = await store.append(conversation, new_message("later"), at=NOON)

    assert later.position == stored[-1].position + 1
    assert (await store.reload(conversation)).message_count == 1


async def test_an_append_leaves_title_status_and_metadata(store: StoreUnderTest) -> None:
    new = new_conversation(title="Kept", metadata=JsonText('{"kept":true}'))
    await store.create(new, (), provision=True)
    old = await store.reload(new)

    await store.append(new, new_message("hello"))

    assert await store.reload(new) == old._replace(message_count=1, revision=2)


async def test_an_append_to_no_conversation_is_refused(store: StoreUnderTest) -> None:
    await store.start(*numbered_messages(1))
    before = await everything_of(store)
    unknown = new_conversation()

    with pytest.raises(ConversationNotFoundError) as refusal:
        await store.append(unknown, *numbered_messages(2))

    assert refusal.value.conversation_id == unknown.id
    assert await everything_of(store) == before


@pytest.mark.parametrize("where", [0, 1, 2])
@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_batch_with_a_message_id_in_use_stores_nothing(
    store: StoreUnderTest, where: int, *, elsewhere: bool
) -> None:
    taken = new_message("taken")
    conversation = await store.start(*numbered_messages(2))
    await store.append(await store.start() if elsewhere else conversation, taken)
    before = await everything_of(store)
    batch = numbered_messages(3)
    batch[where] = batch[where]._replace(id=taken.id)

    with pytest.raises(MessageIdTakenError) as refusal:
        await store.append(conversation, *batch, at=NOON + HOUR)

    assert refusal.value.message_id == taken.id
    assert await everything_of(store) == before


async def test_a_batch_that_names_an_id_twice_stores_nothing(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(1))
    before = await everything_of(store)
    twice = new_message("once")

    with pytest.raises(MessageIdTakenError) as refusal:
        await store.append(conversation, *numbered_messages(1), twice, twice, at=NOON + HOUR)

    assert refusal.value.message_id == twice.id
    assert await everything_of(store) == before


async def test_a_refused_batch_can_be_sent_again_with_free_ids(store: StoreUnderTest) -> None:
    taken = new_message("taken")
    conversation = await store.start(taken)
    batch = [new_message("a"), new_message("b", id=id_of(taken))]
    with pytest.raises(MessageIdTakenError):
        await store.append(conversation, *batch)

    await store.append(conversation, batch[0], new_message("b"))

    assert contents(await store.history(conversation)) == ["taken", "a", "b"]


async def test_appends_at_once_lose_nothing_and_keep_every_batch_together(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start()
    batches = [
        new_messages(*(f"batch {number}, message {index}" for index in range(1 + number % 5)))
        for number in range(20)
    ]

    answers = await asyncio.gather(
        *(
            store.log.append(
                ALICE, conversation.id, entries_of(batch), NOON + (number % 3 - 1) * SECOND
            )
            for number, batch in enumerate(batches)
        )
    )

    found = await store.history(conversation)
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
    kept = await store.reload(conversation)
    assert (kept.message_count, kept.updated_at) == (60, NOON + SECOND)


async def test_appends_at_once_to_several_conversations_do_not_mix(store: StoreUnderTest) -> None:
    conversations = [await store.start() for _ in range(4)]

    await asyncio.gather(
        *(
            store.append(conversation, *new_messages(f"{index} to {conversation.id}", "and more"))
            for index in range(4)
            for conversation in conversations
        )
    )

    for conversation in conversations:
        found = await store.history(conversation)
        assert sorted(contents(found)[::2], key=str) == [
            f"{index} to {conversation.id}" for index in range(4)
        ]
        assert contents(found)[1::2] == ["and more"] * 4
        assert (await store.reload(conversation)).message_count == 8


async def test_an_append_and_a_change_at_once_both_happen(store: StoreUnderTest) -> None:
    conversation = await store.start()

    await asyncio.gather(
        *(store.append(conversation, new_message(str(number))) for number in range(5)),
        store.conversations.change(ALICE, conversation.id, Changes(title="Renamed")),
        *(store.append(conversation, new_message(str(number))) for number in range(5)),
    )

    kept = await store.reload(conversation)
    assert (kept.title, kept.message_count) == ("Renamed", 10)
    assert len(await store.history(conversation)) == 10
