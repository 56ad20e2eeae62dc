"""The SQL of looking into the search index. It is described in `domain.search_index`.

Arrays are sent as texts, whose type the driver knows without asking the database.
"""

from typing import Final

from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.search_index import HASHES, MAX_LANES, PLACE_BYTES

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
    Without a floor, the planner would read and sort all segments of a user who has many. Without
    `OFFSET 0` it would find the lanes twice, to compare them and to return them.
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
  FROM search_segments s WHERE {where} OFFSET 0
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

# The entries of some lanes that may match, with what a query sees of their conversations. There is
# one row at least: each says how many entries the lanes have. A message without calls is read only
# if its content has all patterns, which takes a tenth of the time of comparing it here. Counting
# the characters of a text takes half of that again, so only long ones are cut. Without `OFFSET 0`
# the planner would read all conversations of the user, for a few messages.
LANES: Final = Statement(
    "search.lanes",
    """
WITH entry AS MATERIALIZED (
  SELECT lane.id AS conversation_id, e.*
  FROM unnest(:ids::text[]::uuid[], :lows::text[]::bigint[], :highs::text[]::bigint[])
    AS lane (id, low, high)
  JOIN LATERAL (
    SELECT m.id, m.text_id, m.position, m.role, m.created_at, m.content AS whole, m.tool_calls,
           m.parts AS all_parts, NULL AS item_id, NULL::json AS item,
           m.content IS NULL OR m.content = '' OR m.tool_calls IS NOT NULL
           OR CASE WHEN octet_length(m.content) > :chars THEN left(m.content, :chars)
                   ELSE m.content END ~ ALL (:patterns::text[]) AS may_match
    FROM messages m
    WHERE m.conversation_id = lane.id AND m.user_id = :user_id
      AND m.position BETWEEN lane.low AND lane.high
    UNION ALL
    SELECT NULL, NULL, i.position, NULL, i.created_at, NULL, NULL, NULL, i.item_id, i.item, true
    FROM conversation_items i
    WHERE i.conversation_id = lane.id AND i.user_id = :user_id
      AND i.position BETWEEN lane.low AND lane.high
  ) AS e ON true
)
SELECT (SELECT count(*) FROM entry) AS compared, found.*
FROM (VALUES (1)) AS one
LEFT JOIN (
  SELECT entry.*, c.text_id AS conversation_text_id, c.title, c.status, c.branch,
         left(entry.whole, :chars) AS content,
         CASE WHEN entry.whole = '' THEN entry.all_parts END AS parts,
         coalesce(entry.all_parts::text ~ '"type":"(image_url|input_audio|file)"', false)
         AS has_file
  FROM entry JOIN LATERAL (
    SELECT c.* FROM conversations c
    WHERE c.id = entry.conversation_id AND c.user_id = :user_id OFFSET 0
  ) AS c ON true
  WHERE entry.may_match
) AS found ON true""",
)


def _titles(within: str) -> str:
    size = "octet_length(s.title_filter)"
    return f"""
WITH matching AS MATERIALIZED (
  SELECT s.conversation_id FROM search_conversations s
  WHERE s.user_id = :user_id AND NOT EXISTS (
    SELECT 1 FROM {_KEYS}
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
