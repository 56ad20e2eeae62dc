"""Compares the search index with the messages and items, for every conversation that is in it."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import asyncpg

from chatkeep.adapters.operator.doctor.rollback_session import RollbackSession
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.adapters.piccolo.search_index_statements import MARK
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.operations.diagnostics import CheckResult, failed, ok, skipped, warning
from chatkeep.domain.search_index import INDEX_VERSION

BATCH_SIZE: Final = 200
MAX_EXAMPLES: Final = 10

# An operator's statement, over all users. A conversation that is behind is compared by the next
# search of its user.
BATCH: Final = Statement(
    "doctor.search_batch",
    f"""
SELECT s.user_id, s.conversation_id,
       s.revision <> c.revision OR s.rest_before IS NOT NULL
       OR s.index_version < :index_version AS is_behind,
       segments.differ,
       coalesce(segments.messages, 0) <> c.message_count OR coalesce(segments.items, 0) <> (
         SELECT count(*) FROM conversation_items i
         WHERE i.conversation_id = c.id AND i.user_id = c.user_id
       ) AS lacks
FROM (
  SELECT user_id, conversation_id, revision, rest_before, index_version
  FROM search_conversations
  WHERE (user_id, conversation_id) > (:user_id, :conversation_id)
  ORDER BY user_id, conversation_id LIMIT :limit
) AS s
JOIN conversations c ON c.id = s.conversation_id AND c.user_id = s.user_id
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE latest.mark IS DISTINCT FROM g.mark) AS differ,
         sum(latest.messages) AS messages, sum(latest.items) AS items
  FROM search_segments g
  CROSS JOIN LATERAL (
    SELECT {MARK} AS mark, count(*) FILTER (WHERE entry.is_message) AS messages,
           count(*) FILTER (WHERE NOT entry.is_message) AS items
    FROM (
      SELECT m.xmin::text::bigint AS version, true AS is_message FROM messages m
      WHERE m.conversation_id = g.conversation_id AND m.user_id = g.user_id
        AND m.position BETWEEN g.first AND g.last
      UNION ALL
      SELECT i.xmin::text::bigint, false FROM conversation_items i
      WHERE i.conversation_id = g.conversation_id AND i.user_id = g.user_id
        AND i.position BETWEEN g.first AND g.last
    ) AS entry
  ) AS latest
  WHERE g.user_id = s.user_id AND g.conversation_id = s.conversation_id
) AS segments
ORDER BY s.user_id, s.conversation_id""",
)

FORGET: Final = Statement(
    "doctor.search_forget",
    """
DELETE FROM search_conversations
WHERE user_id = :user_id AND conversation_id = :conversation_id""",
)


async def check_search_index(
    session: RollbackSession, *, repair: bool
) -> AsyncGenerator[CheckResult, None]:
    """Compare in batches. With `repair`, delete what differs: a search makes it again."""
    after: tuple[str, UUID] = ("", UUID(int=0))
    count = behind = 0
    drifted: list[Any] = []
    while True:
        try:
            async with session.begin_read_only() as engine:
                rows = await engine.fetch(
                    BATCH,
                    user_id=after[0],
                    conversation_id=after[1],
                    index_version=INDEX_VERSION,
                    limit=BATCH_SIZE,
                )
        except asyncpg.PostgresError as error:
            if not session.is_consequence(error):
                raise
            yield skipped(f"something that it needs is missing: {describe(error)}")
            return
        count += len(rows)
        behind += sum(row["is_behind"] for row in rows)
        drifted += [row for row in rows if not row["is_behind"] and (row["differ"] or row["lacks"])]
        if len(rows) < BATCH_SIZE:
            break
        after = (rows[-1]["user_id"], rows[-1]["conversation_id"])
    yield await _summarize(session, count, behind, drifted, repair=repair)


async def _summarize(
    session: RollbackSession, count: int, behind: int, drifted: list[Any], *, repair: bool
) -> CheckResult:
    of_all = f"of {count} conversations in the index"
    if not drifted:
        return ok(f"{behind} {of_all} wait for the next search, the others are right")
    message = f"{len(drifted)} {of_all} differ from their messages"
    examples = [f"{row['conversation_id']} of {row['user_id']!r}" for row in drifted[:MAX_EXAMPLES]]
    if not repair:
        result = failed(
            message,
            "run `chatkeep doctor --repair`; a restored backup is a reason, or a program that "
            "writes to the tables besides chatkeep",
        )
        return replace(result, examples=tuple(examples))
    for row in drifted:
        async with session.begin() as engine:
            await engine.fetch(
                FORGET, user_id=row["user_id"], conversation_id=row["conversation_id"]
            )
    return replace(
        warning(f"{message}; they were removed from it", "the next searches add them again"),
        examples=tuple(examples),
    )
