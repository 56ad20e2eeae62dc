"""Drafts: answers that are still being written, and can be read meanwhile.

A draft is not in the log. Its producer writes numbered chunks; when it finishes, its message is
appended, and the draft ends. At most one draft of a conversation is active.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType, Self
from uuid import UUID

from chatkeep.domain.draft_errors import (
    DraftActiveError,
    DraftEndedError,
    DraftExpiredError,
    DraftGapError,
    DraftIdTakenError,
    DraftSupersededError,
)
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.ids import same_id
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    BranchNumber,
    ConversationId,
    JsonText,
    Limits,
    Message,
    MessageId,
    Position,
    UserId,
    check_format,
    check_metadata,
    same_json,
)
from chatkeep.domain.places import After, Place
from chatkeep.domain.ranges import START

DraftId = NewType("DraftId", UUID)

FIRST_EPOCH: Final = 1
FIRST_CHUNK: Final = 1
TEXT: Final = "text"
"""The format of a draft whose chunks are pieces of the answer's text."""

CHUNK_OVERHEAD: Final = 16
"""Bytes that each chunk counts in addition to its text, so that small ones are bounded too."""

MIN_LEASE: Final = 1
MAX_LEASE: Final = 600
DEFAULT_LEASE: Final = 60
DRAFTS_KEPT: Final = timedelta(hours=1)
"""How long ended drafts are kept, unless set otherwise."""

INTERRUPTED: Final = "chatkeep.interrupted"
"""The member of a message's metadata that says why the answer was not finished."""


class DraftStatus(StrEnum):
    ACTIVE = "active"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"


class Interruption(StrEnum):
    """Why an answer was not finished: the value of `INTERRUPTED`."""

    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"

    @property
    def status(self) -> DraftStatus:
        return DraftStatus.CANCELLED if self is self.CANCELLED else DraftStatus.INTERRUPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An answer that is still being written, or that was until lately.

    `number` orders the drafts and the messages of a conversation: it is a position that no entry
    has. `epoch` grows when another producer takes over. `next` is the number of the next chunk, and
    `bytes` and `chars` are the size of those before it. `place` is where the message will be
    appended; None is the end of the current branch. `position` is that of the message, once there
    is one.
    """

    id: DraftId
    user_id: UserId
    conversation_id: ConversationId
    message_id: MessageId
    started_at: datetime
    progress_at: datetime
    ends_by: datetime
    """The time by which it ends, whatever its producer does."""
    lease: int = DEFAULT_LEASE
    """Seconds without a new chunk after which it is interrupted."""
    number: Position = START
    epoch: int = FIRST_EPOCH
    status: DraftStatus = DraftStatus.ACTIVE
    place: Place | None = None
    format: str = TEXT
    metadata: JsonText = EMPTY_OBJECT
    next: int = FIRST_CHUNK
    bytes: int = 0
    chars: int = 0
    ended_at: datetime | None = None
    position: Position | None = None

    @property
    def is_active(self) -> bool:
        return self.status is DraftStatus.ACTIVE

    @property
    def is_empty(self) -> bool:
        return self.next == FIRST_CHUNK

    @property
    def deadline(self) -> datetime:
        """The time at which it is interrupted unless a chunk comes before."""
        return deadline(self.progress_at, self.lease, self.ends_by)

    def is_overdue(self, at: datetime) -> bool:
        return self.is_active and self.deadline <= at

    def check(self, limits: Limits) -> None:
        """Raise `InvalidValueError` or `LimitExceededError` if a value breaks a rule."""
        check_format(self.format)
        check_metadata(self.metadata, limits)
        if not MIN_LEASE <= self.lease <= MAX_LEASE:
            raise InvalidValueError(
                "lease", f"is {self.lease}; at least {MIN_LEASE}, at most {MAX_LEASE} seconds"
            )

    def is_same_start(self, stored: "Draft") -> bool:
        """Return whether starting this draft would give `stored`."""
        return (
            same_id(self.id, stored.id)
            and same_id(self.message_id, stored.message_id)
            and _same_place(self.place, stored.place)
            and self.format == stored.format
            and self.lease == stored.lease
            and same_json(self.metadata, stored.metadata)
        )

    def match_start(self, stored: "Sequence[Draft]") -> "Draft":
        """Return the stored draft that an earlier, equal start has made.

        `stored` are the active draft and the one with this id, at least one. Raises
        `DraftIdTakenError`, `DraftEndedError`, `DraftActiveError`.
        """
        for each in stored:
            if each.id == self.id:
                if not self.is_same_start(each):
                    raise DraftIdTakenError(each.id)
                if not each.is_active:
                    raise DraftEndedError(each.id, each.status.value)
                if each.epoch == self.epoch:
                    return each
        [active] = [each for each in stored if each.is_active]
        raise DraftActiveError(active.id, active.epoch, active.next)

    def check_writer(self, epoch: int) -> None:
        """Raise `DraftSupersededError` or `DraftEndedError` unless this producer may write."""
        if epoch != self.epoch:
            raise DraftSupersededError(self.id, self.epoch)
        if not self.is_active:
            raise DraftEndedError(self.id, self.status.value)

    def check_write(
        self, epoch: int, seq: int, new: "NewChunks", at: datetime, limits: Limits
    ) -> None:
        """Raise the error of a write that this draft does not take.

        What `check_writer` raises; `DraftExpiredError` at the end of its time, `DraftGapError`, and
        `InvalidValueError` and `LimitExceededError` naming the field.
        """
        self.check_writer(epoch)
        if self.ends_by <= at:
            raise DraftExpiredError(self.id)
        if seq > self.next:
            raise DraftGapError(self.id, self.next)
        new.check_kind(self.format)
        fresh = new.after(self.next - seq)
        limits.check(
            "max_draft_bytes", self.bytes + fresh.bytes, field="chunks", unit="bytes in all"
        )
        if self.format == TEXT:
            limits.check(
                "max_message_chars",
                self.chars + fresh.chars,
                field="chunks",
                unit="characters in all",
            )

    def extended(self, fresh: "NewChunks", at: datetime) -> Self:
        """Return the draft with new chunks."""
        if not fresh.texts:
            return self
        return replace(
            self,
            next=self.next + len(fresh.texts),
            bytes=self.bytes + fresh.bytes,
            chars=self.chars + fresh.chars,
            progress_at=max(self.progress_at, at),
        )

    def ended(self, status: DraftStatus, at: datetime, message: Message | None = None) -> Self:
        """Return the draft once it has ended, with its message if there is one."""
        return replace(
            self,
            status=status,
            ended_at=max(at, self.started_at),
            message_id=self.message_id if message is None else message.id,
            position=None if message is None else message.position,
        )


@dataclass(frozen=True, slots=True)
class NewChunks:
    """Chunks to write, in order. `are_documents` if each is a JSON object, and not a text."""

    texts: Sequence[str]
    are_documents: bool = False

    @property
    def bytes(self) -> int:
        return sum(map(size_of_chunk, self.texts))

    @property
    def chars(self) -> int:
        return sum(map(len, self.texts))

    def after(self, count: int) -> "NewChunks":
        """Return these without the first `count`."""
        return NewChunks(self.texts[count:], self.are_documents) if count else self

    def check(self, seq: int) -> None:
        """Raise `InvalidValueError` if the chunks break a rule."""
        if not FIRST_CHUNK <= seq < 2**31 - len(self.texts):
            raise InvalidValueError(
                "seq", f"is {seq}; the first chunk has the number {FIRST_CHUNK}"
            )
        if not self.texts:
            raise InvalidValueError("chunks", "is empty; give at least one chunk")
        for index, text in enumerate(self.texts):
            if not text:
                raise InvalidValueError(f"chunks[{index}]", "is empty")

    def check_kind(self, format_: str) -> None:
        """Raise `InvalidValueError` unless a draft of this format has such chunks."""
        if self.are_documents == (format_ == TEXT):
            wanted = "strings" if format_ == TEXT else "JSON objects"
            raise InvalidValueError(
                "chunks", f"must be {wanted}, since the draft's format is {format_}"
            )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a draft, with its number. `text` is JSON if the draft's format is not `text`."""

    seq: int
    text: str


@dataclass(frozen=True, slots=True)
class EndedDraft:
    """A draft that has ended, and the conversation after that.

    `message` is what it left in the log: None if that is nothing, or was deleted meanwhile.
    """

    draft: Draft
    message: Message | None
    message_count: int
    revision: int
    branch: BranchNumber | None = None


def deadline(progress_at: datetime, lease: int, ends_by: datetime) -> datetime:
    """Return the time at which a draft is interrupted unless a chunk comes before."""
    return min(progress_at + timedelta(seconds=lease), ends_by)


def size_of_chunk(text: str) -> int:
    """Return the bytes that a chunk counts."""
    return len(text.encode()) + CHUNK_OVERHEAD


def text_of_chunks(chunks: Iterable[Chunk]) -> str:
    return "".join([chunk.text for chunk in chunks])


def _same_place(one: Place | None, other: Place | None) -> bool:
    return one == other and isinstance(one, After) == isinstance(other, After)
