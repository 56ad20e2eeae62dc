"""Data to exercise a store with."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from chatkeep.domain.formats.openai_items import parse_item
from chatkeep.domain.items import ItemText
from chatkeep.domain.log import NewEntry, RequestKey
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    Conversation,
    ConversationId,
    JsonText,
    MessageId,
    NewMessage,
    Role,
    Status,
    UserId,
)

ALICE: Final = UserId("alice")
BOB: Final = UserId("bob")
NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)

KEY: Final = RequestKey("key", "digest")
OTHER_KEY: Final = RequestKey(KEY.key, "digest of another request")
MESSAGE_ITEM: Final = (
    '{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]}'
)
REASONING_ITEM: Final = (
    '{"type":"reasoning","n":1.10,"summary":[ ],"text":"\\u0000 \\ud83e\\uddf5"}'
)


def new_conversation(  # noqa: PLR0913 - one for each field
    user_id: UserId = ALICE,
    *,
    id: ConversationId | None = None,  # noqa: A002 - the field's own name
    title: str | None = None,
    status: Status = Status.ACTIVE,
    metadata: JsonText = EMPTY_OBJECT,
    at: datetime = NOON,
) -> Conversation:
    return Conversation(
        id=id or ConversationId(uuid4()),
        user_id=user_id,
        title=title,
        status=status,
        metadata=metadata,
        message_count=0,
        created_at=at,
        updated_at=at,
    )


def new_message(  # noqa: PLR0913 - one for each field
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
        id=id or MessageId(uuid4()),
        created_at=created_at,
    )


def new_item(text: str, at: datetime = NOON) -> NewEntry:
    """Return the item that a caller sends as this JSON."""
    return parse_item(ItemText(text), field="items[0]").new(at)
