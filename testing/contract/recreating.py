"""Retrying a create: the same one returns what is stored, another one under its id is refused."""

import asyncio
from typing import Any

import pytest

from chatkeep.domain.errors import ConversationIdTakenError, MessageIdTakenError
from chatkeep.domain.log import Created
from chatkeep.domain.model import Changes, JsonText, Status
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
    error_of,
    everything_of,
    ids,
    new_full_message,
    normalize,
    numbered_messages,
)


async def test_a_create_again_answers_the_same_and_changes_nothing(store: StoreUnderTest) -> None:
    new = new_conversation(title="Trip", metadata=JsonText('{"a": 1, "b": [true, null]}'))
    messages = [new_full_message(), *numbered_messages(2)]
    first = await store.create(new, messages, provision=True)
    before = await everything_of(store)

    later = new._replace(
        metadata=JsonText('{"b":[true,null],"a":1.0}'),
        created_at=NOON + HOUR,
        updated_at=NOON + HOUR,
    )
    second = await store.create(later, messages, provision=True)

    assert first.created
    assert not second.created
    assert second.conversation == await store.reload(new)
    assert [normalize(each) for each in second.messages] == [
        normalize(each) for each in first.messages
    ]
    assert await everything_of(store) == before


async def test_a_create_again_answers_the_conversation_as_it_is_by_now(
    store: StoreUnderTest,
) -> None:
    new = new_conversation()
    messages = numbered_messages(2)
    first = await store.create(new, messages, provision=True)
    await store.append(new, *numbered_messages(3), at=NOON + HOUR)
    archived = await store.conversations.change(ALICE, new.id, Changes(status=Status.ARCHIVED))

    second = await store.create(new, messages, provision=True)

    assert second == Created(archived, first.entries, created=False)
    assert second.conversation.message_count == 5


async def test_a_create_without_messages_can_be_repeated_after_appends(
    store: StoreUnderTest,
) -> None:
    new = new_conversation()
    await store.create(new, (), provision=True)
    await store.append(new, *numbered_messages(3))

    second = await store.create(new, (), provision=True)

    assert second == Created(await store.reload(new), (), created=False)


async def test_a_create_sent_many_times_at_once_is_stored_once(store: StoreUnderTest) -> None:
    new = new_conversation(title="Trip")
    messages = numbered_messages(3)

    answers = await asyncio.gather(
        *(
            store.create(
                new._replace(created_at=NOON + number * SECOND, updated_at=NOON + number * SECOND),
                messages,
                provision=True,
            )
            for number in range(8)
        )
    )

    assert sorted(answer.created for answer in answers) == [False] * 7 + [True]
    assert len({answer.conversation for answer in answers}) == 1
    assert len({answer.messages for answer in answers}) == 1
    assert ids(await store.history(new)) == [each.id for each in messages]


@pytest.mark.parametrize(
    "other", [{"title": "Trap"}, {"title": None}, {"metadata": JsonText('{"a": 2}')}]
)
async def test_another_conversation_under_the_same_id_is_refused(
    store: StoreUnderTest, other: dict[str, Any]
) -> None:
    new = new_conversation(title="Trip", metadata=JsonText('{"a": 1}'))
    messages = numbered_messages(2)
    await store.create(new, messages, provision=True)
    before = await everything_of(store)

    with pytest.raises(ConversationIdTakenError) as refusal:
        await store.create(new._replace(**other), messages, provision=True)

    assert refusal.value.conversation_id == new.id
    assert await everything_of(store) == before


async def test_a_create_again_with_other_messages_is_refused(store: StoreUnderTest) -> None:
    new = new_conversation()
    one, two = numbered_messages(2)
    await store.create(new, [one, two], provision=True)
    before = await everything_of(store)

    for others in (
        [one, two._replace(content="other")],
        [one, two._replace(id=new_message("").id)],
        [one, two, new_message("more")],
        [two, one],
    ):
        with pytest.raises(ConversationIdTakenError):
            await store.create(new, others, provision=True)

    assert await everything_of(store) == before


async def test_get_or_create_answers_an_existing_conversation_untouched(
    store: StoreUnderTest,
) -> None:
    new = new_conversation(title="Mine", metadata=JsonText('{"a": 1}'))
    await store.create(new, numbered_messages(2), provision=True)
    before = await store.reload(new)

    other = new_conversation(id=new.id, title="Other", at=NOON + HOUR)
    answer = await store.conversations.get_or_create(other, provision=True)

    assert answer == Created(before, (), created=False)
    assert await store.reload(new) == before


async def test_get_or_create_creates_what_is_not_there(store: StoreUnderTest) -> None:
    new = new_conversation(title="Mine", status=Status.ARCHIVED)

    answer = await store.conversations.get_or_create(new, provision=True)

    assert answer == Created(new, (), created=True)
    assert await store.reload(new) == new


async def test_get_or_create_at_once_creates_one_and_all_get_it(store: StoreUnderTest) -> None:
    new = new_conversation()

    answers = await asyncio.gather(
        *(
            store.conversations.get_or_create(new._replace(title=f"Title {n}"), provision=True)
            for n in range(8)
        )
    )

    assert sorted(answer.created for answer in answers) == [False] * 7 + [True]
    assert {answer.conversation for answer in answers} == {await store.reload(new)}
    assert (await store.users.usage(ALICE)).conversations == 1


async def test_creates_at_once_under_one_message_id_store_one(store: StoreUnderTest) -> None:
    shared = new_message("shared")
    new = [new_conversation() for _ in range(5)]

    errors = await asyncio.gather(
        *(
            error_of(store.create(each, [new_message("own"), shared], provision=True))
            for each in new
        )
    )

    assert [type(error) for error in errors if error] == [MessageIdTakenError] * 4
    usage = await store.users.usage(ALICE)
    assert (usage.conversations, usage.messages) == (1, 2)
