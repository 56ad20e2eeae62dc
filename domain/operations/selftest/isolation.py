"""Scenarios of what must not happen: nothing reaches another user, nothing is left half done."""

from collections.abc import Awaitable, Callable

from chatkeep.domain.editing import MessagePatch
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    ItemIdTakenError,
    MessageIdTakenError,
    NotFoundError,
)
from chatkeep.domain.finding import Filter, Sort
from chatkeep.domain.model import Changes
from chatkeep.domain.operations.selftest.builders import (
    HOUR,
    MESSAGE_ITEM,
    REASONING_ITEM,
    new_conversation,
    new_item,
    new_message,
)
from chatkeep.domain.operations.selftest.checks import expect, expect_error
from chatkeep.domain.operations.selftest.deletion import start_full
from chatkeep.domain.operations.selftest.store import MANY, StoreUnderTest


async def isolation(store: StoreUnderTest) -> str:
    """Let no user read, change or add to what another user has, nor learn its id."""
    hers = await start_full(store)
    messages, items = await store.history(hers), await store.list_items(hers)
    me, message = store.stranger, messages[0].id
    mine = new_conversation(me, id=hers.id, at=store.at)
    attempts: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: store.reload(mine),
        lambda: store.conversations.change(me, hers.id, Changes(title="mine now")),
        lambda: store.conversations.delete(me, hers.id),
        lambda: store.log.window(me, hers.id, limit=100),
        lambda: store.log.get(me, hers.id, message),
        lambda: store.log.delete(me, hers.id, message),
        lambda: store.put(mine, new_message("me too", id=message)),
        lambda: store.patch(mine, message, MessagePatch(tokens=1)),
        lambda: store.truncate(mine, message),
        lambda: store.replace(mine, after=None, suffix=[message]),
        lambda: store.append(mine, new_message("me too")),
        lambda: store.history(mine),
        lambda: store.append_items(mine, new_item(REASONING_ITEM)),
        lambda: store.items.get(me, hers.id, items[-1].id),
        lambda: store.items.delete(me, hers.id, items[-1].id),
        lambda: store.list_items(mine),
    )
    for attempt in attempts:
        await expect_error(NotFoundError, attempt(), "what belongs to another user")
    expect(not await store.list_conversations(me), "a user's list shows conversations of another")
    for sort in Sort:
        found = await store.find_conversations(Filter(updated_after=store.at - HOUR), me, sort=sort)
        expect(not found, "a filter finds conversations of another user")
    counted = await store.conversations.count(me, Filter(), max_read=MANY)
    expect(counted.value == 0, "a count includes conversations of another user")
    await store.start(new_message("mine", id=message), user_id=me, id=hers.id)
    expect(
        (await store.history(hers), await store.list_items(hers)) == (messages, items),
        "a conversation changed when another user made one under the same id",
    )
    return f"{len(attempts)} ways to another user's conversation are closed"


async def refusal(store: StoreUnderTest) -> str:
    """Refuse what is for a conversation that does not exist."""
    nowhere = new_conversation(store.user, at=store.at)
    await expect_error(
        ConversationNotFoundError,
        store.append(nowhere, new_message("lost")),
        "a message for no conversation",
    )
    await expect_error(
        ConversationNotFoundError,
        store.append_items(nowhere, new_item(REASONING_ITEM)),
        "an item for no conversation",
    )
    return "a message and an item for no conversation were refused"


async def atomicity(store: StoreUnderTest) -> str:
    """Leave nothing behind of what fails."""
    conversation = await start_full(store)
    before = await store.reload(conversation)
    messages, items = await store.history(conversation), await store.list_items(conversation)
    taken = new_message("not what it was", id=messages[0].id)
    batch = [new_message("new"), taken]
    later = store.at + HOUR
    await expect_error(
        MessageIdTakenError,
        store.append(conversation, *batch, at=later),
        "a batch with a taken id",
    )
    own = '{"type":"reasoning","id":"rs_own","summary":[]}'
    await store.append_items(conversation, new_item(own))
    await expect_error(
        ItemIdTakenError,
        store.append_items(conversation, new_item(MESSAGE_ITEM), new_item(own), at=later),
        "a batch of items with a taken id",
    )
    expect(
        await store.history(conversation) == messages
        and (await store.list_items(conversation))[:-1] == items
        and await store.reload(conversation) == before._replace(revision=before.revision + 1),
        "a batch that was refused left something behind",
    )
    new = new_conversation(store.user, at=store.at)
    await expect_error(
        MessageIdTakenError,
        store.create(new, batch, provision=True),
        "a conversation whose message id is taken",
    )
    await expect_error(
        ConversationNotFoundError, store.reload(new), "a conversation that was not created"
    )
    return "batches that were refused left nothing behind"
