"""The SQL of messages. Each statement is one round trip and names the user of every table."""

from typing import Final

from chatkeep.adapters.piccolo.bounds import MESSAGE_TEXTS, message_bytes, within
from chatkeep.adapters.piccolo.rows import message_columns
from chatkeep.domain.model import LAST_POSITION, Order
from chatkeep.domain.ports import MAX_HEAD

# The messages of a batch, as parameters $1 to $8 of a statement: one array a column, so that the
# statement's text, and its plan, are the same for a batch of any size. All are sent as arrays of
# text: for another kind the driver asks every new connection about its type, in six round trips.
GIVEN: Final = (
    "unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::text[]::jsonb[], $5::text[], "
    "$6::text[], $7::text[]::jsonb[], $8::text[]::timestamptz[]) WITH ORDINALITY AS given "
    "(id, role, content, tool_calls, tool_call_id, name, metadata, created_at, n)"
)
# Most appends are of a single message: arrays of one would take Postgres a fifth longer.
GIVEN_ONE: Final = (
    "(VALUES ($1::uuid, $2::text, $3::text, $4::jsonb, $5::text, $6::text, $7::jsonb, "
    "$8::timestamptz, 1)) AS given "
    "(id, role, content, tool_calls, tool_call_id, name, metadata, created_at, n)"
)
GIVEN_COLUMNS: Final = "id, role, content, tool_calls, tool_call_id, name, metadata"


def _ends(*, conversation: str, user: str, limit: str, share: str) -> str:
    """Return the query for both ends of a conversation; the arguments name its parameters."""
    return f"""(
  SELECT true AS opening, {message_columns("h")}, {message_bytes("h", share)} AS bytes
  FROM messages h
  WHERE h.conversation_id = {conversation} AND h.user_id = {user} AND h.position < coalesce((
    SELECT b.position FROM messages b
    WHERE b.conversation_id = {conversation} AND b.user_id = {user}
      AND b.role NOT IN ('system', 'developer')
    ORDER BY b.position LIMIT 1), {LAST_POSITION})
  ORDER BY h.position LIMIT {MAX_HEAD}
) UNION ALL (
  SELECT false, {message_columns("t")}, {message_bytes("t", share)}
  FROM messages t
  WHERE t.conversation_id = {conversation} AND t.user_id = {user}
  ORDER BY t.position DESC LIMIT {limit}
)"""


def _of_ends(share: str) -> str:
    return within(share, f"ends.opening, {message_columns('ends')}", MESSAGE_TEXTS)


def _append(given: str) -> str:
    return f"""
WITH moved AS (
  UPDATE conversations
  SET message_count = message_count + $11,
      last_position = greatest($12, last_position + 1) + $11 - 1,
      updated_at = greatest($13, updated_at)
  WHERE id = $9 AND user_id = $10
  RETURNING id, user_id, message_count, last_position
), added AS (
  INSERT INTO messages (conversation_id, user_id, position, {GIVEN_COLUMNS}, created_at)
  SELECT moved.id, moved.user_id, moved.last_position - $11 + n,
         {", ".join(f"given.{column}" for column in GIVEN_COLUMNS.split(", "))},
         coalesce(given.created_at, $13)
  FROM moved, {given}
)"""


_MOVED: Final = "SELECT message_count, last_position FROM moved"
APPEND: Final = f"{_append(GIVEN)} {_MOVED}"
APPEND_ONE: Final = f"{_append(GIVEN_ONE)} {_MOVED}"

# What a statement reads is as it was before the statement: the old messages, and the old count.
_MOVED_WINDOW: Final = f"""
SELECT moved.message_count, moved.last_position, before.message_count AS count_before,
       {_of_ends("$15::bigint")}
FROM moved
JOIN conversations before ON before.id = $9 AND before.user_id = $10
LEFT JOIN LATERAL (
{_ends(conversation="$9", user="$10", limit="$14", share="$15::bigint")}
) AS ends ON true
ORDER BY ends.position"""
APPEND_WINDOW: Final = _append(GIVEN) + _MOVED_WINDOW
APPEND_ONE_WINDOW: Final = _append(GIVEN_ONE) + _MOVED_WINDOW

WINDOW: Final = f"""
SELECT c.message_count, {_of_ends("$4::bigint")}
FROM conversations c
LEFT JOIN LATERAL (
{_ends(conversation="$1", user="$2", limit="$3", share="$4::bigint")}
) AS ends ON true
WHERE c.id = $1 AND c.user_id = $2
ORDER BY ends.position"""


def _page(order: Order, *, after: str, before: str) -> str:
    """Return the query for a page of conversation $1 of user $2 between two positions.

    The bound that the page starts from is a condition, the other one is looked at afterwards: with
    both as conditions the planner expects so few rows that it may read and sort all there are.
    """
    start, end = f"m.position > {after}", f"page.position < {before}"
    if order is Order.DESC:
        start, end = f"m.position < {before}", f"page.position > {after}"
    return f"""
LEFT JOIN LATERAL (
  SELECT {message_columns("m")}, {message_bytes("m", "$6::bigint")} AS bytes FROM messages m
  WHERE m.conversation_id = $1 AND m.user_id = $2 AND {start}
  ORDER BY m.position {order.value} LIMIT $3
) AS page ON {end}
WHERE c.id = $1 AND c.user_id = $2
ORDER BY page.position {order.value}"""


_OF_PAGE: Final = within("$6::bigint", message_columns("page"), MESSAGE_TEXTS)


def _history(order: Order) -> str:
    page = _page(order, after="$4", before="$5")
    return f"SELECT {_OF_PAGE} FROM conversations c {page}"


def _history_between(order: Order) -> str:
    page = _page(order, after="coalesce(a.position, $4)", before="coalesce(b.position, $5)")
    return f"""
SELECT a.position AS after, b.position AS before, {_OF_PAGE}
FROM conversations c
LEFT JOIN messages a ON a.id = $7 AND a.user_id = $2 AND a.conversation_id = $1
LEFT JOIN messages b ON b.id = $8 AND b.user_id = $2 AND b.conversation_id = $1
{page}"""


HISTORY: Final = {order: _history(order) for order in Order}
HISTORY_BETWEEN: Final = {order: _history_between(order) for order in Order}

GET: Final = f"""
SELECT {message_columns("m")} FROM messages m
WHERE m.id = $3 AND m.user_id = $2 AND m.conversation_id = $1"""

AT: Final = f"""
SELECT {message_columns("m")} FROM messages m
WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.position = ANY($3::text[]::bigint[])"""

# One larger than $3 comes without its texts: it is none of those that it is compared with.
STORED: Final = f"""
SELECT {within("$3::bigint", message_columns("found"), MESSAGE_TEXTS)} FROM (
  SELECT {message_columns("m")}, {message_bytes("m", "$3::bigint")} AS bytes FROM messages m
  WHERE m.id = ANY($1::text[]::uuid[]) AND m.user_id = $2
) AS found"""

# The conversation is locked first, as an append and the deletion of a conversation do, so that
# they cannot wait for each other in a circle.
DELETE: Final = """
WITH locked AS (
  SELECT id, retain FROM conversations WHERE id = $1 AND user_id = $2 FOR UPDATE
), gone AS (
  DELETE FROM messages m USING locked
  WHERE m.id = $3 AND m.user_id = $2 AND m.conversation_id = locked.id AND NOT locked.retain
  RETURNING m.id
), counted AS (
  UPDATE conversations SET message_count = message_count - 1
  WHERE id = $1 AND user_id = $2 AND EXISTS (SELECT FROM gone)
)
SELECT locked.retain, EXISTS (SELECT FROM gone) AS gone
FROM locked JOIN messages m ON m.id = $3 AND m.user_id = $2 AND m.conversation_id = locked.id"""

COUNT: Final = "SELECT message_count FROM conversations WHERE id = $1 AND user_id = $2"
