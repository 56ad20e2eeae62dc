"""The ports of an adoption: the legacy tables that it reads, and chatkeep's own that it writes."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from chatkeep.domain.model import (
    Conversation,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Position,
    UserId,
)
from chatkeep.domain.operations.adoption.rules import LegacyConversation, LegacyMessage
from chatkeep.domain.operations.adoption.tables import Layout, Survey


@dataclass(frozen=True, slots=True)
class ConversationPart:
    """A legacy conversation with some of its messages, in order.

    `is_first` and `is_last` mark its first and last part.
    """

    row: LegacyConversation
    messages: tuple[LegacyMessage, ...]
    is_first: bool
    is_last: bool


Batch = Sequence[ConversationPart]
"""Only the last part of a batch may lack later parts of its conversation."""

CONVERSATIONS_PER_BATCH: Final = 200
MESSAGES_PER_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A stored message, and the run that adopted it, if any."""

    message: Message
    run: datetime | None


@dataclass(frozen=True, slots=True)
class Addition:
    """Messages to add to a conversation, at consecutive positions from `first` on."""

    conversation: Conversation
    is_new: bool
    messages: Sequence[NewMessage]
    first: Position


class LegacyTables(Protocol):
    """The source of an adoption; it is only read."""

    async def survey(self) -> Survey:
        """Count the rows. Raises `AdoptionError` for ids that are missing or not unique."""
        ...

    def batches(self) -> AsyncIterator[Batch]:
        """Yield all conversations with their messages, from one snapshot for all calls."""
        ...


class AdoptionTarget(Protocol):
    """Chatkeep's own tables, of all users."""

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Return a context manager in which everything is stored, or nothing."""
        ...

    async def last_positions(
        self, conversations: Sequence[Conversation], *, lock: bool
    ) -> Mapping[ConversationId, Position]:
        """Return the last position ever used in each of the conversations that exist."""
        ...

    async def find_adopted(self, ids: Sequence[UUID]) -> Mapping[UUID, datetime]:
        """Return the ids that were adopted before, each with its run."""
        ...

    async def find_messages(
        self, keys: Sequence[tuple[MessageId, UserId]]
    ) -> Mapping[MessageId, StoredMessage]:
        """Return the messages that exist."""
        ...

    async def add(self, additions: Sequence[Addition], ids: Sequence[UUID], run: datetime) -> int:
        """Store the additions and record the ids; return the number of new users.

        Raises `AdoptionError` when the table users refuses a user, or another process has just
        added one of the rows.
        """
        ...


@dataclass(frozen=True, slots=True)
class AdoptionSession:
    """Source and target of one run, which starts at `now`."""

    layout: Layout
    source: LegacyTables
    target: AdoptionTarget
    now: datetime


def count_rows(batch: Batch) -> int:
    """Count the rows of legacy tables that a batch completes."""
    return sum(part.is_last + len(part.messages) for part in batch)
