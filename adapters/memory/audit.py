"""The audit in memory."""

from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest, nsmallest
from operator import attrgetter
from typing import Final

from chatkeep.adapters.memory.store import MemoryStore
from chatkeep.domain.audit import AuditLine, AuditPlace
from chatkeep.domain.model import UserId
from chatkeep.domain.pages import Page

_by_place: Final = attrgetter("place")


@dataclass(frozen=True, slots=True)
class MemoryAudit:
    store: MemoryStore

    async def add(self, line: AuditLine) -> None:
        self.store.audit.setdefault((line.id, line.user_id), line)

    async def page(
        self, user_id: UserId | None, before: AuditPlace, *, limit: int
    ) -> Page[AuditLine]:
        fitting = (
            line
            for line in self.store.audit.values()
            if line.place < before and user_id in (None, line.user_id)
        )
        found = nlargest(limit + 1, fitting, key=_by_place)
        return Page(found[:limit], more=len(found) > limit)

    async def forget(self, before: datetime, *, limit: int) -> int:
        old = (line for line in self.store.audit.values() if line.at < before)
        forgotten = nsmallest(limit, old, key=_by_place)
        for line in forgotten:
            del self.store.audit[line.id, line.user_id]
        return len(forgotten)
