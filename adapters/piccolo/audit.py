"""The audit on Postgres. Its pages, and what it forgets, are of all users: an operator's."""

from datetime import datetime
from typing import Final

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.audit import AuditLine, AuditPlace, Operator
from chatkeep.domain.model import UserId
from chatkeep.domain.pages import Page

ADD: Final = Statement(
    "audit.add",
    """
INSERT INTO audit_lines (id, user_id, operator, action, conversation_id, message_id, at)
VALUES (:id, :user_id, :operator, :action, :conversation_id, :message_id, :at)
ON CONFLICT (id, user_id) DO NOTHING""",
)

_READ: Final = "SELECT id, user_id, operator, action, conversation_id, message_id, at"
_LATEST: Final = "ORDER BY at DESC, id DESC LIMIT :limit"

PAGE: Final = Statement(
    "audit.page",
    f"""
{_READ} FROM audit_lines WHERE (at, id) < (:at::timestamptz, :id::uuid) {_LATEST}""",
)

PAGE_OF_USER: Final = Statement(
    "audit.page_of_user",
    f"""
{_READ} FROM audit_lines
WHERE user_id = :user_id AND (at, id) < (:at::timestamptz, :id::uuid) {_LATEST}""",
)

FORGET: Final = Statement(
    "audit.forget",
    """
DELETE FROM audit_lines a USING (
  SELECT old.id, old.user_id FROM audit_lines old
  WHERE old.at < :before ORDER BY old.at, old.id LIMIT :limit
) AS old
WHERE a.id = old.id AND a.user_id = old.user_id
RETURNING a.id""",
)


class PiccoloAudit:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, line: AuditLine) -> None:
        await self._engine.fetch(
            ADD,
            id=line.id,
            user_id=line.user_id,
            operator=line.operator,
            action=line.action,
            conversation_id=line.conversation_id,
            message_id=line.message_id,
            at=line.at,
        )

    async def page(
        self, user_id: UserId | None, before: AuditPlace, *, limit: int
    ) -> Page[AuditLine]:
        place = {"at": before.at, "id": before.id, "limit": limit + 1}
        if user_id is None:
            rows = await self._engine.fetch(PAGE, **place)
        else:
            rows = await self._engine.fetch(PAGE_OF_USER, user_id=user_id, **place)
        return Page([_line(row) for row in rows[:limit]], more=len(rows) > limit)

    async def forget(self, before: datetime, *, limit: int) -> int:
        return len(await self._engine.fetch(FORGET, before=before, limit=limit))


def _line(row: Row) -> AuditLine:
    return AuditLine(
        row["id"],
        row["at"],
        Operator(row["operator"]),
        UserId(row["user_id"]),
        row["action"],
        row["conversation_id"],
        row["message_id"],
    )
