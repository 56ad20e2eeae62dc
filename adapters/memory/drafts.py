"""Drafts in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chatkeep.adapters.memory.branches import MemoryBranches
from chatkeep.adapters.memory.store import KeptConversation, KeptDraft, MemoryStore
from chatkeep.domain.draft_errors import DraftNotFoundError
from chatkeep.domain.drafts import (
    Chunk,
    Draft,
    DraftId,
    DraftStatus,
    EndedDraft,
    NewChunks,
)
from chatkeep.domain.errors import MessageIdTakenError
from chatkeep.domain.log import entries_of, messages_in
from chatkeep.domain.model import (
    ConversationId,
    Limits,
    NewMessage,
    Position,
    UserId,
    microseconds,
)
from chatkeep.domain.pages import NO_BOUND
from chatkeep.domain.places import Place

MAX_FORGOTTEN = 10
"""How many ended drafts a start deletes."""


@dataclass(frozen=True, slots=True)
class MemoryDrafts:
    store: MemoryStore

    async def start(self, draft: Draft, *, forget_before: datetime) -> Draft:
        kept = self.store.conversation(draft.user_id, draft.conversation_id)
        user = self.store.user(draft.user_id)
        drafts = [each.draft for each in kept.drafts.values()]
        held = [each for each in drafts if each.is_active or each.id == draft.id]
        if held:
            return draft.match_start(held)
        if draft.message_id in user.messages:
            raise MessageIdTakenError(draft.message_id)
        number = Position(max(microseconds(draft.started_at), kept.last_position + 1))
        kept.last_position = number
        for each in user.conversations.values():
            _forget(each, forget_before, MAX_FORGOTTEN)
        kept.drafts[number] = KeptDraft(replace(draft, number=number))
        return kept.drafts[number].draft

    async def take_over(self, draft: Draft, at: datetime) -> Draft | None:
        kept = self._kept(draft)
        if kept is None or not kept.draft.is_active or kept.draft.epoch != draft.epoch:
            return None
        kept.draft = replace(
            kept.draft, epoch=draft.epoch + 1, progress_at=max(at, kept.draft.progress_at)
        )
        return kept.draft

    async def write(  # noqa: PLR0913, PLR0917 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        draft_id: DraftId,
        epoch: int,
        seq: int,
        chunks: NewChunks,
        at: datetime,
        limits: Limits,
    ) -> Draft:
        kept = self._find(user_id, conversation_id, draft_id)
        kept.draft.check_write(epoch, seq, chunks, at, limits)
        fresh = chunks.after(kept.draft.next - seq)
        kept.chunks += fresh.texts
        kept.draft = kept.draft.extended(fresh, at)
        return kept.draft

    async def end(
        self,
        draft: Draft,
        status: DraftStatus,
        at: datetime,
        message: NewMessage | None,
        *,
        place: Place | None,
    ) -> EndedDraft | None:
        mine = self._kept(draft)
        if mine is None or not mine.draft.is_active:
            return None
        if (mine.draft.epoch, mine.draft.next) != (draft.epoch, draft.next):
            return None
        kept = self.store.conversation(draft.user_id, draft.conversation_id)
        stored = None
        if message is not None:
            tree = None
            if place is not None:
                tree = MemoryBranches(self.store).placed(draft.user_id, kept, place, at)
            user = self.store.user(draft.user_id)
            [stored] = messages_in(user.append(kept, entries_of([message]), at))
            if tree is not None:
                kept.set_branches(tree)
        mine.draft = mine.draft.ended(status, at, stored)
        now = kept.conversation
        return EndedDraft(mine.draft, stored, now.message_count, now.revision, now.branch)

    async def get(
        self, user_id: UserId, conversation_id: ConversationId, draft_id: DraftId
    ) -> Draft:
        return self._find(user_id, conversation_id, draft_id).draft

    async def latest(
        self, user_id: UserId, conversation_id: ConversationId, *, limit: int
    ) -> Sequence[Draft]:
        drafts = self.store.conversation(user_id, conversation_id).drafts
        return [drafts[number].draft for number in sorted(drafts, reverse=True)[:limit]]

    async def chunks(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        number: Position,
        *,
        after: int = 0,
        max_bytes: int = NO_BOUND,
    ) -> Sequence[Chunk]:
        conversation = self.store.user(user_id).conversations.get(conversation_id)
        kept = conversation and conversation.drafts.get(number)
        return kept.after(after, max_bytes) if kept else []

    async def overdue(self, at: datetime, *, limit: int) -> Sequence[Draft]:
        found = [each.draft for each in self._all() if each.draft.is_overdue(at)]
        return found[:limit]

    async def forget(self, before: datetime, *, limit: int) -> int:
        forgotten = 0
        for user in self.store.users.values():
            for kept in user.conversations.values():
                forgotten += _forget(kept, before, limit - forgotten)
        return forgotten

    def _all(self) -> Iterator[KeptDraft]:
        for user in self.store.users.values():
            for kept in user.conversations.values():
                yield from kept.drafts.values()

    def _kept(self, draft: Draft) -> KeptDraft | None:
        kept = self.store.user(draft.user_id).conversations.get(draft.conversation_id)
        return None if kept is None else kept.drafts.get(draft.number)

    def _find(
        self, user_id: UserId, conversation_id: ConversationId, draft_id: DraftId
    ) -> KeptDraft:
        kept = self.store.user(user_id).conversations.get(conversation_id)
        for each in () if kept is None else kept.drafts.values():
            if each.draft.id == draft_id:
                return each
        raise DraftNotFoundError(draft_id)


def _forget(kept: KeptConversation, before: datetime, limit: int) -> int:
    """Delete up to `limit` drafts that ended before then, and return how many."""
    old = [
        number
        for number, each in kept.drafts.items()
        if each.draft.ended_at is not None and each.draft.ended_at < before
    ][:limit]
    for number in old:
        del kept.drafts[number]
    return len(old)
