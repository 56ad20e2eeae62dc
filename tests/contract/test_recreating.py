"""Retrying a create: the same again answers what is stored, another under its id is refused."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from chatkeep.domain.errors import ConversationIdTakenError, MessageIdTakenError
from chatkeep.domain.model import Changes, JsonText, Status
from chatkeep.domain.ports import Created
from tests.contract.builders import (
    ALICE,
    HOUR,
    NOON,
    SECOND,
    a_conversation,
    a_full_message,
    again,
    appended,
    everything_of,
    history,
    ids,
    numbered,
    plain,
    refused,
    says,
)
from tests.contract.store import Store


async def test_a_create_again_answers_the_same_and_changes_nothing(store: Store) -> None:
    new = a_conversation(title="Trip", metadata=JsonText('{"a": 1, "b": [true, null]}'))
    messages = [a_full_message(), *numbered(2)]
    first = await store.conversations.create(new, messages, provision=True)
    before = await everything_of(store)

    later = new._replace(
        metadata=JsonText('{"b":[true,null],"a":1.0}'),
        created_at=NOON + HOUR,
        updated_at=NOON + HOUR,
    )
    second = await store.conversations.create(later, messages, provision=True)

    assert first.created
    assert not second.created
    assert second.conversation == await again(store, new)
    assert [plain(each) for each in second.messages] == [plain(each) for each in first.messages]
    assert await everything_of(store) == before


async def test_a_create_again_answers_the_conversation_as_it_is_by_now(store: Store) -> None:
    new = a_conversation()
    messages = numbered(2)
    first = await store.conversations.create(new, messages, provision=True)
    await appended(store, new, *numbered(3), at=NOON + HOUR)
    archived = await store.conversations.change(ALICE, new.id, Changes(status=Status.ARCHIVED))

    second = await store.conversations.create(new, messages, provision=True)

    assert second == Created(archived, first.messages, created=False)
    assert second.conversation.message_count == 5


async def test_a_create_without_messages_can_be_repeated_after_appends(store: Store) -> None:
    new = a_conversation()
    await store.conversations.create(new, (), provision=True)
    await appended(store, new, *numbered(3))

    second = await store.conversations.create(new, (), provision=True)

    assert second == Created(await again(store, new), (), created=False)


async def test_a_create_sent_many_times_at_once_is_stored_once(store: Store) -> None:
    new = a_conversation(title="Trip")
    messages = numbered(3)

    answers = await asyncio.gather(
        *(
            store.conversations.create(
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
    assert ids(await history(store, new)) == [each.id for each in messages]


@pytest.mark.parametrize(
    "other", [{"title": "Trap"}, {"title": None}, {"metadata": JsonText('{"a": 2}')}]
)
async def test_another_conversation_under_the_same_id_is_refused(
    store: Store, other: dict[str, Any]
) -> None:
    new = a_conversation(title="Trip", metadata=JsonText('{"a": 1}'))
    messages = numbered(2)
    await store.conversations.create(new, messages, provision=True)
    before = await everything_of(store)

    with pytest.raises(ConversationIdTakenError) as refusal:
        await store.conversations.create(new._replace(**other), messages, provision=True)

    assert refusal.value.conversation_id == new.id
    assert await everything_of(store) == before


async def test_a_create_again_with_other_messages_is_refused(store: Store) -> None:
    new = a_conversation()
    one, two = numbered(2)
    await store.conversations.create(new, [one, two], provision=True)
    before = await everything_of(store)

    for others in (
        [one, replace(two, content="other")],
        [one, replace(two, id=says("").id)],
        [one, two, says("more")],
        [two, one],
    ):
        with pytest.raises(ConversationIdTakenError):
            await store.conversations.create(new, others, provision=True)

    assert await everything_of(store) == before


async def test_get_or_create_answers_an_existing_conversation_untouched(store: Store) -> None:
    new = a_conversation(title="Mine", metadata=JsonText('{"a": 1}'))
    await store.conversations.create(new, numbered(2), provision=True)
    before = await again(store, new)

    other = a_conversation(id=new.id, title="Other", at=NOON + HOUR)
    answer = await store.conversations.get_or_create(other, provision=True)

    assert answer == Created(before, (), created=False)
    assert await again(store, new) == before


async def test_get_or_create_creates_what_is_not_there(store: Store) -> None:
    new = a_conversation(title="Mine", status=Status.ARCHIVED)

    answer = await store.conversations.get_or_create(new, provision=True)

    assert answer == Created(new, (), created=True)
    assert await again(store, new) == new


async def test_get_or_create_at_once_creates_one_and_all_get_it(store: Store) -> None:
    new = a_conversation()

    answers = await asyncio.gather(
        *(
            store.conversations.get_or_create(new._replace(title=f"Title {n}"), provision=True)
            for n in range(8)
        )
    )

    assert sorted(answer.created for answer in answers) == [False] * 7 + [True]
    assert {answer.conversation for answer in answers} == {await again(store, new)}
    assert (await store.users.usage(ALICE)).conversations == 1


async def test_creates_at_once_under_one_message_id_store_one(store: Store) -> None:
    shared = says("shared")
    new = [a_conversation() for _ in range(5)]

    errors = await asyncio.gather(
        *(
            refused(store.conversations.create(each, [says("own"), shared], provision=True))
            for each in new
        )
    )

    assert [type(error) for error in errors if error] == [MessageIdTakenError] * 4
    usage = await store.users.usage(ALICE)
    assert (usage.conversations, usage.messages) == (1, 2)
