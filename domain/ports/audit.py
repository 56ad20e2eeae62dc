"""The port to the audit."""

from datetime import datetime
from typing import Protocol

from chatkeep.domain.audit import AuditLine, AuditPlace
from chatkeep.domain.model import UserId
from chatkeep.domain.pages import Page


class Audit(Protocol):
    """The lines stay when their user is erased, and go when they are old."""

    async def add(self, line: AuditLine) -> None:
        """Keep a line; the same one again changes nothing. The user need not exist."""
        ...

    async def page(
        self, user_id: UserId | None, before: AuditPlace, *, limit: int
    ) -> Page[AuditLine]:
        """Return the `limit` latest lines before a place, about a user or about all, latest first.

        It is for operators.
        """
        ...

    async def forget(self, before: datetime, *, limit: int) -> int:
        """Delete at most `limit` lines that were written before a time. Return how many."""
        ...
