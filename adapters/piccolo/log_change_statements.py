"""The SQL that deletes and rewrites entries of the log (`log_changes.py`).

Each statement locks the conversation first, like an append or the deletion of a conversation, so
that they cannot deadlock. It reads the log as it was before it waited for that lock; what it
deletes is the latest.
"""

from typing import Final

from chatkeep.adapters.piccolo.change_statements import (
    NOT_ADDED_AGAIN,
    message_updated,
    messages_deleted,
)
from chatkeep.adapters.piccolo.rows import (
    MESSAGE_TYPES,
    array_parameters,
    message_columns,
    selected_columns,
)
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.users import ERASE_TIMEOUT

_M: Final = "m.conversation_id = :conversation_id AND m.user_id = :user_id"
_I: Final = "i.conversation_id = :conversation_id AND i.user_id = :user_id"

# `agrees` means that the conversation has the revision that the caller expects.
_LOCKED: Final = """locked AS (
  SELECT id, user_id, retain, message_count, revision, branch,
         :expected::bigint IS NULL OR revision = :expected AS agrees
  FROM conversations WHERE id = :conversation_id AND user_id = :user_id FOR UPDATE
)"""

# The columns that a put compares and rewrites: the place of a message, its id and its times stay.
_KEPT: Final = frozenset({"id", "text_id", "created_at", "edited_at"})
_AUTHORED: Final = [name for name in MESSAGE_TYPES if name not in _KEPT]


def _authored(table: str) -> str:
    """Return the authored columns as a row to compare. The type json has no equality."""
    columns = (
        f"{table}.{name}::text" if MESSAGE_TYPES[name] == "json" else f"{table}.{name}"
        for name in _AUTHORED
    )
    return f"({', '.join(columns)})"


_DIFFERS: Final = f"{_authored('m')} IS DISTINCT FROM {_authored('given')}"
_GIVEN: Final = ", ".join(f":{name}::{MESSAGE_TYPES[name]} AS {name}" for name in _AUTHORED)

# `held` is the message that had the id before the statement. If it was to be replaced but is not
# `edited`, it has changed or is gone since, and the statement is run again.
PUT: Final = Statement(
    "log.put",
    f"""
WITH {_LOCKED}, given AS (SELECT {_GIVEN}), held AS (
  SELECT m.conversation_id, {message_columns("m")}, {_DIFFERS} AS differs FROM messages m, given
  WHERE m.id = :id AND m.user_id = :user_id
), edited AS (
  UPDATE messages m
  SET {", ".join(f"{name} = given.{name}" for name in _AUTHORED)},
      item = NULL, item_id = NULL, edited_at = :at
  FROM locked, given
  WHERE m.id = :id AND m.user_id = :user_id AND m.conversation_id = locked.id
    AND m.text_id IS NOT DISTINCT FROM :text_id::text
    AND NOT locked.retain AND locked.agrees AND {_DIFFERS}
  RETURNING m.conversation_id, {message_columns("m")}
), noted AS ({message_updated("edited", "locked.revision + 1")}
), revised AS (
  UPDATE conversations SET revision = revision + 1
  WHERE id = :conversation_id AND user_id = :user_id AND EXISTS (SELECT 1 FROM edited)
), moved AS (
  UPDATE conversations c
  SET revision = c.revision + 1, message_count = c.message_count + 1,
      updated_at = greatest(:at, c.updated_at),
      last_position = greatest(:first, c.last_position + 1)
  FROM locked
  WHERE c.id = locked.id AND c.user_id = :user_id AND locked.agrees
    AND NOT EXISTS (SELECT 1 FROM held)
  RETURNING c.id, c.user_id, c.last_position
), added AS (
  INSERT INTO messages AS m
    (conversation_id, user_id, position, id, text_id, created_at, {", ".join(_AUTHORED)})
  SELECT moved.id, moved.user_id, moved.last_position, :id, :text_id::text,
         coalesce(:created_at::timestamptz, :at), {", ".join(f"given.{name}" for name in _AUTHORED)}
  FROM moved, given
  RETURNING m.conversation_id, {message_columns("m")}
)
SELECT locked.retain, locked.agrees, locked.revision, found.* FROM locked LEFT JOIN (
  SELECT 'added' AS how, added.conversation_id, {selected_columns("added")} FROM added
  UNION ALL
  SELECT 'edited', edited.conversation_id, {selected_columns("edited")} FROM edited
  UNION ALL
  SELECT CASE WHEN held.differs THEN 'differs' ELSE 'equal' END, held.conversation_id,
         {selected_columns("held")}
  FROM held WHERE NOT EXISTS (SELECT 1 FROM edited)
) AS found ON true""",
)

# What a patch makes of a message was computed from what was read `before`. If that has changed
# since, nothing is written, and the latest row comes back.
PATCH: Final = Statement(
    "log.patch",
    f"""
WITH {_LOCKED}, latest AS (
  SELECT (SELECT NOT retain AND agrees FROM locked) AND m.metadata = :before::jsonb AS may_change,
         {message_columns("m")}
  FROM messages m
  WHERE m.id = :message_id AND m.user_id = :user_id AND m.conversation_id = (SELECT id FROM locked)
  FOR UPDATE
), patched AS (
  UPDATE messages m
  SET metadata = :metadata::jsonb,
      tokens = CASE WHEN :sets_tokens THEN :tokens::integer ELSE m.tokens END
  FROM latest
  WHERE m.id = latest.id AND m.user_id = :user_id AND latest.may_change
  RETURNING {message_columns("m")}
), noted AS ({message_updated("patched", "locked.revision + 1")}
), revised AS (
  UPDATE conversations SET revision = revision + 1
  WHERE id = :conversation_id AND user_id = :user_id AND EXISTS (SELECT 1 FROM patched)
)
SELECT locked.retain, locked.agrees, locked.revision, true AS done, {selected_columns("patched")}
FROM locked, patched
UNION ALL
SELECT locked.retain, locked.agrees, locked.revision, false, {selected_columns("latest")}
FROM locked, latest
WHERE NOT EXISTS (SELECT 1 FROM patched)""",
)

_PLACE: Final = "(SELECT position FROM place)"

# Whether anything is behind a place. A hold refuses only what would delete something.
_IS_FULL: Final = f"""(
  EXISTS (SELECT 1 FROM messages m WHERE {_M} AND m.position > {_PLACE})
  OR EXISTS (SELECT 1 FROM conversation_items i WHERE {_I} AND i.position > {_PLACE})
)"""


def _gone(source: str) -> str:
    """Return the fragment that deletes everything behind a place, if `source` has a row."""
    return f"""gone AS (
  DELETE FROM messages m USING {source}
  WHERE m.conversation_id = {source}.id AND m.user_id = :user_id AND m.position > {_PLACE}
    AND NOT {source}.retain AND {source}.agrees AND {source}.branch IS NULL
  RETURNING m.position, m.id, m.text_id
), gone_items AS (
  DELETE FROM conversation_items i USING {source}
  WHERE i.conversation_id = {source}.id AND i.user_id = :user_id AND i.position > {_PLACE}
    AND NOT {source}.retain AND {source}.agrees AND {source}.branch IS NULL
  RETURNING i.position
)"""


_GONE: Final = "(SELECT count(*) FROM gone)"
_GONE_ANY: Final = "(EXISTS (SELECT 1 FROM gone) OR EXISTS (SELECT 1 FROM gone_items))"

# The place is that of a message, or just before it unless the message is kept.
TRUNCATE: Final = Statement(
    "log.truncate",
    f"""
WITH {_LOCKED}, place AS (
  SELECT m.position - CASE WHEN :keep THEN 0 ELSE 1 END AS position FROM messages m
  WHERE m.id = :message_id AND m.user_id = :user_id AND m.conversation_id = :conversation_id
), {_gone("locked")}, noted AS ({messages_deleted("locked", "locked.revision + 1")}
), counted AS (
  UPDATE conversations SET message_count = message_count - {_GONE}, revision = revision + 1
  WHERE id = :conversation_id AND user_id = :user_id
    AND {_GONE_ANY}
)
SELECT locked.retain, locked.agrees, locked.revision, locked.branch, {_IS_FULL} AS is_full,
       {_GONE} AS deleted, {_GONE_ANY} AS gone, locked.message_count - {_GONE} AS message_count
FROM locked, place""",
    timeout=ERASE_TIMEOUT,
)

_NEW: Final = ", ".join(
    "coalesce(given.created_at, :at)" if name == "created_at" else f"given.{name}"
    for name in MESSAGE_TYPES
)

# The suffix is compared in the state before the lock, so nothing may have changed (`late`) while
# the statement waited for it. The new messages may have ids of those that are deleted: `moved`, and
# so the insertion, need the number of those.
REPLACE: Final = Statement(
    "log.replace",
    f"""
WITH {_LOCKED}, before AS (
  SELECT c.revision FROM conversations c
  WHERE c.id = :conversation_id AND c.user_id = :user_id
), place AS (
  SELECT CASE WHEN :after::uuid IS NULL THEN 0 ELSE (
    SELECT m.position FROM messages m
    WHERE m.id = :after AND m.user_id = :user_id AND m.conversation_id = :conversation_id
  ) END AS position
), suffix AS (
  SELECT coalesce(array_agg(id ORDER BY position), '{{}}') AS ids,
         array_agg(text_id ORDER BY position) AS text_ids
  FROM (
    SELECT m.id, m.text_id, m.position FROM messages m WHERE {_M} AND m.position > {_PLACE}
    ORDER BY m.position LIMIT :most
  ) AS found
), agreed AS (
  SELECT locked.id, locked.user_id, locked.retain, locked.agrees, locked.branch
  FROM locked JOIN before USING (revision), suffix
  WHERE suffix.ids = :suffix::text[]::uuid[] AND {_PLACE} IS NOT NULL AND locked.agrees
    AND NOT (locked.retain AND {_IS_FULL}) AND locked.branch IS NULL
), {_gone("agreed")}, moved AS (
  UPDATE conversations c
  SET revision = c.revision + 1, message_count = c.message_count - {_GONE} + :messages,
      last_position = CASE WHEN :messages > 0
        THEN greatest(:first, c.last_position + 1) + :messages - 1 ELSE c.last_position END,
      updated_at = CASE WHEN :messages > 0 THEN greatest(:at, c.updated_at) ELSE c.updated_at END
  FROM agreed WHERE c.id = agreed.id AND c.user_id = :user_id
  RETURNING c.id, c.user_id, c.message_count, c.revision,
            (c.last_position - :messages + 1)::bigint AS first
), added AS (
  INSERT INTO messages (conversation_id, user_id, position, {", ".join(MESSAGE_TYPES)})
  SELECT moved.id, moved.user_id, moved.first + n - 1, {_NEW}
  FROM moved, unnest({array_parameters()}) WITH ORDINALITY AS given ({", ".join(MESSAGE_TYPES)}, n)
), noted AS ({messages_deleted("moved", "moved.revision", unless=NOT_ADDED_AGAIN)}
), keyed AS (
  INSERT INTO conversation_keys
    (conversation_id, user_id, key, digest, first_position, last_position, created_at)
  SELECT moved.id, moved.user_id, :key, :digest, moved.first, moved.first + :messages - 1, :at
  FROM moved WHERE :key::text IS NOT NULL
)
SELECT {_PLACE} AS place, suffix.ids::text[], suffix.text_ids,
       locked.retain, locked.agrees, locked.branch,
       {_IS_FULL} AS is_full, {_GONE} AS deleted, moved.message_count, moved.first,
       coalesce(moved.revision, locked.revision) AS revision,
       locked.revision <> before.revision AS late
FROM locked CROSS JOIN before CROSS JOIN suffix LEFT JOIN moved ON true""",
    timeout=ERASE_TIMEOUT,
)
