"""Isolation: to a user, what others own does not exist, and two users may use the same ids."""

from collections.abc import Awaitable, Callable

import pytest
import pytest_asyncio

from chatkeep.domain.editing import MessagePatch
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    MessageNotFoundError,
    NotFoundError,
)
from chatkeep.domain.finding import LastSeen
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import Changes, Conversation, Message, MessageId, Order, Status
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
    assert_unchanged,
    contents,
    everything_of,
    ids,
    numbered_messages,
)

Call = Callable[[StoreUnderTest, Conversation, Message], Awaitable[object]]


def bobs_history(
    store: StoreUnderTest,
    conversation: Conversation,
    order: Order = Order.ASC,
    after: MessageId | None = None,
    before: MessageId | None = None,
) -> Awaitable[object]:
    return store.history(
        conversation._replace(user_id=BOB), order=order, after=after, before=before, limit=10
    )


CALLS_ON_A_CONVERSATION: dict[str, Call] = {
    "get": lambda store, its, _: store.conversations.get(BOB, its.id),
    "rename": lambda store, its, _: store.conversations.change(BOB, its.id, Changes(title="Bob's")),
    "archive": lambda store, its, _: store.conversations.change(
        BOB, its.id, Changes(status=Status.ARCHIVED)
    ),
    "put on hold": lambda store, its, _: store.conversations.change(
        BOB, its.id, Changes(retain=True)
    ),
    "delete": lambda store, its, _: store.conversations.delete(BOB, its.id),
    "append": lambda store, its, _: store.log.append(
        BOB, its.id, entries_of([new_message("Bob was here")]), NOON + HOUR
    ),
    "append with a window": lambda store, its, _: store.log.append(
        BOB, its.id, entries_of(numbered_messages(2)), NOON + HOUR, window=5
    ),
    "put": lambda store, its, message: store.log.put(
        BOB, its.id, new_message("Bob was here", id=message.id), NOON
    ),
    "replace": lambda store, its, message: store.log.replace(
        BOB, its.id, None, [message.id], [], NOON
    ),
    "history": lambda store, its, _: bobs_history(store, its),
    "history from the latest": lambda store, its, _: bobs_history(store, its, Order.DESC),
    "window": lambda store, its, _: store.log.window(BOB, its.id, limit=5),
}

CALLS_ON_A_MESSAGE: dict[str, Call] = {
    "get": lambda store, its, message: store.log.get(BOB, its.id, message.id),
    "delete": lambda store, its, message: store.log.delete(BOB, its.id, message.id),
    "patch": lambda store, its, message: store.log.patch(
        BOB, its.id, message.id, MessagePatch(tokens=1)
    ),
    "truncate": lambda store, its, message: store.log.truncate(BOB, its.id, message.id, keep=False),
    "replace after": lambda store, its, message: store.log.replace(
        BOB, its.id, message.id, [], [], NOON
    ),
    "after": lambda store, its, message: bobs_history(store, its, after=message.id),
    "before": lambda store, its, message: bobs_history(store, its, before=message.id),
}


@pytest_asyncio.fixture(params=["unknown", "known", "with the same history"])
async def alices_conversation(
    request: pytest.FixtureRequest, store: StoreUnderTest
) -> Conversation:
    """Return a conversation of Alice with messages; Bob is a stranger of one of three kinds."""
    conversation = await store.start(*numbered_messages(3), user_id=ALICE)
    if request.param == "known":
        await store.users.add(BOB)
    if request.param == "with the same history":
        await store.start(*numbered_messages(3), user_id=BOB)
    return conversation


@pytest.mark.parametrize("call", CALLS_ON_A_CONVERSATION.values(), ids=CALLS_ON_A_CONVERSATION)
async def test_a_conversation_of_somebody_else_is_not_found(
    store: StoreUnderTest, alices_conversation: Conversation, call: Call
) -> None:
    [message, *_] = await store.history(alices_conversation)

    async with assert_unchanged(store, ALICE, BOB):
        with pytest.raises(ConversationNotFoundError) as missing:
            await call(store, alices_conversation, message)

    assert missing.value.conversation_id == alices_conversation.id


@pytest.mark.parametrize("call", CALLS_ON_A_MESSAGE.values(), ids=CALLS_ON_A_MESSAGE)
async def test_a_message_of_somebody_else_is_not_found(
    store: StoreUnderTest, alices_conversation: Conversation, call: Call
) -> None:
    [message, *_] = await store.history(alices_conversation)

    async with assert_unchanged(store, ALICE, BOB):
        with pytest.raises(NotFoundError):
            await call(store, alices_conversation, message)


@pytest.mark.parametrize("call", CALLS_ON_A_MESSAGE.values(), ids=CALLS_ON_A_MESSAGE)
async def test_a_message_of_somebody_else_is_not_found_in_ones_own_conversation_either(
    store: StoreUnderTest, alices_conversation: Conversation, call: Call
) -> None:
    [message, *_] = await store.history(alices_conversation)
    own = await store.start(*numbered_messages(2), user_id=BOB, id=alices_conversation.id)

    async with assert_unchanged(store, ALICE, BOB):
        with pytest.raises(MessageNotFoundError) as missing:
            await call(store, own, message)

    assert missing.value.message_id == message.id


async def test_nothing_of_somebody_else_is_listed_counted_or_erased(
    store: StoreUnderTest, alices_conversation: Conversation
) -> None:
    await store.users.erase(BOB)
    hers = await everything_of(store, ALICE)

    assert await store.list_conversations(BOB) == []
    later = LastSeen(alices_conversation.updated_at + HOUR, alices_conversation.id)
    found = await store.conversations.list(BOB, status=None, after=later, limit=10)
    assert not found.items
    usage = await store.users.usage(BOB)
    assert (usage.conversations, usage.messages) == (0, 0)
    assert not await store.users.erase(BOB)
    assert await everything_of(store, ALICE) == hers


async def test_one_id_names_a_conversation_of_each_user(store: StoreUnderTest) -> None:
    hers = await store.start(*numbered_messages(3))
    before = await everything_of(store, ALICE)

    created = await store.create(
        new_conversation(BOB, id=hers.id, title="Bob's"), numbered_messages(1), provision=True
    )

    assert created.created
    assert created.conversation.user_id == BOB
    assert await everything_of(store, ALICE) == before
    assert await store.list_conversations(BOB) == [created.conversation]
    assert contents(await store.history(created.conversation)) == ["user 0"]


async def test_get_or_create_meets_only_ones_own_conversation(store: StoreUnderTest) -> None:
    hers = await store.start(*numbered_messages(3))

    answer = await store.conversations.get_or_create(
        new_conversation(BOB, id=hers.id, title="Bob's"), provision=True
    )

    assert answer.created
    assert (answer.conversation.title, answer.conversation.message_count) == ("Bob's", 0)
    assert await store.reload(hers) == hers


async def test_conversations_of_one_id_live_apart(store: StoreUnderTest) -> None:
    hers = await store.start(*numbered_messages(2))
    his = await store.start(*numbered_messages(2), user_id=BOB, id=hers.id)
    before = await everything_of(store, ALICE)

    await store.append(his, new_message("from Bob"), at=NOON + HOUR)
    await store.conversations.change(BOB, his.id, Changes(title="Bob's", status=Status.ARCHIVED))
    [message, *_] = await store.history(his)
    await store.log.delete(BOB, his.id, message.id)

    assert await everything_of(store, ALICE) == before
    assert contents(await store.history(his)) == ["user 1", "from Bob"]
    window = await store.log.window(BOB, his.id, limit=10)
    assert contents(window.tail) == ["user 1", "from Bob"]


async def test_deleting_one_of_two_conversations_of_one_id_leaves_the_other(
    store: StoreUnderTest,
) -> None:
    hers = await store.start(*numbered_messages(2))
    his = await store.start(*numbered_messages(2), user_id=BOB, id=hers.id)
    before = await everything_of(store, ALICE)

    await store.conversations.delete(BOB, his.id)

    assert await everything_of(store, ALICE) == before
    assert await store.list_conversations(BOB) == []


async def test_one_id_names_a_message_of_each_user(store: StoreUnderTest) -> None:
    message = new_message("hers")
    hers = await store.start(message, new_message("more of hers"))
    before = await everything_of(store, ALICE)

    his = await store.start(message._replace(content="his"), user_id=BOB)
    other = await store.start(user_id=BOB)
    await store.log.delete(BOB, his.id, (await store.history(his))[0].id)
    [appended_by_bob] = await store.append(other, message._replace(content="his again"))

    assert await everything_of(store, ALICE) == before
    assert appended_by_bob.content == "his again"
    assert await store.log.get(BOB, other.id, appended_by_bob.id) == appended_by_bob
    [first, *_] = await store.history(hers)
    assert (first.id, first.content) == (appended_by_bob.id, "hers")


async def test_the_same_call_of_two_users_is_no_retry(store: StoreUnderTest) -> None:
    batch = numbered_messages(2)
    hers = await store.start(user_id=ALICE)
    his = await store.start(user_id=BOB, id=hers.id)

    await store.append(hers, *batch)
    await store.append(his, *batch)

    for conversation in (hers, his):
        assert ids(await store.history(conversation)) == [each.id for each in batch]
        assert (await store.reload(conversation)).message_count == 2
