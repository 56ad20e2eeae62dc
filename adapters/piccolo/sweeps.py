"""Sweeps on Postgres, over the conversations of all users: an operator's statements.

Candidates are found by the BRIN index on `updated_at`, in the order they lie in, with no lock. The
statements that change something take the rows that nobody else has locked, look again, and never
wait: so no request waits for another one's sweep, and there is no circle to wait in.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.domain.model import ConversationId, UserId
from chatkeep.domain.operations.sweep import Cutoffs, Idle, Swept

FIND_TIMEOUT: Final = 300.0
"""Seconds; these statements read, at the worst, all conversations there are."""

DELETE_TIMEOUT: Final = 300.0
"""Seconds; a conversation of a million messages took one or two."""

ARCHIVE_TIMEOUT: Final = 60.0

# $3 is the later one of the two times.
COUNT: Final = """
SELECT count(*) FILTER (
         WHERE status = 'active' AND updated_at < $1
           AND (retain OR $2::timestamptz IS NULL OR updated_at >= $2)) AS archived,
       count(*) FILTER (WHERE updated_at < $2 AND NOT retain) AS deleted,
       coalesce(sum(message_count) FILTER (
         WHERE updated_at < $2 AND NOT retain), 0)::bigint AS messages,
       count(*) FILTER (WHERE updated_at < $2 AND retain) AS retained
FROM conversations WHERE updated_at < $3"""

TO_DELETE: Final = """
SELECT id, user_id, message_count FROM conversations
WHERE updated_at < $1 AND NOT retain LIMIT $2"""

TO_ARCHIVE: Final = """
SELECT id, user_id, message_count FROM conversations
WHERE updated_at < $1 AND status = 'active' LIMIT $2"""

_STILL_IDLE: Final = """
  SELECT c.id, c.user_id
  FROM unnest($1::text[]::uuid[], $2::text[]) AS given (id, user_id)
  JOIN conversations c ON c.id = given.id AND c.user_id = given.user_id
  WHERE c.updated_at < $3"""

# Messages, items and keys go by their foreign keys. `message_count` is kept with every append.
DELETE: Final = f"""
WITH idle AS ({_STILL_IDLE} AND NOT c.retain
  FOR UPDATE OF c SKIP LOCKED
), deleted AS (
  DELETE FROM conversations c USING idle
  WHERE c.id = idle.id AND c.user_id = idle.user_id AND c.updated_at < $3 AND NOT c.retain
  RETURNING c.message_count
)
SELECT count(*) AS deleted, coalesce(sum(message_count), 0)::bigint AS messages FROM deleted"""

ARCHIVE: Final = f"""
WITH idle AS ({_STILL_IDLE} AND c.status = 'active'
  FOR UPDATE OF c SKIP LOCKED
), archived AS (
  UPDATE conversations c SET status = 'archived' FROM idle
  WHERE c.id = idle.id AND c.user_id = idle.user_id AND c.updated_at < $3 AND c.status = 'active'
  RETURNING c.id
)
SELECT count(*) AS archived FROM archived"""

# Of the same time to the microsecond, it is our own claim, whose answer was lost.
CLAIM: Final = """
INSERT INTO conversation_sweeps AS known (due, started_at) VALUES ($1, $2)
ON CONFLICT (due) DO UPDATE SET started_at = excluded.started_at
WHERE known.started_at = excluded.started_at
RETURNING due"""

FINISH: Final = """
UPDATE conversation_sweeps
SET finished_at = $2, archived = $3, deleted = $4, messages = $5, retained = $6 WHERE due = $1"""


class PiccoloSweeps:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def count(self, cutoffs: Cutoffs) -> Swept:
        archive, delete = cutoffs.archive, cutoffs.delete
        latest = max((each for each in (archive, delete) if each is not None), default=None)
        [row] = await self._engine.fetch(COUNT, archive, delete, latest, timeout=FIND_TIMEOUT)
        return Swept(
            archived=row["archived"],
            deleted=row["deleted"],
            messages=row["messages"],
            retained=row["retained"],
        )

    async def to_delete(self, before: datetime, *, limit: int) -> Sequence[Idle]:
        rows = await self._engine.fetch(TO_DELETE, before, limit, timeout=FIND_TIMEOUT)
        return [_idle(row) for row in rows]

    async def to_archive(self, before: datetime, *, limit: int) -> Sequence[Idle]:
        rows = await self._engine.fetch(TO_ARCHIVE, before, limit, timeout=FIND_TIMEOUT)
        return [_idle(row) for row in rows]

    async def delete(self, idle: Sequence[Idle], before: datetime) -> Swept:
        [row] = await self._engine.fetch(DELETE, *_keys(idle), before, timeout=DELETE_TIMEOUT)
        return Swept(deleted=row["deleted"], messages=row["messages"])

    async def archive(self, idle: Sequence[Idle], before: datetime) -> Swept:
        [row] = await self._engine.fetch(ARCHIVE, *_keys(idle), before, timeout=ARCHIVE_TIMEOUT)
        return Swept(archived=row["archived"])


class PiccoloDiary:
    """A row for each sweep that was due. No lock outlives a statement, so any pooler will do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def claim(self, due: datetime, at: datetime) -> bool:
        return bool(await self._engine.fetch(CLAIM, due, at))

    async def finish(self, due: datetime, at: datetime, swept: Swept) -> None:
        await self._engine.fetch(
            FINISH, due, at, swept.archived, swept.deleted, swept.messages, swept.retained
        )


def _idle(row: Row) -> Idle:
    return Idle(ConversationId(row["id"]), UserId(row["user_id"]), row["message_count"])


def _keys(idle: Sequence[Idle]) -> tuple[list[str], list[str]]:
    return [str(each.id) for each in idle], [each.user_id for each in idle]
