"""The SQL that deletes and rewrites the end of a log (`log_changes.py`).

Each statement locks the conversation first, like an append or the deletion of a conversation, so
that they cannot deadlock. It reads the log as it was before it waited for that lock; what it
deletes is the latest.
"""

from typing import Final

from chatkeep.adapters.piccolo.rows import MESSAGE_TYPES, array_parameters
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.users import ERASE_TIMEOUT

_M: Final = "m.conversation_id = :conversation_id AND m.user_id = :user_id"
_I: Final = "i.conversation_id = :conversation_id AND i.user_id = :user_id"

_LOCKED: Final = """locked AS (
  SELECT id, user_id, retain, message_count, last_position FROM conversations
  WHERE id = :conversation_id AND user_id = :user_id FOR UPDATE
)"""

_PLACE: Final = "(SELECT position FROM place)"

# Whether anything is behind a place. A hold refuses only what would delete something.
_IS_FULL: Final = f"""(
  EXISTS (SELECT FROM messages m WHERE {_M} AND m.position > {_PLACE})
  OR EXISTS (SELECT FROM conversation_items i WHERE {_I} AND i.position > {_PLACE})
)"""


def _gone(source: str) -> str:
    """Return the fragment that deletes everything behind a place, if `source` has a row."""
    return f"""gone AS (
  DELETE FROM messages m USING {source}
  WHERE m.conversation_id = {source}.id AND m.user_id = :user_id AND m.position > {_PLACE}
    AND NOT {source}.retain
  RETURNING m.position
), gone_items AS (
  DELETE FROM conversation_items i USING {source}
  WHERE i.conversation_id = {source}.id AND i.user_id = :user_id AND i.position > {_PLACE}
    AND NOT {source}.retain
  RETURNING i.position
)"""


_GONE: Final = "(SELECT count(*) FROM gone)"

# The place is that of a message, or just before it unless the message is kept.
TRUNCATE: Final = Statement(
    "log.truncate",
    f"""
WITH {_LOCKED}, place AS (
  SELECT m.position - CASE WHEN :keep THEN 0 ELSE 1 END AS position FROM messages m
  WHERE m.id = :message_id AND m.user_id = :user_id AND m.conversation_id = :conversation_id
), {_gone("locked")}, counted AS (
  UPDATE conversations SET message_count = message_count - {_GONE}, revision = revision + 1
  WHERE id = :conversation_id AND user_id = :user_id
    AND (EXISTS (SELECT FROM gone) OR EXISTS (SELECT FROM gone_items))
)
SELECT locked.retain AND {_IS_FULL} AS refused, {_GONE} AS deleted,
       locked.message_count - {_GONE} AS message_count
FROM locked, place""",
    timeout=ERASE_TIMEOUT,
)

# The suffix is compared in the state before the lock, so nothing may have changed while the
# statement waited for it. The new messages may have ids of those that are deleted: the positions
# of `moved`, and so the insertion, need the number that were deleted.
REPLACE: Final = Statement(
    "log.replace",
    f"""
WITH {_LOCKED}, before AS (
  SELECT c.message_count, c.last_position FROM conversations c
  WHERE c.id = :conversation_id AND c.user_id = :user_id
), place AS (
  SELECT CASE WHEN :after::uuid IS NULL THEN 0 ELSE (
    SELECT m.position FROM messages m
    WHERE m.id = :after AND m.user_id = :user_id AND m.conversation_id = :conversation_id
  ) END AS position
), suffix AS (
  SELECT array(
    SELECT m.id FROM messages m WHERE {_M} AND m.position > {_PLACE}
    ORDER BY m.position LIMIT :most
  ) AS ids
), agreed AS (
  SELECT locked.id, locked.user_id, locked.retain
  FROM locked JOIN before USING (message_count, last_position), suffix
  WHERE suffix.ids = :expected::text[]::uuid[] AND {_PLACE} IS NOT NULL
    AND NOT (locked.retain AND {_IS_FULL})
), {_gone("agreed")}, moved AS (
  UPDATE conversations c
  SET revision = c.revision + 1, message_count = c.message_count - {_GONE} + :messages,
      last_position = CASE WHEN :messages > 0
        THEN greatest(:first, c.last_position + 1) + :messages - 1 ELSE c.last_position END,
      updated_at = CASE WHEN :messages > 0 THEN greatest(:at, c.updated_at) ELSE c.updated_at END
  FROM agreed WHERE c.id = agreed.id AND c.user_id = :user_id
  RETURNING c.id, c.user_id, c.message_count, (c.last_position - :messages + 1)::bigint AS first
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
SELECT {_PLACE} AS place, suffix.ids, locked.retain AND {_IS_FULL} AS refused, {_GONE} AS deleted,
       moved.message_count, moved.first,
       (locked.message_count, locked.last_position)
         IS DISTINCT FROM (before.message_count, before.last_position) AS late
FROM locked CROSS JOIN before CROSS JOIN suffix LEFT JOIN moved ON true""",
    timeout=ERASE_TIMEOUT,
)
