"""The promises of `domain.ports`, each exercised on a store and judged by what comes back."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from chatkeep.domain.errors import ConversationIdTakenError, KeyTakenError, MessageIdTakenError
from chatkeep.domain.model import JsonText, MessageId, NewMessage, Order, Role, same_json, uuid7
from chatkeep.domain.operations.selftest.guards import (
    atomicity,
    cascade,
    erasure,
    hold,
    isolation,
    refusal,
)
from chatkeep.domain.operations.selftest.trial import (
    HOUR,
    KEY,
    MESSAGE,
    OTHER_KEY,
    REASONING,
    Trial,
    expect,
    expect_count,
    expect_same,
    refused,
)

_CALLS: Final = JsonText('[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]')
# NUL, which Postgres text cannot hold; what stands for it; and what encodings get wrong.
_TEXT: Final = "\0 \ufdd0 \ufdd00 \ufffe \\u0000 e\u0301 \u200f\u05d0 \U0001f9f5 ' \" \\ \r\n\t"
_JSON: Final = JsonText('{"text":"\\u0000 \ufdd0 \U0001f9f5","n":1.10,"z":[null,true]}')


async def create(trial: Trial) -> str:
    """Find what was created, as it was given."""
    new = trial.conversation(title="A title", metadata=_JSON)
    messages = [trial.says("Be kind.", Role.SYSTEM), trial.says("hello")]
    await trial.conversations.create(new, messages, provision=True)
    stored = await trial.conversations.get(trial.user, new.id)
    expect(
        (stored.title, stored.status, stored.created_at) == (new.title, new.status, new.created_at)
        and same_json(stored.metadata, new.metadata),
        "a conversation did not come back as it was given",
    )
    expect_same(messages, await trial.history(stored), "of a new conversation")
    expect(
        [each.id for each in await trial.listed(trial.user)] == [new.id],
        "a new conversation is not in its user's list",
    )
    got = trial.conversation()
    made = [await trial.conversations.get_or_create(got, provision=True) for _ in range(2)]
    expect(
        [each.created for each in made] == [True, False],
        "a conversation that is asked for twice was not made once",
    )
    return "a conversation and its messages came back as they were given"


async def order(trial: Trial) -> str:
    """Keep the order of the appends, under a clock that stands still or goes back."""
    conversation = await trial.start(trial.says("0"))
    said = [trial.says(str(number)) for number in range(1, 7)]
    for batch, at in (
        (said[:3], trial.at),
        (said[3:4], trial.at),
        (said[4:], trial.at - HOUR),
    ):
        added = await trial.append(conversation, *batch, at=at)
        last = await trial.history(conversation, Order.DESC)
        expect(
            tuple(reversed(last))[-len(added) :] == added,
            "what was appended last does not stand last, where the append said",
        )
    history = await trial.history(conversation)
    expect(
        [each.content for each in history] == [str(number) for number in range(7)],
        "messages did not come back in the order they were appended in",
    )
    positions = [each.position for each in history]
    expect(sorted(set(positions)) == positions, "positions do not increase strictly")
    window = await trial.messages.window(trial.user, conversation.id, limit=3)
    expect(window.tail == tuple(history[-3:]), "the context is not the last messages")
    stored = await trial.conversations.get(trial.user, conversation.id)
    expect(stored.updated_at == trial.at, "the last activity went back with the clock")
    return "7 messages kept their order under a clock that stood still and went back"


async def counts(trial: Trial) -> str:
    """Count the messages of a conversation, and those of a user."""
    conversation = await trial.start(trial.says("1"))
    for expected in (3, 5):
        await trial.append(conversation, trial.says("one"), trial.says("two"))
        expect_count(await trial.count(conversation), expected, "two appends of two")
    [first, *_] = await trial.history(conversation)
    await trial.messages.delete(trial.user, conversation.id, first.id)
    expect_count(await trial.count(conversation), 4, "a message was deleted")
    await trial.items.append(
        trial.user, conversation.id, [trial.item(MESSAGE), trial.item(REASONING)], trial.at
    )
    expect_count(await trial.count(conversation), 5, "an item that is a message was added")
    usage = await trial.users.usage(trial.user)
    expect_count(usage.messages, len(await trial.history(conversation)), "of the user's usage")
    return "counted right through appends and a deletion"


async def retry(trial: Trial) -> str:
    """Store a request that is sent again once; refuse another one under the same id."""
    message = trial.says("once")
    new = trial.conversation(title="A title")
    made = await trial.conversations.create(new, [message], provision=True)
    again = await trial.conversations.create(new, [message], provision=True)
    expect(
        made.created and not again.created and again.messages == made.messages,
        "a create sent again did not answer what is stored",
    )
    empty = trial.conversation()
    times = [await trial.conversations.create(empty, [], provision=True) for _ in range(2)]
    expect(
        [each.created for each in times] == [True, False],
        "an empty conversation was created twice under one id",
    )
    batch = [trial.says("two"), trial.says("three")]
    first = await trial.append(new, *batch)
    expect(await trial.append(new, *batch) == first, "an append sent again answered otherwise")
    expect_count(await trial.count(new), 3, "an append was sent again")
    expect_count(len(await trial.history(new)), 3, "an append was sent again")
    other = trial.says("something else", id=message.id)
    await refused(MessageIdTakenError, trial.append(new, other), "a message id that is taken")
    retitled = trial.conversation(id=new.id, title="Another title")
    await refused(
        ConversationIdTakenError,
        trial.conversations.create(retitled, [message], provision=True),
        "a conversation id that is taken",
    )
    # A request that comes again brings ids that were made anew.
    first_item, again_item = [trial.item(REASONING)], [trial.item(REASONING)]
    stored = await trial.items.append(trial.user, new.id, first_item, trial.at, key=KEY)
    repeated = await trial.items.append(trial.user, new.id, again_item, trial.at, key=KEY)
    expect(
        list(repeated or ()) == list(stored or ()),
        "items sent again under their idempotency key were not answered as stored",
    )
    await refused(
        KeyTakenError,
        trial.items.append(trial.user, new.id, again_item, trial.at, key=OTHER_KEY),
        "an idempotency key of another request",
    )
    return "requests sent again stored nothing more"


async def text(trial: Trial) -> str:
    """Keep every text exactly, NUL and the character that stands for it included."""
    new = trial.conversation(title=_TEXT, metadata=_JSON)
    message = NewMessage(
        role=Role.ASSISTANT,
        content=_TEXT,
        tool_calls=JsonText(f'[{{"id":"c","function":{_JSON}}}]'),
        name=_TEXT,
        metadata=_JSON,
        id=MessageId(uuid7(trial.at)),
    )
    answer = NewMessage(
        role=Role.TOOL, content=_TEXT, tool_call_id=_TEXT, id=MessageId(uuid7(trial.at))
    )
    await trial.conversations.create(new, [message, answer], provision=True)
    expect_same([message, answer], await trial.history(new), "with every kind of character")
    stored = await trial.conversations.get(trial.user, new.id)
    expect(stored.title == _TEXT, "a title came back changed")
    return "NUL, the character that stands for it, and others came back exactly"


async def items(trial: Trial) -> str:
    """Keep items exactly as they were sent, in one order with messages."""
    conversation = await trial.start(trial.says("hello"))
    sent = [trial.item(MESSAGE), trial.item(REASONING)]
    added = await trial.items.append(trial.user, conversation.id, sent, trial.at)
    await trial.append(
        conversation,
        NewMessage(
            role=Role.ASSISTANT, content=None, tool_calls=_CALLS, id=MessageId(uuid7(trial.at))
        ),
    )
    stored = await trial.listed_items(conversation)
    expect(
        added is not None
        and list(stored[1:3]) == list(added)
        and [item.text for item in stored[1:3]] == [item.text for item in sent],
        "items did not come back as they were sent, where they were added",
    )
    kinds = [message.role for message in await trial.history(conversation)]
    expect(
        kinds == [Role.USER, Role.USER, Role.ASSISTANT],
        "an item that is a message is not among the messages",
    )
    await trial.items.delete(trial.user, conversation.id, sent[0].id)
    expect_count(len(await trial.history(conversation)), 2, "an item that is a message was deleted")
    expect_count(await trial.count(conversation), 2, "an item that is a message was deleted")
    opened = trial.conversation()
    await trial.items.create(opened, [trial.item(MESSAGE)], key=None, provision=True)
    expect_count(await trial.count(opened), 1, "a conversation was created with one item")
    return "items came back as they were sent, in one order with messages"


Promise = Callable[[Trial], Awaitable[str]]

PROMISES: Final[Mapping[str, Promise]] = {
    promise.__name__: promise
    for promise in (
        create,
        order,
        counts,
        retry,
        cascade,
        erasure,
        hold,
        isolation,
        refusal,
        atomicity,
        text,
        items,
    )
}
"""By name; each returns what was seen. Raises `BrokenPromiseError`, or what the store raises."""
