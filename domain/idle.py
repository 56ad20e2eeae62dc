"""Idle conversations, and what a sweep does with them."""

from dataclasses import dataclass
from datetime import datetime

from chatkeep.domain.model import ConversationId, UserId


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Conversations idle since before `delete` are deleted, others since before `archive` archived.

    None means that none are.
    """

    archive: datetime | None
    delete: datetime | None


@dataclass(frozen=True, slots=True)
class IdleConversation:
    """An idle conversation, with its message count when it was found."""

    id: ConversationId
    user_id: UserId
    message_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """How many conversations were archived and deleted, and how many messages were deleted in all.

    `retained` counts conversations that would have been deleted but are on hold.
    """

    archived: int = 0
    deleted: int = 0
    messages: int = 0
    retained: int = 0

    def __add__(self, other: "SweepResult") -> "SweepResult":
        return SweepResult(
            archived=self.archived + other.archived,
            deleted=self.deleted + other.deleted,
            messages=self.messages + other.messages,
            retained=self.retained + other.retained,
        )

    def __str__(self) -> str:
        return (
            f"{self.archived} archived, {self.deleted} deleted with {self.messages} messages, "
            f"{self.retained} on hold not deleted"
        )
