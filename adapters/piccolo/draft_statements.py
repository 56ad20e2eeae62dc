"""The SQL of drafts. Each statement is one round trip, and names the user of every table.

Statements that change a conversation lock its row first, and then that of the draft. A write locks
only the draft. Conditions on the draft hold for its latest version, since they are checked again
after a wait for the lock.
"""

from typing import Final

from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import DraftRows, column_names

MAX_FORGOTTEN: Final = 10
"""How many ended drafts a start deletes."""

MAX_WRITES: Final = 1_000
"""How many writes one read of chunks returns."""

_NAMES: Final = column_names(DraftRows)
_C: Final = "c.id = :conversation_id AND c.user_id = :user_id"
_D: Final = "d.user_id = :user_id AND d.conversation_id = :conversation_id"


def draft_columns(table: str) -> str:
    """Return what to select for `to_draft`."""
    return ", ".join(f"{table}.{name}" for name in _NAMES)


START: Final = Statement(
    "drafts.start",
    f"""
WITH held AS (
  SELECT {draft_columns("d")} FROM drafts d WHERE {_D} AND (d.status = 'active' OR d.id = :id)
), taken AS (
  SELECT m.id FROM messages m WHERE m.id = :message_id AND m.user_id = :user_id
), moved AS (
  UPDATE conversations SET last_position = greatest(:first, last_position + 1)
  WHERE id = :conversation_id AND user_id = :user_id
    AND NOT EXISTS (SELECT 1 FROM held) AND NOT EXISTS (SELECT 1 FROM taken)
  RETURNING id, user_id, last_position
), added AS (
  INSERT INTO drafts AS d ({", ".join(_NAMES)})
  SELECT moved.user_id, moved.id, moved.last_position, :id, :text_id, :epoch, 'active',
         :message_id, :message_text_id, :place, :format, :metadata::jsonb, :lease, :next_chunk,
         0, 0, :started_at, :started_at, :ends_by, NULL, NULL
  FROM moved
  RETURNING {draft_columns("d")}
), old AS (
  SELECT o.conversation_id, o.number FROM drafts o
  WHERE o.user_id = :user_id AND o.ended_at < :forget_before
  ORDER BY o.ended_at LIMIT {MAX_FORGOTTEN} FOR UPDATE SKIP LOCKED
), forgotten AS (
  DELETE FROM drafts d USING old
  WHERE d.user_id = :user_id AND d.conversation_id = old.conversation_id AND d.number = old.number
)
SELECT EXISTS (SELECT 1 FROM taken) AS is_taken, found.*
FROM conversations c LEFT JOIN (
  SELECT true AS is_new, {draft_columns("added")} FROM added
  UNION ALL
  SELECT false, {draft_columns("held")} FROM held
) AS found ON true
WHERE {_C}""",
)

TAKE_OVER: Final = Statement(
    "drafts.take_over",
    f"""
UPDATE drafts d SET epoch = d.epoch + 1, progress_at = greatest(:at, d.progress_at)
WHERE {_D} AND d.number = :number AND d.status = 'active' AND d.epoch = :epoch
RETURNING {draft_columns("d")}""",
)

# `fresh` are the chunks that are not stored yet. If none may be written, the draft comes back as it
# is, and says why.
WRITE: Final = Statement(
    "drafts.write",
    f"""
WITH held AS (
  SELECT {draft_columns("d")} FROM drafts d WHERE {_D} AND d.id = :id FOR NO KEY UPDATE
), fresh AS (
  SELECT array_agg(given.text ORDER BY given.n) AS chunks, count(*)::integer AS count,
         sum(given.bytes)::integer AS bytes, sum(given.chars)::integer AS chars
  FROM held, unnest(:chunks::text[], :bytes::text[]::integer[], :chars::text[]::integer[])
    WITH ORDINALITY AS given (text, bytes, chars, n)
  WHERE :seq + given.n - 1 >= held.next_chunk
), allowed AS (
  SELECT held.number, held.next_chunk, fresh.chunks, fresh.count, fresh.bytes, fresh.chars
  FROM held, fresh
  WHERE fresh.count > 0 AND held.status = 'active' AND held.epoch = :epoch
    AND held.ends_by > :at AND held.next_chunk >= :seq
    AND (held.format = 'text') <> :are_documents
    AND (:max_bytes::bigint = 0 OR held.bytes + fresh.bytes <= :max_bytes)
    AND (:max_chars::bigint = 0 OR held.format <> 'text' OR held.chars + fresh.chars <= :max_chars)
), written AS (
  UPDATE drafts d
  SET next_chunk = d.next_chunk + allowed.count, bytes = d.bytes + allowed.bytes,
      chars = d.chars + allowed.chars, progress_at = greatest(:at, d.progress_at)
  FROM allowed
  WHERE {_D} AND d.number = allowed.number
  RETURNING {draft_columns("d")}
), added AS (
  INSERT INTO draft_chunks (user_id, conversation_id, draft, seq, chunks, bytes)
  SELECT :user_id, :conversation_id, allowed.number, allowed.next_chunk + allowed.count - 1,
         allowed.chunks, allowed.bytes
  FROM allowed
)
SELECT true AS is_written, {draft_columns("written")} FROM written
UNION ALL
SELECT false, {draft_columns("held")} FROM held WHERE NOT EXISTS (SELECT 1 FROM written)""",
)

# The draft that ends, if it is still as it was read. Statements that also append its message are in
# `log_append_statements.py`.
HELD: Final = f"""locked AS (
  SELECT c.id, c.user_id FROM conversations c WHERE {_C} FOR UPDATE
), held AS (
  SELECT d.number FROM drafts d
  WHERE {_D} AND d.number = :number AND d.status = 'active' AND d.epoch = :epoch
    AND d.next_chunk = :next_chunk AND EXISTS (SELECT 1 FROM locked)
  FOR NO KEY UPDATE
)"""
ENDED: Final = "status = :status, ended_at = greatest(:ended_at, d.started_at)"
END_EMPTY: Final = Statement(
    "drafts.end_empty",
    f"""
WITH {HELD}, ended AS (
  UPDATE drafts d SET {ENDED} FROM held
  WHERE {_D} AND d.number = held.number
  RETURNING {draft_columns("d")}
)
SELECT c.message_count, c.revision, c.branch, {draft_columns("ended")}
FROM ended, conversations c WHERE {_C}""",
)

GET: Final = Statement(
    "drafts.get", f"SELECT {draft_columns('d')} FROM drafts d WHERE {_D} AND d.id = :id"
)
LATEST: Final = Statement(
    "drafts.latest",
    f"""
SELECT found.* FROM conversations c LEFT JOIN (
  SELECT {draft_columns("d")} FROM drafts d WHERE {_D} ORDER BY d.number DESC LIMIT :limit
) AS found ON true
WHERE {_C}
ORDER BY found.number DESC""",
)

# `before` are the bytes of what precedes a row on the page.
CHUNKS: Final = Statement(
    "drafts.chunks",
    f"""
SELECT page.seq, page.chunks FROM (
  SELECT k.seq, k.chunks, sum(k.bytes) OVER (ORDER BY k.seq) - k.bytes AS before
  FROM draft_chunks k
  WHERE k.user_id = :user_id AND k.conversation_id = :conversation_id AND k.draft = :number
    AND k.seq > :after
  ORDER BY k.seq LIMIT {MAX_WRITES}
) AS page
WHERE page.before = 0 OR page.before < :max_bytes::bigint
ORDER BY page.seq""",
)

OVERDUE: Final = Statement(
    "drafts.overdue",
    f"""
SELECT {draft_columns("d")} FROM drafts d
WHERE d.status = 'active'
  AND (d.ends_by <= :at OR d.progress_at + d.lease * interval '1 second' <= :at)
LIMIT :limit""",
)
FORGET: Final = Statement(
    "drafts.forget",
    """
WITH old AS (
  SELECT o.user_id, o.conversation_id, o.number FROM drafts o
  WHERE o.ended_at < :before LIMIT :limit FOR UPDATE SKIP LOCKED
)
DELETE FROM drafts d USING old
WHERE d.user_id = old.user_id AND d.conversation_id = old.conversation_id
  AND d.number = old.number
RETURNING d.number""",
)
FORGET_WAITING: Final = Statement(
    "drafts.forget_waiting",
    """
DELETE FROM drafts d USING (
  SELECT o.user_id, o.conversation_id, o.number FROM drafts o
  WHERE o.ended_at < :before LIMIT :limit
) AS old
WHERE d.user_id = old.user_id AND d.conversation_id = old.conversation_id
  AND d.number = old.number
RETURNING d.number""",
)
"""The same without SKIP LOCKED, for a database that is distributed by user."""
