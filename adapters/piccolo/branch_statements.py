"""The SQL of branches: reading, saving and deleting them.

The ranges that a branch wrote are two arrays, `firsts` and `lasts`. The current branch is being
written: its last range is open, and has no element in `lasts`.
"""

from typing import Final

from chatkeep.adapters.piccolo.change_statements import (
    NOT_ADDED_AGAIN,
    conversation_updated,
    messages_deleted,
)
from chatkeep.adapters.piccolo.rows import MESSAGE_TYPES, array_parameters
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.users import ERASE_TIMEOUT
from chatkeep.domain.model import Order

_C: Final = "c.id = :conversation_id AND c.user_id = :user_id"
_M: Final = "m.conversation_id = :conversation_id AND m.user_id = :user_id"
_I: Final = "i.conversation_id = :conversation_id AND i.user_id = :user_id"

# Nothing has changed since the branches were read. An earlier version of the service, which may
# still run, does not raise the revision when it appends or deletes.
UNCHANGED: Final = """
  AND revision = :known_revision AND last_position = :known_position
  AND message_count = :known_count"""

# The message whose place is asked for, if there is one.
TREE: Final = Statement(
    "branches.tree",
    f"""
SELECT c.branch, c.retain, c.revision, c.last_position, c.message_count, c.created_at AS began,
       m.position AS place,
       b.number, b.parent, b.left_at, b.name, b.created_at,
       b.firsts::text[] AS firsts, b.lasts::text[] AS lasts
FROM conversations c
LEFT JOIN messages m ON m.id = :message_id::uuid AND m.user_id = :user_id
  AND m.conversation_id = :conversation_id
LEFT JOIN conversation_branches b ON c.branch IS NOT NULL AND b.conversation_id = :conversation_id
  AND b.user_id = :user_id
WHERE {_C}
ORDER BY b.number""",
)

_COLUMNS: Final = (
    "number, parent, left_at, name, firsts, lasts, path_firsts, path_lasts, created_at"
)
_GIVEN: Final = f"""unnest(
    :numbers::text[]::int[], :parents::text[]::int[], :left_ats::text[]::bigint[], :names::text[],
    :firsts::text[], :lasts::text[],
    :path_firsts::text[], :path_lasts::text[],
    :began::text[]::timestamptz[]) AS given ({_COLUMNS})"""


# Stores branches, if a fragment `moved` has the conversation's row.
SAVE_BRANCHES: Final = f"""
  INSERT INTO conversation_branches (conversation_id, user_id, {_COLUMNS})
  SELECT moved.id, moved.user_id, given.number, given.parent, given.left_at, given.name,
         given.firsts::bigint[], given.lasts::bigint[],
         given.path_firsts::bigint[], given.path_lasts::bigint[], given.created_at
  FROM moved, {_GIVEN}
  ON CONFLICT (conversation_id, number, user_id) DO UPDATE
  SET parent = excluded.parent, left_at = excluded.left_at, name = excluded.name,
      firsts = excluded.firsts, lasts = excluded.lasts,
      path_firsts = excluded.path_firsts, path_lasts = excluded.path_lasts"""


SAVE: Final = Statement(
    "branches.save",
    f"""
WITH moved AS (
  UPDATE conversations SET branch = :branch, revision = revision + 1
  WHERE id = :conversation_id AND user_id = :user_id{UNCHANGED}
  RETURNING id, user_id, revision
), kept AS ({SAVE_BRANCHES}
), noted AS ({conversation_updated("moved")}
)
SELECT revision FROM moved""",
)

_FREED: Final = """unnest(:lows::text[]::bigint[], :highs::text[]::bigint[]) AS freed (low, high)"""

DELETE: Final = Statement(
    "branches.delete",
    f"""
WITH locked AS (
  SELECT id, user_id, retain FROM conversations
  WHERE id = :conversation_id AND user_id = :user_id{UNCHANGED} FOR UPDATE
), allowed AS (
  SELECT id, user_id, freed.low, freed.high
  FROM locked, {_FREED}
  WHERE NOT retain
), gone AS (
  DELETE FROM messages m USING allowed
  WHERE {_M} AND m.position BETWEEN allowed.low AND allowed.high
  RETURNING m.position, m.id, m.text_id
), gone_items AS (
  DELETE FROM conversation_items i USING allowed
  WHERE {_I} AND i.position BETWEEN allowed.low AND allowed.high
), moved AS (
  UPDATE conversations
  SET message_count = message_count - (SELECT count(*) FROM gone), revision = revision + 1
  WHERE id = :conversation_id AND user_id = :user_id
    AND EXISTS (SELECT 1 FROM locked WHERE NOT locked.retain)
  RETURNING id, user_id, revision
), noted AS ({conversation_updated("moved")}
), noted_messages AS ({messages_deleted("moved", "moved.revision")}
), kept AS ({SAVE_BRANCHES}
), dropped AS (
  DELETE FROM conversation_branches b USING moved
  WHERE b.conversation_id = :conversation_id AND b.user_id = :user_id AND b.number = :number::int
)
SELECT retain FROM locked""",
    timeout=ERASE_TIMEOUT,
)


_GONE: Final = "(SELECT count(*) FROM gone)"

# Deletes what is in ranges, unless that is on hold, and appends messages. The new ones may have ids
# of those that are deleted: the insertion needs the number that were.
REWRITE: Final = Statement(
    "branches.rewrite",
    f"""
WITH locked AS (
  SELECT id, user_id, retain, (
    EXISTS (
      SELECT 1 FROM {_FREED} CROSS JOIN LATERAL (
        SELECT FROM messages m WHERE {_M} AND m.position BETWEEN freed.low AND freed.high LIMIT 1
      ) AS any_message)
    OR EXISTS (
      SELECT 1 FROM {_FREED} CROSS JOIN LATERAL (
        SELECT FROM conversation_items i
        WHERE {_I} AND i.position BETWEEN freed.low AND freed.high LIMIT 1
      ) AS any_item)
  ) AS is_full FROM conversations
  WHERE id = :conversation_id AND user_id = :user_id{UNCHANGED} FOR UPDATE
), allowed AS (
  SELECT id, user_id, freed.low, freed.high FROM locked, {_FREED}
  WHERE NOT retain AND :agrees::boolean
), gone AS (
  DELETE FROM messages m USING allowed
  WHERE {_M} AND m.position BETWEEN allowed.low AND allowed.high
  RETURNING m.position, m.id, m.text_id
), gone_items AS (
  DELETE FROM conversation_items i USING allowed
  WHERE {_I} AND i.position BETWEEN allowed.low AND allowed.high
  RETURNING i.position
), moved AS (
  UPDATE conversations
  SET message_count = message_count - {_GONE} + :messages,
      revision = revision + (
        {_GONE} > 0 OR EXISTS (SELECT 1 FROM gone_items) OR :messages > 0)::int,
      last_position = CASE WHEN :messages > 0
        THEN greatest(:first, last_position + 1) + :messages - 1 ELSE last_position END,
      updated_at = CASE WHEN :messages > 0 THEN greatest(:at, updated_at) ELSE updated_at END
  WHERE id = :conversation_id AND user_id = :user_id
    AND EXISTS (SELECT 1 FROM locked WHERE NOT (retain AND is_full) AND :agrees)
  RETURNING id, user_id, message_count, revision, (last_position - :messages + 1)::bigint AS first
), noted AS ({messages_deleted("moved", "moved.revision", unless=NOT_ADDED_AGAIN)}
), keyed AS (
  INSERT INTO conversation_keys
    (conversation_id, user_id, key, digest, first_position, last_position, created_at)
  SELECT moved.id, moved.user_id, :key, :digest, moved.first, moved.first + :messages - 1, :at
  FROM moved WHERE :key::text IS NOT NULL
), added AS (
  INSERT INTO messages (conversation_id, user_id, position, {", ".join(MESSAGE_TYPES)})
  SELECT moved.id, moved.user_id, moved.first + n - 1,
         {
        ", ".join(
            "coalesce(given.created_at, :at)" if name == "created_at" else f"given.{name}"
            for name in MESSAGE_TYPES
        )
    }
  FROM moved, unnest({array_parameters()}) WITH ORDINALITY AS given ({", ".join(MESSAGE_TYPES)}, n)
)
SELECT locked.retain, locked.is_full, {_GONE} AS deleted, moved.message_count, moved.revision,
       moved.first
FROM locked LEFT JOIN moved ON true""",
    timeout=ERASE_TIMEOUT,
)


def _ends(order: Order) -> str:
    """Return the query for the first message of each path in an order.

    The ranges of all paths are given together; `n` is the path of each.
    """
    return f"""
SELECT DISTINCT ON (span.n) span.n, found.position, found.id, found.text_id
FROM unnest(:paths::text[]::int[], :lows::text[]::bigint[], :highs::text[]::bigint[])
  AS span (n, low, high)
CROSS JOIN LATERAL (
  SELECT m.position, m.id, m.text_id FROM messages m
  WHERE {_M} AND m.position BETWEEN span.low AND span.high
  ORDER BY m.position {order.value} LIMIT 1
) AS found
ORDER BY span.n, found.position {order.value}"""


ENDS: Final = {order: Statement(f"branches.ends.{order}", _ends(order)) for order in Order}
