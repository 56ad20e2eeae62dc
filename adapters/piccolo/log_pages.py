"""The SQL of a log's pages.

A page has a view (`domain.log.View`), which determines the columns to read.
"""

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
from chatkeep.adapters.piccolo.rows import MESSAGE_COLUMNS, message_columns
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.log import BEFORE_FIRST, View
from chatkeep.domain.model import LAST_POSITION, Order

# The kinds of a page's bounds: positions, messages, or the item after which it starts.
POSITIONS: Final = "positions"
MESSAGES: Final = "messages"
ITEM: Final = "item"

_SHARE: Final = ":share::bigint"
_M: Final = "m.conversation_id = :conversation_id AND m.user_id = :user_id"
_I: Final = "i.conversation_id = :conversation_id AND i.user_id = :user_id"


@dataclass(frozen=True, slots=True)
class ViewColumns:
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

COLUMNS: Final = {
    View.MESSAGES: ViewColumns(
        MESSAGE_COLUMNS, message_columns("m"), message_bytes("m", _SHARE), MESSAGE_TEXTS
    ),
    View.ORIGINALS: ViewColumns(
        (*MESSAGE_COLUMNS, "original"),
        f"{message_columns('m')}, m.original",
        whole_bytes("m", _SHARE),
        WHOLE_TEXTS,
    ),
    View.ITEMS: ViewColumns(
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
    View.WHOLE: ViewColumns(
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
    of = COLUMNS[view]
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


@dataclass(frozen=True, slots=True)
class PageEnds:
    """The ends of a page: what finds them, and the positions that it lies between."""

    found: str
    places: str
    after: str
    before: str


def _ends(order: Order, bounds: str) -> PageEnds:
    """Return the ends for a kind of bounds."""
    found, places, after, before = "", "", ":after::bigint", ":before::bigint"
    if bounds == MESSAGES:
        found = "a.position AS after, b.position AS before, "
        after, before = "coalesce(a.position, :after)", "coalesce(b.position, :before)"
        places = "".join(
            f"""
LEFT JOIN messages {alias} ON {alias}.id = :{which}_message AND {alias}.user_id = :user_id
  AND {alias}.conversation_id = :conversation_id"""
            for alias, which in (("a", "after"), ("b", "before"))
        )
    if bounds == ITEM:
        found = "place.position AS place, "
        places = f"""
LEFT JOIN LATERAL ({_PLACE}
) AS place ON true"""
        after, before = "place.position - place.again::int", str(LAST_POSITION)
        if order is Order.DESC:
            after, before = str(BEFORE_FIRST), "place.position + place.again::int"
    return PageEnds(found, places, after, before)


_BOUNDS: Final = (POSITIONS, MESSAGES, ITEM)
PAGE_ENDS: Final = {key: _ends(*key) for key in product(Order, _BOUNDS)}


def _page(view: View, order: Order, bounds: str) -> str:
    """Return the query for a page of the whole log.

    If that has branches, it finds nothing, unless all of them are asked for.

    The bound at the page's start is a condition, the other one is applied afterwards: with both as
    conditions, the planner expects few rows, and may read and sort the whole conversation.
    """
    ends = PAGE_ENDS[order, bounds]
    start, end = f"position > {ends.after}", f"page.position < {ends.before}"
    if order is Order.DESC:
        start, end = f"position < {ends.before}", f"page.position > {ends.after}"
    return f"""
SELECT c.revision, {ends.found}{COLUMNS[view].of_page()}
FROM conversations c{ends.places}
LEFT JOIN LATERAL ({_rows(view, start, order)}
) AS page ON {end}
WHERE c.id = :conversation_id AND c.user_id = :user_id
  AND (c.branch IS NULL OR :whole::boolean)
ORDER BY page.position {order.value}"""


PAGE: Final = {
    key: Statement(f"log.page.{'.'.join(key)}", _page(*key))
    for key in product(View, Order, _BOUNDS)
}


def _at(view: View) -> str:
    """Return the query for the entries at given positions, with one index probe for each.

    With a single condition for all, the planner prefers to read the whole conversation.
    """
    of = COLUMNS[view]
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

_OF_ITEMS: Final = COLUMNS[View.ITEMS]
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
