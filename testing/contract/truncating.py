"""Truncation: everything after a message is deleted, and the rest stays as it was."""

import asyncio

import pytest

from chatkeep.domain.context import calls, select
from chatkeep.domain.errors import MessageNotFoundError, RetainedError
from chatkeep.domain.model import Changes, JsonText, Role
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    HOUR,
    KEY,
    NOON,
    REASONING_ITEM,
    new_item,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    CALLS,
    assert_unchanged,
    contents,
    error_of,
    ids,
    new_message_id,
    numbered_items,
    numbered_messages,
    start_mixed,
    start_numbered,
)


@pytest.mark.parametrize(("keep", "left"), [(True, 3), (False, 2)])
async def test_the_messages_behind_a_message_are_deleted(
    store: StoreUnderTest, left: int, *, keep: bool
) -> None:
    conversation, history = await start_numbered(store, 5)
    other, others = await start_numbered(store, 5)

    truncated = await store.truncate(conversation, history[2].id, keep=keep)

    assert (truncated.deleted, truncated.message_count) == (5 - left, left)
    assert await store.history(conversation) == history[:left]
    assert await store.reload(conversation) == conversation._replace(message_count=left, revision=2)
    for message in history[left:]:
        with pytest.raises(MessageNotFoundError):
            await store.log.get(ALICE, conversation.id, message.id)
    assert await store.history(other) == others


async def test_a_truncation_may_delete_nothing_or_everything(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 5)

    for _ in range(2):
        truncated = await store.truncate(conversation, history[-1].id)
        assert (truncated.deleted, truncated.message_count) == (0, 5)
    assert await store.history(conversation) == history

    truncated = await store.truncate(conversation, history[0].id, keep=False)
    assert (truncated.deleted, truncated.message_count) == (5, 0)
    assert await store.history(conversation) == []
    assert await store.append(conversation, *numbered_messages(1))


async def test_positions_of_a_truncated_log_are_not_used_again(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 5)
    await store.truncate(conversation, history[0].id)

    [added] = await store.append(conversation, new_message("anew"), at=NOON - HOUR)

    assert added.position > history[-1].position
    assert contents(await store.history(conversation)) == ["user 0", "anew"]
    assert await store.history(conversation, after=history[3].position) == [added]


async def test_a_message_that_was_truncated_may_be_appended_again(store: StoreUnderTest) -> None:
    messages = numbered_messages(3)
    conversation = await store.start(*messages)
    [first, *_] = await store.history(conversation)
    await store.truncate(conversation, first.id)

    added = await store.append(conversation, *messages[1:])

    assert await store.history(conversation) == [first, *added]


async def test_a_truncation_deletes_the_items_behind_too(store: StoreUnderTest) -> None:
    conversation = await start_mixed(store)
    [system, hello, *_] = await store.history(conversation)
    items = await store.list_items(conversation)
    messages = len(await store.history(conversation))

    truncated = await store.truncate(conversation, hello.id)

    assert (truncated.deleted, truncated.message_count) == (messages - 2, 2)
    assert await store.history(conversation) == [system, hello]
    assert await store.list_items(conversation) == items[:2]
    assert (await store.reload(conversation)).message_count == 2


async def test_a_truncation_deletes_items_where_no_message_is_behind(
    store: StoreUnderTest,
) -> None:
    conversation, history = await start_numbered(store, 5)
    await store.append_items(conversation, new_item(REASONING_ITEM))

    truncated = await store.truncate(conversation, history[-1].id)

    assert (truncated.deleted, truncated.message_count) == (0, 5)
    assert len(await store.list_items(conversation)) == 5


async def test_a_truncation_begins_at_an_item_that_is_a_message(store: StoreUnderTest) -> None:
    conversation = await store.start()
    items = await store.append_items(conversation, *numbered_items(7))  # two are not messages
    messages = await store.history(conversation)

    truncated = await store.truncate(conversation, messages[2].id, keep=False)

    assert (truncated.deleted, truncated.message_count) == (3, 2)
    assert await store.list_items(conversation) == items[:3]


async def test_items_that_were_truncated_are_not_stored_again_under_their_key(
    store: StoreUnderTest,
) -> None:
    conversation, history = await start_numbered(store, 5)
    await store.append_items(conversation, *numbered_items(3), key=KEY)
    await store.truncate(conversation, history[-1].id)

    assert not await store.append_items(conversation, *numbered_items(3), key=KEY)
    assert len(await store.list_items(conversation)) == 5


@pytest.mark.parametrize("keep", [True, False])
async def test_a_truncation_at_a_tool_call_leaves_a_valid_context(
    store: StoreUnderTest, *, keep: bool
) -> None:
    """Calls without their results are left out of a context."""
    conversation = await store.start(
        new_message("go"),
        new_message(None, Role.ASSISTANT, tool_calls=CALLS),
        new_message("1", Role.TOOL, tool_call_id="a"),
        new_message("2", Role.TOOL, tool_call_id="b"),
        new_message("done", Role.ASSISTANT),
    )
    history = await store.history(conversation)

    for cut in (history[3], history[2], history[1]):
        await store.truncate(conversation, cut.id, keep=keep)

        stored = await store.history(conversation)
        assert ids(stored) == ids(history[: history.index(cut) + keep])
        context = select(await store.log.window(ALICE, conversation.id, limit=20))
        results = [each.tool_call_id for each in stored if each.role is Role.TOOL]
        assert contents(context.messages) == contents(stored if results else stored[:1])
        called = [
            call.id
            for message in context.messages
            for call in calls(message.tool_calls or JsonText("[]"))
        ]
        assert called == results

    [added] = await store.append(conversation, new_message("again"))
    context = select(await store.log.window(ALICE, conversation.id, limit=20))
    assert context.messages[-1] == added


async def test_nothing_on_hold_is_truncated(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 5)
    await store.append_items(conversation, new_item(REASONING_ITEM))
    await store.conversations.change(ALICE, conversation.id, Changes(retain=True))

    async with assert_unchanged(store, ALICE):
        for message, keep in ((history[1], True), (history[4], False), (history[4], True)):
            with pytest.raises(RetainedError):
                await store.truncate(conversation, message.id, keep=keep)
        assert len(await store.list_items(conversation)) == 6

    [last] = await store.append(conversation, new_message("last"))
    assert (await store.truncate(conversation, last.id)).deleted == 0
    await store.conversations.change(ALICE, conversation.id, Changes(retain=False))
    assert (await store.truncate(conversation, history[1].id)).deleted == 4


async def test_a_message_that_is_not_there_truncates_nothing(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 5)
    other, others = await start_numbered(store, 5)
    his = await store.start(*numbered_messages(2), user_id=BOB, id=conversation.id)
    [hers, *_] = await store.history(his)

    async with assert_unchanged(store, ALICE, BOB):
        for keep in (True, False):
            for message_id in (new_message_id(), others[0].id, hers.id):
                with pytest.raises(MessageNotFoundError) as refusal:
                    await store.truncate(conversation, message_id, keep=keep)
                assert refusal.value.message_id == message_id
            with pytest.raises(MessageNotFoundError):
                await store.log.truncate(BOB, conversation.id, history[0].id, keep=keep)
    assert other.id != conversation.id


async def test_truncations_at_once_delete_each_message_once(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 12)

    found = await asyncio.gather(*(store.truncate(conversation, history[3].id) for _ in range(5)))

    assert sum(each.deleted for each in found) == 8
    assert await store.history(conversation) == history[:4]
    assert (await store.reload(conversation)).message_count == 4


async def test_truncations_and_appends_and_deletions_at_once_keep_the_count_right(
    store: StoreUnderTest,
) -> None:
    conversation, history = await start_numbered(store, 10)

    errors = await asyncio.gather(
        error_of(store.append(conversation, *numbered_messages(2, Role.ASSISTANT))),
        error_of(store.truncate(conversation, history[4].id)),
        error_of(store.log.delete(ALICE, conversation.id, history[7].id)),
        error_of(store.append(conversation, *numbered_messages(3, Role.ASSISTANT))),
        error_of(store.truncate(conversation, history[2].id)),
        error_of(store.log.delete(ALICE, conversation.id, history[1].id)),
        error_of(store.append_items(conversation, *numbered_items(3))),
    )

    assert {type(error) for error in errors} <= {type(None), MessageNotFoundError}
    left = await store.history(conversation)
    assert ids(left)[:2] == ids([history[0], history[2]])
    assert not {*ids(left)} & {*ids(history[3:])}
    assert (await store.reload(conversation)).message_count == len(left)
