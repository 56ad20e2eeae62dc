"""Conversations that match a filter, read in the order of an index and no further than a bound.

The statement reads at most `:max_read` rows in the order of the list, and returns those that match.
It also returns the last row that it may read, whether it matches or not: the next page starts after
it.
"""

import json
from collections.abc import Mapping
from itertools import takewhile
from typing import Any, Final
from uuid import UUID

from chatkeep.adapters.piccolo.bounds import json_bytes, text_bytes, within
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import (
    CONVERSATION_COLUMNS,
    Row,
    to_conversation,
    to_jsonb,
    to_text,
)
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.finding import (
    Filter,
    Found,
    LastSeen,
    MatchCount,
    scalar_written_as,
    too_many_to_sort,
)
from chatkeep.domain.model import ConversationId, JsonText, Status, UserId
from chatkeep.domain.pages import NO_BOUND

_LOWEST_ID: Final = ConversationId(UUID(int=0))
_SHARE: Final = ":share::bigint"
_C_COLUMNS: Final = ", ".join(f"c.{column}" for column in CONVERSATION_COLUMNS.split(", "))
_BYTES: Final = f"{text_bytes('title')} + {json_bytes('metadata', _SHARE)}"

# A key that is not there gives NULL, which `bool_and` would pass over. `||` decompresses the
# metadata once; `->` on the column would do so for each key.
_MATCHES_METADATA: Final = """coalesce((
      SELECT bool_and(coalesce(whole.metadata -> asked.key IN (asked.text, asked.scalar), false))
      FROM (SELECT metadata || '{}' AS metadata OFFSET 0) AS whole
      CROSS JOIN unnest(:keys::text[], :texts::text[]::jsonb[], :scalars::text[]::jsonb[])
        AS asked (key, text, scalar)
    ), true)"""


def _find(name: str, status: Status | None, matches: str = _MATCHES_METADATA) -> Statement:
    """Return the statement for a status. The index of the archived ones has only those."""
    where = "user_id = :user_id"
    if status is Status.ARCHIVED:
        where += " AND status = 'archived'"
    elif status is not None:
        matches = f"status = '{status}' AND {matches}"
    return Statement(
        name,
        f"""
SELECT {within(_SHARE, CONVERSATION_COLUMNS, ("title", "metadata"))}, matches, number FROM (
  SELECT *, {_BYTES} AS bytes FROM (
    SELECT {CONVERSATION_COLUMNS}, {matches} AS matches,
      row_number() OVER (ORDER BY updated_at DESC, id DESC) AS number
    FROM conversations
    WHERE {where}
      AND (updated_at, id) < (coalesce(:after::timestamptz, 'infinity'), :after_id::uuid)
      AND updated_at > coalesce(:updated_after::timestamptz, '-infinity')
    ORDER BY updated_at DESC, id DESC LIMIT :max_read
  ) AS read
  WHERE matches OR number = :max_read
  ORDER BY updated_at DESC, id DESC LIMIT :limit
) AS page
ORDER BY updated_at DESC, id DESC""",
    )


FIND: Final[Mapping[Status | None, Statement]] = {
    None: _find("conversations.find", None),
    **{status: _find(f"conversations.find.{status}", status) for status in Status},
}
# The list of a page that shows conversations: it looks at no metadata.
FIND_ACTIVE: Final = _find("conversations.find_active", Status.ACTIVE, "true")


_MATCHES: Final = f"(:status::text IS NULL OR status = :status) AND {_MATCHES_METADATA}"
_WITHIN_TIMES: Final = """user_id = :user_id
    AND updated_at < coalesce(:updated_before::timestamptz, 'infinity')
    AND updated_at > coalesce(:updated_after::timestamptz, '-infinity')"""

# All conversations within the times are counted and sorted, but only those of the page are read
# with their texts. The condition on `updated_at` is one that the index can use.
FIND_BY_CREATION: Final = Statement(
    "conversations.find_by_creation",
    f"""
WITH read AS (
  SELECT id, created_at,
    {_MATCHES} AS matches
  FROM conversations
  WHERE {_WITHIN_TIMES}
  ORDER BY updated_at DESC, id DESC LIMIT :max_read
), page AS (
  SELECT id FROM read
  WHERE matches
    AND (created_at, id) < (coalesce(:after::timestamptz, 'infinity'), :after_id::uuid)
  ORDER BY created_at DESC, id DESC LIMIT :limit
)
SELECT number, true AS matches, found.* FROM (SELECT count(*) AS number FROM read) AS counted
LEFT JOIN (
  SELECT {within(_SHARE, CONVERSATION_COLUMNS, ("title", "metadata"))} FROM (
    SELECT {_C_COLUMNS}, {_BYTES} AS bytes FROM page
    JOIN conversations c ON c.id = page.id AND c.user_id = :user_id
  ) AS found
) AS found ON true
ORDER BY found.created_at DESC, found.id DESC""",
)


# One row more than may be counted tells whether the count is exact.
COUNT: Final = Statement(
    "conversations.count",
    f"""
SELECT count(*) FILTER (WHERE matches AND number <= :max_read) AS value,
       count(*) <= :max_read AS exact
FROM (
  SELECT {_MATCHES} AS matches,
    row_number() OVER (ORDER BY updated_at DESC, id DESC) AS number
  FROM conversations
  WHERE {_WITHIN_TIMES}
  ORDER BY updated_at DESC, id DESC LIMIT :max_read + 1
) AS read""",
)


async def find(  # noqa: PLR0913 - each is one independent part of the question
    engine: Engine,
    user_id: UserId,
    wanted: Filter,
    *,
    after: LastSeen | None,
    limit: int,
    max_read: int,
    max_bytes: int,
) -> Found:
    """Find conversations by latest activity, as `Conversations.find` promises."""
    values = {
        "user_id": user_id,
        "max_read": max_read,
        "updated_after": wanted.updated_after,
        **_start(wanted, after),
    }
    statement = FIND[wanted.status]
    if wanted.status is Status.ACTIVE and not wanted.metadata:
        statement = FIND_ACTIVE
    else:
        values |= _metadata_values(wanted)
    rows, fitting = await _fetch(engine, statement, values, limit, max_bytes)
    last = None
    if len(fitting) < sum(map(_is_match, rows)):
        last = fitting[-1] if fitting else None
    elif rows and rows[-1]["number"] == max_read:
        last = rows[-1]
    return Found(
        [to_conversation(row) for row in fitting],
        None if last is None else LastSeen(last["updated_at"], last["id"]),
    )


async def find_by_creation(  # noqa: PLR0913 - each is one independent part of the question
    engine: Engine,
    user_id: UserId,
    wanted: Filter,
    *,
    after: LastSeen | None,
    limit: int,
    max_read: int,
    max_bytes: int,
) -> Found:
    """Find conversations by their time of creation, as `Conversations.find` promises."""
    values = {
        **_filter_values(user_id, wanted),
        "max_read": max_read + 1,
        "after": None if after is None else after.at,
        "after_id": _LOWEST_ID if after is None else after.id,
    }
    rows, fitting = await _fetch(engine, FIND_BY_CREATION, values, limit, max_bytes)
    if rows[0]["number"] > max_read:
        raise too_many_to_sort(max_read)
    more = len(fitting) < sum(map(_is_match, rows))
    last = fitting[-1] if more and fitting else None
    return Found(
        [to_conversation(row) for row in fitting],
        None if last is None else LastSeen(last["created_at"], last["id"]),
    )


async def count(engine: Engine, user_id: UserId, wanted: Filter, *, max_read: int) -> MatchCount:
    """Count conversations as `Conversations.count` promises."""
    [row] = await engine.fetch(COUNT, **_filter_values(user_id, wanted), max_read=max_read)
    return MatchCount(row["value"], exact=row["exact"])


async def _fetch(
    engine: Engine, statement: Statement, values: dict[str, Any], limit: int, max_bytes: int
) -> tuple[list[Row], list[Row]]:
    """Return the rows, one match more than the page may have, and the matches that fit on it."""
    share = max_bytes // limit
    rows = list(await engine.fetch(statement, **values, limit=limit + 1, share=share))
    matching = [row for row in rows if _is_match(row)]
    fitting = list(takewhile(lambda row: row["bytes"] <= share, matching[:limit]))
    if matching and not fitting:
        # Only an import stores one this large. It gets a separate page.
        large = await engine.fetch(statement, **values, limit=1, share=NO_BOUND)
        fitting = [row for row in large if _is_match(row)]
    return rows, fitting


def _is_match(row: Row) -> bool:
    return bool(row["id"] is not None and row["matches"])


def _start(wanted: Filter, after: LastSeen | None) -> dict[str, Any]:
    """Return where to start: at the latest conversation that `after` and the filter allow."""
    before = wanted.updated_before
    starts = [] if after is None else [(after.at, after.id)]
    starts += [] if before is None else [(before, _LOWEST_ID)]
    at, id_ = min(starts) if starts else (None, _LOWEST_ID)
    return {"after": at, "after_id": id_}


def _filter_values(user_id: UserId, wanted: Filter) -> dict[str, Any]:
    return {
        "user_id": user_id,
        "status": None if wanted.status is None else wanted.status.value,
        "updated_after": wanted.updated_after,
        "updated_before": wanted.updated_before,
        **_metadata_values(wanted),
    }


def _metadata_values(wanted: Filter) -> dict[str, Any]:
    return {
        "keys": [to_text(key) for key in wanted.metadata],
        "texts": [
            to_jsonb(JsonText(json.dumps(text, ensure_ascii=False)))
            for text in wanted.metadata.values()
        ],
        "scalars": [scalar_written_as(text) for text in wanted.metadata.values()],
    }
