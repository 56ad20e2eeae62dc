"""The SQL of events: reading those of a conversation, and which conversations have new ones."""

from typing import Final

from chatkeep.adapters.piccolo.bounds import MESSAGE_TEXTS, message_bytes, within
from chatkeep.adapters.piccolo.draft_statements import MAX_WRITES
from chatkeep.adapters.piccolo.rows import message_columns, selected_columns
from chatkeep.adapters.piccolo.statement import Statement

_C: Final = "c.id = :conversation_id AND c.user_id = :user_id"
_M: Final = "m.conversation_id = :conversation_id AND m.user_id = :user_id"
_SHARE: Final = ":share::bigint"
_D: Final = "d.conversation_id = :conversation_id AND d.user_id = :user_id"
_STATE: Final = "c.created_at AS began, c.revision, c.last_position, c.branch"

LATEST: Final = Statement(
    "events.latest",
    f"""
SELECT {_STATE}, (SELECT d.number FROM drafts d WHERE {_D} AND d.status = 'active') AS active
FROM conversations c WHERE {_C}""",
)

_FOUND: Final = "found.changed, found.number, found.kind, found.gone_id, found.gone_text_id"

_PENDING: Final = """pending.number AS draft, pending.id AS draft_id,
       pending.text_id AS draft_text_id, pending.next_chunk,
       pending.format AS draft_format, pending.status AS draft_status,
       pending.progress_at AS draft_progress_at, pending.lease AS draft_lease,
       pending.ends_by AS draft_ends_by, written.last_chunk, written.chunks"""

# New messages in order, then what was changed. A change comes with the message as it is now, if it
# is there. Without branches, the parent of the first new message is the message before it. If there
# is neither, the next chunks of the draft come along.
READ: Final = Statement(
    "events.read",
    f"""
SELECT {_STATE}, {_PENDING}, before.id AS parent_id, before.text_id AS parent_text_id,
       {_FOUND}, {within(_SHARE, selected_columns("found"), MESSAGE_TEXTS)}
FROM conversations c
LEFT JOIN LATERAL (
  (SELECT NULL::bigint AS changed, NULL::int AS number, NULL AS kind, NULL::uuid AS gone_id,
          NULL AS gone_text_id, {message_columns("m")}, {message_bytes("m", _SHARE)} AS bytes
   FROM messages m
   WHERE {_M} AND m.position > :after ORDER BY m.position LIMIT :limit)
  UNION ALL
  (SELECT h.revision, h.number, h.kind, h.message_id, h.text_id,
          {message_columns("m")}, {message_bytes("m", _SHARE)}
   FROM (
     SELECT h.revision, h.number, h.kind, h.message_id, h.text_id FROM conversation_changes h
     WHERE h.conversation_id = :conversation_id AND h.user_id = :user_id
       AND (h.revision, h.number) > (:revision::bigint, :number::int)
       AND h.revision <= c.revision
     ORDER BY h.revision, h.number LIMIT :limit
   ) AS h
   LEFT JOIN messages m ON m.id = h.message_id AND m.user_id = :user_id
     AND m.conversation_id = :conversation_id)
) AS found ON true
LEFT JOIN LATERAL (
  SELECT m.id, m.text_id FROM messages m
  WHERE {_M} AND m.position <= :after ORDER BY m.position DESC LIMIT 1
) AS before ON found.changed IS NULL AND found.id IS NOT NULL AND c.branch IS NULL
LEFT JOIN LATERAL (
  SELECT d.number, d.id, d.text_id, d.next_chunk, d.format, d.status, d.progress_at, d.lease,
         d.ends_by
  FROM drafts d
  WHERE {_D} AND d.number >= :draft AND (d.status = 'active' OR NOT :is_start::boolean)
  ORDER BY d.number LIMIT 1
) AS pending ON true
LEFT JOIN LATERAL (
  SELECT max(page.seq) AS last_chunk, array_agg(each.text ORDER BY page.seq, each.n) AS chunks
  FROM (
    SELECT k.seq, k.chunks, sum(k.bytes) OVER (ORDER BY k.seq) - k.bytes AS before
    FROM draft_chunks k
    WHERE k.user_id = :user_id AND k.conversation_id = :conversation_id
      AND k.draft = pending.number
      AND k.seq > CASE WHEN pending.number = :draft THEN :chunk::int ELSE 0 END
      AND found.position IS NULL AND found.changed IS NULL AND :chunk_bytes::bigint > 0
    ORDER BY k.seq LIMIT {MAX_WRITES}
  ) AS page, unnest(page.chunks) WITH ORDINALITY AS each (text, n)
  WHERE page.before = 0 OR page.before < :chunk_bytes::bigint
) AS written ON true
WHERE {_C}
ORDER BY found.changed NULLS FIRST, found.number, found.position""",
)

FORGET: Final = Statement(
    "events.forget",
    """
DELETE FROM conversation_changes h USING (
  SELECT old.conversation_id, old.user_id, old.revision, old.number FROM conversation_changes old
  WHERE old.changed_at < :before LIMIT :limit
) AS old
WHERE h.conversation_id = old.conversation_id AND h.user_id = old.user_id
  AND h.revision = old.revision AND h.number = old.number
RETURNING h.number""",
)


def _moved(of_user: tuple[str, str] = ("", "")) -> str:
    """Return the query for those of the given conversations that have moved.

    `of_user` are conditions for conversations and drafts.
    """
    conversations, drafts = of_user
    return f"""
SELECT followed.n
FROM unnest(:user_ids::text[], :ids::text[]::uuid[], :revisions::text[]::bigint[],
            :drafts::text[]::bigint[], :chunks::text[]::bigint[])
  WITH ORDINALITY AS followed (user_id, id, revision, draft, chunk, n)
LEFT JOIN conversations c ON c.id = followed.id AND c.user_id = followed.user_id{conversations}
LEFT JOIN LATERAL (
  SELECT d.number, d.next_chunk, d.status FROM drafts d
  WHERE d.conversation_id = followed.id AND d.user_id = followed.user_id{drafts}
    AND d.number >= followed.draft
  ORDER BY d.number LIMIT 1
) AS d ON true
WHERE c.id IS NULL
  OR (followed.revision <> :any_revision::bigint AND c.revision <> followed.revision)
  OR d.number > followed.draft OR d.next_chunk > followed.chunk + 1 OR d.status <> 'active'"""


MOVED: Final = Statement("events.moved", _moved())
"""Of the conversations that are given, each with its user."""

MOVED_OF_USER: Final = Statement(
    "events.moved_of_user",
    _moved((" AND c.user_id = :user_id", " AND d.user_id = :user_id")),
)
"""The same, if all are of one user."""

MOVED_SINCE: Final = Statement(
    "events.moved_since",
    """
SELECT found.id, max(found.text_id) AS text_id, max(found.moved_at) AS moved_at,
       max(found.created_at) AS created_at, max(found.revision) AS revision,
       min(found.changed) AS changed
FROM (
  (SELECT c.id, c.text_id, c.updated_at AS moved_at, c.created_at, c.revision,
          NULL::bigint AS changed
   FROM conversations c
   WHERE c.user_id = :user_id AND c.updated_at >= :since
     AND (c.updated_at, c.id) > (:since, :key)
   ORDER BY c.updated_at, c.id LIMIT :limit)
  UNION ALL
  (SELECT h.id, coalesce(c.text_id, h.text_id), h.moved_at, c.created_at,
          coalesce(c.revision, h.revision), h.changed
   FROM (
     SELECT h.conversation_id AS id, max(h.changed_at) AS moved_at, min(h.revision) AS changed,
            max(h.revision) AS revision,
            max(CASE WHEN h.kind = 'conversation.deleted' THEN h.text_id END) AS text_id
     FROM conversation_changes h
     WHERE h.user_id = :user_id AND h.changed_at >= :since
     GROUP BY h.conversation_id
     HAVING (max(h.changed_at), h.conversation_id) > (:since, :key)
     ORDER BY max(h.changed_at), h.conversation_id LIMIT :limit
   ) AS h
   LEFT JOIN conversations c ON c.id = h.id AND c.user_id = :user_id)
) AS found
GROUP BY found.id
ORDER BY moved_at, found.id LIMIT :limit""",
)


def _activity(of_user: tuple[str, str] = ("", "")) -> str:
    """Return the query for how active the given users are, with conditions as in `_moved`."""
    conversations, changes = of_user
    return f"""
SELECT concat_ws('.', c.count, c.revisions, h.count) AS activity
FROM unnest(:user_ids::text[], :sinces::text[]::timestamptz[])
  WITH ORDINALITY AS followed (user_id, since, n)
CROSS JOIN LATERAL (
  SELECT count(*), sum(c.revision) AS revisions FROM conversations c
  WHERE c.user_id = followed.user_id AND c.updated_at > followed.since{conversations}
) AS c
CROSS JOIN LATERAL (
  SELECT count(*) FROM conversation_changes h
  WHERE h.user_id = followed.user_id AND h.changed_at > followed.since{changes}
) AS h
ORDER BY followed.n"""


ACTIVITY: Final = Statement("events.activity", _activity())
"""Of the users that are given."""

ACTIVITY_OF_USER: Final = Statement(
    "events.activity_of_user",
    _activity((" AND c.user_id = :user_id", " AND h.user_id = :user_id")),
)
"""The same, of one user who may be given several times."""
