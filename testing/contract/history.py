"""History: pages and bounds; single messages, and what deleting them does to the count."""

import asyncio
from collections.abc import Iterator

import pytest

from chatkeep.domain.errors import ConversationNotFoundError, MessageNotFoundError, NotFoundError
from chatkeep.domain.model import (
    FIRST_POSITION,
    LAST_POSITION,
    Conversation,
    Message,
    MessageId,
    Order,
    Position,
)
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    HOUR,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    contents,
    error_of,
    everything_of,
    ids,
    new_message_id,
    numbered_messages,
)

LIMIT = 4


async def pages(
    store: StoreUnderTest, conversation: Conversation, size: int, order: Order
) -> list[list[Message]]:
    """Read the history to its end, each page from the last position of the one before."""
    found: list[list[Message]] = []
    seen: Position | None = None
    while True:
        after, before = (seen, None) if order is Order.ASC else (None, seen)
        page = await store.history(
            conversation, order=order, after=after, before=before, limit=size
        )
        found.append(page)
        if len(page) < size:
            return found
        seen = page[-1].position


def in_order(messages: list[Message], order: Order) -> list[Message]:
    return messages if order is Order.ASC else messages[::-1]


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("count", [0, 1, LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT])
async def test_pages_hold_every_message_once(
    store: StoreUnderTest, count: int, order: Order
) -> None:
    new = new_conversation()
    created = await store.create(new, numbered_messages(count), provision=True)

    found = await pages(store, new, LIMIT, order)

    assert [each for page in found for each in page] == in_order(list(created.messages), order)
    assert [len(page) for page in found] == [LIMIT] * (count // LIMIT) + [count % LIMIT]


@pytest.mark.parametrize("order", list(Order))
async def test_pages_of_any_size_tell_the_same(store: StoreUnderTest, order: Order) -> None:
    conversation = await store.start(*numbered_messages(7))
    expected = in_order(await store.history(conversation), order)

    for size in range(1, 9):
        found = await pages(store, conversation, size, order)
        assert [each for page in found for each in page] == expected


@pytest.mark.parametrize("by_id", [True, False], ids=["ids", "positions"])
@pytest.mark.parametrize("order", list(Order))
async def test_both_bounds_are_left_out_wherever_they_are(
    store: StoreUnderTest, order: Order, *, by_id: bool
) -> None:
    conversation = await store.start(*numbered_messages(4))
    messages = await store.history(conversation)

    def bounds() -> Iterator[tuple[int, MessageId | Position | None]]:
        for index, message in enumerate(messages):
            yield index, message.id if by_id else message.position

    for first, after in [(-1, None), *bounds()]:
        for last, before in [(len(messages), None), *bounds()]:
            expected = in_order(messages[first + 1 : last], order)
            for limit in (2, 10):
                found = await store.history(
                    conversation, order=order, after=after, before=before, limit=limit
                )
                assert found == expected[:limit]


async def test_a_bound_may_be_an_id_and_the_other_a_position(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(5))
    messages = await store.history(conversation)

    found = await store.history(conversation, after=messages[0].id, before=messages[4].position)
    other = await store.history(conversation, after=messages[0].position, before=messages[4].id)

    assert found == other == messages[1:4]


async def test_a_bound_may_be_a_position_of_no_message(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("noon"))
    await store.append(conversation, new_message("later"), at=NOON + HOUR)
    noon, later = await store.history(conversation)
    between = Position(noon.position + 1_000)

    assert await store.history(conversation, after=between) == [later]
    assert await store.history(conversation, before=between) == [noon]
    assert await store.history(conversation, after=LAST_POSITION) == []
    assert await store.history(conversation, before=LAST_POSITION) == [noon, later]
    assert await store.history(conversation, before=FIRST_POSITION) == []
    assert await store.history(conversation, after=FIRST_POSITION) == [noon, later]


async def test_a_history_goes_on_after_a_message_that_was_deleted(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(6))
    messages = await store.history(conversation)
    boundary = messages[2]

    await store.log.delete(ALICE, conversation.id, boundary.id)

    assert await store.history(conversation, after=boundary.position) == messages[3:]
    earlier = await store.history(
        conversation, order=Order.DESC, before=boundary.position, limit=10
    )
    assert earlier == [messages[1], messages[0]]


async def test_a_reader_from_the_first_message_meets_those_that_arrive(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start(*numbered_messages(2))
    first = await store.history(conversation, limit=2)

    await store.append(conversation, new_message("new"))

    rest = await store.history(conversation, after=first[-1].position, limit=2)
    assert contents(rest) == ["new"]


async def test_a_reader_from_the_latest_message_is_not_disturbed_by_those_that_arrive(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start(*numbered_messages(4))
    first = await store.history(conversation, order=Order.DESC, limit=2)

    await store.append(conversation, *numbered_messages(2))

    rest = await store.history(conversation, order=Order.DESC, before=first[-1].position, limit=10)
    assert contents(rest) == ["user 1", "user 0"]


@pytest.mark.parametrize("order", list(Order))
async def test_a_bound_that_is_no_message_of_the_conversation_is_not_found(
    store: StoreUnderTest, order: Order
) -> None:
    conversation = await store.start(*numbered_messages(3))
    other = await store.start(*numbered_messages(1))
    [elsewhere] = ids(await store.history(other))
    messages = await store.history(conversation)
    await store.log.delete(ALICE, conversation.id, messages[1].id)

    for unknown in (new_message_id(), MessageId(elsewhere), messages[1].id):
        with pytest.raises(MessageNotFoundError) as missing:
            await store.history(conversation, order=order, after=unknown)
        assert missing.value.message_id == unknown
        with pytest.raises(MessageNotFoundError):
            await store.history(conversation, order=order, before=unknown)
        with pytest.raises(MessageNotFoundError):
            await store.history(conversation, after=unknown, before=messages[2].id)
        with pytest.raises(MessageNotFoundError):
            await store.history(conversation, after=messages[0].position, before=unknown)


async def test_an_empty_conversation_has_no_message_to_start_from(store: StoreUnderTest) -> None:
    empty = await store.start()

    assert await store.history(empty) == []
    with pytest.raises(MessageNotFoundError):
        await store.history(empty, after=new_message_id())


async def test_the_history_of_no_conversation_is_not_found(store: StoreUnderTest) -> None:
    existing = await store.start(*numbered_messages(1))
    [message] = await store.history(existing)
    unknown = new_conversation()

    with pytest.raises(ConversationNotFoundError) as missing:
        await store.history(unknown)
    assert missing.value.conversation_id == unknown.id
    with pytest.raises(ConversationNotFoundError):
        await store.history(unknown, after=FIRST_POSITION, before=LAST_POSITION)
    with pytest.raises(NotFoundError):
        await store.history(unknown, after=message.id)


async def test_one_message_is_read_as_the_history_shows_it(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(3))

    for message in await store.history(conversation):
        assert await store.log.get(ALICE, conversation.id, message.id) == message


async def test_a_message_is_found_only_in_its_own_conversation(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(1))
    other = await store.start(*numbered_messages(1))
    [message] = await store.history(conversation)
    before = await everything_of(store)

    for elsewhere in (other.id, new_conversation().id):
        with pytest.raises(MessageNotFoundError) as missing:
            await store.log.get(ALICE, elsewhere, message.id)
        assert missing.value.message_id == message.id
        with pytest.raises(MessageNotFoundError):
            await store.log.delete(ALICE, elsewhere, message.id)

    assert await everything_of(store) == before


async def test_a_message_that_does_not_exist_is_not_found(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(1))
    unknown = new_message_id()

    with pytest.raises(MessageNotFoundError):
        await store.log.get(ALICE, conversation.id, unknown)
    with pytest.raises(MessageNotFoundError):
        await store.log.delete(ALICE, conversation.id, unknown)


@pytest.mark.parametrize("index", [0, 1, 2])
async def test_a_deleted_message_is_gone_and_counted_no_more(
    store: StoreUnderTest, index: int
) -> None:
    conversation = await store.start(*numbered_messages(3))
    messages = await store.history(conversation)
    deleted = messages.pop(index)

    await store.log.delete(ALICE, conversation.id, deleted.id)

    assert await store.history(conversation) == messages
    assert await store.reload(conversation) == conversation._replace(message_count=2, revision=2)
    with pytest.raises(MessageNotFoundError):
        await store.log.get(ALICE, conversation.id, deleted.id)


async def test_deleting_a_message_is_no_activity(store: StoreUnderTest) -> None:
    conversation = await store.start()
    [message, _] = await store.append(conversation, *numbered_messages(2), at=NOON + HOUR)

    await store.log.delete(ALICE, conversation.id, message.id)

    assert (await store.reload(conversation)).updated_at == NOON + HOUR


async def test_a_message_deleted_by_many_at_once_is_counted_once(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(3))
    [message, *_] = await store.history(conversation)

    errors = await asyncio.gather(
        *(error_of(store.log.delete(ALICE, conversation.id, message.id)) for _ in range(6))
    )

    assert [type(error) for error in errors if error] == [MessageNotFoundError] * 5
    assert (await store.reload(conversation)).message_count == 2
    assert len(await store.history(conversation)) == 2


async def test_appends_and_deletes_at_once_leave_the_right_count(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(5))
    messages = await store.history(conversation)

    await asyncio.gather(
        *(store.log.delete(ALICE, conversation.id, message.id) for message in messages),
        *(store.append(conversation, *numbered_messages(2)) for _ in range(5)),
    )

    assert (await store.reload(conversation)).message_count == 10
    assert len(await store.history(conversation)) == 10
