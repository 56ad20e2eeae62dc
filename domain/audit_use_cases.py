"""The use cases of the audit, for services."""

from dataclasses import dataclass
from datetime import timedelta

from chatkeep.domain.audit import AUDIT_KEPT, LATEST, AuditLine, AuditPlace, Operator
from chatkeep.domain.model import Limits, UserId, uuid7
from chatkeep.domain.ports import Audit, Clock
from chatkeep.domain.steps import forget_in_steps


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of lines, latest first. `next` is the place before which the next page starts."""

    items: tuple[AuditLine, ...]
    next: AuditPlace | None


@dataclass(frozen=True, slots=True)
class AuditUseCases:
    lines: Audit
    clock: Clock
    limits: Limits
    kept: timedelta = AUDIT_KEPT

    async def record(
        self,
        operator: Operator,
        user_id: UserId,
        action: str,
        *,
        conversation_id: str | None = None,
        message_id: str | None = None,
    ) -> None:
        """Write a line. Only after that may the operator get an answer."""
        at = self.clock.now()
        line = AuditLine(uuid7(at), at, operator, user_id, action, conversation_id, message_id)
        await self.lines.add(line)

    async def page(
        self, *, user_id: UserId | None = None, before: AuditPlace = LATEST, limit: int = 20
    ) -> AuditPage:
        """Return lines before a place, latest first: those about a user, or all.

        Raises `LimitExceededError` for a `limit` over `max_page`.
        """
        self.limits.check_page(limit)
        found = await self.lines.page(user_id, before, limit=limit)
        items = tuple(found.items)
        return AuditPage(items, items[-1].place if found.more else None)

    async def forget(self) -> int:
        """Forget all lines that are too old now. Return how many there were."""
        return await forget_in_steps(self.lines.forget, self.clock.now() - self.kept)
