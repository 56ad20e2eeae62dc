"""Sweeps in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from chatkeep.adapters.memory.store import KeptConversation, MemoryStore
from chatkeep.domain.events import EventKind
from chatkeep.domain.idle import Cutoffs, IdleConversation, SweepResult
from chatkeep.domain.model import Conversation, Status


@dataclass(frozen=True, slots=True)
class MemorySweeps:
    store: MemoryStore

    async def count(self, cutoffs: Cutoffs) -> SweepResult:
        total = SweepResult()
        for kept in self._conversations():
            each = kept.conversation
            if _is_idle(each, cutoffs.delete):
                if each.retain:
                    total += SweepResult(retained=1)
                else:
                    total += SweepResult(deleted=1, messages=each.message_count)
                    continue
            if _is_idle(each, cutoffs.archive) and each.status is Status.ACTIVE:
                total += SweepResult(archived=1)
        return total

    async def to_delete(self, before: datetime, *, limit: int) -> Sequence[IdleConversation]:
        return self._find(lambda each: _is_idle(each, before) and not each.retain, limit)

    async def to_archive(self, before: datetime, *, limit: int) -> Sequence[IdleConversation]:
        return self._find(
            lambda each: _is_idle(each, before) and each.status is Status.ACTIVE, limit
        )

    async def delete(self, idle: Sequence[IdleConversation], before: datetime) -> SweepResult:
        total = SweepResult()
        for each in idle:
            user = self.store.user(each.user_id)
            kept = user.conversations.get(each.id)
            if kept and _is_idle(kept.conversation, before) and not kept.conversation.retain:
                dropped = user.drop(each.id)
                total += SweepResult(deleted=1, messages=len(dropped.messages))
        return total

    async def archive(self, idle: Sequence[IdleConversation], before: datetime) -> SweepResult:
        total = SweepResult()
        for each in idle:
            user = self.store.user(each.user_id)
            kept = user.conversations.get(each.id)
            if not kept or not _is_idle(kept.conversation, before):
                continue
            if kept.conversation.status is Status.ACTIVE:
                kept.conversation = kept.conversation._replace(status=Status.ARCHIVED)
                kept.raise_revision()
                user.note(kept, EventKind.CONVERSATION_UPDATED)
                total += SweepResult(archived=1)
        return total

    def _conversations(self) -> Iterator[KeptConversation]:
        for user in self.store.users.values():
            yield from user.conversations.values()

    def _find(self, wanted: Callable[[Conversation], bool], limit: int) -> list[IdleConversation]:
        found = (kept.conversation for kept in self._conversations() if wanted(kept.conversation))
        return [
            IdleConversation(each.id, each.user_id, each.message_count)
            for each in islice(found, limit)
        ]


@dataclass(frozen=True, slots=True)
class MemorySweepSchedule:
    started: dict[datetime, datetime] = field(default_factory=dict)
    finished: dict[datetime, tuple[datetime, SweepResult]] = field(default_factory=dict)

    async def claim(self, due: datetime, at: datetime) -> bool:
        return self.started.setdefault(due, at) == at

    async def finish(self, due: datetime, at: datetime, swept: SweepResult) -> None:
        self.finished[due] = at, swept


def _is_idle(conversation: Conversation, before: datetime | None) -> bool:
    return before is not None and conversation.updated_at < before
