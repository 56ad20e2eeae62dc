"""Pages are bounded in bytes: they end early, are never empty, and together have everything."""

import json

import pytest

from chatkeep.domain.finding import LastSeen
from chatkeep.domain.items import Item
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import Conversation, JsonText, Message, NewMessage, Order, Position, Role
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    HOUR,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import CALLS, contents, new_items, numbered_messages

KB = 1_000
# Room for what counts besides texts: metadata, and the way JSON is stored.
MOST = 3 * KB + KB // 2
OF_ONE_LETTER = JsonText(
    json.dumps(
        [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "x" * 50 * KB}}]
    )
)
"""A database compresses it to almost nothing, but returns it in full length."""


def messages_of_size(*kilobytes: float) -> list[NewMessage]:
    return [new_message(f"{n}".ljust(int(size * KB), "x")) for n, size in enumerate(kilobytes)]


def texts_of_size(*kilobytes: float) -> list[str]:
    said = ("x" * int(size * KB - 40) for size in kilobytes)
    return [json.dumps({"role": "user", "content": content}) for content in said]


async def page_through_messages(
    store: StoreUnderTest,
    conversation: Conversation,
    order: Order = Order.ASC,
    *,
    limit: int = 100,
    max_bytes: int = MOST,
) -> list[list[Message]]:
    """Return all pages; each starts where the one before ended."""
    found: list[list[Message]] = []
    last: Position | None = None
    while True:
        page = await store.page_history(
            conversation,
            order=order,
            after=last if order is Order.ASC else None,
            before=last if order is Order.DESC else None,
            limit=limit,
            max_bytes=max_bytes,
        )
        found.append(list(page.items))
        if not page.more:
            return found
        last = page.items[-1].position


async def page_through_items_of(
    store: StoreUnderTest, conversation: Conversation, order: Order, *, limit: int = 100
) -> list[list[Item]]:
    found: list[list[Item]] = []
    after = None
    while True:
        page = await store.items.list(
            ALICE, conversation.id, order=order, after=after, limit=limit, max_bytes=MOST
        )
        found.append(list(page.items))
        if not page.more:
            return found
        after = page.items[-1].id


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize(
    ("kilobytes", "pages"),
    [
        ([1, 1, 1, 1, 1, 1, 1], [3, 3, 1]),
        ([1, 1, 1], [3]),
        ([50], [1]),
        ([50, 50, 50], [1, 1, 1]),
        ([1, 50, 1], [1, 1, 1]),
        ([0.1] * 20, [20]),
    ],
)
async def test_a_page_ends_before_it_has_more_bytes(
    store: StoreUnderTest, kilobytes: list[float], pages: list[int], order: Order
) -> None:
    conversation = await store.start(*messages_of_size(*kilobytes))
    everything = await store.history(conversation, order=order)

    found = await page_through_messages(store, conversation, order)

    assert [message for page in found for message in page] == everything
    assert [len(page) for page in found] == pages


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_a_page_ends_at_what_comes_first(store: StoreUnderTest, limit: int) -> None:
    conversation = await store.start(*messages_of_size(1, 1, 1, 2.8, 0.1, 0.1, 0.1, 0.1))
    everything = await store.history(conversation)

    found = await page_through_messages(store, conversation, limit=limit)

    assert [message for page in found for message in page] == everything
    assert all(0 < len(page) <= limit for page in found)


async def test_bytes_are_counted_and_not_characters(store: StoreUnderTest) -> None:
    conversation = await store.start(*(new_message("\N{SNOWMAN}" * (KB // 3)) for _ in range(4)))

    assert [len(page) for page in await page_through_messages(store, conversation)] == [3, 1]


async def test_what_is_stored_compressed_counts_as_it_is_answered(store: StoreUnderTest) -> None:
    calls = new_message(None, Role.ASSISTANT, tool_calls=OF_ONE_LETTER)
    notes = new_message("noted", metadata=JsonText(json.dumps({"note": "x" * 50 * KB})))
    conversation = await store.start(
        new_message("a"), calls, new_message("b"), notes, new_message("c")
    )

    assert [len(page) for page in await page_through_messages(store, conversation)] == [
        1,
        1,
        1,
        1,
        1,
    ]


async def test_a_page_between_two_messages_is_bounded_too(store: StoreUnderTest) -> None:
    first, *between, last = messages_of_size(1, 1, 1, 1, 1, 50, 1)
    conversation = await store.start(first, *between, last)
    everything = await store.history(conversation)

    for order, expected in ((Order.ASC, everything[1:4]), (Order.DESC, everything[5:4:-1])):
        page = await store.page_history(
            conversation,
            order=order,
            after=first.id,
            before=last.id,
            limit=100,
            max_bytes=MOST,
        )
        assert (list(page.items), page.more) == (expected, True)
    rest = await store.page_history(
        conversation,
        order=Order.ASC,
        after=everything[4].position,
        before=last.id,
        limit=100,
        max_bytes=MOST,
    )
    assert (list(rest.items), rest.more) == ([everything[5]], False)


@pytest.mark.parametrize("with_append", [False, True])
async def test_both_ends_of_a_window_have_half_of_the_bytes(
    store: StoreUnderTest,
    with_append: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    opening = [new_message(f"{n}".ljust(KB), Role.SYSTEM) for n in range(3)]
    latest = messages_of_size(1, 1, 1, 1, 1)
    conversation = await store.start(*opening, *latest)

    if with_append:
        new = new_message("new".ljust(KB))
        appended = await store.log.append(
            ALICE, conversation.id, entries_of([new]), NOON + HOUR, window=10, max_bytes=5 * KB
        )
        window = appended.window
        latest.append(new)
    else:
        window = await store.log.window(ALICE, conversation.id, limit=10, max_bytes=5 * KB)

    assert window is not None
    assert contents(window.head) == [each.content for each in opening[:2]]
    assert contents(window.tail) == [each.content for each in latest[-2:]]
    assert window.message_count == len(opening) + len(latest)


async def test_the_latest_message_is_in_the_window_however_large(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("Be kind.", Role.SYSTEM), *messages_of_size(1, 50))

    window = await store.log.window(ALICE, conversation.id, limit=10, max_bytes=MOST)

    assert contents(window.head) == ["Be kind."]
    assert [len(each or "") for each in contents(window.tail)] == [50 * KB]


async def test_instructions_that_are_too_large_are_not_in_the_window(store: StoreUnderTest) -> None:
    large = new_message("x" * 50 * KB, Role.SYSTEM)
    conversation = await store.start(
        new_message("Be kind.", Role.SYSTEM), large, *numbered_messages(2)
    )

    window = await store.log.window(ALICE, conversation.id, limit=3, max_bytes=MOST)

    assert contents(window.head) == ["Be kind."]
    assert contents(window.tail) == ["user 0", "user 1"]


@pytest.mark.parametrize("order", list(Order))
async def test_pages_of_items_are_bounded_too(store: StoreUnderTest, order: Order) -> None:
    conversation = await store.start(*messages_of_size(1, 50, 1))
    reasoning = json.dumps({"type": "reasoning", "summary": [], "encrypted_content": "x" * 50 * KB})
    await store.append_items(
        conversation, *new_items(*texts_of_size(1, 1, 1, 1), reasoning, *texts_of_size(1, 50, 1))
    )
    everything = await store.list_items(conversation, order=order)

    found = await page_through_items_of(store, conversation, order)

    assert [item for page in found for item in page] == everything
    assert [len(page) for page in found] == (
        [1, 1, 3, 2, 1, 1, 1, 1] if order is Order.ASC else [1, 1, 1, 1, 3, 2, 1, 1]
    )


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_a_large_message_of_several_items_leads_on(
    store: StoreUnderTest, order: Order, limit: int
) -> None:
    """A page after one of its items reads the message again, which must not fill the page."""
    large = new_message("x" * 50 * KB, Role.ASSISTANT, tool_calls=CALLS)
    conversation = await store.start(
        new_message("a"), large, new_message("b" * 50 * KB), new_large_message()
    )
    everything = await store.list_items(conversation, order=order)
    assert len(everything) == 8

    found = await page_through_items_of(store, conversation, order, limit=limit)

    assert [item for page in found for item in page] == everything
    assert all(0 < len(page) <= limit for page in found)


def new_large_message() -> NewMessage:
    return new_message("y" * 50 * KB, Role.ASSISTANT, tool_calls=CALLS)


async def test_a_list_of_conversations_is_bounded_too(store: StoreUnderTest) -> None:
    """Metadata and titles count; imports may bring them in any size."""
    expected = []
    for number, size in enumerate((1, 1, 1, 1, 50, 1, 50)):
        metadata = JsonText(json.dumps({"note": str(number).ljust(size * KB, "x")}))
        new = new_conversation(metadata=metadata, at=NOON - number * HOUR)
        await store.create(new, (), provision=True)
        expected.append(await store.reload(new))
    found = []
    after = None
    while True:
        some = await store.conversations.list(
            ALICE, status=None, after=after, limit=4, max_bytes=5 * KB
        )
        found.append(list(some.items))
        if not some.more:
            break
        after = LastSeen(some.items[-1].updated_at, some.items[-1].id)

    assert [conversation for page in found for conversation in page] == expected
    assert [len(page) for page in found] == [4, 1, 1, 1]


async def test_a_create_sent_again_is_not_taken_for_a_larger_one(store: StoreUnderTest) -> None:
    """Comparing reads no more than what was sent, and still finds what is equal."""
    full = new_message(
        "\ufdd0\0" * 300,
        Role.ASSISTANT,
        tool_calls=CALLS,
        metadata=JsonText(f"[{','.join('1' * 900)}]"),
    )
    new = new_conversation()
    messages = [new_message("a"), full, *messages_of_size(50)]
    made = await store.create(new, messages, provision=True)

    again_made = await store.create(new, messages, provision=True)
    again_appended = await store.log.append(ALICE, new.id, entries_of(messages), NOON + HOUR)

    assert not again_made.created
    assert [each.id for each in again_made.messages] == [each.id for each in made.messages]
    assert len(again_appended.messages) == len(messages)
