"""Makes entries of the rows of a log's pages (`log_pages.py`)."""

from collections.abc import Callable, Mapping
from typing import Final

from chatkeep.adapters.piccolo.rows import (
    Row,
    from_jsonb,
    from_text,
    new_tuple,
    text_of_parts,
    to_message,
    to_whole_message,
)
from chatkeep.domain.items import ItemId
from chatkeep.domain.log import Entry, View
from chatkeep.domain.model import ConversationId, NewMessage, Role


def _of_message(row: Row, conversation_id: ConversationId) -> Entry:
    message = to_message(row, conversation_id)
    return new_tuple(Entry, (message.position, message.created_at, message, None, None))


def _of_originals(row: Row, conversation_id: ConversationId) -> Entry:
    message = to_whole_message(row, conversation_id)
    return new_tuple(Entry, (message.position, message.created_at, message, None, None))


def _of_items(row: Row, conversation_id: ConversationId) -> Entry:
    position, created_at, item = row["position"], row["created_at"], row["item"]
    if item is not None:
        item_id = _item_id(row, row["calls"])
        return new_tuple(Entry, (position, created_at, None, item, item_id))
    content, tool_calls, tool_call_id = row["content"], row["tool_calls"], row["tool_call_id"]
    parts = row["parts"]
    if parts is not None and not content:
        content = text_of_parts(parts)
    message = NewMessage(
        id=row["id"],
        role=Role(row["role"]),
        content=None if content is None else from_text(content),
        tool_calls=None if tool_calls is None else from_jsonb(tool_calls),
        tool_call_id=None if tool_call_id is None else from_text(tool_call_id),
        parts=parts,
    )
    return Entry(position, created_at, message.to_message(conversation_id, position, created_at))


def _item_id(row: Row, calls: object) -> ItemId:
    """Return the id of a row's item. A generated id is derived from the message's id.

    `calls` is true if the message has tool calls.
    """
    item_id: str | None = row["item_id"]
    if item_id is None:
        prefix = "fco" if row["role"] == Role.TOOL else "fc" if calls else "msg"
        item_id = f"{prefix}_{row['id'].hex}"
    return ItemId(item_id)


def _of_whole(row: Row, conversation_id: ConversationId) -> Entry:
    message = None if row["id"] is None else to_whole_message(row, conversation_id)
    item_id = None if row["item"] is None else _item_id(row, row["tool_calls"])
    return Entry(row["position"], row["created_at"], message, row["item"], item_id)


TO_ENTRY: Final[Mapping[View, Callable[[Row, ConversationId], Entry]]] = {
    View.MESSAGES: _of_message,
    View.ORIGINALS: _of_originals,
    View.ITEMS: _of_items,
    View.WHOLE: _of_whole,
}
