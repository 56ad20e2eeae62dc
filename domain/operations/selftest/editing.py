"""Scenarios of changes: messages that are edited, and logs that lose or change their end."""

import json

from chatkeep.domain.editing import MessagePatch
from chatkeep.domain.errors import MessageIdTakenError, SuffixDiffersError
from chatkeep.domain.model import JsonText
from chatkeep.domain.operations.selftest.builders import (
    HOUR,
    MESSAGE_ITEM,
    REASONING_ITEM,
    new_item,
    new_message,
)
from chatkeep.domain.operations.selftest.checks import (
    expect,
    expect_count,
    expect_error,
    expect_same,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest


async def edit(store: StoreUnderTest) -> str:
    """Replace a message in its place, and merge what is noted about it."""
    conversation = await store.start(new_message("a"), new_message("b"))
    first, second = await store.history(conversation)
    later = store.at + HOUR
    new = new_message("A", id=first.id, metadata=JsonText('{"n":1.10,"usage":{"in":3}}'))
    for at in (later, later + HOUR):
        edited = (await store.put(conversation, new, at=at)).message
        expect_same([new], [edited], "that were edited")
        expect(edited.edited_at == later, "the time of an edit is wrong, or of an equal message")
    expect(
        (edited.position, edited.created_at) == (first.position, first.created_at)
        and [each.id for each in await store.history(conversation)] == [first.id, second.id],
        "an edited message did not stay in its place",
    )
    kept = await store.reload(conversation)
    expect(
        kept == conversation._replace(revision=kept.revision),
        "an edit counted as activity, or as a message",
    )
    patch = MessagePatch(metadata=JsonText('{"n":null,"usage":{"out":4}}'), tokens=7)
    await store.patch(conversation, first.id, patch)
    patched = await store.log.get(store.user, conversation.id, first.id)
    expect(
        json.loads(patched.metadata) == {"usage": {"in": 3, "out": 4}},
        "metadata were not merged as the patch said",
    )
    expect(
        patched._replace(metadata=edited.metadata) == edited._replace(tokens=7),
        "a patch did more or less than it said",
    )
    added = await store.put(conversation, new_message("c"), at=later)
    expect(
        added.created and (await store.history(conversation))[-1] == added.message,
        "a new message that was put is not at the end",
    )
    expect_count((await store.reload(conversation)).message_count, 3, "a message was put")
    other = await store.start()
    await expect_error(
        MessageIdTakenError,
        store.put(other, new),
        "editing a message of another conversation",
    )
    return "an edited message stayed in its place, and its metadata were merged"


async def truncation(store: StoreUnderTest) -> str:
    """Delete the end of a log, or replace it if it is as expected, and leave the rest as it is."""
    conversation = await store.start(*(new_message(text) for text in "abcd"))
    await store.append_items(conversation, new_item(MESSAGE_ITEM), new_item(REASONING_ITEM))
    first, second, *rest = await store.history(conversation)
    truncated = await store.truncate(conversation, second.id)
    expect_count(truncated.deleted, len(rest), "messages that a truncation deleted")
    expect(await store.history(conversation) == [first, second], "a truncation left a wrong log")
    expect_count(len(await store.list_items(conversation)), 2, "items, after a truncation")
    [third] = await store.append(conversation, new_message("c"))
    expect(third.position > rest[-1].position, "a position was used again after a truncation")
    await expect_error(
        SuffixDiffersError,
        store.replace(conversation, new_message("x"), after=first.id, suffix=[second.id]),
        "replacing a suffix that is not the expected one",
    )
    expect(
        await store.history(conversation) == [first, second, third],
        "a replacement that was refused changed the log",
    )
    expected = [second.id, third.id]
    new = [new_message("B"), new_message("C")]
    found = await store.replace(conversation, *new, after=first.id, suffix=expected)
    expect_same(new, found.messages, "that replace others")
    again = await store.replace(conversation, *new, after=first.id, suffix=expected)
    expect(again.messages == found.messages, "a replacement sent again got another answer")
    expect(
        await store.history(conversation) == [first, *found.messages],
        "a replacement left a wrong log",
    )
    expect_count((await store.reload(conversation)).message_count, 3, "after a replacement")
    return "the end of a log was deleted, and replaced where it was as expected"
