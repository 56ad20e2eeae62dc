"""The use cases of drafts: answers that are still being written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from chatkeep.domain.draft_endings import TRIES, DraftEndings, changed_too_often
from chatkeep.domain.draft_errors import (
    DraftActiveError,
    DraftEndedError,
    DraftExpiredError,
    DraftIdTakenError,
    DraftNotFoundError,
)
from chatkeep.domain.drafts import (
    DEFAULT_LEASE,
    TEXT,
    Chunk,
    Draft,
    DraftId,
    Interruption,
    NewChunks,
)
from chatkeep.domain.ids import of_conversation
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    ConversationId,
    JsonText,
    MessageId,
    UserId,
    uuid7,
)
from chatkeep.domain.places import After, AtTip, Place

NO_MAX_AGE: Final = timedelta(days=3_650)


@dataclass(frozen=True, slots=True)
class DraftPage:
    """A draft and some of its chunks, in order. `more` means that others follow."""

    draft: Draft
    chunks: Sequence[Chunk]
    more: bool


class DraftUseCases(DraftEndings):
    """The calls of those who write drafts, and of those who read them."""

    __slots__ = ()

    async def start(  # noqa: PLR0913 - one for each field
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        draft_id: DraftId | None = None,
        message_id: MessageId | None = None,
        place: Place | None = None,
        format_: str = TEXT,
        metadata: JsonText = EMPTY_OBJECT,
        lease: int = DEFAULT_LEASE,
        supersede: bool = False,
        keep: bool = True,
    ) -> Draft:
        """Start a draft. An active one that is overdue is interrupted first.

        With `supersede` any other active one is interrupted too: with `keep`, what there is of it
        becomes a message. If it is the draft with this id, the caller takes it over instead: its
        epoch is raised, and its chunks stay.
        If the caller chose the id, the call can be repeated. Raises `ConversationNotFoundError`,
        `MessageNotFoundError` and `BranchNotFoundError` if there is no such place,
        `DraftActiveError`, `DraftIdTakenError`, `DraftEndedError`, `MessageIdTakenError`, and
        `InvalidValueError` or `LimitExceededError` naming the field.
        """
        at = self.clock.now()
        own_id = DraftId(
            uuid7(at) if draft_id is None else of_conversation(conversation_id, draft_id)
        )
        max_age = self.limits.max_draft_seconds
        new = Draft(
            id=own_id,
            user_id=user_id,
            conversation_id=conversation_id,
            message_id=of_conversation(
                conversation_id, own_id if message_id is None else message_id
            ),
            started_at=at,
            progress_at=at,
            ends_by=at + (timedelta(seconds=max_age) if max_age else NO_MAX_AGE),
            lease=lease,
            place=place,
            format=format_,
            metadata=metadata,
        )
        new.check(self.limits)
        await self._check_place(user_id, conversation_id, place)
        for _ in range(TRIES):
            if supersede and draft_id is not None and (taken := await self._take_over(new)):
                self.deadlines.note(taken)
                return taken
            try:
                draft = await self.drafts.start(new, forget_before=at - self.kept)
            except DraftActiveError as error:
                active = await self._find(user_id, conversation_id, DraftId(error.draft_id))
                if active is None or not active.is_active:
                    continue
                if active.is_overdue(at):
                    await self.interrupt(active, Interruption.EXPIRED)
                elif supersede and active.id != new.id:
                    await self.interrupt(active, Interruption.SUPERSEDED, keep=keep)
                elif not supersede:
                    raise
            else:
                self.counts["started"] += draft.started_at == at  # unless it was repeated
                self.deadlines.note(draft)
                return draft
        raise changed_too_often()

    async def write(  # noqa: PLR0913, PLR0917 - each is one independent part of the call
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        draft_id: DraftId,
        epoch: int,
        seq: int,
        chunks: NewChunks,
    ) -> Draft:
        """Add chunks, of which the first has the number `seq`, and return the draft after that.

        The call can be repeated: chunks that are stored already are left out. Raises
        `DraftNotFoundError`, `DraftSupersededError`, `DraftEndedError`, `DraftGapError`, and
        `InvalidValueError` or `LimitExceededError` naming the field.
        """
        chunks.check(seq)
        at = self.clock.now()
        try:
            draft = await self.drafts.write(
                user_id, conversation_id, draft_id, epoch, seq, chunks, at, self.limits
            )
        except DraftExpiredError:
            draft = await self.get(user_id, conversation_id, draft_id)
            raise DraftEndedError(draft_id, draft.status.value) from None
        self.deadlines.note(draft)
        return draft

    async def get(
        self, user_id: UserId, conversation_id: ConversationId, draft_id: DraftId
    ) -> Draft:
        """Return the draft; an overdue one is interrupted. Raises `DraftNotFoundError`."""
        return await self.interrupt_overdue(
            await self.drafts.get(user_id, conversation_id, draft_id)
        )

    async def read(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        draft_id: DraftId,
        *,
        after: int = 0,
    ) -> DraftPage:
        """Return the draft, and its chunks after the one with the number `after`.

        Raises `DraftNotFoundError`.
        """
        draft = await self.get(user_id, conversation_id, draft_id)
        found = await self.drafts.chunks(
            user_id, conversation_id, draft.number, after=after, max_bytes=self.limits.max_bytes
        )
        chunks = [chunk for chunk in found if chunk.seq < draft.next]
        last = chunks[-1].seq if chunks else after
        return DraftPage(draft, chunks, more=last + 1 < draft.next)

    async def latest(
        self, user_id: UserId, conversation_id: ConversationId, *, limit: int = 20
    ) -> Sequence[Draft]:
        """Return at most `limit` drafts, latest first; an overdue one is interrupted.

        Raises `ConversationNotFoundError`, `LimitExceededError` for a `limit` over `max_page`.
        """
        self.limits.check_page(limit)
        found = await self.drafts.latest(user_id, conversation_id, limit=limit)
        return [await self.interrupt_overdue(draft) for draft in found]

    async def _take_over(self, new: Draft) -> Draft | None:
        """Take over the active draft with this id, if there is one whose time is not up."""
        active = await self._find(new.user_id, new.conversation_id, new.id)
        if active is None or not active.is_active or active.ends_by <= new.started_at:
            return None
        if not new.is_same_start(active):
            raise DraftIdTakenError(active.id)
        return await self.drafts.take_over(active, new.started_at)

    async def _check_place(
        self, user_id: UserId, conversation_id: ConversationId, place: Place | None
    ) -> None:
        if isinstance(place, After) and place.message_id is not None:
            await self.log.get(user_id, conversation_id, place.message_id)
        elif isinstance(place, AtTip):
            _ = (await self.log.tree(user_id, conversation_id))[place.branch]

    async def _find(
        self, user_id: UserId, conversation_id: ConversationId, draft_id: DraftId
    ) -> Draft | None:
        try:
            return await self.drafts.get(user_id, conversation_id, draft_id)
        except DraftNotFoundError:
            return None
