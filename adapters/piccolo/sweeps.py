"""Sweeps on Postgres. They cover the conversations of all users: an operator's statements.

Candidates come by the BRIN index on `updated_at`, in the order of the table, and take no lock. The
statements that change something check each row again, skip rows that somebody else has locked, and
never wait. So a request never waits for another request's sweep, and no deadlock is possible.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from piccolo.query import Select

from chatkeep.adapters.piccolo.by_user import fetch_at_once, fetch_of_each_user
from chatkeep.adapters.piccolo.change_statements import (
    conversation_deleted,
    conversation_updated,
)
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import Conversations, ConversationSweeps
from chatkeep.domain.idle import Cutoffs, IdleConversation, SweepResult
from chatkeep.domain.ids import key_text
from chatkeep.domain.model import ConversationId, Status, UserId

FIND_TIMEOUT: Final = 300.0
"""Seconds; at worst, these statements read every conversation."""

DELETE_TIMEOUT: Final = 300.0
"""Seconds; deleting a conversation of a million messages took one or two."""

ARCHIVE_TIMEOUT: Final = 60.0

COUNT: Final = Statement(
    "sweeps.count",
    """
SELECT count(*) FILTER (
         WHERE status = 'active' AND updated_at < :archive_before
           AND (retain OR :delete_before::timestamptz IS NULL OR updated_at >= :delete_before)
       ) AS archived,
       count(*) FILTER (WHERE updated_at < :delete_before AND NOT retain) AS deleted,
       coalesce(sum(message_count) FILTER (
         WHERE updated_at < :delete_before AND NOT retain), 0)::bigint AS messages,
       count(*) FILTER (WHERE updated_at < :delete_before AND retain) AS retained
FROM conversations WHERE updated_at < :latest""",
    timeout=FIND_TIMEOUT,
)
"""`latest` is the later one of the two times."""


_STILL_IDLE: Final = """
  SELECT c.id, c.user_id
  FROM unnest(:ids::text[]::uuid[], :user_ids::text[]) AS given (id, user_id)
  JOIN conversations c ON c.id = given.id AND c.user_id = given.user_id
  WHERE c.updated_at < :before"""
_STILL_IDLE_OF_USER: Final = """
  SELECT c.id, c.user_id FROM conversations c
  WHERE c.id = ANY(:ids::text[]::uuid[]) AND c.user_id = :user_id AND c.updated_at < :before"""


# Messages, items and keys go by their foreign keys. Each append keeps `message_count` true.
def _delete(still_idle: str, of_user: tuple[str, str] = ("", "")) -> str:
    conversations, changes = of_user
    return f"""
WITH idle AS ({still_idle} AND NOT c.retain
  FOR UPDATE OF c SKIP LOCKED
), deleted AS (
  DELETE FROM conversations c USING idle
  WHERE c.id = idle.id AND c.user_id = idle.user_id AND c.updated_at < :before AND NOT c.retain
    {conversations}
  RETURNING c.id, c.user_id, c.revision, c.text_id, c.message_count
), noted AS ({conversation_deleted("deleted")}
), forgotten AS (
  DELETE FROM conversation_changes h USING deleted
  WHERE h.conversation_id = deleted.id AND h.user_id = deleted.user_id
    AND h.revision <= deleted.revision{changes}
)
SELECT count(*) AS deleted, coalesce(sum(message_count), 0)::bigint AS messages FROM deleted"""


def _archive(still_idle: str, conversations: str = "") -> str:
    return f"""
WITH idle AS ({still_idle} AND c.status = 'active'
  FOR UPDATE OF c SKIP LOCKED
), archived AS (
  UPDATE conversations c SET status = 'archived', revision = c.revision + 1 FROM idle
  WHERE c.id = idle.id AND c.user_id = idle.user_id AND c.updated_at < :before
    AND c.status = 'active'{conversations}
  RETURNING c.id, c.user_id, c.revision
), noted AS ({conversation_updated("archived")}
)
SELECT count(*) AS archived FROM archived"""


DELETE: Final = Statement("sweeps.delete", _delete(_STILL_IDLE), timeout=DELETE_TIMEOUT)
DELETE_OF_USER: Final = Statement(
    "sweeps.delete_of_user",
    _delete(_STILL_IDLE_OF_USER, (" AND c.user_id = :user_id", " AND h.user_id = :user_id")),
    timeout=DELETE_TIMEOUT,
)
ARCHIVE: Final = Statement("sweeps.archive", _archive(_STILL_IDLE), timeout=ARCHIVE_TIMEOUT)
ARCHIVE_OF_USER: Final = Statement(
    "sweeps.archive_of_user",
    _archive(_STILL_IDLE_OF_USER, " AND c.user_id = :user_id"),
    timeout=ARCHIVE_TIMEOUT,
)


def deletable(before: datetime, limit: int) -> Select[Conversations]:
    """Return the query for conversations that were idle before a time and that no hold keeps."""
    return _idle_before(before, limit).where(Conversations.retain.eq(value=False))


def archivable(before: datetime, limit: int) -> Select[Conversations]:
    """Return the query for active conversations that were idle before a time."""
    return _idle_before(before, limit).where(Conversations.status == Status.ACTIVE.value)


def _idle_before(before: datetime, limit: int) -> Select[Conversations]:
    return (
        Conversations.select(Conversations.id, Conversations.user_id, Conversations.message_count)
        .where(Conversations.updated_at < before)
        .limit(limit)
    )


class PiccoloSweeps:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def count(self, cutoffs: Cutoffs) -> SweepResult:
        archive, delete = cutoffs.archive, cutoffs.delete
        latest = max((each for each in (archive, delete) if each is not None), default=None)
        [row] = await self._engine.fetch(
            COUNT,
            archive_before=archive,
            delete_before=delete,
            latest=latest,
        )
        return SweepResult(
            archived=row["archived"],
            deleted=row["deleted"],
            messages=row["messages"],
            retained=row["retained"],
        )

    async def to_delete(self, before: datetime, *, limit: int) -> Sequence[IdleConversation]:
        query = deletable(before, limit)
        rows = await self._engine.fetch_query("sweeps.to_delete", query, timeout=FIND_TIMEOUT)
        return [_idle(row) for row in rows]

    async def to_archive(self, before: datetime, *, limit: int) -> Sequence[IdleConversation]:
        query = archivable(before, limit)
        rows = await self._engine.fetch_query("sweeps.to_archive", query, timeout=FIND_TIMEOUT)
        return [_idle(row) for row in rows]

    async def delete(self, idle: Sequence[IdleConversation], before: datetime) -> SweepResult:
        rows = await self._sweep(DELETE, DELETE_OF_USER, idle, before)
        return SweepResult(
            deleted=sum(row["deleted"] for row in rows),
            messages=sum(row["messages"] for row in rows),
        )

    async def archive(self, idle: Sequence[IdleConversation], before: datetime) -> SweepResult:
        rows = await self._sweep(ARCHIVE, ARCHIVE_OF_USER, idle, before)
        return SweepResult(archived=sum(row["archived"] for row in rows))

    async def _sweep(
        self,
        at_once: Statement,
        of_user: Statement,
        idle: Sequence[IdleConversation],
        before: datetime,
    ) -> list[Row]:
        """Run a statement about idle conversations, and return its row, or one for each user."""

        def values(those: Sequence[IdleConversation]) -> dict[str, object]:
            return {"ids": [key_text(each.id) for each in those], "before": before}

        users = {"user_ids": [each.user_id for each in idle]}
        rows = await fetch_at_once(self._engine, at_once, values(idle) | users)
        if rows is not None:
            return rows
        found = await fetch_of_each_user(
            self._engine, of_user, idle, lambda each: each.user_id, values
        )
        return [row for _, rows in found for row in rows]


class PiccoloSweepSchedule:
    """A row for each sweep that was due. No lock outlives a statement, so any pooler will do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def claim(self, due: datetime, at: datetime) -> bool:
        sweep = ConversationSweeps
        # A claim of the very same microsecond is our own, and its answer was lost.
        query = sweep.insert(sweep(due=due, started_at=at)).on_conflict(
            target=sweep.due,
            action="DO UPDATE",
            values=[sweep.started_at],
            where=sweep.started_at == at,
        )
        return bool(await self._engine.fetch_query("sweeps.claim", query.returning(sweep.due)))

    async def finish(self, due: datetime, at: datetime, swept: SweepResult) -> None:
        sweep = ConversationSweeps
        query = sweep.update(
            {
                sweep.finished_at: at,
                sweep.archived: swept.archived,
                sweep.deleted: swept.deleted,
                sweep.messages: swept.messages,
                sweep.retained: swept.retained,
            }
        ).where(sweep.due == due)
        await self._engine.fetch_query("sweeps.finish", query)


def _idle(row: Row) -> IdleConversation:
    return IdleConversation(ConversationId(row["id"]), UserId(row["user_id"]), row["message_count"])
