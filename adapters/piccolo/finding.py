"""Conversations that match a filter, read in the order of an index and no further than a bound.

The statement reads at most `:max_read` rows in the order of the list, and returns those that match.
It also returns the last row that it may read, whether it matches or not: the next page starts after
it.
"""

import json
from itertools import takewhile
from typing import Any, Final
from uuid import UUID

from chatkeep.adapters.piccolo.bounds import json_bytes, text_bytes, within
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import (
    CONVERSATION_COLUMNS,
    to_conversation,
    to_jsonb,
    to_text,
)
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.finding import Filter, Found, LastSeen, scalar_written_as
from chatkeep.domain.model import ConversationId, JsonText, Status, UserId
from chatkeep.domain.pages import NO_BOUND

_LOWEST_ID: Final = ConversationId(UUID(int=0))
_SHARE: Final = ":share::bigint"
_BYTES: Final = f"{text_bytes('title')} + {json_bytes('metadata', _SHARE)}"

# A key that is not there gives NULL, which `bool_and` would pass over.
_MATCHES_METADATA: Final = """coalesce((
      SELECT bool_and(coalesce(metadata -> asked.key IN (asked.text, asked.scalar), false))
      FROM unnest(:keys::text[], :texts::text[]::jsonb[], :scalars::text[]::jsonb[])
        AS asked (key, text, scalar)
    ), true)"""


def _find(status: Status | None) -> Statement:
    """Return the statement for a status. The index of the archived ones has only those."""
    where = "user_id = :user_id"
    matches = _MATCHES_METADATA
    if status is Status.ARCHIVED:
        where += " AND status = 'archived'"
    elif status is not None:
        matches = f"status = '{status}' AND {matches}"
    name = "conversations.find" if status is None else f"conversations.find.{status}"
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


FIND: Final = {status: _find(status) for status in (None, *Status)}


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
    """Find conversations as `Conversations.find` promises."""
    statement = FIND[wanted.status]
    values = {
        "user_id": user_id,
        "max_read": max_read,
        "updated_after": wanted.updated_after,
        **_start(wanted, after),
        **_metadata_values(wanted),
    }
    share = max_bytes // limit
    rows = await engine.fetch(statement, **values, limit=limit + 1, share=share)
    matching = [row for row in rows if row["matches"]]
    fitting = list(takewhile(lambda row: row["bytes"] <= share, matching[:limit]))
    if matching and not fitting:
        # Only an import stores one this large. It gets a separate page.
        fitting = await engine.fetch(statement, **values, limit=1, share=NO_BOUND)
    last = None
    if len(fitting) < len(matching):
        last = fitting[-1] if fitting else None
    elif rows and rows[-1]["number"] == max_read:
        last = rows[-1]
    return Found(
        [to_conversation(row) for row in fitting if row["matches"]],
        None if last is None else LastSeen(last["updated_at"], last["id"]),
    )


def _start(wanted: Filter, after: LastSeen | None) -> dict[str, Any]:
    """Return where to start: at the latest conversation that `after` and the filter allow."""
    before = wanted.updated_before
    starts = [] if after is None else [(after.at, after.id)]
    starts += [] if before is None else [(before, _LOWEST_ID)]
    at, id_ = min(starts) if starts else (None, _LOWEST_ID)
    return {"after": at, "after_id": id_}


def _metadata_values(wanted: Filter) -> dict[str, Any]:
    return {
        "keys": [to_text(key) for key in wanted.metadata],
        "texts": [
            to_jsonb(JsonText(json.dumps(text, ensure_ascii=False)))
            for text in wanted.metadata.values()
        ],
        "scalars": [scalar_written_as(text) for text in wanted.metadata.values()],
    }
