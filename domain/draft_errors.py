"""The errors of drafts, as those in `errors`."""

from uuid import UUID

from chatkeep.domain.errors import ConflictError, NotFoundError


class DraftNotFoundError(NotFoundError):
    def __init__(self, draft_id: UUID) -> None:
        super().__init__(
            f"The conversation has no draft {draft_id}. Drafts are deleted some time after they "
            "have ended."
        )
        self.draft_id = draft_id


class DraftError(ConflictError):
    """A draft is not as the caller expects: `draft_id` names it."""

    def __init__(self, draft_id: UUID, reason: str) -> None:
        super().__init__(reason)
        self.draft_id = draft_id


class DraftActiveError(DraftError):
    """Another draft of the conversation is active. `next_chunk` is the number of its next chunk."""

    def __init__(self, draft_id: UUID, epoch: int, next_chunk: int) -> None:
        super().__init__(
            draft_id,
            f"Draft {draft_id} of this conversation is active. Read it, wait for its end, cancel "
            "it, or start again with `supersede`.",
        )
        self.epoch = epoch
        self.next_chunk = next_chunk


class DraftIdTakenError(DraftError):
    def __init__(self, draft_id: UUID) -> None:
        super().__init__(
            draft_id,
            f"The conversation has a draft {draft_id} that was started otherwise. "
            "Repeat the request as it was, or choose another id.",
        )


class DraftSupersededError(DraftError):
    """Another producer has taken over the draft; it has that epoch now."""

    def __init__(self, draft_id: UUID, epoch: int) -> None:
        super().__init__(
            draft_id,
            f"Draft {draft_id} has the epoch {epoch} now, so nothing was written: another producer "
            "has taken over. Stop writing.",
        )
        self.epoch = epoch


class DraftEndedError(DraftError):
    """The draft has ended: `status` says how."""

    def __init__(self, draft_id: UUID, status: str) -> None:
        super().__init__(
            draft_id, f"Draft {draft_id} is {status}, so nothing was written. Stop writing."
        )
        self.status = status


class DraftExpiredError(DraftError):
    """The time of the draft is up, and it has not been interrupted yet."""

    def __init__(self, draft_id: UUID) -> None:
        super().__init__(
            draft_id, f"The time of draft {draft_id} is up, so nothing was written. Stop writing."
        )


class DraftGapError(DraftError):
    """Chunks before the ones that were sent are missing. `expected` is the next one's number."""

    def __init__(self, draft_id: UUID, expected: int) -> None:
        super().__init__(
            draft_id,
            f"The next chunk of draft {draft_id} is {expected}, so nothing was written. Send the "
            "chunks from there on.",
        )
        self.expected = expected
