"""The SQL of a log's pages, and the conversion of their rows.

A page has a view (`domain.log.View`), which determines the columns to read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

from chatkeep.adapters.piccolo.bounds import (
    MESSAGE_TEXTS,
    WHOLE_TEXTS,
    json_bytes,
    message_bytes,
    parts_bytes,
    text_bytes,
    whole_bytes,
    within,
)
from chatkeep.adapters.piccolo.rows import (
    MESSAGE_COLUMNS,
    Row,
    from_jsonb,
    from_text,
    message_columns,
    new_tuple,
    text_of_parts,
    to_message,
    to_whole_message,
)
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.items import ItemId
from chatkeep.domain.log import Entry, View
from chatkeep.domain.model import ConversationId, NewMessage, Order, Role

# The kinds of a page's bounds: positions, messages, or the item after which it starts.
POSITIONS: Final = "positions"
MESSAGES: Final = "messages"
ITEM: Final = "item"

_SHARE: Final = ":share::bigint"
_M: Final = "m.conversation_id = :conversation_id AND m.user_id = :user_id"
_I: Final = "i.conversation_id = :conversation_id AND i.user_id = :user_id"


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a view: `message` from `messages`, `item` from `conversation_items`.

    `message_bytes` and `item_bytes` are expressions for the sizes of these rows. A page leaves out
    `texts` that exceed their share.
    """

    names: tuple[str, ...]
    message: str
    message_bytes: str
    texts: tuple[str, ...]
    item: str | None = None
    item_bytes: str = ""

    def of_page(self) -> str:
        return within(_SHARE, ", ".join(f"page.{name}" for name in self.names), self.texts)


_ITEM_BYTES: Final = json_bytes("i.item", _SHARE)

# For a message that was sent as an item, only the columns of the item. If its text alone is too
# large, the item need not be read to find out.
_NATIVE_BYTES: Final = (
    f"{text_bytes('m.content')} + {json_bytes('m.tool_calls', _SHARE)} + {parts_bytes('m', _SHARE)}"
)
_SENT_BYTES: Final = f"""CASE WHEN octet_length(m.content) > {_SHARE} THEN {text_bytes("m.content")}
              ELSE {json_bytes("m.item", _SHARE)} END"""

_COLUMNS: Final = {
    View.MESSAGES: _Columns(
        MESSAGE_COLUMNS, message_columns("m"), message_bytes("m", _SHARE), MESSAGE_TEXTS
    ),
    View.ORIGINALS: _Columns(
        (*MESSAGE_COLUMNS, "original"),
        f"{message_columns('m')}, m.original",
        whole_bytes("m", _SHARE),
        WHOLE_TEXTS,
    ),
    View.ITEMS: _Columns(
        (
            *("position", "created_at", "id", "role", "calls", "item_id", "item"),
            *("content", "tool_calls", "tool_call_id", "parts"),
        ),
        """m.position, m.created_at, m.id, m.role, m.tool_calls IS NOT NULL AS calls,
         m.item_id, m.item, CASE WHEN m.item IS NULL THEN m.content END AS content,
         CASE WHEN m.item IS NULL THEN m.tool_calls END AS tool_calls,
         CASE WHEN m.item IS NULL THEN m.tool_call_id END AS tool_call_id,
         CASE WHEN m.item IS NULL THEN m.parts END AS parts""",
        f"CASE WHEN m.item IS NULL THEN {_NATIVE_BYTES} ELSE {_SENT_BYTES} END",
        ("item", "content", "tool_calls", "parts"),
        "i.position, i.created_at, NULL::uuid, NULL, NULL, i.item_id, i.item, NULL, NULL, NULL, "
        "NULL",
        _ITEM_BYTES,
    ),
    View.WHOLE: _Columns(
        (*MESSAGE_COLUMNS, "original", "item_id", "item"),
        f"{message_columns('m')}, m.original, m.item_id, m.item",
        f"{whole_bytes('m', _SHARE)} + {json_bytes('m.item', _SHARE)}",
        (*WHOLE_TEXTS, "item"),
        ", ".join(
            f"i.{name}" if name in ("created_at", "position", "item_id", "item") else "NULL"
            for name in (*MESSAGE_COLUMNS, "original", "item_id", "item")
        ),
        _ITEM_BYTES,
    ),
}


def _rows(view: View, condition: str, order: Order) -> str:
    """Return the query for the first entries of a view under a condition, in that order."""
    of = _COLUMNS[view]
    messages = f"""
    SELECT {of.message}, {of.message_bytes} AS bytes FROM messages m
    WHERE {_M} AND m.{condition}
    ORDER BY m.position {order.value} LIMIT :limit"""
    if of.item is None:
        return messages
    return f"""({messages}
  ) UNION ALL (
    SELECT {of.item}, {of.item_bytes} FROM conversation_items i
    WHERE {_I} AND i.{condition}
    ORDER BY i.position {order.value} LIMIT :limit
  ) ORDER BY position {order.value} LIMIT :limit"""


# The position of the item, and whether it is one of several items of a message, which then comes
# again. `in_message` is the message of a generated item id.
_PLACE: Final = f"""
  SELECT m.position, m.item IS NULL AS again FROM messages m
  WHERE m.id = :in_message AND m.user_id = :user_id AND m.conversation_id = :conversation_id
    AND m.item_id IS NULL
  UNION ALL
  SELECT m.position, false FROM messages m WHERE {_M} AND m.item_id = :past_item
  UNION ALL
  SELECT i.position, false FROM conversation_items i WHERE {_I} AND i.item_id = :past_item
  LIMIT 1"""


def _page(view: View, order: Order, bounds: str) -> str:
    """Return the query for a page.

    The bound at the page's start is a condition, the other one is applied afterwards: with both as
    conditions, the planner expects few rows, and may read and sort the whole conversation.
    """
    found, places, after, before = "", "", ":after", ":before"
    is_forward = order is Order.ASC
    if bounds == MESSAGES:
        found = "a.position AS after, b.position AS before, "
        after, before = "coalesce(a.position, :after)", "coalesce(b.position, :before)"
        places = "".join(
            f"""
LEFT JOIN messages {alias} ON {alias}.id = :{which}_message AND {alias}.user_id = :user_id
  AND {alias}.conversation_id = :conversation_id"""
            for alias, which in (("a", "after"), ("b", "before"))
        )
    start, end = f"position > {after}", f"page.position < {before}"
    if not is_forward:
        start, end = f"position < {before}", f"page.position > {after}"
    if bounds == ITEM:
        found = "place.position AS place, "
        places = f"""
LEFT JOIN LATERAL ({_PLACE}
) AS place ON true"""
        start, end = "position > place.position - place.again::int", "true"
        if not is_forward:
            start = "position < place.position + place.again::int"
    return f"""
SELECT {found}c.revision, {_COLUMNS[view].of_page()} FROM conversations c{places}
LEFT JOIN LATERAL ({_rows(view, start, order)}
) AS page ON {end}
WHERE c.id = :conversation_id AND c.user_id = :user_id
ORDER BY page.position {order.value}"""


PAGE: Final = {
    key: Statement(f"log.page.{'.'.join(key)}", _page(*key))
    for key in product(View, Order, (POSITIONS, MESSAGES, ITEM))
}


def _at(view: View) -> str:
    """Return the query for the entries at given positions, with one index probe for each.

    With a single condition for all, the planner prefers to read the whole conversation.
    """
    of = _COLUMNS[view]
    item = ""
    if of.item is not None:
        item = f"""
  UNION ALL
  (SELECT {of.item} FROM conversation_items i
   WHERE {_I} AND i.position = asked.position LIMIT 1)"""
    return f"""
SELECT entry.* FROM unnest(:positions::text[]::bigint[]) AS asked (position)
CROSS JOIN LATERAL (
  (SELECT {of.message} FROM messages m WHERE {_M} AND m.position = asked.position LIMIT 1){item}
) AS entry
ORDER BY entry.position"""


AT: Final = {view: Statement(f"log.at.{view}", _at(view)) for view in View}

_OF_ITEMS: Final = _COLUMNS[View.ITEMS]
FIND: Final = Statement(
    "log.find",
    f"""
SELECT {_OF_ITEMS.message} FROM messages m
WHERE m.id = :in_message AND m.user_id = :user_id AND m.conversation_id = :conversation_id
  AND m.item_id IS NULL
UNION ALL
SELECT {_OF_ITEMS.message} FROM messages m WHERE {_M} AND m.item_id = :item_id
UNION ALL
SELECT {_OF_ITEMS.item} FROM conversation_items i WHERE {_I} AND i.item_id = :item_id""",
)


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
