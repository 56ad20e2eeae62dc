"""The SQL of items. Each statement is one round trip and names the user of every table.

The items that are messages are rows of `messages`, with the text they were sent as; the others are
rows of `conversation_items`. Both take their positions from their conversation's row.
"""

from functools import reduce
from typing import Final

from chatkeep.adapters.piccolo.bounds import json_bytes, text_bytes, within
from chatkeep.domain.model import Order

# A batch: its messages as $1 to $8, its other items as $9 to $11, one array a column (of texts, see
# `adapters.piccolo.message_statements`). `n` is the place in the batch, from 0.
GIVEN_MESSAGES: Final = (
    "unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::text[]::jsonb[], $5::text[], "
    "$6::text[], $7::text[]::json[], $8::text[]::bigint[]) AS given "
    "(id, role, content, tool_calls, tool_call_id, item_id, item, n)"
)
GIVEN_ITEMS: Final = (
    "unnest($9::text[], $10::text[]::json[], $11::text[]::bigint[]) AS given (item_id, item, n)"
)
_MESSAGE: Final = "id, role, content, tool_calls, tool_call_id, item_id, item"

# Those of the item ids $20 that an item of the conversation has. $21 are the messages that ids of
# their form stand for when they were not given: such an id is stored nowhere. One probe for each:
# asked for all at once, the planner prefers to read the whole conversation.
_TAKEN: Final = """
  SELECT sought.id FROM unnest($20::text[], $21::text[]::uuid[]) AS sought (id, message_id)
  CROSS JOIN LATERAL (
    (SELECT FROM conversation_items i
     WHERE i.conversation_id = $12 AND i.user_id = $13 AND i.item_id = sought.id LIMIT 1)
    UNION ALL
    (SELECT FROM messages m
     WHERE m.conversation_id = $12 AND m.user_id = $13 AND m.item_id = sought.id LIMIT 1)
    UNION ALL
    (SELECT FROM messages m
     WHERE m.id = sought.message_id AND m.user_id = $13 AND m.conversation_id = $12
       AND m.item_id IS NULL LIMIT 1)
  ) AS found"""


def _moved(condition: str = "") -> str:
    return f"""moved AS (
  UPDATE conversations
  SET message_count = message_count + $14,
      last_position = greatest($16, last_position + 1) + $15 - 1,
      updated_at = greatest($17, updated_at)
  WHERE id = $12 AND user_id = $13{condition}
  RETURNING id, user_id, last_position - $15 + 1 AS first, last_position AS last
)"""


_ADDED: Final = f"""
INSERT INTO messages (conversation_id, user_id, position, {_MESSAGE}, created_at)
SELECT moved.id, moved.user_id, moved.first + n,
       {", ".join(f"given.{column}" for column in _MESSAGE.split(", "))}, $17
FROM moved, {GIVEN_MESSAGES}"""

_KEPT: Final = f"""
INSERT INTO conversation_items (conversation_id, user_id, position, item_id, item, created_at)
SELECT moved.id, moved.user_id, moved.first + n, given.item_id, given.item, $17
FROM moved, {GIVEN_ITEMS}"""

_KEYED: Final = """
INSERT INTO conversation_keys
  (conversation_id, user_id, key, digest, first_position, last_position, created_at)
SELECT moved.id, moved.user_id, $18, $19, moved.first, moved.last, $17
FROM moved WHERE $18::text IS NOT NULL"""

_FREE: Final = f" AND NOT EXISTS ({_TAKEN})"

# Three texts, since what a statement does not do it need not plan: an append of items without ids
# of their own, one of items with, and one with a key.
APPEND_FREELY: Final = f"""
WITH {_moved()}, added AS ({_ADDED}
), kept AS ({_KEPT}
)
SELECT first FROM moved"""

APPEND_WITH_IDS: Final = f"""
WITH {_moved(_FREE.replace("$20", "$18").replace("$21", "$19"))}, added AS ({_ADDED}
), kept AS ({_KEPT}
)
SELECT first FROM moved"""

APPEND_WITH_KEY: Final = f"""
WITH {_moved(_FREE)}, added AS ({_ADDED}
), kept AS ({_KEPT}
), keyed AS ({_KEYED}
)
SELECT first FROM moved"""

CREATE: Final = f"""
WITH provisioned AS (
  INSERT INTO users (id) SELECT $13 WHERE $21 ON CONFLICT DO NOTHING
), moved AS (
  INSERT INTO conversations (id, user_id, metadata, created_at, updated_at, message_count,
                             last_position)
  VALUES ($12, $13, $20, $17, $17, $14,
          CASE WHEN $15 > 0 THEN $16::bigint + $15 - 1 ELSE 0 END)
  RETURNING id, user_id, $16::bigint AS first, $16::bigint + $15 - 1 AS last
), added AS ({_ADDED}
), kept AS ({_KEPT}
), keyed AS ({_KEYED}
)
SELECT first FROM moved"""

TAKEN: Final = reduce(
    lambda sql, numbers: sql.replace(*numbers),
    (("$12", "$1"), ("$13", "$2"), ("$20", "$3"), ("$21", "$4")),
    _TAKEN,
)

KEY: Final = """
SELECT k.digest, k.first_position, k.last_position FROM conversation_keys k
WHERE k.conversation_id = $1 AND k.user_id = $2 AND k.key = $3"""

# What is read of a row: of a message that was sent as an item only what the item is made of.
_OF_MESSAGE: Final = """m.position, m.created_at, m.id, m.role, m.tool_calls IS NOT NULL AS calls,
         m.item_id, m.item, CASE WHEN m.item IS NULL THEN m.content END AS content,
         CASE WHEN m.item IS NULL THEN m.tool_calls END AS tool_calls,
         CASE WHEN m.item IS NULL THEN m.tool_call_id END AS tool_call_id"""
_OF_ITEM: Final = """i.position, i.created_at, NULL::uuid, NULL, NULL, i.item_id, i.item, NULL,
         NULL, NULL"""


def _of_page(share: str) -> str:
    columns = "position created_at id role calls item_id item content tool_calls tool_call_id"
    return within(
        share,
        ", ".join(f"page.{column}" for column in columns.split()),
        ("item", "content", "tool_calls"),
    )


def _rows(condition: str, order: Order, share: str) -> str:
    """Return the query for the first $3 rows, of both tables, in one order."""
    native = f"{text_bytes('m.content')} + {json_bytes('m.tool_calls', share)}"
    # Where the text alone is too large, the item that it is of need not be read to know.
    sent = f"""CASE WHEN octet_length(m.content) > {share} THEN {text_bytes("m.content")}
              ELSE {json_bytes("m.item", share)} END"""
    return f"""(
    SELECT {_OF_MESSAGE},
         CASE WHEN m.item IS NULL THEN {native} ELSE {sent} END AS bytes
    FROM messages m
    WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.{condition}
    ORDER BY m.position {order.value} LIMIT $3
  ) UNION ALL (
    SELECT {_OF_ITEM}, {json_bytes("i.item", share)} FROM conversation_items i
    WHERE i.conversation_id = $1 AND i.user_id = $2 AND i.{condition}
    ORDER BY i.position {order.value} LIMIT $3
  ) ORDER BY position {order.value} LIMIT $3"""


def _page(order: Order) -> str:
    condition = "position > $4" if order is Order.ASC else "position < $4"
    return f"""
SELECT {_of_page("$5::bigint")} FROM conversations c
LEFT JOIN LATERAL ({_rows(condition, order, "$5::bigint")}) AS page ON true
WHERE c.id = $1 AND c.user_id = $2
ORDER BY page.position {order.value}"""


# Where the item $4 stands; $5 is the message that it may be (one of several items) of.
_PLACE: Final = """
  SELECT m.position, m.item IS NULL AS again FROM messages m
  WHERE m.id = $5 AND m.user_id = $2 AND m.conversation_id = $1 AND m.item_id IS NULL
  UNION ALL
  SELECT m.position, false FROM messages m
  WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.item_id = $4
  UNION ALL
  SELECT i.position, false FROM conversation_items i
  WHERE i.conversation_id = $1 AND i.user_id = $2 AND i.item_id = $4
  LIMIT 1"""


def _page_after(order: Order) -> str:
    """Return the query for a page past an item; a message that is several items comes again."""
    condition = "position > place.position - place.again::int"
    if order is Order.DESC:
        condition = "position < place.position + place.again::int"
    return f"""
SELECT place.position AS place, {_of_page("$6::bigint")} FROM conversations c
LEFT JOIN LATERAL ({_PLACE}
) AS place ON true
LEFT JOIN LATERAL ({_rows(condition, order, "$6::bigint")}) AS page ON true
WHERE c.id = $1 AND c.user_id = $2
ORDER BY page.position {order.value}"""


PAGE: Final = {order: _page(order) for order in Order}
PAGE_AFTER: Final = {order: _page_after(order) for order in Order}

# One probe for each, as of those above.
AT: Final = f"""
SELECT entry.* FROM unnest($3::text[]::bigint[]) AS asked (position)
CROSS JOIN LATERAL (
  (SELECT {_OF_MESSAGE} FROM messages m
   WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.position = asked.position LIMIT 1)
  UNION ALL
  (SELECT {_OF_ITEM} FROM conversation_items i
   WHERE i.conversation_id = $1 AND i.user_id = $2 AND i.position = asked.position LIMIT 1)
) AS entry
ORDER BY entry.position"""

GET: Final = f"""
SELECT {_OF_MESSAGE} FROM messages m
WHERE m.id = $4 AND m.user_id = $2 AND m.conversation_id = $1 AND m.item_id IS NULL
UNION ALL
SELECT {_OF_MESSAGE} FROM messages m
WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.item_id = $3
UNION ALL
SELECT {_OF_ITEM} FROM conversation_items i
WHERE i.conversation_id = $1 AND i.user_id = $2 AND i.item_id = $3"""

# The calls of these ids $4 that the last $5 messages before position $3 made, the last one last; of
# calls with one id in a message the first counts.
CALLS_BEFORE: Final = """
SELECT call.value ->> 'id' AS id, call.value ->> 'type' = 'custom' AS is_custom
FROM (
  SELECT m.position, m.tool_calls FROM messages m
  WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.position < $3
  ORDER BY m.position DESC LIMIT $5
) AS recent
CROSS JOIN LATERAL jsonb_path_query(recent.tool_calls, 'strict $[*] ? (
  @.type == "function" && @.function.name.type() == "string" && @.function.name != ""
    && @.function.arguments.type() == "string"
  || @.type == "custom" && @.custom.name.type() == "string" && @.custom.name != ""
    && @.custom.input.type() == "string")', '{}', true) WITH ORDINALITY AS call (value, n)
WHERE jsonb_typeof(recent.tool_calls) = 'array' AND call.value ->> 'id' = ANY($4::text[])
ORDER BY recent.position, call.n DESC"""

# Either the message $3 or the item $4, found by `GET`. The conversation is locked first, as an
# append and the deletion of a conversation do.
DELETE: Final = """
WITH locked AS (
  SELECT id, retain FROM conversations WHERE id = $1 AND user_id = $2 FOR UPDATE
), gone AS (
  DELETE FROM messages m USING locked
  WHERE m.id = $3 AND m.user_id = $2 AND m.conversation_id = locked.id AND NOT locked.retain
  RETURNING m.id
), gone_items AS (
  DELETE FROM conversation_items i USING locked
  WHERE i.conversation_id = locked.id AND i.user_id = $2 AND i.item_id = $4 AND NOT locked.retain
  RETURNING i.item_id
), counted AS (
  UPDATE conversations SET message_count = message_count - 1
  WHERE id = $1 AND user_id = $2 AND EXISTS (SELECT FROM gone)
)
SELECT retain, EXISTS (SELECT FROM gone) OR EXISTS (SELECT FROM gone_items) AS gone FROM locked"""
