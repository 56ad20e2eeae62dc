"""The SQL of paths: the ranges of positions that a reader of a branch sees.

A branch keeps the ranges that it has from its parent (`stored_paths`), so its path is in one row.
Where they are missing, the path goes on at the parent: there were too many, or an earlier version
of the service has stored the branch. They never change, for nothing is ever added before the place
where a branch left; only where they end is decided by `left_at`, since the branch may have become
the heir of another one.
"""

from enum import Enum, auto
from typing import Final

from chatkeep.domain.branches import MAIN
from chatkeep.domain.model import FIRST_POSITION, LAST_POSITION

_B: Final = "b.conversation_id = :conversation_id AND b.user_id = :user_id"
_ROW: Final = "b.number, b.parent, b.left_at, b.firsts, b.lasts, b.path_firsts, b.path_lasts"


class Way(Enum):
    """How a path is found. Only `WALKED` says which branch wrote each range."""

    STORED = auto()
    """In the row of the branch. Parts of a plan that are not needed take time too."""
    DEEP = auto()
    """The same, and where it is not stored, from branch to branch."""
    WALKED = auto()
    """From branch to branch."""


# The conversation, and its branch: if it has none, one that wrote everything.
_HERE: Final = f"""here AS (
  SELECT c.id, c.user_id, c.revision, b.number, b.parent, b.left_at, b.lasts, b.path_lasts,
         CASE WHEN c.branch IS NULL AND coalesce(:branch::int, {MAIN}) = {MAIN}
           THEN ARRAY[{FIRST_POSITION}::bigint] ELSE b.firsts END AS firsts,
         CASE WHEN c.branch IS NULL THEN '{{}}' ELSE b.path_firsts END AS path_firsts
  FROM conversations c
  LEFT JOIN conversation_branches b ON {_B} AND b.number = coalesce(:branch::int, c.branch)
  WHERE c.id = :conversation_id AND c.user_id = :user_id
)"""


def _path(start: str = "", more: str = "") -> str:
    """Return the branch and its ancestors, each up to where the next one left it.

    With a plain join, the planner may read all branches for each of them.
    """
    row = _ROW.replace("b.", "here.").replace(
        "here.number", f"coalesce(here.number, {MAIN}) AS number"
    )
    return f"""path AS (
  SELECT {row}, {LAST_POSITION}::bigint AS until FROM here{start}
  UNION ALL
  SELECT b.*, path.left_at FROM path CROSS JOIN LATERAL (
    SELECT {_ROW} FROM conversation_branches b WHERE {_B} AND b.number = path.parent{more} LIMIT 1
  ) AS b
)"""


def _own(table: str, until: str, number: str = "") -> str:
    return f"""
  SELECT {number}span.low, least(span.high, {until}) AS high
  FROM {table}, unnest({table}.firsts, {table}.lasts) AS span (low, high)
  WHERE span.low <= {until}"""


def _kept(table: str) -> str:
    return f"""
  SELECT span.low, least(span.high, {table}.left_at)
  FROM {table}, unnest({table}.path_firsts, {table}.path_lasts) AS span (low, high)
  WHERE span.low <= {table}.left_at"""


# The planner expects many rows of a recursive query, and of an array ten. If it expected many, a
# plan for any values would seem so expensive that it made a new plan each time.
SPANS: Final = {
    Way.STORED: f"""
WITH {_HERE}, spans AS ({_own("here", str(LAST_POSITION))}
  UNION ALL{_kept("here")}
)""",
    Way.DEEP: f"""
WITH RECURSIVE {_HERE}, {_path(more=" AND path.path_firsts IS NULL")}, walked AS (
  SELECT array_agg(part.low) AS lows, array_agg(part.high) AS highs
  FROM ({_own("path", "path.until")}
    UNION ALL{_kept("path")}
  ) AS part
), spans AS (
  SELECT span.low, span.high FROM walked, unnest(walked.lows, walked.highs) AS span (low, high)
)""",
    Way.WALKED: f"""
WITH RECURSIVE {_HERE}, {_path()}, walked AS (
  SELECT array_agg(part.number) AS numbers, array_agg(part.low) AS lows,
         array_agg(part.high) AS highs
  FROM ({_own("path", "path.until", "path.number, ")}) AS part
), spans AS (
  SELECT span.number, span.low, span.high
  FROM walked, unnest(walked.numbers, walked.lows, walked.highs) AS span (number, low, high)
)""",
}
"""The start of a statement that reads `spans`, the ranges of the path of `:branch`.

`here` is the row of the conversation.
"""

OF_HERE: Final = "here.firsts IS NOT NULL AS is_there, here.path_firsts IS NULL AS is_deep"
