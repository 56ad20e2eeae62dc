"""Events: what happened to a conversation and its messages, for readers who follow it live.

Nothing is stored for a message that is added: the log has it, at its position. So a reader needs to
remember how far they have read, which is a `Mark`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from chatkeep.domain.drafts import Chunk, Draft, DraftId
from chatkeep.domain.log import BEFORE_FIRST
from chatkeep.domain.model import (
    LAST_POSITION,
    BranchNumber,
    Conversation,
    ConversationId,
    Message,
    MessageId,
    Position,
    UserId,
    microseconds,
)
from chatkeep.domain.pages import count_fitting

CHANGES_KEPT: Final = timedelta(days=7)
"""How long the changes of older messages are kept, unless set otherwise."""

ALL_CHANGES: Final = 2**31 - 1
"""The `number` of a mark behind all changes of its revision."""


ENDED: Final = -1
"""The chunk of a mark behind the end of a draft."""

UNREAD: Final = -1
"""The chunk before the start of a draft."""

NO_DRAFTS: Final = (Position(LAST_POSITION), UNREAD)
"""The drafts of a reader who wants none (see `Mark.unread_draft`)."""

ANY_REVISION: Final = -1
"""The revision of a mark whose reader wants to know only of a draft."""


class EventKind(StrEnum):
    MESSAGE_CREATED = "message.created"
    MESSAGE_UPDATED = "message.updated"
    MESSAGE_DELETED = "message.deleted"
    CONVERSATION_CREATED = "conversation.created"
    CONVERSATION_UPDATED = "conversation.updated"
    CONVERSATION_DELETED = "conversation.deleted"
    DRAFT_STARTED = "draft.started"
    DRAFT_DELTA = "draft.delta"
    DRAFT_FINISHED = "draft.finished"
    DRAFT_INTERRUPTED = "draft.interrupted"


class Mark(NamedTuple):
    """How far a reader has read the events of a conversation.

    They have the messages up to `position`, and the changes up to the change `number` of
    `revision`. `began` is when the conversation was created, in microseconds: it tells it from a
    later one with the same id. 0 is any. `at` is when they read it, in seconds since 1970, or 0.

    Of drafts, they know those up to the number `draft`, the latter one up to its chunk `chunk`,
    which is `ENDED` if they know that it has ended.
    """

    began: int
    position: Position
    revision: int
    number: int
    at: int = 0
    draft: Position = BEFORE_FIRST
    chunk: int = ENDED

    @property
    def unread_draft(self) -> tuple[Position, int]:
        """The number from which on drafts have something new, and its last chunk that was read.

        The chunk is `UNREAD` if not even its start is known.
        """
        if self.chunk == ENDED:
            return Position(self.draft + 1), UNREAD
        return self.draft, self.chunk


FROM_START: Final = Mark(0, BEFORE_FIRST, 0, 0)
"""Where nothing has been read yet."""


class PendingDraft(NamedTuple):
    """The first draft of which a reader does not know everything yet.

    `deadline` is that of an active one: it is interrupted then, unless a chunk comes before.
    `chunks` are the next ones, if they were read along with it.
    """

    id: DraftId
    number: Position
    next: int
    format: str
    is_active: bool
    progress_at: datetime
    deadline: datetime
    chunks: Sequence[Chunk] = ()


class DraftDelta(NamedTuple):
    """How a draft goes on: its next chunks, of that format."""

    id: DraftId
    format: str
    chunks: Sequence[Chunk]


class Event(NamedTuple):
    """One event. `mark` is that of a reader who has read it.

    New and changed messages, conversations and drafts are as they are now. The branch and the
    parent are those of a new message (`branch_pages.BranchMessage`); a deleted message has only
    its id.
    """

    kind: EventKind
    conversation_id: ConversationId
    mark: Mark
    message: Message | None = None
    message_id: MessageId | None = None
    parent_id: MessageId | None = None
    branch: BranchNumber | None = None
    conversation: Conversation | None = None
    draft: Draft | None = None
    delta: DraftDelta | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in order. `mark` is that of a reader who has read all of them.

    `more` means that others follow. `is_branched` means that the conversation has branches: then
    the events do not have their messages' branches and parents. `is_over` means that there will be
    no others, since the conversation is deleted.
    """

    events: Sequence[Event]
    mark: Mark
    more: bool
    is_branched: bool = False
    is_over: bool = False
    pending: PendingDraft | None = None


def newest_at(events: Sequence[Event], pending: PendingDraft | None = None) -> int:
    """Return when the newest message or chunk of events was stored, in microseconds since 1970.

    0 if they have none. Of changes there is no time. `pending` is the draft of their chunks.
    """
    times = [0]
    for event in events:
        if event.kind is EventKind.MESSAGE_CREATED and event.message is not None:
            times.append(event.message.position)
        elif event.delta is not None and pending is not None:
            times.append(microseconds(pending.progress_at))
    return max(times)


class Followed(NamedTuple):
    """A conversation that somebody follows: its revision when they read it last, and its drafts.

    With `ANY_REVISION`, only its drafts matter. `draft` and `chunk` are `Mark.unread_draft`.
    """

    user_id: UserId
    conversation_id: ConversationId
    revision: int
    draft: Position
    chunk: int


class Fitting(NamedTuple):
    """How many new messages and how many changes are on a page of events."""

    new: int
    changed: int


def count_events(new: Sequence[int], changed: Sequence[int], limit: int, max_bytes: int) -> Fitting:
    """Return how much fits on a page, by sizes. Changes come only after all new messages."""
    count = count_fitting(new[:limit], max_bytes) if new else 0
    if count < len(new) or not changed:
        return Fitting(count, 0)
    left = changed[: limit - count]
    return Fitting(count, count_fitting(left, max_bytes - sum(new), least=0 if new else 1))
