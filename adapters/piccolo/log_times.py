"""Where in a conversation a time is.

Positions are in order, and times nearly always are. So the place is found by halving the positions
that may have it: each step is one probe of the index, and 50 of them part the microseconds of 30
years.
"""

from typing import Final

from chatkeep.adapters.piccolo.statement import Statement

_OF: Final = "m.conversation_id = :conversation_id AND m.user_id = :user_id"

SINCE: Final = Statement(
    "log.since",
    f"""
WITH RECURSIVE halves (low, high, found) AS (
  SELECT 0::bigint, last.position, last.position
  FROM (SELECT m.position, m.created_at FROM messages m WHERE {_OF}
        ORDER BY m.position DESC LIMIT 1) AS last
  WHERE last.created_at >= :at
UNION ALL
  SELECT CASE WHEN next.is_found THEN low ELSE next.position + 1 END,
         CASE WHEN next.is_found THEN (low + high) / 2 ELSE high END,
         CASE WHEN next.is_found THEN next.position ELSE found END
  FROM halves CROSS JOIN LATERAL (
    SELECT m.position, m.created_at >= :at AS is_found FROM messages m
    WHERE {_OF} AND m.position >= (low + high) / 2 ORDER BY m.position LIMIT 1
  ) AS next
  WHERE low < high
)
SELECT found FROM halves WHERE low >= high""",
)
