"""The use cases of drafts: answers that are still being written."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from chatkeep.domain.deadlines import Deadlines
from chatkeep.domain.draft_errors import (
    DraftActiveError,
    DraftEndedError,
    DraftExpiredError,
    DraftIdTakenError,
    DraftNotFoundError,
)
from chatkeep.domain.draft_messages import (
    complete_message,
    finished_message,
    interrupted_message,
)
from chatkeep.domain.drafts import (
    DEFAULT_LEASE,
    TEXT,
    Chunk,
    Draft,
    DraftId,
    DraftStatus,
    EndedDraft,
    Interruption,
    NewChunks,
)
from chatkeep.domain.errors import (
    BranchNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
    NotFoundError,
    StoreUnavailableError,
)
from chatkeep.domain.ids import of_conversation
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    ConversationId,
    JsonText,
    Limits,
    Message,
    MessageId,
    NewMessage,
    UserId,
    uuid7,
)
from chatkeep.domain.places import After, AtTip, Place
from chatkeep.domain.ports import Clock, Conversations, Drafts, Log
from chatkeep.domain.threads import run_aside

SWEPT_AT_ONCE: Final = 100
TRIES: Final = 20
"""How often a call is made again because another one has changed the draft meanwhile."""

RETENTION: Final = timedelta(hours=1)
NO_MAX_AGE: Final = timedelta(days=3_650)


@dataclass(frozen=True, slots=True)
class DraftPage:
    """A draft and some of its chunks, in order. `more` means that others follow."""

    draft: Draft
    chunks: Sequence[Chunk]
    more: bool


@dataclass(frozen=True, slots=True)
class DraftUseCases:
    """The calls of those who write drafts, and of those who read them.

    An ended draft is kept for `retention`, so that readers can go on and answers can be repeated.
    """

    drafts: Drafts
    log: Log
    conversations: Conversations
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    retention: timedelta = RETENTION
    counts: Counter[str] = field(default_factory=Counter)
    """How many drafts were `started` here, and how many ended, by their status."""

    deadlines: Deadlines = field(default_factory=Deadlines)
    """When the drafts that were written here are overdue."""

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
                draft = await self.drafts.start(new, forget_before=at - self.retention)
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
        raise _changed_too_often()

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

    async def finish(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        draft_id: DraftId,
        epoch: int,
        message: NewMessage | None = None,
    ) -> EndedDraft:
        """End the draft, and append its message: the one given, or what its chunks make.

        Without either, there is none. The call can be repeated. Raises `DraftNotFoundError`,
        `DraftSupersededError`, `DraftEndedError`, `MessageIdTakenError`, `MessageNotFoundError` and
        `BranchNotFoundError` if its place is gone, and `InvalidValueError` or `LimitExceededError`
        naming the field.
        """
        if message is not None:
            message.check(self.limits)
        for _ in range(TRIES):
            draft = await self.drafts.get(user_id, conversation_id, draft_id)
            given = None if message is None else complete_message(draft, message)
            if draft.epoch == epoch and draft.status is DraftStatus.FINISHED:
                return await self._finished_before(draft, given)
            draft.check_writer(epoch)
            new = given or await self._made(draft, partial(finished_message, limits=self.limits))
            ended = await self.drafts.end(
                draft, DraftStatus.FINISHED, self.clock.now(), new, place=draft.place
            )
            if ended is not None:
                self.counts[ended.draft.status] += 1
                self.deadlines.note(ended.draft)
                return ended
        raise _changed_too_often()

    async def cancel(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        draft_id: DraftId,
        *,
        keep: bool = True,
    ) -> EndedDraft:
        """Cancel the draft. With `keep`, what there is of it becomes a message.

        The call can be repeated. Raises `DraftNotFoundError`, and `DraftEndedError` if it has ended
        otherwise.
        """
        draft = await self.drafts.get(user_id, conversation_id, draft_id)
        ended = await self.interrupt(draft, Interruption.CANCELLED, keep=keep)
        if ended.draft.status is not DraftStatus.CANCELLED:
            raise DraftEndedError(draft_id, ended.draft.status.value)
        return ended

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

    async def interrupt_overdue(self, draft: Draft) -> Draft:
        """Interrupt the draft if it is overdue, and return it as it is then."""
        if not draft.is_overdue(self.clock.now()):
            return draft
        return (await self.interrupt(draft, Interruption.EXPIRED)).draft

    async def interrupt(self, draft: Draft, why: Interruption, *, keep: bool = True) -> EndedDraft:
        """End an active draft, and return it. With `keep`, its text becomes a message, marked.

        The message is appended at the end if its place is gone. One that has ended is returned as
        it is, and so is one that has made progress, if it was to be interrupted for its deadline.
        Raises `DraftNotFoundError`.
        """
        place, message_id = draft.place, draft.message_id
        for _ in range(TRIES):
            at = self.clock.now()
            if not draft.is_active or (why is Interruption.EXPIRED and not draft.is_overdue(at)):
                return await self._ended_before(draft)
            message = None
            if keep:
                message = await self._made(draft, partial(interrupted_message, why=why))
            if message is not None:
                message = message._replace(id=message_id)
            try:
                ended = await self.drafts.end(draft, why.status, at, message, place=place)
            except (MessageNotFoundError, BranchNotFoundError):
                place = None
                continue
            except MessageIdTakenError:
                message_id = MessageId(uuid7(at))
                continue
            if ended is not None:
                self.counts[ended.draft.status] += 1
                self.deadlines.note(ended.draft)
                return ended
            draft = await self.drafts.get(draft.user_id, draft.conversation_id, draft.id)
        raise _changed_too_often()

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

    async def _made(
        self, draft: Draft, make: Callable[[Draft, Sequence[Chunk]], NewMessage | None]
    ) -> NewMessage | None:
        """Return the message that the chunks of a draft make, in a thread if they are large."""
        chunks = await self._all_chunks(draft)
        return await run_aside(draft.bytes, lambda: make(draft, chunks))

    async def sweep(self) -> None:
        """Interrupt the overdue drafts of all users, and delete those that ended long ago."""
        at, is_done = self.clock.now(), False
        while not is_done:
            found = await self.drafts.overdue(at, limit=SWEPT_AT_ONCE)
            for draft in found:
                with suppress(NotFoundError):  # its conversation has been deleted
                    await self.interrupt(draft, Interruption.EXPIRED)
            is_done = len(found) < SWEPT_AT_ONCE
        while await self.drafts.forget(at - self.retention, limit=SWEPT_AT_ONCE) == SWEPT_AT_ONCE:
            pass

    async def _all_chunks(self, draft: Draft) -> Sequence[Chunk]:
        """Return the chunks that the draft has, and none that were written since it was read."""
        chunks: list[Chunk] = []
        while len(chunks) + 1 < draft.next:
            some = await self.drafts.chunks(
                draft.user_id, draft.conversation_id, draft.number, after=len(chunks)
            )
            if not some:
                break
            chunks += some
        return chunks[: draft.next - 1]

    async def _finished_before(self, draft: Draft, given: NewMessage | None) -> EndedDraft:
        """Return what an earlier, equal call has done. Raises `DraftEndedError`."""
        ended = await self._ended_before(draft)
        stored = None if given is None else ended.message
        if given and stored and stored.edited_at is None and not given.equals(stored):
            raise DraftEndedError(draft.id, draft.status.value)
        return ended

    async def _ended_before(self, draft: Draft) -> EndedDraft:
        """Return a draft with its message, if that is still there, and the conversation now."""
        message: Message | None = None
        if draft.position is not None:
            try:
                message = await self.log.get(
                    draft.user_id, draft.conversation_id, draft.message_id, original=True
                )
            except MessageNotFoundError:
                message = None
        now = await self.conversations.get(draft.user_id, draft.conversation_id)
        return EndedDraft(draft, message, now.message_count, now.revision, now.branch)


def _changed_too_often() -> StoreUnavailableError:
    return StoreUnavailableError("The draft was changed several times in a row.")
