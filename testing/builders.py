"""Data for tests of a store, and helpers to compare what comes back."""

import json
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from chatkeep.domain.errors import ChatkeepError
from chatkeep.domain.items import Item
from chatkeep.domain.log import NewEntry
from chatkeep.domain.model import (
    Conversation,
    ConversationId,
    JsonText,
    Message,
    MessageId,
    NewMessage,
    Order,
    Role,
    Usage,
    UserId,
)
from chatkeep.domain.operations.selftest.builders import ALICE, new_item, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest

SECOND = timedelta(seconds=1)
CALLS = JsonText(
    '[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},'
    '{"id":"b","type":"custom","custom":{"name":"g","input":"in"}}]'
)
ITEM_TEXTS = [
    '{"role": "user", "content": "a \\u0000 b \\ud83e\\uddf5 \ufdd0 \U0001f9f5"}',
    '{"type":"message","role":"assistant","id":"msg_own","phase":"final_answer","content":[]}',
    '{"n":1.10,"type":"function_call","call_id":"c","name":"f","arguments":"{\\"x\\": 1}","b":[ ]}',
    '{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"1"}]}',
    '{"type":"function_call_output","call_id":null,"output":""}',
    '{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":null}',
    '{"z":1e999,"type":"of a later day","a":123456789012345678901234567890}',
    '{"type":"message","role":"critic","content":"no native role"}',
]
"""One item of every kind."""


def new_conversation_id() -> ConversationId:
    return ConversationId(uuid4())


def new_message_id() -> MessageId:
    return MessageId(uuid4())


def new_full_message() -> NewMessage:
    """Return a message with a value in every field, but the original, which few reads have."""
    return new_message(
        "looking it up",
        Role.ASSISTANT,
        tool_calls=JsonText('[{"id": "call_1", "function": {"name": "f", "arguments": "{}"}}]'),
        name="helper",
        metadata=JsonText('{"model": "large", "tokens": 12}'),
    )._replace(
        tokens=12,
        starts_context=True,
        format="ai-sdk",
        parts=JsonText('[{"type":"text","text":"looking it up"}]'),
    )


def new_messages(*contents: str, role: Role = Role.USER) -> list[NewMessage]:
    return [new_message(content, role) for content in contents]


def numbered_messages(count: int, role: Role = Role.USER) -> list[NewMessage]:
    """Return messages `user 0`, `user 1` and so on, named for their role."""
    return new_messages(*(f"{role} {number}" for number in range(count)), role=role)


def new_items(*texts: str) -> list[NewEntry]:
    return [new_item(text) for text in texts]


def numbered_items(count: int, name: str = "item") -> list[NewEntry]:
    """Return items with the names `item 0`, `item 1` and so on; every third is not a message."""
    return new_items(
        *(
            json.dumps(
                {"type": "reasoning", "summary": [], "name": f"{name} {n}"}
                if n % 3 == 2
                else {"role": "user", "content": f"{name} {n}", "name": f"{name} {n}"}
            )
            for n in range(count)
        )
    )


async def start_numbered(store: StoreUnderTest, count: int) -> tuple[Conversation, list[Message]]:
    """Store a conversation of `count` messages; return both."""
    conversation = await store.start(*numbered_messages(count))
    return conversation, await store.history(conversation)


async def start_mixed(store: StoreUnderTest) -> Conversation:
    """Store a conversation of items and native messages; some messages are several items."""
    conversation = await store.start(new_message("Be kind.", Role.SYSTEM), new_message("hello"))
    await store.append_items(conversation, *numbered_items(4))
    await store.append(conversation, new_message("calling", Role.ASSISTANT, tool_calls=CALLS))
    await store.append(conversation, new_message("found", Role.TOOL, tool_call_id="a"))
    await store.append_items(conversation, *new_items(*ITEM_TEXTS))
    await store.append(conversation, new_message(None, Role.ASSISTANT, tool_calls=CALLS))
    return conversation


async def page_through_items(
    store: StoreUnderTest, conversation: Conversation, order: Order, limit: int
) -> list[Item]:
    """Return all items, read page by page as clients do."""
    found: list[Item] = []
    after = None
    while True:
        page = await store.items.list(
            conversation.user_id, conversation.id, order=order, after=after, limit=limit
        )
        found += page.items
        if not page.more:
            return found
        after = found[-1].id


async def everything_of(
    store: StoreUnderTest, user_id: UserId = ALICE
) -> tuple[Usage, list[tuple[Conversation, list[Message]]]]:
    """Return everything that a user has stored, to compare it later."""
    conversations = [
        (each, await store.history(each, originals=True))
        for each in await store.list_conversations(user_id)
    ]
    return await store.users.usage(user_id), conversations


@asynccontextmanager
async def assert_unchanged(store: StoreUnderTest, *users: UserId) -> AsyncIterator[None]:
    """Check that the users have the same after the block as before it."""
    before = [await everything_of(store, user) for user in users]
    yield
    assert [await everything_of(store, user) for user in users] == before


async def error_of(call: Coroutine[Any, Any, Any]) -> ChatkeepError | None:
    """Return the error that the call raises, or None; for calls that run at once."""
    try:
        await call
    except ChatkeepError as error:
        return error
    return None


def normalize(message: Message) -> Message:
    """Return the message with its JSON in one form, so that `==` compares the documents."""
    calls = message.tool_calls
    return message._replace(
        metadata=_normalize_json(message.metadata),
        tool_calls=None if calls is None else _normalize_json(calls),
    )


def _normalize_json(document: JsonText) -> JsonText:
    return JsonText(json.dumps(json.loads(document), sort_keys=True))


def contents(messages: Iterable[Message]) -> list[str | None]:
    return [message.content for message in messages]


def ids(entries: Iterable[Message] | Iterable[Conversation]) -> list[UUID]:
    return [entry.id for entry in entries]


def names(items: Sequence[Item]) -> list[str]:
    return [json.loads(item.text)["name"] for item in items]


def id_of(message: NewMessage) -> MessageId:
    if message.id is None:
        raise ValueError("the message has no id")
    return message.id
