"""The promises about what must not happen, each exercised on a store."""

from collections.abc import Awaitable, Callable

from chatkeep.domain.errors import (
    ConversationNotFoundError,
    ItemIdTakenError,
    KeyTakenError,
    MessageIdTakenError,
    NotFoundError,
    RetainedError,
    UserRetainedError,
)
from chatkeep.domain.model import Changes, Conversation, ConversationId, uuid7
from chatkeep.domain.operations.selftest.trial import (
    ALL,
    HOUR,
    KEY,
    MESSAGE,
    OTHER_KEY,
    REASONING,
    BrokenPromiseError,
    Trial,
    expect,
    expect_count,
    refused,
)


async def cascade(trial: Trial) -> str:
    """Take everything in a conversation when it is deleted."""
    conversation = await _full(trial)
    await trial.conversations.delete(trial.user, conversation.id)
    await refused(
        ConversationNotFoundError,
        trial.conversations.get(trial.user, conversation.id),
        "a conversation that was deleted",
    )
    await _expect_nothing_left(trial, conversation, "deleting a conversation")
    return "deleting a conversation took its messages, items and keys"


async def erasure(trial: Trial) -> str:
    """Take everything that a user owns when they are erased, and nothing of others."""
    conversation = await _full(trial)
    theirs = await trial.start(trial.says("mine"), user=trial.stranger)
    erased = await trial.users.erase(trial.user)
    expect(erased is not None, "erasing a user found nobody to erase")
    usage = await trial.users.usage(trial.user)
    expect(
        (usage.conversations, usage.messages) == (0, 0) and not await trial.listed(trial.user),
        "erasing a user left conversations of theirs",
    )
    await _expect_nothing_left(trial, conversation, "erasing a user")
    expect_count(len(await trial.history(theirs)), 1, "somebody else was erased")
    return "erasing a user took everything of theirs and nothing else"


async def hold(trial: Trial) -> str:
    """Delete nothing of a conversation that is on hold, also not with its user."""
    held = await trial.start(trial.says("evidence"))
    [message] = await trial.history(held)
    await trial.conversations.change(trial.user, held.id, Changes(retain=True))
    what = "deleting what is on hold"
    await refused(RetainedError, trial.messages.delete(trial.user, held.id, message.id), what)
    await refused(RetainedError, trial.conversations.delete(trial.user, held.id), what)
    await refused(UserRetainedError, trial.users.erase(trial.user), what)
    expect(list(await trial.history(held)) == [message], "what is on hold was deleted")
    await trial.conversations.change(trial.user, held.id, Changes(retain=False))
    await trial.conversations.delete(trial.user, held.id)
    return "what is on hold could not be deleted, until the hold was lifted"


async def isolation(trial: Trial) -> str:
    """Let nobody read, change or add to what another user has, nor learn its id."""
    hers = await _full(trial)
    messages, items = await trial.history(hers), await trial.listed_items(hers)
    me, id_, message = trial.stranger, hers.id, messages[0].id
    attempts: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: trial.conversations.get(me, id_),
        lambda: trial.conversations.change(me, id_, Changes(title="mine now")),
        lambda: trial.conversations.delete(me, id_),
        lambda: trial.messages.window(me, id_, limit=ALL),
        lambda: trial.messages.get(me, id_, message),
        lambda: trial.messages.delete(me, id_, message),
        lambda: trial.messages.append(me, id_, [trial.says("me too")], trial.at),
        lambda: trial.history(trial.conversation(user=me, id=id_)),
        lambda: trial.items.append(me, id_, [trial.item(REASONING)], trial.at),
        lambda: trial.items.get(me, id_, items[-1].id),
        lambda: trial.items.delete(me, id_, items[-1].id),
        lambda: trial.listed_items(trial.conversation(user=me, id=id_)),
    )
    for attempt in attempts:
        await refused(NotFoundError, attempt(), "what belongs to another user")
    expect(not await trial.listed(me), "a user's list shows conversations of another")
    await trial.start(trial.says("mine", id=message), user=me, id=id_)
    expect(
        (await trial.history(hers), await trial.listed_items(hers)) == (messages, items),
        "a conversation changed when another user made one under the same id",
    )
    return f"{len(attempts)} ways to another user's conversation are closed"


async def refusal(trial: Trial) -> str:
    """Refuse what is for a conversation that does not exist."""
    nowhere = ConversationId(uuid7(trial.at))
    await refused(
        ConversationNotFoundError,
        trial.messages.append(trial.user, nowhere, [trial.says("lost")], trial.at),
        "a message for no conversation",
    )
    await refused(
        ConversationNotFoundError,
        trial.items.append(trial.user, nowhere, [trial.item(REASONING)], trial.at),
        "an item for no conversation",
    )
    return "a message and an item for no conversation were refused"


async def atomicity(trial: Trial) -> str:
    """Leave nothing behind of what fails."""
    conversation = await _full(trial)
    before = await trial.conversations.get(trial.user, conversation.id)
    messages, items = await trial.history(conversation), await trial.listed_items(conversation)
    taken = trial.says("not what it was", id=messages[0].id)
    batch = [trial.says("new"), taken]
    later = trial.at + HOUR
    await refused(
        MessageIdTakenError, trial.append(conversation, *batch, at=later), "a batch with a taken id"
    )
    own = '{"type":"reasoning","id":"rs_own","summary":[]}'
    await trial.items.append(trial.user, conversation.id, [trial.item(own)], trial.at)
    await refused(
        ItemIdTakenError,
        trial.items.append(
            trial.user, conversation.id, [trial.item(MESSAGE), trial.item(own)], later
        ),
        "a batch of items with a taken id",
    )
    expect(
        await trial.history(conversation) == messages
        and (await trial.listed_items(conversation))[:-1] == items
        and await trial.conversations.get(trial.user, conversation.id) == before,
        "a batch that was refused left something behind",
    )
    new = trial.conversation()
    await refused(
        MessageIdTakenError,
        trial.conversations.create(new, batch, provision=True),
        "a conversation whose message id is taken",
    )
    await refused(
        ConversationNotFoundError,
        trial.conversations.get(trial.user, new.id),
        "a conversation that was not created",
    )
    return "batches that were refused left nothing behind"


async def _full(trial: Trial) -> Conversation:
    """Store a conversation with something in every table."""
    conversation = await trial.start(trial.says("hello"))
    sent = [trial.item(MESSAGE), trial.item(REASONING)]
    await trial.items.append(trial.user, conversation.id, sent, trial.at, key=KEY)
    return conversation


async def _expect_nothing_left(trial: Trial, gone: Conversation, deed: str) -> None:
    """Make the conversation anew: whatever of it was left would be in it again."""
    again = await trial.start(user=gone.user_id, id=gone.id)
    expect(not await trial.history(again), f"{deed} left its messages behind")
    expect(not await trial.listed_items(again), f"{deed} left its items behind")
    try:
        await trial.items.append(
            gone.user_id, gone.id, [trial.item(REASONING)], trial.at, key=OTHER_KEY
        )
    except KeyTakenError as error:
        raise BrokenPromiseError(f"{deed} left its idempotency keys behind") from error
