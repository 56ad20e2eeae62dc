"""History: pages and bounds; single messages, and how deleting them counts."""

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
from tests.contract.builders import (
    ALICE,
    HOUR,
    NOON,
    a_conversation,
    a_message_id,
    again,
    appended,
    contents,
    everything_of,
    history,
    ids,
    numbered,
    refused,
    says,
    started,
)
from tests.contract.store import Store

LIMIT = 4


async def pages(
    store: Store, conversation: Conversation, size: int, order: Order
) -> list[list[Message]]:
    """Read the history to its end, each page from the last position of the one before."""
    found: list[list[Message]] = []
    seen: Position | None = None
    while True:
        after, before = (seen, None) if order is Order.ASC else (None, seen)
        page = await history(
            store, conversation, order=order, after=after, before=before, limit=size
        )
        found.append(page)
        if len(page) < size:
            return found
        seen = page[-1].position


def in_order(messages: list[Message], order: Order) -> list[Message]:
    return messages if order is Order.ASC else messages[::-1]


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("count", [0, 1, LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT])
async def test_pages_hold_every_message_once(store: Store, count: int, order: Order) -> None:
    new = a_conversation()
    created = await store.conversations.create(new, numbered(count), provision=True)

    found = await pages(store, new, LIMIT, order)

    assert [each for page in found for each in page] == in_order(list(created.messages), order)
    assert [len(page) for page in found] == [LIMIT] * (count // LIMIT) + [count % LIMIT]


@pytest.mark.parametrize("order", list(Order))
async def test_pages_of_any_size_tell_the_same(store: Store, order: Order) -> None:
    conversation = await started(store, *numbered(7))
    expected = in_order(await history(store, conversation), order)

    for size in range(1, 9):
        found = await pages(store, conversation, size, order)
        assert [each for page in found for each in page] == expected


@pytest.mark.parametrize("by_id", [True, False], ids=["ids", "positions"])
@pytest.mark.parametrize("order", list(Order))
async def test_both_bounds_are_left_out_wherever_they_are(
    store: Store, order: Order, *, by_id: bool
) -> None:
    conversation = await started(store, *numbered(4))
    messages = await history(store, conversation)

    def bounds() -> Iterator[tuple[int, MessageId | Position | None]]:
        for index, message in enumerate(messages):
            yield index, message.id if by_id else message.position

    for first, after in [(-1, None), *bounds()]:
        for last, before in [(len(messages), None), *bounds()]:
            expected = in_order(messages[first + 1 : last], order)
            for limit in (2, 10):
                found = await history(
                    store, conversation, order=order, after=after, before=before, limit=limit
                )
                assert found == expected[:limit]


async def test_a_bound_may_be_an_id_and_the_other_a_position(store: Store) -> None:
    conversation = await started(store, *numbered(5))
    messages = await history(store, conversation)

    found = await history(store, conversation, after=messages[0].id, before=messages[4].position)
    other = await history(store, conversation, after=messages[0].position, before=messages[4].id)

    assert found == other == messages[1:4]


async def test_a_bound_may_be_a_position_of_no_message(store: Store) -> None:
    conversation = await started(store, says("noon"))
    await appended(store, conversation, says("later"), at=NOON + HOUR)
    noon, later = await history(store, conversation)
    between = Position(noon.position + 1_000)

    assert await history(store, conversation, after=between) == [later]
    assert await history(store, conversation, before=between) == [noon]
    assert await history(store, conversation, after=LAST_POSITION) == []
    assert await history(store, conversation, before=LAST_POSITION) == [noon, later]
    assert await history(store, conversation, before=FIRST_POSITION) == []
    assert await history(store, conversation, after=FIRST_POSITION) == [noon, later]


async def test_a_history_goes_on_after_a_message_that_was_deleted(store: Store) -> None:
    conversation = await started(store, *numbered(6))
    messages = await history(store, conversation)
    boundary = messages[2]

    await store.messages.delete(ALICE, conversation.id, boundary.id)

    assert await history(store, conversation, after=boundary.position) == messages[3:]
    earlier = await history(
        store, conversation, order=Order.DESC, before=boundary.position, limit=10
    )
    assert earlier == [messages[1], messages[0]]


async def test_a_reader_from_the_first_message_meets_those_that_arrive(store: Store) -> None:
    conversation = await started(store, *numbered(2))
    first = await history(store, conversation, limit=2)

    await appended(store, conversation, says("new"))

    rest = await history(store, conversation, after=first[-1].position, limit=2)
    assert contents(rest) == ["new"]


async def test_a_reader_from_the_latest_message_is_not_disturbed_by_those_that_arrive(
    store: Store,
) -> None:
    conversation = await started(store, *numbered(4))
    first = await history(store, conversation, order=Order.DESC, limit=2)

    await appended(store, conversation, *numbered(2))

    rest = await history(store, conversation, order=Order.DESC, before=first[-1].position, limit=10)
    assert contents(rest) == ["user 1", "user 0"]


@pytest.mark.parametrize("order", list(Order))
async def test_a_bound_that_is_no_message_of_the_conversation_is_not_found(
    store: Store, order: Order
) -> None:
    conversation = await started(store, *numbered(3))
    other = await started(store, *numbered(1))
    [elsewhere] = ids(await history(store, other))
    messages = await history(store, conversation)
    await store.messages.delete(ALICE, conversation.id, messages[1].id)

    for unknown in (a_message_id(), MessageId(elsewhere), messages[1].id):
        with pytest.raises(MessageNotFoundError) as missing:
            await history(store, conversation, order=order, after=unknown)
        assert missing.value.message_id == unknown
        with pytest.raises(MessageNotFoundError):
            await history(store, conversation, order=order, before=unknown)
        with pytest.raises(MessageNotFoundError):
            await history(store, conversation, after=unknown, before=messages[2].id)
        with pytest.raises(MessageNotFoundError):
            await history(store, conversation, after=messages[0].position, before=unknown)


async def test_an_empty_conversation_has_no_message_to_start_from(store: Store) -> None:
    empty = await started(store)

    assert await history(store, empty) == []
    with pytest.raises(MessageNotFoundError):
        await history(store, empty, after=a_message_id())


async def test_the_history_of_no_conversation_is_not_found(store: Store) -> None:
    existing = await started(store, *numbered(1))
    [message] = await history(store, existing)
    unknown = a_conversation()

    with pytest.raises(ConversationNotFoundError) as missing:
        await history(store, unknown)
    assert missing.value.conversation_id == unknown.id
    with pytest.raises(ConversationNotFoundError):
        await history(store, unknown, after=FIRST_POSITION, before=LAST_POSITION)
    with pytest.raises(NotFoundError):
        await history(store, unknown, after=message.id)


async def test_one_message_is_read_as_the_history_shows_it(store: Store) -> None:
    conversation = await started(store, *numbered(3))

    for message in await history(store, conversation):
        assert await store.messages.get(ALICE, conversation.id, message.id) == message


async def test_a_message_is_found_only_in_its_own_conversation(store: Store) -> None:
    conversation = await started(store, *numbered(1))
    other = await started(store, *numbered(1))
    [message] = await history(store, conversation)
    before = await everything_of(store)

    for elsewhere in (other.id, a_conversation().id):
        with pytest.raises(MessageNotFoundError) as missing:
            await store.messages.get(ALICE, elsewhere, message.id)
        assert missing.value.message_id == message.id
        with pytest.raises(MessageNotFoundError):
            await store.messages.delete(ALICE, elsewhere, message.id)

    assert await everything_of(store) == before


async def test_a_message_that_does_not_exist_is_not_found(store: Store) -> None:
    conversation = await started(store, *numbered(1))
    unknown = a_message_id()

    with pytest.raises(MessageNotFoundError):
        await store.messages.get(ALICE, conversation.id, unknown)
    with pytest.raises(MessageNotFoundError):
        await store.messages.delete(ALICE, conversation.id, unknown)


@pytest.mark.parametrize("index", [0, 1, 2])
async def test_a_deleted_message_is_gone_and_counted_no_more(store: Store, index: int) -> None:
    conversation = await started(store, *numbered(3))
    messages = await history(store, conversation)
    deleted = messages.pop(index)

    await store.messages.delete(ALICE, conversation.id, deleted.id)

    assert await history(store, conversation) == messages
    assert await again(store, conversation) == conversation._replace(message_count=2)
    with pytest.raises(MessageNotFoundError):
        await store.messages.get(ALICE, conversation.id, deleted.id)


async def test_deleting_a_message_is_no_activity(store: Store) -> None:
    conversation = await started(store)
    [message, _] = await appended(store, conversation, *numbered(2), at=NOON + HOUR)

    await store.messages.delete(ALICE, conversation.id, message.id)

    assert (await again(store, conversation)).updated_at == NOON + HOUR


async def test_a_message_deleted_by_many_at_once_is_counted_once(store: Store) -> None:
    conversation = await started(store, *numbered(3))
    [message, *_] = await history(store, conversation)

    errors = await asyncio.gather(
        *(refused(store.messages.delete(ALICE, conversation.id, message.id)) for _ in range(6))
    )

    assert [type(error) for error in errors if error] == [MessageNotFoundError] * 5
    assert (await again(store, conversation)).message_count == 2
    assert len(await history(store, conversation)) == 2


async def test_appends_and_deletes_at_once_leave_the_right_count(store: Store) -> None:
    conversation = await started(store, *numbered(5))
    messages = await history(store, conversation)

    await asyncio.gather(
        *(store.messages.delete(ALICE, conversation.id, message.id) for message in messages),
        *(appended(store, conversation, *numbered(2)) for _ in range(5)),
    )

    assert (await again(store, conversation)).message_count == 10
    assert len(await history(store, conversation)) == 10
