"""Conversations: creating, changing, deleting."""

from datetime import UTC, datetime, timedelta

import pytest

from chatkeep.domain.errors import (
    ConversationNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
)
from chatkeep.domain.model import Changes, JsonText, Role, Status, microseconds, same_json
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
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
    new_conversation_id,
    numbered_messages,
)


async def test_a_conversation_is_kept_as_it_was_created(store: StoreUnderTest) -> None:
    new = new_conversation(title="Trip to Lisbon", status=Status.ARCHIVED)._replace(
        created_at=datetime(2025, 3, 1, 8, 30, 15, 123456, tzinfo=UTC),
        updated_at=datetime(2025, 3, 2, 23, 59, 59, 999999, tzinfo=UTC),
    )

    created = await store.create(new, (), provision=True)

    assert created.created
    assert created.conversation == new
    assert created.messages == ()
    assert await store.reload(new) == new


async def test_times_come_back_in_utc(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("hello"))

    kept = await store.reload(conversation)
    [message] = await store.history(conversation)

    for time in (kept.created_at, kept.updated_at, message.created_at):
        assert time.utcoffset() == timedelta(0)


async def test_the_first_messages_are_counted_whatever_the_conversation_says(
    store: StoreUnderTest,
) -> None:
    new = new_conversation()._replace(message_count=99)

    created = await store.create(new, numbered_messages(3), provision=True)

    assert created.conversation.message_count == 3
    assert (await store.reload(new)).message_count == 3


async def test_the_first_messages_stand_in_their_order(store: StoreUnderTest) -> None:
    new = new_conversation()
    messages = numbered_messages(5)

    created = await store.create(new, messages, provision=True)

    first = microseconds(NOON)
    assert [each.position for each in created.messages] == list(range(first, first + 5))
    assert contents(created.messages) == contents(await store.history(new))
    assert contents(created.messages) == [each.content for each in messages]
    assert {each.conversation_id for each in created.messages} == {new.id}


async def test_the_first_messages_are_as_old_as_the_last_activity(store: StoreUnderTest) -> None:
    new = new_conversation()._replace(updated_at=NOON + HOUR)

    created = await store.create(new, numbered_messages(2), provision=True)

    assert [each.created_at for each in created.messages] == [NOON + HOUR] * 2
    assert await store.history(new) == list(created.messages)


async def test_imported_messages_keep_their_own_times_and_their_order(
    store: StoreUnderTest,
) -> None:
    times = [NOON, NOON - HOUR, NOON - HOUR, NOON + HOUR, datetime(2019, 5, 4, tzinfo=UTC)]
    new = new_conversation(at=datetime(2020, 1, 1, tzinfo=UTC))
    messages = [new_message(f"message {at}", created_at=at) for at in times]

    await store.create(new, messages, provision=True)

    assert (await store.reload(new)).updated_at == new.updated_at
    assert [each.created_at for each in await store.history(new)] == times


async def test_an_imported_conversation_goes_on(store: StoreUnderTest) -> None:
    old = await store.start(*numbered_messages(2), at=datetime(2020, 1, 1, tzinfo=UTC))

    [message] = await store.append(old, new_message("I am back"))

    assert contents(await store.history(old)) == ["user 0", "user 1", "I am back"]
    assert message.created_at == NOON
    assert (await store.reload(old)).updated_at == NOON


async def test_a_conversation_from_before_1970_has_positions_from_1_on(
    store: StoreUnderTest,
) -> None:
    old = await store.start(*numbered_messages(2), at=datetime(1969, 7, 20, tzinfo=UTC))
    await store.append(old, new_message("one small step"), at=datetime(1969, 7, 21, tzinfo=UTC))

    found = await store.history(old)

    assert [each.position for each in found] == [1, 2, 3]
    assert contents(found) == ["user 0", "user 1", "one small step"]


async def test_a_conversation_that_began_empty_can_be_continued_at_an_earlier_time(
    store: StoreUnderTest,
) -> None:
    empty = await store.start()

    await store.append(empty, new_message("hello"), at=NOON - HOUR)

    [message] = await store.history(empty)
    assert message.position == microseconds(NOON - HOUR)
    assert message.created_at == NOON - HOUR
    assert (await store.reload(empty)).updated_at == NOON


async def test_a_create_with_a_message_id_in_use_stores_nothing(store: StoreUnderTest) -> None:
    taken = new_message("taken")
    await store.start(taken)
    before = await everything_of(store)
    new = new_conversation()

    with pytest.raises(MessageIdTakenError) as refusal:
        await store.create(
            new, [new_message("free"), new_message("other", id=id_of(taken))], provision=True
        )

    assert refusal.value.message_id == taken.id
    assert await everything_of(store) == before
    with pytest.raises(ConversationNotFoundError):
        await store.reload(new)


async def test_a_create_that_names_an_id_twice_leaves_not_even_its_user(
    store: StoreUnderTest,
) -> None:
    twice = new_message("once")

    with pytest.raises(MessageIdTakenError) as refusal:
        await store.create(
            new_conversation(), [twice, twice._replace(content="more")], provision=True
        )

    assert refusal.value.message_id == twice.id
    assert await store.list_conversations() == []
    assert await store.users.add(ALICE)


async def test_a_conversation_that_does_not_exist_is_not_found(store: StoreUnderTest) -> None:
    await store.start()
    unknown = new_conversation_id()

    with pytest.raises(ConversationNotFoundError) as missing:
        await store.conversations.get(ALICE, unknown)
    assert missing.value.conversation_id == unknown
    with pytest.raises(ConversationNotFoundError):
        await store.conversations.change(ALICE, unknown, Changes(title="no"))
    with pytest.raises(ConversationNotFoundError):
        await store.conversations.delete(ALICE, unknown)


@pytest.mark.parametrize(
    "changes",
    [
        Changes(title="New title"),
        Changes(title=""),
        Changes(title=None),
        Changes(status=Status.ARCHIVED),
        Changes(metadata=JsonText('{"pinned":true}')),
        Changes(title="All at once", status=Status.ARCHIVED, metadata=JsonText('{"a":[1,2]}')),
        Changes(),
    ],
)
async def test_a_change_changes_what_it_names_and_is_no_activity(
    store: StoreUnderTest, changes: Changes
) -> None:
    new = new_conversation(title="Old title", metadata=JsonText('{"model":"large"}'))
    await store.create(new, numbered_messages(2), provision=True)
    old = await store.reload(new)

    changed = await store.conversations.change(ALICE, new.id, changes)

    assert changed == await store.reload(new)
    asked = {
        name: value
        for name in ("title", "status")
        if (value := getattr(changes, name)) is not Changes().title
    }
    assert changed._replace(metadata=old.metadata) == old._replace(**asked, revision=2)
    if isinstance(changes.metadata, str):
        assert same_json(changed.metadata, changes.metadata)
    else:
        assert changed.metadata == old.metadata


async def test_an_archived_conversation_can_be_made_active_again(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(1))

    await store.conversations.change(ALICE, conversation.id, Changes(status=Status.ARCHIVED))
    await store.conversations.change(ALICE, conversation.id, Changes(status=Status.ACTIVE))

    assert await store.reload(conversation) == conversation._replace(revision=3)


async def test_an_archived_conversation_still_takes_messages_and_stays_archived(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start()
    await store.conversations.change(ALICE, conversation.id, Changes(status=Status.ARCHIVED))

    await store.append(conversation, new_message("one more thing"), at=NOON + SECOND)

    kept = await store.reload(conversation)
    assert (kept.status, kept.message_count) == (Status.ARCHIVED, 1)
    assert kept.updated_at == NOON + SECOND


async def test_a_change_leaves_the_messages_and_the_other_conversations(
    store: StoreUnderTest,
) -> None:
    changed = await store.start(*numbered_messages(2))
    other = await store.start(*numbered_messages(2))
    messages = await store.history(changed)

    await store.conversations.change(ALICE, changed.id, Changes(title="x", status=Status.ARCHIVED))

    assert await store.history(changed) == messages
    assert await store.reload(other) == other


async def test_deleting_a_conversation_takes_its_messages(store: StoreUnderTest) -> None:
    message = new_message("you will forget me", Role.ASSISTANT)
    conversation = await store.start(*numbered_messages(2), message)

    await store.conversations.delete(ALICE, conversation.id)

    with pytest.raises(ConversationNotFoundError):
        await store.reload(conversation)
    with pytest.raises(ConversationNotFoundError):
        await store.history(conversation)
    with pytest.raises(ConversationNotFoundError):
        await store.log.window(ALICE, conversation.id, limit=5)
    with pytest.raises(ConversationNotFoundError):
        await store.append(conversation, new_message("still there?"))
    with pytest.raises(MessageNotFoundError):
        await store.log.get(ALICE, conversation.id, id_of(message))
    with pytest.raises(MessageNotFoundError):
        await store.log.delete(ALICE, conversation.id, id_of(message))
    with pytest.raises(ConversationNotFoundError):
        await store.conversations.delete(ALICE, conversation.id)
    assert await store.list_conversations() == []


async def test_deleting_a_conversation_leaves_all_others(store: StoreUnderTest) -> None:
    deleted = await store.start(*numbered_messages(2))
    await store.start(*numbered_messages(3))
    await store.start(*numbered_messages(3), user_id=BOB)
    _, before = await everything_of(store)
    bobs = await everything_of(store, BOB)

    await store.conversations.delete(ALICE, deleted.id)

    _, after = await everything_of(store)
    assert after == [entry for entry in before if entry[0] != deleted]
    assert len(after) == 1
    assert await everything_of(store, BOB) == bobs


async def test_the_ids_of_a_deleted_conversation_are_free_again(store: StoreUnderTest) -> None:
    message = new_message("first life")
    old = await store.start(message, *numbered_messages(4))
    await store.conversations.delete(ALICE, old.id)

    new = await store.start(message._replace(content="second life"), id=old.id)

    assert new.message_count == 1
    assert contents(await store.history(new)) == ["second life"]
