"""The window: opening instructions and last messages, read alone or with an append."""

import asyncio

import pytest

from chatkeep.domain.errors import ConversationNotFoundError
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import Conversation, Message, NewMessage, Role
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    HOUR,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.window import MAX_HEAD, Window
from chatkeep.testing.builders import contents, numbered_messages


async def window_of(store: StoreUnderTest, conversation: Conversation, limit: int) -> Window:
    return await store.log.window(conversation.user_id, conversation.id, limit=limit)


def texts_of(window: Window) -> tuple[list[str | None], list[str | None]]:
    return contents(window.head), contents(window.tail)


def instructions(count: int) -> list[NewMessage]:
    return numbered_messages(count, Role.SYSTEM)


async def test_an_empty_conversation_has_an_empty_window(store: StoreUnderTest) -> None:
    assert await window_of(store, await store.start(), 5) == Window((), (), 0)


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6, 100])
async def test_the_tail_holds_the_last_messages_oldest_first(
    store: StoreUnderTest, limit: int
) -> None:
    conversation = await store.start(*numbered_messages(5))
    messages = await store.history(conversation)

    window = await window_of(store, conversation, limit)

    assert window == Window((), tuple(messages[-limit:]), 5)


async def test_the_tail_is_in_order_whatever_the_clock_did(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("first"))
    await store.append(conversation, new_message("second"), at=NOON - HOUR)
    await store.append(conversation, new_message("third"), at=NOON - HOUR)

    assert texts_of(await window_of(store, conversation, 2)) == ([], ["second", "third"])


async def test_the_head_holds_the_instructions_that_open_the_conversation(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start(
        new_message("be brief", Role.SYSTEM),
        new_message("use metric units", Role.DEVELOPER),
        new_message("be kind", Role.SYSTEM),
        *numbered_messages(4),
    )

    window = await window_of(store, conversation, 2)

    assert texts_of(window) == (
        ["be brief", "use metric units", "be kind"],
        ["user 2", "user 3"],
    )
    assert window.message_count == 7
    assert [*window.head, *window.tail] == [
        *(await store.history(conversation, limit=3)),
        *(await store.history(conversation))[-2:],
    ]


async def test_instructions_given_later_are_not_in_the_head(store: StoreUnderTest) -> None:
    conversation = await store.start(
        new_message("be brief", Role.SYSTEM),
        *numbered_messages(1),
        new_message("be long", Role.SYSTEM),
        *numbered_messages(3),
    )

    assert texts_of(await window_of(store, conversation, 2)) == (["be brief"], ["user 1", "user 2"])


@pytest.mark.parametrize("role", [Role.USER, Role.ASSISTANT, Role.TOOL])
async def test_a_conversation_that_opens_without_instructions_has_no_head(
    store: StoreUnderTest, role: Role
) -> None:
    call_id = "call_1" if role is Role.TOOL else None
    conversation = await store.start(
        new_message("hello", role, tool_call_id=call_id), *instructions(2), *numbered_messages(3)
    )

    assert texts_of(await window_of(store, conversation, 1)) == ([], ["user 2"])


@pytest.mark.parametrize(("limit", "head"), [(1, 3), (2, 3), (3, 2), (4, 1), (5, 0), (6, 0)])
async def test_what_is_in_the_tail_is_not_in_the_head(
    store: StoreUnderTest, limit: int, head: int
) -> None:
    conversation = await store.start(*instructions(3), *numbered_messages(2))
    messages = await store.history(conversation)

    window = await window_of(store, conversation, limit)

    assert window == Window(tuple(messages[:head]), tuple(messages[-limit:]), 5)


@pytest.mark.parametrize("count", [MAX_HEAD - 1, MAX_HEAD, MAX_HEAD + 1, MAX_HEAD + 5])
async def test_of_a_long_head_only_the_first_messages_are_returned(
    store: StoreUnderTest, count: int
) -> None:
    conversation = await store.start(*instructions(count), *numbered_messages(5))
    messages = await store.history(conversation)

    window = await window_of(store, conversation, 3)

    assert window == Window(
        tuple(messages[: min(count, MAX_HEAD)]), tuple(messages[-3:]), count + 5
    )


@pytest.mark.parametrize("limit", [1, 4, 5, 6, 10, 24, 25, 26])
async def test_nothing_but_instructions_is_all_head_and_tail(
    store: StoreUnderTest, limit: int
) -> None:
    conversation = await store.start(*instructions(MAX_HEAD + 5))
    messages = await store.history(conversation)

    window = await window_of(store, conversation, limit)

    head = messages[: max(len(messages) - limit, 0)][:MAX_HEAD]
    assert window == Window(tuple(head), tuple(messages[-limit:]), MAX_HEAD + 5)


async def test_deleting_what_came_before_makes_a_head(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("hello"), *instructions(2), *numbered_messages(2))
    [hello, *_] = await store.history(conversation)

    await store.log.delete(ALICE, conversation.id, hello.id)

    window = await window_of(store, conversation, 1)
    assert texts_of(window) == (["system 0", "system 1"], ["user 1"])
    assert window.message_count == 4


async def test_deleted_messages_are_in_no_window(store: StoreUnderTest) -> None:
    conversation = await store.start(*instructions(2), *numbered_messages(4))
    messages = await store.history(conversation)

    await store.log.delete(ALICE, conversation.id, messages[0].id)
    await store.log.delete(ALICE, conversation.id, messages[-1].id)

    window = await window_of(store, conversation, 2)
    assert texts_of(window) == (["system 1"], ["user 1", "user 2"])
    assert window.message_count == 4


async def test_the_window_of_no_conversation_is_not_found(store: StoreUnderTest) -> None:
    await store.start(*numbered_messages(1))
    unknown = new_conversation()

    with pytest.raises(ConversationNotFoundError) as missing:
        await window_of(store, unknown, 5)
    assert missing.value.conversation_id == unknown.id


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8, 100])
@pytest.mark.parametrize(
    ("before", "batch"),
    [
        ([], numbered_messages(1)),
        ([], [*instructions(2), *numbered_messages(3)]),
        (instructions(1), numbered_messages(2)),
        (instructions(1), [*instructions(1), *numbered_messages(3)]),
        ([*instructions(2), *numbered_messages(4)], numbered_messages(2, Role.ASSISTANT)),
        (numbered_messages(3), instructions(2)),
        (instructions(MAX_HEAD - 1), [*instructions(3), *numbered_messages(3)]),
    ],
    ids=[
        "nothing, then a message",
        "nothing, then instructions and messages",
        "instructions, then messages",
        "instructions, then more of them and messages",
        "a chat, then answers",
        "a chat, then instructions",
        "many instructions, then more of them and messages",
    ],
)
async def test_the_window_of_an_append_is_the_one_read_afterwards(
    store: StoreUnderTest, before: list[NewMessage], batch: list[NewMessage], limit: int
) -> None:
    conversation = await store.start(*before)

    answer = await store.log.append(ALICE, conversation.id, entries_of(batch), NOON, window=limit)
    again = await store.log.append(ALICE, conversation.id, entries_of(batch), NOON, window=limit)

    assert answer.window == await window_of(store, conversation, limit)
    assert again == answer
    assert answer.message_count == len(before) + len(batch)


async def test_the_window_of_an_append_shows_the_batch_at_its_end(store: StoreUnderTest) -> None:
    conversation = await store.start(*instructions(1), *numbered_messages(3))

    answer = await store.log.append(
        ALICE, conversation.id, entries_of([new_message("a"), new_message("b")]), NOON, window=3
    )

    assert answer.window
    assert texts_of(answer.window) == (["system 0"], ["user 2", "a", "b"])
    assert answer.window.message_count == answer.message_count == 6
    assert answer.window.tail[-2:] == answer.messages


async def test_a_batch_larger_than_the_window_is_stored_whole(store: StoreUnderTest) -> None:
    conversation = await store.start()

    answer = await store.log.append(
        ALICE, conversation.id, entries_of(numbered_messages(5)), NOON, window=2
    )

    assert contents(answer.messages) == [f"user {number}" for number in range(5)]
    assert answer.window == Window((), answer.messages[-2:], 5)


async def test_an_append_sent_again_answers_the_window_as_it_is_by_now(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start(*instructions(1))
    batch = numbered_messages(2)
    first: tuple[Message, ...] = await store.append(conversation, *batch)
    await store.append(conversation, new_message("later"), new_message("last"))

    answer = await store.log.append(ALICE, conversation.id, entries_of(batch), NOON, window=2)

    assert answer.messages == first
    assert answer.window
    assert texts_of(answer.window) == (["system 0"], ["later", "last"])
    assert answer.window == await window_of(store, conversation, 2)
    assert answer.window.message_count == answer.message_count == 5


async def test_the_windows_of_appends_at_once_have_no_gaps(store: StoreUnderTest) -> None:
    conversation = await store.start(*instructions(1), *numbered_messages(3))
    batches = [numbered_messages(1 + number % 2) for number in range(12)]

    answers = await asyncio.gather(
        *(
            store.log.append(ALICE, conversation.id, entries_of(batch), NOON, window=20)
            for batch in batches
        )
    )

    found = await store.history(conversation)
    for answer in answers:
        assert answer.window
        tail = answer.window.tail
        end = found.index(tail[-1]) + 1
        assert list(tail) == found[max(end - 20, 0) : end]
        assert set(answer.messages) <= set(tail)
        assert answer.window.message_count == end
        assert list(answer.window.head) == (found[:1] if end > 20 else [])
