"""What the tests say in one word: a conversation, a message, everything that a user has stored."""

import json
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from chatkeep.domain.errors import ChatkeepError
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    Conversation,
    ConversationId,
    JsonText,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    Role,
    Status,
    Usage,
    UserId,
)
from tests.contract.store import Store

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
ALICE = UserId("alice")
BOB = UserId("bob")


def a_conversation_id() -> ConversationId:
    return ConversationId(uuid4())


def a_message_id() -> MessageId:
    return MessageId(uuid4())


def a_conversation(  # noqa: PLR0913 - one for each field
    user_id: UserId = ALICE,
    *,
    id: ConversationId | None = None,  # noqa: A002 - the field's own name
    title: str | None = None,
    status: Status = Status.ACTIVE,
    metadata: JsonText = EMPTY_OBJECT,
    at: datetime = NOON,
) -> Conversation:
    return Conversation(
        id=id or a_conversation_id(),
        user_id=user_id,
        title=title,
        status=status,
        metadata=metadata,
        message_count=0,
        created_at=at,
        updated_at=at,
    )


def says(  # noqa: PLR0913 - one for each field
    content: str | None,
    role: Role = Role.USER,
    *,
    id: MessageId | None = None,  # noqa: A002 - the field's own name
    tool_calls: JsonText | None = None,
    tool_call_id: str | None = None,
    name: str | None = None,
    metadata: JsonText = EMPTY_OBJECT,
    created_at: datetime | None = None,
) -> NewMessage:
    return NewMessage(
        role=role,
        content=content,
        tool_calls=tool_calls,
        tool_call_id=tool_call_id,
        name=name,
        metadata=metadata,
        id=id or a_message_id(),
        created_at=created_at,
    )


def a_full_message() -> NewMessage:
    return says(
        "looking it up",
        Role.ASSISTANT,
        tool_calls=JsonText('[{"id": "call_1", "function": {"name": "f", "arguments": "{}"}}]'),
        name="helper",
        metadata=JsonText('{"model": "large", "tokens": 12}'),
    )


def says_all(*contents: str, role: Role = Role.USER) -> list[NewMessage]:
    return [says(content, role) for content in contents]


def numbered(count: int, role: Role = Role.USER) -> list[NewMessage]:
    return says_all(*(f"{role} {number}" for number in range(count)), role=role)


def id_of(message: NewMessage) -> MessageId:
    assert message.id is not None
    return message.id


async def started(
    store: Store,
    *messages: NewMessage,
    user_id: UserId = ALICE,
    id: ConversationId | None = None,  # noqa: A002 - the field's own name
    at: datetime = NOON,
) -> Conversation:
    """Store a new conversation that opens with `messages`, and return it."""
    new = a_conversation(user_id, id=id, at=at)
    return (await store.conversations.create(new, messages, provision=True)).conversation


async def appended(
    store: Store, conversation: Conversation, *messages: NewMessage, at: datetime = NOON
) -> tuple[Message, ...]:
    found = await store.messages.append(conversation.user_id, conversation.id, messages, at)
    return found.messages


async def history(  # noqa: PLR0913 - each is one independent part of the question
    store: Store,
    conversation: Conversation,
    *,
    order: Order = Order.ASC,
    after: Position | MessageId | None = None,
    before: Position | MessageId | None = None,
    limit: int = 1_000,
) -> list[Message]:
    found = await store.messages.history(
        conversation.user_id,
        conversation.id,
        order=order,
        after=after,
        before=before,
        limit=limit,
    )
    return list(found.items)


async def again(store: Store, conversation: Conversation) -> Conversation:
    """Return the conversation as it is stored now."""
    return await store.conversations.get(conversation.user_id, conversation.id)


async def listed(
    store: Store, user_id: UserId = ALICE, *, status: Status | None = None
) -> list[Conversation]:
    found = await store.conversations.list(user_id, status=status, after=None, limit=1_000)
    return list(found.items)


async def everything_of(
    store: Store, user_id: UserId = ALICE
) -> tuple[Usage, list[tuple[Conversation, list[Message]]]]:
    """Return all that a user has stored, to compare with the same later."""
    conversations = [(each, await history(store, each)) for each in await listed(store, user_id)]
    return await store.users.usage(user_id), conversations


async def refused(call: Coroutine[Any, Any, Any]) -> ChatkeepError | None:
    """Return the error that a call was refused with, for calls that are made at once."""
    try:
        await call
    except ChatkeepError as error:
        return error
    return None


def plain(message: Message) -> Message:
    """Return the message with its JSON written in one way, so that `==` compares the documents."""
    calls = message.tool_calls
    return message._replace(
        metadata=_plain(message.metadata),
        tool_calls=None if calls is None else _plain(calls),
    )


def _plain(document: JsonText) -> JsonText:
    return JsonText(json.dumps(json.loads(document), sort_keys=True))


def contents(messages: Iterable[Message]) -> list[str | None]:
    return [message.content for message in messages]


def ids(entries: Iterable[Message] | Iterable[Conversation]) -> list[UUID]:
    return [entry.id for entry in entries]
