"""Converts between rows and entities, and escapes texts that Postgres cannot store.

`to_message` reads the columns of a message, and `_WRITTEN` writes them; lists of columns come from
the tables.

Postgres stores every character but NUL. The escape character is U+FDD0, a code point that Unicode
reserves for internal use: NUL becomes U+FDD0 '0', and U+FDD0 itself U+FDD0 '1'. Ordinary text is
only searched for the two, which takes nanoseconds.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from chatkeep.adapters.piccolo.tables import Conversations, Messages, column_names
from chatkeep.domain.ids import id_text, key_text, with_text
from chatkeep.domain.model import (
    EPOCH,
    Conversation,
    ConversationId,
    ForkedFrom,
    JsonText,
    Message,
    MessageId,
    NewMessage,
    OriginalText,
    Role,
    Status,
)
from chatkeep.domain.parts import split_parts, text_of

Row = Mapping[str, Any]

NUL: Final = "\x00"
ESCAPE: Final = "\ufdd0"
_STRING: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_ROLES: Final = {role.value: role for role in Role}
_STATUSES: Final = {status.value: status for status in Status}

# Makes a named tuple in a quarter of the time of its constructor.
new_tuple: Final = tuple.__new__

CONVERSATION_COLUMNS: Final = ", ".join(column_names(Conversations, without=["last_position"]))
# The small columns that are NULL in most messages are read as one, an array of texts that is NULL
# if all are: each column costs a page of 20 messages about one hundredth of its time.
_RARE: Final[Mapping[str, str]] = {
    "tokens": "{}::text",
    "starts_context": "{}::text",
    "edited_at": "(extract(epoch FROM {} AT TIME ZONE 'UTC') * 1000000)::bigint::text",
    "format": "{}",
    "text_id": "{}",
}
_STARTS_CONTEXT: Final = [*_RARE].index("starts_context")
_TEXT_ID: Final = [*_RARE].index("text_id")
_NOTHING_RARE: Final = (None,) * len(_RARE)
_ITS_PLACE: Final = ("user_id", "conversation_id")
_NAMES: Final = column_names(Messages, without=[*_ITS_PLACE, "item_id", "item", "original", *_RARE])
MESSAGE_COLUMNS: Final = (*_NAMES, "rare")
"""Those that `to_message` reads, from a query that selects `message_columns`.

Who reads messages of a conversation knows its id, which takes more time than other columns.
"""


def message_columns(table: str) -> str:
    """Return what to select from `messages` for `to_message`."""
    values = ", ".join(form.format(f"{table}.{name}") for name, form in _RARE.items())
    some = " OR ".join(f"{table}.{name} IS NOT NULL" for name in _RARE)
    names = ", ".join(f"{table}.{name}" for name in _NAMES)
    return f"{names}, CASE WHEN {some} THEN ARRAY[{values}] END AS rare"


def selected_columns(table: str) -> str:
    """Return the columns of a subquery that selects `message_columns`."""
    return ", ".join(f"{table}.{name}" for name in MESSAGE_COLUMNS)


# A page has 20 of these: for speed, fields are passed by position, and without calls of their
# NewTypes, which only return their argument.
def to_conversation(row: Row) -> Conversation:
    title, text_id = row["title"], row["text_id"]
    return Conversation(
        row["id"] if text_id is None else ConversationId(with_text(row["id"], text_id)),
        row["user_id"],
        None if title is None else from_text(title),
        _STATUSES[row["status"]],
        from_jsonb(row["metadata"]),
        row["message_count"],
        row["created_at"],
        row["updated_at"],
        row["retain"],
        row["revision"],
        row["branch"],
        None if row["forked_from"] is None else ForkedFrom(row["forked_from"], row["forked_at"]),
    )


def id_of(row: Row) -> MessageId:
    """Return the id of the message of a row that may come without its texts."""
    rare = row["rare"]
    return MessageId(with_text(row["id"], None if rare is None else rare[_TEXT_ID]))


def starts_context(row: Row) -> bool:
    rare = row["rare"]
    return rare is not None and rare[_STARTS_CONTEXT] == "true"


def to_message(row: Row, within: ConversationId) -> Message:
    """Return the message of a row; `within` is the id of its conversation as the caller gave it."""
    content, tool_calls = row["content"], row["tool_calls"]
    tool_call_id, name, parts = row["tool_call_id"], row["name"], row["parts"]
    if parts is not None and not content:
        content = text_of_parts(parts)
    rare = row["rare"]
    tokens, starts_context, edited_at, format_, text_id = _NOTHING_RARE if rare is None else rare
    return new_tuple(
        Message,
        (
            row["id"] if text_id is None else with_text(row["id"], text_id),
            within,
            _ROLES[row["role"]],
            None if content is None else from_text(content),
            None if tool_calls is None else from_jsonb(tool_calls),
            None if tool_call_id is None else from_text(tool_call_id),
            None if name is None else from_text(name),
            from_jsonb(row["metadata"]),
            row["created_at"],
            row["position"],
            None if tokens is None else int(tokens),
            starts_context == "true",
            format_,
            None,
            None if edited_at is None else EPOCH + timedelta(microseconds=int(edited_at)),
            parts,
        ),
    )


def to_whole_message(row: Row, within: ConversationId) -> Message:
    """Return the message of a row that has the column `original` too."""
    message, original = to_message(row, within), row["original"]
    if original is None:
        return message
    return message._replace(original=OriginalText(from_text(original)))


def conversation_values(conversation: Conversation) -> dict[str, Any]:
    """Return the values of a new conversation; names differ from those of a batch of messages."""
    return {
        "conversation_id": conversation.id,
        "conversation_text_id": id_text(conversation.id),
        "user_id": conversation.user_id,
        "title": to_text(conversation.title),
        "status": conversation.status.value,
        "conversation_metadata": to_jsonb(conversation.metadata),
        "conversation_created_at": conversation.created_at,
        "at": conversation.updated_at,
        "retain": conversation.retain,
        "revision": conversation.revision,
    }


def text_of_parts(parts: JsonText) -> str | None:
    """Return the text of stored content parts, where the column `content` does not have it."""
    return text_of([part.value for part in split_parts(parts)])


def _content_of(message: NewMessage) -> str | None:
    """Return the value of the column `content`: the table refuses NULL without tool calls."""
    if message.content is None and message.tool_calls is None and message.parts is not None:
        return ""
    return message.content


# The columns of a stored message, each with its type and its value.
_WRITTEN: Final[Mapping[str, tuple[str, Callable[[NewMessage], Any]]]] = {
    "id": ("uuid", lambda message: message.id),
    "role": ("text", lambda message: message.role.value),
    "content": ("text", lambda message: to_text(_content_of(message))),
    "tool_calls": ("jsonb", lambda message: to_jsonb(message.tool_calls)),
    "tool_call_id": ("text", lambda message: to_text(message.tool_call_id)),
    "name": ("text", lambda message: to_text(message.name)),
    "metadata": ("jsonb", lambda message: to_jsonb(message.metadata)),
    "created_at": ("timestamptz", lambda message: message.created_at),
    "tokens": ("integer", lambda message: message.tokens),
    "starts_context": ("boolean", lambda message: message.starts_context or None),
    "edited_at": ("timestamptz", lambda message: message.edited_at),
    "format": ("text", lambda message: message.format),
    "original": ("text", lambda message: to_text(message.original)),
    # The type json stores any text of JSON as it is.
    "parts": ("json", lambda message: message.parts),
    "text_id": ("text", lambda message: id_text(message.id)),
}
_WRITTEN_AS_TEXT: Final[Mapping[str, Callable[[NewMessage], str | None]]] = {
    **{column: write for column, (_, write) in _WRITTEN.items()},
    "id": lambda message: None if message.id is None else key_text(message.id),
    "created_at": lambda message: None if (at := message.created_at) is None else at.isoformat(),
    "tokens": lambda message: None if message.tokens is None else str(message.tokens),
    "starts_context": lambda message: "true" if message.starts_context else None,
    "edited_at": lambda message: None if (at := message.edited_at) is None else at.isoformat(),
}
MESSAGE_TYPES: Final = {column: kind for column, (kind, _) in _WRITTEN.items()}

PLAIN_COLUMNS: Final = (
    *("id", "role", "content", "tool_calls", "tool_call_id", "name", "metadata", "created_at"),
)
"""Those that statements for plain messages write. In most messages all others are NULL."""

_BEYOND_PLAIN: Final = [
    write for column, (_, write) in _WRITTEN.items() if column not in PLAIN_COLUMNS
]

ITEM_MESSAGE_COLUMNS: Final = ("id", "role", "content", "tool_calls", "tool_call_id")
"""Those that the message of an item has values for."""


def array_parameters(columns: Iterable[str] = MESSAGE_TYPES) -> str:
    """Return the parameters for `message_arrays`.

    All are arrays of text: for other array types the driver needs six extra round trips on every
    new connection.
    """
    return ", ".join(f":{column}::text[]::{MESSAGE_TYPES[column]}[]" for column in columns)


def are_plain(messages: Iterable[NewMessage]) -> bool:
    """Return whether the messages have values in `PLAIN_COLUMNS` only."""
    return all(write(message) is None for message in messages for write in _BEYOND_PLAIN)


def message_values(message: NewMessage, columns: Iterable[str] = MESSAGE_TYPES) -> dict[str, Any]:
    """Return the values of a message by column."""
    return {column: _WRITTEN[column][1](message) for column in columns}


def message_arrays(
    messages: Sequence[NewMessage], columns: Iterable[str] = MESSAGE_TYPES
) -> dict[str, Any]:
    """Return the values of messages by column, as one list of texts each."""
    return {
        column: [_WRITTEN_AS_TEXT[column](message) for message in messages] for column in columns
    }


def to_text(text: str | None) -> str | None:
    if text is None or (NUL not in text and ESCAPE not in text):
        return text
    return _escape(text)


def from_text(text: str) -> str:
    return _unescape(text) if ESCAPE in text else text


def to_jsonb(document: JsonText | None) -> str | None:
    """Escape NUL as in text: jsonb accepts neither the character nor its JSON escape."""
    if document is None or ("\\u0000" not in document and ESCAPE not in document):
        return document
    return _map_strings(document, _escape)


def from_jsonb(document: JsonText) -> JsonText:
    if ESCAPE not in document:
        return document
    return _map_strings(document, _unescape)


def _escape(text: str) -> str:
    return text.replace(ESCAPE, f"{ESCAPE}1").replace(NUL, f"{ESCAPE}0")


def _unescape(text: str) -> str:
    return text.replace(f"{ESCAPE}0", NUL).replace(f"{ESCAPE}1", ESCAPE)


def _map_strings(document: str, change: Callable[[str], str]) -> JsonText:
    def changed(string: re.Match[str]) -> str:
        return json.dumps(change(json.loads(string[0])), ensure_ascii=False)

    return JsonText(_STRING.sub(changed, document))
