"""The SQL of keeping the search index. It is described in `domain.search_index`.

Arrays are sent as texts, whose type the driver knows without asking the database.
"""

from typing import Final

from chatkeep.adapters.piccolo.statement import Statement

INDEX_TIMEOUT: Final = 30.0
"""Seconds. A step is small, but may wait for another one of the same user."""

# Changes with any entry of a segment, as `domain.search_index.mark` does: a row that was written
# again has another xmin.
MARK: Final = "sum(entry.version)::bigint * 1000 + count(*)"

# The conversations that are not in the index as they are now, latest first; and how many they are.
# Each row of the index has a conversation, so the join could as well be a left one. But Postgres
# cannot make a full one in a loop. A loop, planned while the index was small, would compare every
# conversation with every other one until the table is analyzed.
STALE: Final = Statement(
    "search.stale",
    """
SELECT c.id, c.message_count, s.version, s.revision, s.rest_before, c.revision AS latest,
       coalesce(s.index_version < :index_version, false) AS is_old,
       count(*) OVER () AS conversations, sum(c.message_count) OVER () AS messages
FROM (
  SELECT id, message_count, revision, updated_at FROM conversations WHERE user_id = :user_id
) AS c
FULL JOIN (
  SELECT conversation_id, version, revision, rest_before, index_version
  FROM search_conversations
  WHERE user_id = :user_id
) AS s ON s.conversation_id = c.id
WHERE s.revision IS DISTINCT FROM c.revision OR s.rest_before IS NOT NULL
   OR s.index_version < :index_version
ORDER BY c.updated_at DESC, c.id DESC LIMIT :limit""",
)

# The segments of some conversations, with the marks and the bytes that they would have now.
SEGMENTS: Final = Statement(
    "search.segments",
    f"""
SELECT s.conversation_id, s.first, s.last, latest.mark IS NOT DISTINCT FROM s.mark AS is_same,
       latest.bytes
FROM search_segments s
LEFT JOIN LATERAL (
  SELECT {MARK} AS mark, sum(entry.bytes) AS bytes
  FROM (
    SELECT m.xmin::text::bigint AS version,
           coalesce(octet_length(m.content), 0) + coalesce(pg_column_size(m.tool_calls), 0) AS bytes
    FROM messages m
    WHERE m.conversation_id = s.conversation_id AND m.user_id = :user_id
      AND m.position BETWEEN s.first AND s.last
    UNION ALL
    SELECT i.xmin::text::bigint, pg_column_size(i.item) FROM conversation_items i
    WHERE i.conversation_id = s.conversation_id AND i.user_id = :user_id
      AND i.position BETWEEN s.first AND s.last
  ) AS entry
) AS latest ON true
WHERE s.user_id = :user_id AND s.conversation_id = ANY (:ids::text[]::uuid[])
ORDER BY s.conversation_id, s.first""",
)


def _read(order: str) -> str:
    return f"""
SELECT wanted.n, c.title, e.position, e.version, e.content, e.parts, e.tool_calls, e.item,
       e.size, e.is_last
FROM unnest(:ids::text[]::uuid[], :lows::text[]::bigint[], :highs::text[]::bigint[])
  WITH ORDINALITY AS wanted (id, low, high, n)
JOIN conversations c ON c.id = wanted.id AND c.user_id = :user_id
LEFT JOIN LATERAL (
  SELECT near.*, left(near.whole, :chars) AS content
  FROM (
    SELECT e.*, sum(e.size) OVER before AS bytes,
           lead(e.position) OVER before IS NULL AND count(*) OVER () < :limit AS is_last
    FROM (
      (
        SELECT m.xmin::text::bigint AS version, m.position, m.content AS whole, m.tool_calls,
               CASE WHEN m.content = '' THEN m.parts END AS parts, NULL::json AS item,
               coalesce(octet_length(m.content), 0)
               + coalesce(octet_length(m.tool_calls::text), 0)
               + CASE WHEN m.content = '' THEN coalesce(octet_length(m.parts::text), 0) ELSE 0 END
               AS size
        FROM messages m
        WHERE m.conversation_id = wanted.id AND m.user_id = :user_id
          AND m.position BETWEEN wanted.low AND wanted.high
        ORDER BY m.position {order} LIMIT :limit
      )
      UNION ALL
      (
        SELECT i.xmin::text::bigint, i.position, NULL, NULL::jsonb, NULL::json, i.item,
               octet_length(i.item::text)
        FROM conversation_items i
        WHERE i.conversation_id = wanted.id AND i.user_id = :user_id
          AND i.position BETWEEN wanted.low AND wanted.high
        ORDER BY i.position {order} LIMIT :limit
      )
      ORDER BY position {order} LIMIT :limit
    ) AS e
    WINDOW before AS (ORDER BY e.position {order})
  ) AS near
  WHERE near.bytes - near.size < :bytes
  ORDER BY near.position {order}
) AS e ON true
ORDER BY wanted.n, e.position {order}"""


# The entries in a range of each conversation: the latest ones, or the oldest. `is_last` marks the
# last one of the range.
READ_BACK: Final = Statement("search.read_back", _read("DESC"))
READ_ON: Final = Statement("search.read_on", _read("ASC"))

# A conversation is written only if its version is the one that was read: of two searches that add
# the same to the index at once, one does it. A conversation that is about to be deleted is left
# out; so the statement waits for nothing but another one like it, and these go in order.
WRITE: Final = Statement(
    "search.write",
    """
WITH read AS (
  SELECT * FROM unnest(
    :ids::text[]::uuid[], :versions::text[]::bigint[], :revisions::text[]::bigint[],
    :rests::text[]::bigint[], :titles::text[]::bytea[]
  ) AS read (id, version, revision, rest_before, title_filter)
), there AS (
  SELECT c.id FROM read CROSS JOIN LATERAL (
    SELECT c.id FROM conversations c WHERE c.id = read.id AND c.user_id = :user_id
    FOR KEY SHARE SKIP LOCKED
  ) AS c
), claimed AS (
  INSERT INTO search_conversations AS s
    (user_id, conversation_id, version, revision, rest_before, title_filter, index_version)
  SELECT :user_id, id, version + 1, revision, rest_before, title_filter, :index_version::integer
  FROM read JOIN there USING (id) ORDER BY id
  ON CONFLICT (user_id, conversation_id) DO UPDATE
  SET version = excluded.version, revision = excluded.revision,
      rest_before = excluded.rest_before, title_filter = excluded.title_filter,
      index_version = excluded.index_version
  WHERE s.user_id = :user_id AND s.version = excluded.version - 1
  RETURNING s.conversation_id
), made AS (
  SELECT made.* FROM unnest(
    :segment_ids::text[]::uuid[], :firsts::text[]::bigint[], :lasts::text[]::bigint[],
    :marks::text[]::bigint[], :places::text[]::bytea[], :filters::text[]::bytea[]
  ) AS made (conversation_id, first, last, mark, places, filter)
  JOIN claimed USING (conversation_id)
), gone AS (
  DELETE FROM search_segments s
  USING claimed,
        unnest(:range_ids::text[]::uuid[], :lows::text[]::bigint[], :highs::text[]::bigint[])
        AS range (id, low, high)
  WHERE s.user_id = :user_id AND s.conversation_id = range.id
    AND claimed.conversation_id = range.id AND s.first BETWEEN range.low AND range.high
    AND NOT EXISTS (SELECT 1 FROM made
                    WHERE made.conversation_id = s.conversation_id AND made.first = s.first)
), added AS (
  INSERT INTO search_segments (user_id, conversation_id, first, last, mark, places, filter)
  SELECT :user_id, conversation_id, first, last, mark, places, filter FROM made
  ON CONFLICT (user_id, conversation_id, first) DO UPDATE
  SET last = excluded.last, mark = excluded.mark, places = excluded.places,
      filter = excluded.filter
)
SELECT conversation_id FROM claimed""",
    timeout=INDEX_TIMEOUT,
)
