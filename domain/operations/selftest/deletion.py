"""Scenarios of deleting: what goes with what, and what a hold keeps."""

from chatkeep.domain.editing import MessagePatch
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    KeyTakenError,
    RetainedError,
    UserRetainedError,
)
from chatkeep.domain.model import Changes, Conversation, JsonText
from chatkeep.domain.operations.selftest.builders import (
    KEY,
    MESSAGE_ITEM,
    OTHER_KEY,
    REASONING_ITEM,
    new_item,
    new_message,
)
from chatkeep.domain.operations.selftest.checks import (
    BrokenPromiseError,
    expect,
    expect_count,
    expect_error,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest


async def cascade(store: StoreUnderTest) -> str:
    """Delete everything in a conversation with it."""
    conversation = await start_full(store)
    await store.conversations.delete(store.user, conversation.id)
    await expect_error(
        ConversationNotFoundError, store.reload(conversation), "a conversation that was deleted"
    )
    await _expect_nothing_left(store, conversation, "deleting a conversation")
    return "deleting a conversation took its messages, items and keys"


async def erasure(store: StoreUnderTest) -> str:
    """Delete everything that a user owns when they are erased, and nothing of others."""
    conversation = await start_full(store)
    theirs = await store.start(new_message("mine"), user_id=store.stranger)
    erased = await store.users.erase(store.user)
    expect(erased is not None, "erasing a user found no such user")
    usage = await store.users.usage(store.user)
    expect(
        (usage.conversations, usage.messages) == (0, 0) and not await store.list_conversations(),
        "erasing a user left some of their conversations",
    )
    await _expect_nothing_left(store, conversation, "erasing a user")
    expect_count(len(await store.history(theirs)), 1, "another user was erased")
    return "erasing a user deleted all their data and nothing else"


async def hold(store: StoreUnderTest) -> str:
    """Delete nothing of a conversation that is on hold, also not with its user."""
    held = await store.start(new_message("evidence"))
    [message] = await store.history(held)
    await store.conversations.change(store.user, held.id, Changes(retain=True))
    what = "deleting what is on hold"
    await expect_error(RetainedError, store.log.delete(store.user, held.id, message.id), what)
    rewritten = new_message("rewritten", id=message.id)
    await expect_error(RetainedError, store.put(held, rewritten), "editing what is on hold")
    noted = MessagePatch(metadata=JsonText('{"a":1}'))
    await expect_error(RetainedError, store.patch(held, message.id, noted), "patching on hold")
    await expect_error(
        RetainedError, store.truncate(held, message.id, keep=False), "truncating what is on hold"
    )
    await expect_error(
        RetainedError,
        store.replace(held, after=None, suffix=[message.id]),
        "replacing what is on hold",
    )
    await expect_error(RetainedError, store.conversations.delete(store.user, held.id), what)
    await expect_error(UserRetainedError, store.users.erase(store.user), what)
    expect(await store.history(held) == [message], "what is on hold was deleted or rewritten")
    await store.conversations.change(store.user, held.id, Changes(retain=False))
    await store.conversations.delete(store.user, held.id)
    return "what is on hold could not be deleted or rewritten, until the hold was lifted"


async def start_full(store: StoreUnderTest) -> Conversation:
    """Store a conversation with a message, items and an idempotency key."""
    conversation = await store.start(new_message("hello"))
    await store.append_items(
        conversation, new_item(MESSAGE_ITEM), new_item(REASONING_ITEM), key=KEY
    )
    return conversation


async def _expect_nothing_left(store: StoreUnderTest, gone: Conversation, deed: str) -> None:
    """Create the conversation anew: what was left of the old one would be in it again."""
    again = await store.start(user_id=gone.user_id, id=gone.id)
    expect(not await store.history(again), f"{deed} left its messages behind")
    expect(not await store.list_items(again), f"{deed} left its items behind")
    try:
        await store.append_items(again, new_item(REASONING_ITEM), key=OTHER_KEY)
    except KeyTakenError as error:
        raise BrokenPromiseError(f"{deed} left its idempotency keys behind") from error
