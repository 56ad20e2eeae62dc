"""Arguments and results belong to the caller: later changes do not show on the other side."""

from chatkeep.domain.log import entries_of
from chatkeep.domain.model import Changes, NewMessage, Order
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    HOUR,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import contents, numbered_messages


def spoil(messages: list[NewMessage]) -> None:
    """Change a list as a caller does who uses it for the next call."""
    messages[0] = messages[0]._replace(content="spoiled")
    messages.append(new_message("not sent"))


async def test_a_batch_may_be_used_again_after_an_append(store: StoreUnderTest) -> None:
    conversation = await store.start()
    batch = numbered_messages(2)

    answer = await store.log.append(ALICE, conversation.id, entries_of(batch), NOON, window=5)
    spoil(batch)

    assert answer.window
    assert contents(answer.messages) == ["user 0", "user 1"]
    assert contents(answer.window.tail) == ["user 0", "user 1"]
    assert contents(await store.history(conversation)) == ["user 0", "user 1"]


async def test_a_batch_may_be_used_again_after_a_create(store: StoreUnderTest) -> None:
    new = new_conversation()
    batch = numbered_messages(2)

    created = await store.create(new, batch, provision=True)
    spoil(batch)

    assert contents(created.messages) == ["user 0", "user 1"]
    assert contents(await store.history(new)) == ["user 0", "user 1"]
    assert (await store.reload(new)).message_count == 2


async def test_a_history_that_was_read_does_not_grow_or_shrink(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(3))
    for order in Order:
        found = await store.page_history(
            conversation, order=order, after=None, before=None, limit=100
        )
        copy = tuple(found.items)

        await store.append(conversation, new_message("later"))
        await store.log.delete(ALICE, conversation.id, copy[0].id)

        assert tuple(found.items) == copy


async def test_a_window_that_was_read_does_not_change(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(3))
    read = await store.log.window(ALICE, conversation.id, limit=10)
    answer = await store.log.append(
        ALICE, conversation.id, entries_of(numbered_messages(1)), NOON, window=10
    )
    assert answer.window
    before = (tuple(read.tail), read.message_count, tuple(answer.window.tail))

    await store.append(conversation, new_message("later"))
    await store.log.delete(ALICE, conversation.id, read.tail[0].id)

    assert (tuple(read.tail), read.message_count, tuple(answer.window.tail)) == before


async def test_a_list_that_was_read_does_not_change(store: StoreUnderTest) -> None:
    conversation = await store.start()
    found = await store.conversations.list(ALICE, status=None, after=None, limit=10)

    await store.start()
    await store.conversations.change(ALICE, conversation.id, Changes(title="Renamed"))
    await store.append(conversation, new_message("later"), at=NOON + HOUR)

    assert list(found.items) == [conversation]


async def test_a_conversation_that_was_read_does_not_change(store: StoreUnderTest) -> None:
    new = new_conversation(title="Old")
    created = await store.create(new, numbered_messages(1), provision=True)
    read = await store.reload(new)
    before = read._replace()

    await store.append(new, *numbered_messages(2), at=NOON + HOUR)
    await store.conversations.change(ALICE, new.id, Changes(title="New"))

    assert read == created.conversation == before
    assert (read.title, read.message_count, read.updated_at) == ("Old", 1, NOON)
