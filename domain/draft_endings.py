"""How drafts end: finished, cancelled, or interrupted because their producers are gone."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from chatkeep.domain.deadlines import Deadlines
from chatkeep.domain.draft_errors import DraftEndedError
from chatkeep.domain.draft_messages import (
    complete_message,
    finished_message,
    interrupted_message,
)
from chatkeep.domain.drafts import (
    DRAFTS_KEPT,
    Chunk,
    Draft,
    DraftId,
    DraftStatus,
    EndedDraft,
    Interruption,
)
from chatkeep.domain.errors import (
    BranchNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
    NotFoundError,
    StoreUnavailableError,
)
from chatkeep.domain.model import (
    ConversationId,
    Limits,
    Message,
    MessageId,
    NewMessage,
    UserId,
    uuid7,
)
from chatkeep.domain.ports import Clock, Conversations, Drafts, Log
from chatkeep.domain.steps import forget_in_steps
from chatkeep.domain.threads import run_aside

SWEPT_AT_ONCE: Final = 100
TRIES: Final = 20
"""How often a call is made again because another one has changed the draft meanwhile."""


@dataclass(frozen=True, slots=True)
class DraftEndings:
    """The calls that end drafts. An ended one is kept for a while (`kept`).

    So readers can go on, and answers can be repeated.
    """

    drafts: Drafts
    log: Log
    conversations: Conversations
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    kept: timedelta = DRAFTS_KEPT
    counts: Counter[str] = field(default_factory=Counter)
    """How many drafts were `started` here, and how many ended, by their status."""

    deadlines: Deadlines = field(default_factory=Deadlines)
    """When the drafts that were written here are overdue."""

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
        raise changed_too_often()

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
        raise changed_too_often()

    async def overdue(self) -> Sequence[Draft]:
        """Return drafts of all users that are overdue, but not more than fit into one step."""
        return await self.drafts.overdue(self.clock.now(), limit=SWEPT_AT_ONCE)

    async def sweep(self) -> None:
        """Interrupt the overdue drafts of all users, and forget those that ended long ago."""
        is_done = False
        while not is_done:
            found = await self.overdue()
            for draft in found:
                with suppress(NotFoundError):  # its conversation has been deleted
                    await self.interrupt(draft, Interruption.EXPIRED)
            is_done = len(found) < SWEPT_AT_ONCE
        await self.forget()

    async def forget(self) -> int:
        """Forget the drafts of all users that ended long ago. Return how many there were."""
        return await forget_in_steps(
            self.drafts.forget, self.clock.now() - self.kept, step=SWEPT_AT_ONCE
        )

    async def _made(
        self, draft: Draft, make: Callable[[Draft, Sequence[Chunk]], NewMessage | None]
    ) -> NewMessage | None:
        """Return the message that the chunks of a draft make, in a thread if they are large."""
        chunks = await self._all_chunks(draft)
        return await run_aside(draft.bytes, lambda: make(draft, chunks))

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


def changed_too_often() -> StoreUnavailableError:
    return StoreUnavailableError("The draft was changed several times in a row.")
