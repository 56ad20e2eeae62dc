"""Where in a conversation a time is."""

from datetime import datetime, timedelta

import pytest

from chatkeep.domain.model import Conversation, Order
from chatkeep.domain.operations.selftest.builders import (
    HOUR,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import SECOND

YEARS = timedelta(days=3_000)


async def number_since(
    store: StoreUnderTest, conversation: Conversation, at: datetime
) -> int | None:
    """Return the number of the message at the place of a time, in the order of the history."""
    position = await store.log.position_since(conversation.user_id, conversation.id, at)
    if position is None:
        return None
    history = await store.history(conversation, order=Order.ASC, limit=100)
    return [each.position for each in history].index(position)


async def imported(store: StoreUnderTest, *times: datetime) -> Conversation:
    """Store messages of these times. Their positions follow each other."""
    new = new_conversation(at=NOON + YEARS)
    messages = [new_message(f"message {at}", created_at=at) for at in times]
    await store.create(new, messages, provision=True)
    return new


@pytest.mark.parametrize("is_import", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 17])
async def test_the_first_message_that_is_not_before_a_time_is_found(
    store: StoreUnderTest, count: int, *, is_import: bool
) -> None:
    times = [NOON + number * number * HOUR for number in range(count)]
    if is_import:
        conversation = await imported(store, *times)
    else:
        conversation = await store.start()
        for at in times:
            await store.append(conversation, new_message("Hello"), at=at)

    for number, at in enumerate(times):
        assert await number_since(store, conversation, at) == number
        assert await number_since(store, conversation, at - SECOND) == number
    assert await number_since(store, conversation, NOON - YEARS) == 0
    assert await number_since(store, conversation, times[-1] + SECOND) is None


async def test_of_messages_of_one_time_it_is_the_first(store: StoreUnderTest) -> None:
    conversation = await imported(store, NOON, *[NOON + HOUR] * 5, NOON + 2 * HOUR)

    assert await number_since(store, conversation, NOON + HOUR) == 1


async def test_among_times_out_of_order_it_comes_right_after_an_earlier_one(
    store: StoreUnderTest,
) -> None:
    hours = [3, 1, 5, 2, 4, 0, 6]
    conversation = await imported(store, *(NOON + each * HOUR for each in hours))

    for sought in range(7):
        found = await number_since(store, conversation, NOON + sought * HOUR)
        assert found is not None
        assert hours[found] >= sought
        assert found == 0 or hours[found - 1] < sought


async def test_an_empty_conversation_and_that_of_somebody_else_have_no_place(
    store: StoreUnderTest,
) -> None:
    empty = await store.start()
    conversation = await imported(store, NOON)

    assert await number_since(store, empty, NOON) is None
    assert await store.log.position_since(store.stranger, conversation.id, NOON) is None
