"""Drafts: answers that are still being written."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from chatkeep.domain.drafts import (
    Chunk,
    Draft,
    DraftId,
    DraftStatus,
    EndedDraft,
    NewChunks,
)
from chatkeep.domain.model import ConversationId, Limits, NewMessage, Position, UserId
from chatkeep.domain.pages import NO_BOUND
from chatkeep.domain.places import Place


class Drafts(Protocol):
    """The drafts of conversations, and their chunks.

    A conversation has at most one active draft. Deleting it deletes its drafts. It does not change
    when a draft is started or written, nor when one ends without a message.
    """

    async def start(self, draft: Draft, *, forget_before: datetime) -> Draft:
        """Store a new active draft, and return it with its `number`.

        The number is greater than the positions of all entries and than the numbers of all drafts
        that the conversation ever had. A repeated start changes nothing and returns what is stored.
        A few drafts of the user that ended before `forget_before` are deleted.
        Raises `ConversationNotFoundError`; `DraftActiveError` while another draft is active, or
        this one with another epoch; `DraftIdTakenError` for the id of a draft that was started
        otherwise; `DraftEndedError` for that of one that has ended; `MessageIdTakenError` if a
        message of the user has the id that its message would get.
        """
        ...

    async def take_over(self, draft: Draft, at: datetime) -> Draft | None:
        """Raise the epoch of an active draft, and return it. It counts as progress.

        None, and nothing changes, unless the draft is active and has the epoch of `draft`.
        """
        ...

    async def write(  # noqa: PLR0913, PLR0917 - each is one independent part of the call
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
        """Add chunks, of which the first has the number `seq`, and return the draft after that.

        All or none. Those that are stored already are left out. If any is new, `progress_at`
        becomes `at`, but never goes back.
        Raises `DraftNotFoundError`, and what `Draft.check_write` raises.
        """
        ...

    async def end(
        self,
        draft: Draft,
        status: DraftStatus,
        at: datetime,
        message: NewMessage | None,
        *,
        place: Place | None,
    ) -> EndedDraft | None:
        """End the draft, and append its message at the place, if there is one. All or nothing.

        The message has an id. It is appended as by `Log.append`.
        None, and nothing changes, unless the draft is active and still has the `epoch` and the
        `next` of `draft`.
        Raises `MessageNotFoundError` and `BranchNotFoundError` if there is no such place, and
        `MessageIdTakenError`.
        """
        ...

    async def get(
        self, user_id: UserId, conversation_id: ConversationId, draft_id: DraftId
    ) -> Draft:
        """Return the draft, or raise `DraftNotFoundError`."""
        ...

    async def latest(
        self, user_id: UserId, conversation_id: ConversationId, *, limit: int
    ) -> Sequence[Draft]:
        """Return at most `limit` drafts, by number, descending. An active one is the first.

        Raises `ConversationNotFoundError`.
        """
        ...

    async def chunks(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        number: Position,
        *,
        after: int = 0,
        max_bytes: int = NO_BOUND,
    ) -> Sequence[Chunk]:
        """Return the next chunks after the one with that number, of the draft with `number`.

        They are in order, without gaps, and about `max_bytes` at most. At least one if there are
        any: so the end is reached when there are none. There are none of an unknown draft.
        """
        ...

    async def overdue(self, at: datetime, *, limit: int) -> Sequence[Draft]:
        """Return up to `limit` active drafts of all users that are overdue then, in any order."""
        ...

    async def forget(self, before: datetime, *, limit: int) -> int:
        """Delete up to `limit` drafts of all users that ended before then. Return their number."""
        ...
