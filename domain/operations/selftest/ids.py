"""A scenario of ids that are texts."""

from typing import Final

from chatkeep.domain.errors import ConversationNotFoundError
from chatkeep.domain.ids import of_conversation, of_user, parse_id
from chatkeep.domain.operations.selftest.builders import new_message
from chatkeep.domain.operations.selftest.checks import expect, expect_error
from chatkeep.domain.operations.selftest.store import StoreUnderTest

_TEXT: Final = "É/e\u0301? \ufdd0"


async def text_ids(store: StoreUnderTest) -> str:
    """Return ids that are texts as given; the same text is another id for another owner."""
    text = parse_id(_TEXT)
    mine = await store.start(id=of_user(store.user, text))
    theirs = await store.start(user_id=store.stranger, id=of_user(store.stranger, text))
    other = await store.start()
    for number, conversation in enumerate((mine, theirs, other)):
        named = new_message(f"number {number}", id=of_conversation(conversation.id, text))
        await store.append(conversation, named)
        found = await store.history(conversation)
        expect(
            [(str(each.id), each.content) for each in found] == [(_TEXT, f"number {number}")],
            "a message with a text id came back with another id or content",
        )
    expect(
        [str((await store.reload(each)).id) for each in (mine, theirs)] == [_TEXT, _TEXT],
        "a conversation with a text id came back with another id",
    )
    await expect_error(
        ConversationNotFoundError,
        store.conversations.get(store.stranger, mine.id),
        "the conversation of another user with the same text id",
    )
    return "came back as given, from three conversations of two users"
