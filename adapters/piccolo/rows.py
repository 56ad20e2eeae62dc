"""Row <-> entity, and how texts that Postgres cannot hold are kept all the same.

Postgres stores every character but NUL. A text with one is written with U+FDD0, a code point that
Unicode reserves for inside use, as the escape character: NUL becomes U+FDD0 '0' and U+FDD0 itself
U+FDD0 '1'. Ordinary text is only searched for the two, which costs nanoseconds.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from domain.model import (
    Conversation,
    ConversationId,
    JsonText,
    Message,
    MessageId,
    Position,
    Role,
    Status,
    UserId,
)

Row = Mapping[str, Any]

NUL: Final = "\x00"
ESCAPE: Final = "\ufdd0"
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_ROLES: Final = {role.value: role for role in Role}
_STATUSES: Final = {status.value: status for status in Status}

CONVERSATION_COLUMNS: Final = (
    "id, user_id, title, status, metadata, message_count, created_at, updated_at, retain"
)


def message_columns(table: str) -> str:
    columns = (
        "id conversation_id role content tool_calls tool_call_id name metadata created_at position"
    )
    return ", ".join(f"{table}.{column}" for column in columns.split())


def to_conversation(row: Row) -> Conversation:
    title: str | None = row["title"]
    return Conversation(
        id=ConversationId(row["id"]),
        user_id=UserId(row["user_id"]),
        title=None if title is None else from_text(title),
        status=_STATUSES[row["status"]],
        metadata=from_jsonb(row["metadata"]),
        message_count=row["message_count"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        retain=row["retain"],
    )


def to_message(row: Row) -> Message:
    content: str | None = row["content"]
    tool_calls: str | None = row["tool_calls"]
    tool_call_id: str | None = row["tool_call_id"]
    name: str | None = row["name"]
    return Message(
        id=MessageId(row["id"]),
        conversation_id=ConversationId(row["conversation_id"]),
        role=_ROLES[row["role"]],
        content=None if content is None else from_text(content),
        tool_calls=None if tool_calls is None else from_jsonb(tool_calls),
        tool_call_id=None if tool_call_id is None else from_text(tool_call_id),
        name=None if name is None else from_text(name),
        metadata=from_jsonb(row["metadata"]),
        created_at=row["created_at"],
        position=Position(row["position"]),
    )


def to_text(text: str | None) -> str | None:
    if text is None or (NUL not in text and ESCAPE not in text):
        return text
    return _escape(text)


def from_text(text: str) -> str:
    return _unescape(text) if ESCAPE in text else text


def to_jsonb(document: JsonText | None) -> str | None:
    """Escape as text is: jsonb takes NUL neither as it stands nor as a JSON escape."""
    if document is None or ("\\u0000" not in document and ESCAPE not in document):
        return document
    return _map_strings(document, _escape)


def from_jsonb(document: str) -> JsonText:
    if ESCAPE not in document:
        return JsonText(document)
    return _map_strings(document, _unescape)


def _escape(text: str) -> str:
    return text.replace(ESCAPE, f"{ESCAPE}1").replace(NUL, f"{ESCAPE}0")


def _unescape(text: str) -> str:
    return text.replace(f"{ESCAPE}0", NUL).replace(f"{ESCAPE}1", ESCAPE)


def _map_strings(document: str, change: Callable[[str], str]) -> JsonText:
    def changed(string: re.Match[str]) -> str:
        return json.dumps(change(json.loads(string[0])), ensure_ascii=False)

    return JsonText(_STRING.sub(changed, document))
