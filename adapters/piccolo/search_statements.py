"""The SQL of search. The index is described in `domain.search_index`.

Arrays are sent as texts, whose type the driver knows without asking the database.
"""

from typing import Final

from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.search_index import HASHES, MAX_LANES, PLACE_BYTES

INDEX_TIMEOUT: Final = 30.0
"""Seconds. A step is small, but may wait for another one of the same user."""

# Changes with any message of a segment, as `domain.search_index.mark` does: a row that was written
# again has another xmin.
MARK: Final = "sum(m.xmin::text::bigint)::bigint * 1000 + count(*)"

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
  SELECT {MARK} AS mark,
         sum(coalesce(octet_length(m.content), 0)
             + coalesce(pg_column_size(m.tool_calls), 0)) AS bytes
  FROM messages m
  WHERE m.conversation_id = s.conversation_id AND m.user_id = :user_id
    AND m.position BETWEEN s.first AND s.last
) AS latest ON true
WHERE s.user_id = :user_id AND s.conversation_id = ANY (:ids::text[]::uuid[])
ORDER BY s.conversation_id, s.first""",
)


def _read(order: str) -> str:
    return f"""
SELECT wanted.n, c.title, m.position, m.version, m.content, m.parts, m.tool_calls,
       m.is_last
FROM unnest(:ids::text[]::uuid[], :lows::text[]::bigint[], :highs::text[]::bigint[])
  WITH ORDINALITY AS wanted (id, low, high, n)
JOIN conversations c ON c.id = wanted.id AND c.user_id = :user_id
LEFT JOIN LATERAL (
  SELECT near.position, near.version, near.is_last, left(near.content, :chars) AS content,
         near.parts, near.tool_calls
  FROM (
    SELECT m.*, sum(m.size) OVER before AS bytes,
           lead(m.position) OVER before IS NULL AND count(*) OVER () < :limit AS is_last
    FROM (
      SELECT m.xmin::text::bigint AS version, m.position, m.content, m.tool_calls,
             CASE WHEN m.content = '' THEN m.parts END AS parts,
             coalesce(octet_length(m.content), 0)
             + coalesce(octet_length(m.tool_calls::text), 0)
             + CASE WHEN m.content = '' THEN coalesce(octet_length(m.parts::text), 0) ELSE 0 END
             AS size
      FROM messages m
      WHERE m.conversation_id = wanted.id AND m.user_id = :user_id
        AND m.position BETWEEN wanted.low AND wanted.high
      ORDER BY m.position {order} LIMIT :limit
    ) AS m
    WINDOW before AS (ORDER BY m.position {order})
  ) AS near
  WHERE near.bytes - near.size < :bytes
  ORDER BY near.position {order}
) AS m ON true
ORDER BY wanted.n, m.position {order}"""


# The messages in a range of each conversation: the latest ones, or the oldest. `is_last` marks the
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
  SELECT c.id FROM conversations c JOIN read ON read.id = c.id WHERE c.user_id = :user_id
  FOR KEY SHARE OF c SKIP LOCKED
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
    AND NOT EXISTS (SELECT FROM made
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

_SIZE: Final = "octet_length(s.filter)"
_LANES: Final = f"(octet_length(s.places) / {PLACE_BYTES} + 1)"


def _bits(number: str) -> str:
    """Return the lanes whose bit for this number is set, and other bits above them."""
    group = f"({number} / {_SIZE}) % ({MAX_LANES} / {_LANES})"
    return f"get_byte(s.filter, ({number} % {_SIZE})::integer) >> ({group} * {_LANES})::integer"


_NUMBERS: Final = [f"key.n{index}" for index in range(HASHES)]
_ALL_OF_KEY: Final = " & ".join(f"({_bits(number)})" for number in _NUMBERS)

_GIVEN: Final = ", ".join(f":numbers{index}::text[]::bigint[]" for index in range(HASHES))
_NAMED: Final = ", ".join(f"n{index}" for index in range(HASHES))
_KEYS: Final = f"unnest(:clauses::text[]::integer[], {_GIVEN}) AS key (clause, {_NAMED})"

# The lanes that have all of some keys.
_OF_KEYS: Final = f"""(
  SELECT bit_and({_bits("key.number")}) FROM unnest(:numbers::text[]::bigint[]) AS key (number)
)"""
# The lanes that have one key of each clause.
_OF_CLAUSES: Final = f"""(
  SELECT bit_and(clause.lanes) FROM (
    SELECT bit_or({_ALL_OF_KEY}) AS lanes
    FROM {_KEYS}
    GROUP BY key.clause
  ) AS clause
)"""


_FLOOR: Final = """SELECT coalesce((
    SELECT n.last FROM search_segments n WHERE n.user_id = :user_id AND n.last <= :last
    ORDER BY n.last DESC OFFSET :examine LIMIT 1
  ), 0) AS last"""


def _candidates(lanes: str, *conditions: str, floor: str = _FLOOR) -> str:
    """Return the segments that may match, of the next ones in the order of their last messages.

    These are about `:examine`; `floor` is the last position of the last of them, 0 at the end.
    Without a floor, the planner would read and sort all segments of a user who has many.
    """
    where = " AND ".join(
        (
            *(
                "s.user_id = :user_id",
                "s.last <= :last",
                "s.last >= (SELECT floor.last FROM floor)",
            ),
            *("s.first <= :upto", *conditions),
        )
    )
    return f"""
WITH floor AS (
  {floor}
)
SELECT floor.last AS floor, found.* FROM floor LEFT JOIN (
  SELECT s.conversation_id, s.first, s.last, s.places,
         coalesce({lanes}, -1) & ((1 << {_LANES}) - 1) AS lanes
  FROM search_segments s WHERE {where}
) AS found ON found.lanes <> 0"""


def _candidates_within(lanes: str) -> str:
    """Return those of one conversation: all of them, which are few."""
    return _candidates(lanes, "s.conversation_id = :within", floor="SELECT 0::bigint AS last")


CANDIDATES: Final = {
    (False, False): Statement("search.candidates", _candidates(_OF_KEYS)),
    (False, True): Statement("search.candidates_within", _candidates_within(_OF_KEYS)),
    (True, False): Statement("search.candidates_any", _candidates(_OF_CLAUSES)),
    (True, True): Statement("search.candidates_any_within", _candidates_within(_OF_CLAUSES)),
}
"""By whether a clause has several keys, and whether the query names a conversation."""

# The messages of some lanes, with what a query sees of their conversations.
LANES: Final = Statement(
    "search.lanes",
    """
SELECT c.id AS conversation_id, c.text_id AS conversation_text_id, c.title, c.status, c.branch,
       m.id, m.text_id, m.position, m.role, m.created_at, left(m.content, :chars) AS content,
       CASE WHEN m.content = '' THEN m.parts END AS parts, m.tool_calls,
       coalesce(m.parts::text ~ '"type":"(image_url|input_audio|file)"', false) AS has_file
FROM unnest(:ids::text[]::uuid[], :lows::text[]::bigint[], :highs::text[]::bigint[])
  AS lane (id, low, high)
JOIN conversations c ON c.id = lane.id AND c.user_id = :user_id
JOIN LATERAL (
  SELECT * FROM messages m
  WHERE m.conversation_id = lane.id AND m.user_id = :user_id
    AND m.position BETWEEN lane.low AND lane.high
) AS m ON true""",
)


def _titles(within: str) -> str:
    size = "octet_length(s.title_filter)"
    return f"""
WITH matching AS MATERIALIZED (
  SELECT s.conversation_id FROM search_conversations s
  WHERE s.user_id = :user_id AND NOT EXISTS (
    SELECT FROM {_KEYS}
    GROUP BY key.clause HAVING NOT bool_or({
        " AND ".join(
            f"get_byte(s.title_filter, (key.n{n} % {size})::integer)"
            f" >> (key.n{n} / {size} % {MAX_LANES})::integer & 1 = 1"
            for n in range(HASHES)
        )
    })
  )
)
SELECT c.id AS conversation_id, c.text_id AS conversation_text_id, c.title, c.status, c.branch,
       c.updated_at
FROM matching JOIN conversations c ON c.id = matching.conversation_id
WHERE c.user_id = :user_id AND c.title IS NOT NULL{within}
  AND (c.updated_at, c.id) <= (:at, :id)
ORDER BY c.updated_at DESC, c.id DESC LIMIT :limit"""


# The conversations whose titles may match, latest first.
TITLES: Final = {
    False: Statement("search.titles", _titles("")),
    True: Statement("search.titles_within", _titles(" AND c.id = :within")),
}
