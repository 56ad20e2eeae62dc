"""Forks: a path of a conversation is copied into a new one."""

from time import perf_counter
from uuid import uuid4

import pytest

from chatkeep.domain.branches import EVERY, MAIN
from chatkeep.domain.errors import (
    BranchNotFoundError,
    ConversationIdTakenError,
    ConversationNotFoundError,
    MessageNotFoundError,
)
from chatkeep.domain.ids import NamedId, of_conversation, parse_id
from chatkeep.domain.log import View, entries_of
from chatkeep.domain.model import (
    BranchNumber,
    Changes,
    Conversation,
    ForkedFrom,
    JsonText,
    MessageId,
)
from chatkeep.domain.operations.selftest.builders import HOUR, NOON, new_conversation, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.places import AtTip
from chatkeep.testing.builders import new_full_message, new_message_id, normalize, start_mixed
from chatkeep.testing.contract.branches import ONE, Chat, nested

LONG = 10_000


async def fork(
    chat: Chat,
    new: Conversation | None = None,
    *,
    at: str | None = None,
    branch: BranchNumber | None = None,
) -> Chat:
    """Return the new conversation."""
    created = await chat.store.log.fork(
        chat.conversation.user_id,
        chat.conversation.id,
        new or new_conversation(at=NOON + HOUR),
        at=None if at is None else chat.ids[at],
        branch=branch,
    )
    return Chat(chat.store, created.conversation)


@pytest.mark.parametrize(
    ("at", "branch", "expected"),
    [
        (None, None, "a b e h j k"),
        (None, MAIN, "a b c d"),
        ("h", None, "a b e h"),
        ("c", None, "a b c"),
        ("e", ONE, "a b e"),
        ("a", None, "a"),
    ],
)
async def test_a_path_is_copied(
    store: StoreUnderTest, at: str | None, branch: BranchNumber | None, expected: str
) -> None:
    chat = await nested(store)
    before = await store.reload(chat.conversation)

    copy = await fork(chat, at=at, branch=branch)

    assert await copy.read() == await copy.read(EVERY) == expected
    stored = await store.reload(copy.conversation)
    assert stored == copy.conversation
    last = expected.rsplit(maxsplit=1)[-1]
    assert stored.forked_from == ForkedFrom(str(before.id), str(chat.ids[last]))
    assert (stored.message_count, stored.branch) == (len(expected.split()), None)
    assert await store.reload(chat.conversation) == before
    assert await copy.say("more") is None
    assert await copy.read() == f"{expected} more"


async def test_the_copies_are_equal_but_for_their_ids(store: StoreUnderTest) -> None:
    chat = await Chat.start(store)
    given = parse_id("a text id")
    named = MessageId(of_conversation(chat.conversation.id, given))
    await chat.append(new_full_message(), new_message("x", id=named))

    copy = await fork(chat)

    old, new = await chat.page(), await copy.page()
    assert [
        normalize(each)._replace(id=named, conversation_id=chat.conversation.id) for each in new[0]
    ] == [normalize(each)._replace(id=named) for each in old[0]]
    assert not {each.id for each in old[0]} & {each.id for each in new[0]}
    last = new[0][-1].id
    assert isinstance(last, NamedId)
    assert str(last) == "a text id"
    assert last == of_conversation(copy.conversation.id, given)


async def test_items_are_copied_under_their_ids(store: StoreUnderTest) -> None:
    conversation = await start_mixed(store)
    chat = Chat(store, conversation)

    copy = await fork(chat)

    old = await store.list_items(conversation)
    new = await store.list_items(copy.conversation)
    assert len(old) == len(new)
    for one, other in zip(old, new, strict=True):
        assert (one.id == other.id) == ("_own" in one.id or "rs_" in one.id or one.id in other.text)
        assert other.id in other.text
        assert other.text.replace(other.id, one.id) == one.text
        found = await store.items.get(store.user, copy.conversation.id, other.id)
        assert found == other
    everything, _ = await copy.page(EVERY, view=View.WHOLE)
    assert len(everything) == copy.conversation.message_count


async def test_a_fork_into_a_chosen_id_can_be_repeated(store: StoreUnderTest) -> None:
    chat = await nested(store)
    new = new_conversation()

    first = await fork(chat, new, at="h")
    await first.say("more")
    again = await fork(chat, new, at="h")

    assert again.conversation == await store.reload(new)
    for at in ("e", None):
        with pytest.raises(ConversationIdTakenError):
            await fork(chat, new, at=at)
    with pytest.raises(ConversationIdTakenError):
        await fork(chat, chat.conversation)


async def test_a_fork_of_what_is_not_there_is_refused(store: StoreUnderTest) -> None:
    chat = await nested(store)
    chat.ids["absent"] = new_message_id()

    for at, branch, error in (
        ("absent", None, MessageNotFoundError),
        ("c", ONE, MessageNotFoundError),
        (None, BranchNumber(9), BranchNotFoundError),
    ):
        with pytest.raises(error):
            await fork(chat, at=at, branch=branch)
    theirs = Chat(store, chat.conversation._replace(user_id=store.stranger))
    with pytest.raises(ConversationNotFoundError):
        await fork(theirs, new_conversation(store.stranger))
    assert len(await store.list_conversations()) == 1


async def test_an_empty_conversation_and_one_on_hold_are_forked(store: StoreUnderTest) -> None:
    chat = await Chat.start(store)
    await store.conversations.change(store.user, chat.conversation.id, Changes(retain=True))

    copy = await fork(chat)

    assert copy.conversation.forked_from == ForkedFrom(str(chat.conversation.id), None)
    assert not copy.conversation.retain
    assert await copy.say("a") is None


async def test_forks_of_a_fork_and_their_branches_are_their_own(store: StoreUnderTest) -> None:
    chat = await nested(store)
    copy = await fork(chat)
    messages, _ = await copy.page()
    copy.ids = {each.content or "": each.id for each in messages}

    assert await copy.say_after("b", "x") == ONE
    again = await fork(copy)

    assert await again.read() == "a b x"
    assert await chat.say("y", place=AtTip(MAIN)) == MAIN
    await store.conversations.delete(store.user, chat.conversation.id)
    assert await copy.read(MAIN) == "a b e h j k"


async def test_a_long_conversation_is_forked_at_once(store: StoreUnderTest) -> None:
    conversation = new_conversation()
    messages = [new_message(f"message {n}", id=MessageId(uuid4())) for n in range(LONG)]
    await store.log.create(conversation, entries_of(messages), provision=True)
    started = perf_counter()

    copy = await fork(Chat(store, conversation), new_conversation(metadata=JsonText('{"a":1}')))

    assert perf_counter() - started < 30
    assert copy.conversation.message_count == LONG
    page, more = await copy.page(limit=1)
    assert ([each.content for each in page], more) == (["message 0"], True)
