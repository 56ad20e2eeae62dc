"""Events: what happened to a conversation and its messages, for readers who follow it live.

Nothing is stored for a message that is added: the log has it, at its position. So a reader needs to
remember how far they have read, which is a `Mark`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from chatkeep.domain.log import BEFORE_FIRST
from chatkeep.domain.model import (
    BranchNumber,
    ConversationId,
    Message,
    MessageId,
    Position,
    UserId,
)

ALL_CHANGES: Final = 2**31 - 1
"""The `number` of a mark behind all changes of its revision."""


class EventKind(StrEnum):
    MESSAGE_CREATED = "message.created"
    CONVERSATION_DELETED = "conversation.deleted"


class Mark(NamedTuple):
    """How far a reader has read the events of a conversation.

    They have the messages up to `position`, and the changes up to the change `number` of
    `revision`. `began` is when the conversation was created, in microseconds: it tells it from a
    later one with the same id. 0 is any.
    """

    began: int
    position: Position
    revision: int
    number: int


FROM_START: Final = Mark(0, BEFORE_FIRST, 0, 0)
"""Where nothing has been read yet."""


class Event(NamedTuple):
    """One event. `mark` is that of a reader who has read it.

    The branch and the parent are those of a new message (`branch_use_cases.BranchMessage`).
    """

    kind: EventKind
    conversation_id: ConversationId
    mark: Mark
    message: Message | None = None
    parent_id: MessageId | None = None
    branch: BranchNumber | None = None


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


class Followed(NamedTuple):
    """A conversation that somebody follows, and its revision when they read it last."""

    user_id: UserId
    conversation_id: ConversationId
    revision: int
