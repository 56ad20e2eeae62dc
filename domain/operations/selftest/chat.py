"""Scenarios of a chat: what is stored, and how it comes back."""

from dataclasses import replace
from typing import Final

from chatkeep.domain.errors import ConversationIdTakenError, KeyTakenError, MessageIdTakenError
from chatkeep.domain.finding import Filter, MatchCount, Sort
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    Conversation,
    JsonText,
    Order,
    OriginalText,
    Role,
    same_json,
)
from chatkeep.domain.operations.selftest.builders import (
    HOUR,
    KEY,
    MESSAGE_ITEM,
    OTHER_KEY,
    REASONING_ITEM,
    new_conversation,
    new_item,
    new_message,
)
from chatkeep.domain.operations.selftest.checks import (
    expect,
    expect_count,
    expect_error,
    expect_same,
)
from chatkeep.domain.operations.selftest.store import MANY, StoreUnderTest
from chatkeep.domain.window import NEED_ORIGINALS

_CALLS: Final = JsonText('[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]')
# NUL, which Postgres text cannot hold; the character stored in its place; and what encodings get
# wrong.
_TEXT: Final = "\0 \ufdd0 \ufdd00 \ufffe \\u0000 e\u0301 \u200f\u05d0 \U0001f9f5 ' \" \\ \r\n\t"
_JSON: Final = JsonText('{"text":"\\u0000 \ufdd0 \U0001f9f5","n":1.10,"z":[null,true]}')
_PARTS: Final = JsonText(f'[{{"z":{_JSON},"type":"text","text":"a"}}]')

# What is lost if JSON is decoded and encoded again.
_ORIGINALS: Final = (
    '{ "b" : 1.10, "a":[ ],\t"a":1e999, "s":"\\u00e9\\/\\ud83e\\uddf5\\u0000 \ufdd0 \U0001f9f5"}',
    f'["\ufdd00", {"9" * 400}, -0]',
)


async def create(store: StoreUnderTest) -> str:
    """Find what was created, as it was given."""
    new = new_conversation(store.user, title="A title", metadata=_JSON, at=store.at)
    messages = [new_message("Be kind.", Role.SYSTEM), new_message("hello")]
    await store.create(new, messages, provision=True)
    stored = await store.reload(new)
    expect(
        (stored.title, stored.status, stored.created_at) == (new.title, new.status, new.created_at)
        and same_json(stored.metadata, new.metadata),
        "a conversation did not come back as it was given",
    )
    expect_same(messages, await store.history(stored), "of a new conversation")
    expect(
        [each.id for each in await store.list_conversations()] == [new.id],
        "a new conversation is not in its user's list",
    )
    empty = new_conversation(store.user, at=store.at)
    made = [await store.conversations.get_or_create(empty, provision=True) for _ in range(2)]
    expect(
        [each.created for each in made] == [True, False],
        "a conversation that was asked for twice was not created once",
    )
    return "a conversation and its messages came back as they were given"


async def order(store: StoreUnderTest) -> str:
    """Keep the order of the appends while the clock stands still or goes back."""
    conversation = await store.start(new_message("0"))
    messages = [new_message(str(number)) for number in range(1, 7)]
    for batch, at in (
        (messages[:3], store.at),
        (messages[3:4], store.at),
        (messages[4:], store.at - HOUR),
    ):
        added = await store.append(conversation, *batch, at=at)
        latest_first = await store.history(conversation, order=Order.DESC)
        expect(
            tuple(reversed(latest_first))[-len(added) :] == added,
            "the last append is not at the end of the history",
        )
    history = await store.history(conversation)
    expect(
        [each.content for each in history] == [str(number) for number in range(7)],
        "messages did not come back in the order they were appended in",
    )
    positions = [each.position for each in history]
    expect(sorted(set(positions)) == positions, "positions do not increase strictly")
    window = await store.log.window(store.user, conversation.id, limit=3)
    expect(window.tail == tuple(history[-3:]), "the context is not the last messages")
    summary = new_message("a summary")._replace(starts_context=True)
    summarized = await store.start(summary, *map(new_message, "abc"))
    window = await store.log.window(store.user, summarized.id, limit=2)
    expect(
        [each.content for each in window.start] == ["a summary"],
        "the context does not start at the message that says so, if it is further back",
    )
    stored = await store.reload(conversation)
    expect(stored.updated_at == store.at, "the last activity went back with the clock")
    return "7 messages kept their order under a clock that stood still and went back"


async def filters(store: StoreUnderTest) -> str:
    """Find the conversations that match a filter, and no others."""
    wanted = JsonText('{"agent":"support","level":3}')
    expected = []
    for number, metadata in enumerate((wanted, EMPTY_OBJECT, wanted, JsonText('{"level":3}'))):
        new = new_conversation(store.user, metadata=metadata, at=store.at + number * HOUR)
        created = await store.create(new, (), provision=True)
        expected += [created.conversation.id] if metadata is wanted else []
    by_metadata = Filter(metadata={"agent": "support", "level": "3"})
    expect(
        [each.id for each in await store.find_conversations(by_metadata)] == expected[::-1],
        "a filter by metadata did not find the conversations that match it",
    )
    counted = await store.conversations.count(store.user, by_metadata, max_read=MANY)
    expect(
        counted == MatchCount(2, exact=True), "conversations that match a filter were miscounted"
    )
    by_time = replace(by_metadata, updated_after=store.at)
    expect(
        [each.id for each in await store.find_conversations(by_time)] == expected[1:],
        "a filter by time did not find the conversations that match it",
    )
    await store.append(new, new_message("up"), at=store.at + 9 * HOUR)
    by_creation = await store.find_conversations(by_metadata, sort=Sort.CREATED)
    expect(
        [each.id for each in by_creation] == expected[::-1],
        "a list by creation is not in that order",
    )
    return "2 of 4 conversations match a filter by metadata, 1 of them a filter by time"


async def counts(store: StoreUnderTest) -> str:
    """Count the messages of a conversation, and those of a user."""
    conversation = await store.start(new_message("1"))
    for expected in (3, 5):
        await store.append(conversation, new_message("one"), new_message("two"))
        await _expect_messages(store, conversation, expected, "two appends of two")
    [first, *_] = await store.history(conversation)
    await store.log.delete(store.user, conversation.id, first.id)
    await _expect_messages(store, conversation, 4, "a message was deleted")
    await store.append_items(conversation, new_item(MESSAGE_ITEM), new_item(REASONING_ITEM))
    await _expect_messages(store, conversation, 5, "an item that is a message was added")
    usage = await store.users.usage(store.user)
    expect_count(usage.messages, len(await store.history(conversation)), "of the user's usage")
    return "counted right through appends and a deletion"


async def retry(store: StoreUnderTest) -> str:
    """Store a request that is sent again once; refuse another one under the same id."""
    message = new_message("once")
    new = new_conversation(store.user, title="A title", at=store.at)
    made = await store.create(new, [message], provision=True)
    again = await store.create(new, [message], provision=True)
    expect(
        made.created and not again.created and again.messages == made.messages,
        "a create sent again was not answered with what is stored",
    )
    empty = new_conversation(store.user, at=store.at)
    times = [await store.create(empty, [], provision=True) for _ in range(2)]
    expect(
        [each.created for each in times] == [True, False],
        "an empty conversation was created twice under one id",
    )
    batch = [new_message("two"), new_message("three")]
    first = await store.append(new, *batch)
    expect(await store.append(new, *batch) == first, "an append sent again got another answer")
    await _expect_messages(store, new, 3, "an append was sent again")
    expect_count(len(await store.history(new)), 3, "an append was sent again")
    other = new_message("something else", id=message.id)
    await expect_error(MessageIdTakenError, store.append(new, other), "a message id that is taken")
    retitled = new_conversation(store.user, id=new.id, title="Another title", at=store.at)
    await expect_error(
        ConversationIdTakenError,
        store.create(retitled, [message], provision=True),
        "a conversation id that is taken",
    )
    # A request that is sent again has new ids for items without one.
    stored = await store.append_items(new, new_item(REASONING_ITEM), key=KEY)
    repeated = await store.append_items(new, new_item(REASONING_ITEM), key=KEY)
    expect(
        list(repeated) == list(stored),
        "items sent again under their idempotency key were not answered as stored",
    )
    await expect_error(
        KeyTakenError,
        store.append_items(new, new_item(REASONING_ITEM), key=OTHER_KEY),
        "an idempotency key of another request",
    )
    await _expect_keyed_append(store, new)
    return "requests sent again stored nothing more"


async def _expect_keyed_append(store: StoreUnderTest, conversation: Conversation) -> None:
    key = replace(KEY, key="of messages")
    count = len(await store.history(conversation))
    answers = []
    for _ in range(2):
        sent = entries_of([new_message("one", name="Ann"), new_message("two")])
        appended = await store.log.append(store.user, conversation.id, sent, store.at, key=key)
        answers.append(appended.messages)
    expect(
        answers[0] == answers[1],
        "messages sent again under their idempotency key were not answered as stored",
    )
    deed = "messages were sent again under their idempotency key"
    expect_count(len(await store.history(conversation)), count + 2, deed)


async def text(store: StoreUnderTest) -> str:
    """Keep every text exactly, NUL and the character stored in its place included."""
    new = new_conversation(store.user, title=_TEXT, metadata=_JSON, at=store.at)
    calls = JsonText(f'[{{"id":"c","function":{_JSON}}}]')
    messages = [
        new_message(_TEXT, Role.ASSISTANT, tool_calls=calls, name=_TEXT, metadata=_JSON),
        new_message(_TEXT, Role.TOOL, tool_call_id=_TEXT),
        new_message("a")._replace(parts=_PARTS),
    ]
    await store.create(new, messages, provision=True)
    stored = await store.history(new)
    expect_same(messages, stored, "with every kind of character")
    expect(stored[-1].parts == _PARTS, "content parts did not come back as they were sent")
    expect((await store.reload(new)).title == _TEXT, "a title came back changed")
    return "NUL, the character that stands for it, and others came back exactly"


async def originals(store: StoreUnderTest) -> str:
    """Keep a client's own document byte for byte, and return it only when it is needed."""
    sent = [
        new_message("one")._replace(format="own", original=OriginalText(each), tokens=3)
        for each in _ORIGINALS
    ]
    conversation = await store.start(sent[0])
    await store.append(conversation, *sent[1:])
    expect_same(sent, await store.history(conversation, originals=True), "with originals")
    first, *_ = await store.history(conversation)
    expect(first.original is None, "an original came back that was not asked for")
    found = await store.log.get(store.user, conversation.id, first.id, original=True)
    expect(found.original == sent[0].original, "the original of one message came back changed")
    needed = [
        new_message("two")._replace(format=each, original=OriginalText("{}"))
        for each in sorted(NEED_ORIGINALS)
    ]
    await store.append(conversation, *needed)
    window = await store.log.window(store.user, conversation.id, limit=len(needed) + 1)
    expect(
        [each.original for each in window.tail] == [None, *(each.original for each in needed)],
        "a window does not have the originals that a context needs, or has others",
    )
    return f"{len(sent)} documents came back byte for byte"


async def items(store: StoreUnderTest) -> str:
    """Keep items exactly as they were sent, in one order with messages."""
    conversation = await store.start(new_message("hello"))
    sent = [new_item(MESSAGE_ITEM), new_item(REASONING_ITEM)]
    added = await store.append_items(conversation, *sent)
    await store.append(conversation, new_message(None, Role.ASSISTANT, tool_calls=_CALLS))
    stored = await store.list_items(conversation)
    expect(
        stored[1:3] == list(added)
        and [item.text for item in stored[1:3]] == [entry.item for entry in sent],
        "items did not come back as they were sent, where they were added",
    )
    roles = [message.role for message in await store.history(conversation)]
    expect(
        roles == [Role.USER, Role.USER, Role.ASSISTANT],
        "an item that is a message is not among the messages",
    )
    await store.items.delete(store.user, conversation.id, added[0].id)
    deed = "an item that is a message was deleted"
    expect_count(len(await store.history(conversation)), 2, deed)
    await _expect_messages(store, conversation, 2, deed)
    opened = new_conversation(store.user, at=store.at)
    await store.items.create(opened, [new_item(MESSAGE_ITEM)], key=None, provision=True)
    await _expect_messages(store, opened, 1, "a conversation was created with one item")
    return "items came back as they were sent, in one order with messages"


async def _expect_messages(
    store: StoreUnderTest, conversation: Conversation, expected: int, after: str
) -> None:
    expect_count((await store.reload(conversation)).message_count, expected, after)
