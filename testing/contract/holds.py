"""Conversations on hold: they grow as others do, but nothing in them is deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import permutations

import pytest

from chatkeep.domain.errors import (
    ConversationIdTakenError,
    ConversationNotFoundError,
    ItemNotFoundError,
    MessageNotFoundError,
    RetainedError,
    UserRetainedError,
)
from chatkeep.domain.items import ItemId
from chatkeep.domain.model import Changes, Conversation, Status, Usage
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    HOUR,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.ports import MAX_NAMED
from chatkeep.testing.builders import (
    contents,
    error_of,
    everything_of,
    new_conversation_id,
    new_items,
    new_message_id,
    numbered_messages,
    start_mixed,
)

HOLD = Changes(retain=True)
LIFT = Changes(retain=False)
EVERYTHING = Usage(user_id=ALICE, conversations=2, active=1, archived=1, messages=5, retained=1)


async def start_on_hold(store: StoreUnderTest, *, messages: int = 3) -> Conversation:
    """Store a conversation of Alice that is on hold."""
    conversation = await store.start(*numbered_messages(messages))
    return await store.conversations.change(ALICE, conversation.id, HOLD)


async def test_a_hold_is_set_and_lifted_and_is_no_activity(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(2))

    on_hold = await store.conversations.change(ALICE, conversation.id, HOLD)
    assert on_hold == conversation._replace(retain=True, revision=2)
    assert await store.reload(conversation) == on_hold
    assert await store.list_conversations() == [on_hold]

    lifted = await store.conversations.change(ALICE, conversation.id, LIFT)
    assert lifted == conversation._replace(revision=3)
    assert await store.reload(conversation) == lifted


async def test_a_hold_stays_when_something_else_is_changed(store: StoreUnderTest) -> None:
    conversation = await start_on_hold(store)

    changed = await store.conversations.change(
        ALICE, conversation.id, Changes(title="new", status=Status.ARCHIVED)
    )

    assert changed == conversation._replace(title="new", status=Status.ARCHIVED, revision=3)
    assert changed.retain


async def test_a_conversation_may_be_on_hold_from_the_start(store: StoreUnderTest) -> None:
    new = new_conversation()._replace(retain=True)
    other = new_conversation()._replace(retain=True)

    created = await store.create(new, numbered_messages(2), provision=True)
    found = await store.conversations.get_or_create(other, provision=True)

    assert created.conversation.retain
    assert found.conversation == other
    assert (await store.reload(new)).retain
    assert (await store.reload(other)).retain


async def test_a_create_on_hold_can_be_repeated_while_the_hold_is_on(store: StoreUnderTest) -> None:
    new = new_conversation()._replace(retain=True)
    await store.create(new, (), provision=True)

    assert not (await store.create(new, (), provision=True)).created
    await store.conversations.change(ALICE, new.id, LIFT)
    with pytest.raises(ConversationIdTakenError):
        await store.create(new, (), provision=True)


async def test_a_create_can_be_repeated_when_a_hold_was_set_meanwhile(
    store: StoreUnderTest,
) -> None:
    new = new_conversation()
    await store.create(new, (), provision=True)
    await store.conversations.change(ALICE, new.id, HOLD)

    repeated = await store.create(new, (), provision=True)

    assert repeated.conversation.retain


async def test_a_conversation_on_hold_goes_on(store: StoreUnderTest) -> None:
    conversation = await start_on_hold(store)

    await store.append(conversation, new_message("and on"), at=NOON + HOUR)
    await store.append_items(conversation, *new_items('{"type": "reasoning", "summary": []}'))
    await store.conversations.change(ALICE, conversation.id, Changes(status=Status.ARCHIVED))

    assert contents(await store.history(conversation))[-1] == "and on"
    assert (await store.reload(conversation)).message_count == 4


async def delete_conversation(store: StoreUnderTest, conversation: Conversation) -> None:
    await store.conversations.delete(conversation.user_id, conversation.id)


async def delete_message(store: StoreUnderTest, conversation: Conversation) -> None:
    [first, *_] = await store.history(conversation)
    await store.log.delete(conversation.user_id, conversation.id, first.id)


async def delete_message_item(store: StoreUnderTest, conversation: Conversation) -> None:
    item = (await store.list_items(conversation))[0]
    await store.items.delete(conversation.user_id, conversation.id, item.id)


async def delete_other_item(store: StoreUnderTest, conversation: Conversation) -> None:
    item = next(each for each in await store.list_items(conversation) if each.id.startswith("rs_"))
    await store.items.delete(conversation.user_id, conversation.id, item.id)


DELETIONS: list[Callable[[StoreUnderTest, Conversation], Awaitable[None]]] = [
    delete_conversation,
    delete_message,
    delete_message_item,
    delete_other_item,
]


@pytest.mark.parametrize("delete", DELETIONS)
async def test_nothing_of_a_conversation_on_hold_is_deleted_until_the_hold_is_lifted(
    store: StoreUnderTest, delete: Callable[[StoreUnderTest, Conversation], Awaitable[None]]
) -> None:
    conversation = await start_mixed(store)
    await store.conversations.change(ALICE, conversation.id, HOLD)
    before = await everything_of(store)
    items = await store.list_items(conversation)

    with pytest.raises(RetainedError) as refusal:
        await delete(store, conversation)

    assert refusal.value.conversation_id == conversation.id
    assert str(conversation.id) in str(refusal.value)
    assert await everything_of(store) == before
    assert await store.list_items(conversation) == items

    await store.conversations.change(ALICE, conversation.id, LIFT)
    await delete(store, conversation)
    assert await everything_of(store) != before or await store.list_items(conversation) != items


async def test_what_is_not_there_is_not_found_whether_there_is_a_hold_or_not(
    store: StoreUnderTest,
) -> None:
    conversation = await start_on_hold(store)

    with pytest.raises(ConversationNotFoundError):
        await store.conversations.delete(ALICE, new_conversation_id())
    with pytest.raises(MessageNotFoundError):
        await store.log.delete(ALICE, conversation.id, new_message_id())
    with pytest.raises(ItemNotFoundError):
        await store.items.delete(ALICE, conversation.id, ItemId("rs_unknown"))


async def test_a_hold_protects_only_the_conversation_of_its_user(store: StoreUnderTest) -> None:
    hers = await start_on_hold(store)
    his = await store.start(*numbered_messages(2), user_id=BOB, id=hers.id)

    with pytest.raises(RetainedError):
        await store.conversations.delete(ALICE, hers.id)
    await delete_message(store, his)
    await store.conversations.delete(BOB, his.id)
    assert await store.users.erase(BOB)

    assert (await store.reload(hers)).retain


async def start_everything(store: StoreUnderTest) -> Conversation:
    """Store what `EVERYTHING` counts; return the conversation on hold."""
    archived = await store.start(*numbered_messages(2))
    await store.conversations.change(ALICE, archived.id, Changes(status=Status.ARCHIVED))
    return await start_on_hold(store)


async def test_usage_counts_what_is_on_hold(store: StoreUnderTest) -> None:
    conversation = await start_everything(store)
    assert await store.users.usage(ALICE) == EVERYTHING

    await store.conversations.change(ALICE, conversation.id, LIFT)

    assert await store.users.usage(ALICE) == replace(EVERYTHING, retained=0)


async def test_what_would_be_erased_is_told_and_stays(store: StoreUnderTest) -> None:
    assert await store.users.erasable(ALICE) is None
    await store.users.add(ALICE)
    assert await store.users.erasable(ALICE) == await store.users.usage(ALICE)
    assert await store.users.erasable(BOB) is None

    conversation = await start_everything(store)
    before = await everything_of(store)

    with pytest.raises(UserRetainedError) as refusal:
        await store.users.erasable(ALICE)
    assert (refusal.value.retained, refusal.value.conversation_ids) == (1, (conversation.id,))
    assert await store.users.erasable(ALICE, even_retained=True) == EVERYTHING
    assert await everything_of(store) == before
    await store.conversations.change(ALICE, conversation.id, LIFT)
    lifted = await everything_of(store)
    assert await store.users.erasable(ALICE) == replace(EVERYTHING, retained=0)
    assert await everything_of(store) == lifted


async def test_erasing_returns_what_is_gone(store: StoreUnderTest) -> None:
    conversation = await start_everything(store)
    await store.conversations.change(ALICE, conversation.id, LIFT)

    assert await store.users.erase(ALICE) == replace(EVERYTHING, retained=0)
    assert await store.users.erase(ALICE) is None


async def test_nothing_of_a_user_is_erased_while_a_conversation_is_on_hold(
    store: StoreUnderTest,
) -> None:
    conversation = await start_everything(store)
    before = await everything_of(store)

    with pytest.raises(UserRetainedError) as refusal:
        await store.users.erase(ALICE)

    error = refusal.value
    assert (error.user_id, error.retained) == (ALICE, 1)
    assert error.conversation_ids == (conversation.id,)
    assert "1 conversation is on hold" in str(error)
    assert str(conversation.id) in str(error)
    assert await everything_of(store) == before
    assert not await store.users.add(ALICE)


async def test_lifting_the_holds_is_the_way_out(store: StoreUnderTest) -> None:
    for conversation in [await start_on_hold(store), await start_on_hold(store)]:
        with pytest.raises(UserRetainedError):
            await store.users.erase(ALICE)
        await store.conversations.change(ALICE, conversation.id, LIFT)

    assert await store.users.erase(ALICE)
    assert await store.list_conversations() == []


async def test_of_many_holds_the_first_few_are_named_and_all_are_counted(
    store: StoreUnderTest,
) -> None:
    on_hold = {(await start_on_hold(store, messages=0)).id for _ in range(MAX_NAMED + 2)}

    with pytest.raises(UserRetainedError) as refusal:
        await store.users.erase(ALICE)

    assert refusal.value.retained == MAX_NAMED + 2
    assert len(set(refusal.value.conversation_ids) & on_hold) == MAX_NAMED
    assert f"{MAX_NAMED + 2} conversations are on hold" in str(refusal.value)
    assert str(refusal.value).count(", ...") == 1


async def test_erasing_even_what_is_on_hold_leaves_nothing(store: StoreUnderTest) -> None:
    await start_everything(store)
    await store.start(*numbered_messages(2), user_id=BOB)
    his = await everything_of(store, BOB)

    assert await store.users.erase(ALICE, even_retained=True) == EVERYTHING

    assert (await store.users.usage(ALICE)).conversations == 0
    assert await store.users.add(ALICE)
    assert await everything_of(store, BOB) == his


@pytest.mark.parametrize("round_", range(6))
async def test_a_hold_and_a_deletion_at_once_end_as_one_after_the_other(
    store: StoreUnderTest, round_: int
) -> None:
    """Either the hold came first and all is still there, or it found nothing and all is gone."""
    conversation = await store.start(*numbered_messages(2))
    calls = [
        store.conversations.change(ALICE, conversation.id, HOLD),
        store.conversations.delete(ALICE, conversation.id),
        store.users.erase(ALICE),
    ]
    # In every order, since the first call usually wins.
    order = [*permutations(range(3))][round_]

    errors = await asyncio.gather(*(error_of(calls[which]) for which in order))

    not_held, not_deleted, not_erased = (errors[order.index(which)] for which in range(3))
    if not_held is None:
        assert (await store.reload(conversation)).retain
        assert len(await store.history(conversation)) == 2
        assert isinstance(not_deleted, RetainedError)
        assert isinstance(not_erased, UserRetainedError)
    else:
        assert isinstance(not_held, ConversationNotFoundError)
        assert await store.list_conversations() == []
