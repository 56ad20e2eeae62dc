"""Conversations, and how much a user has stored."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from chatkeep.domain.model.json_text import JsonText
from chatkeep.domain.model.values import (
    FIRST_REVISION,
    UNSET,
    BranchNumber,
    ConversationId,
    Unset,
    UserId,
)


class Status(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


class ForkedFrom(NamedTuple):
    """Where a conversation was forked from: ids as the client knows them.

    `message_id` is the last message that was copied; None if there was none.
    """

    conversation_id: str
    message_id: str | None


class Conversation(NamedTuple):
    """One chat session of one user. `updated_at` is the time of the latest append.

    `retain` means a hold: until it is lifted, nothing in the conversation may be deleted.
    `revision` grows with every change of the conversation or of its log. A new one has
    `FIRST_REVISION`. `branch` is the current branch; None if the conversation never branched.
    """

    id: ConversationId
    user_id: UserId
    title: str | None
    status: Status
    metadata: JsonText
    message_count: int
    created_at: datetime
    updated_at: datetime
    retain: bool = False
    revision: int = FIRST_REVISION
    branch: BranchNumber | None = None
    forked_from: ForkedFrom | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much one user has stored. `retained` counts the conversations on hold."""

    user_id: UserId
    conversations: int
    active: int
    archived: int
    messages: int
    retained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Changes of a conversation. They are not activity: `updated_at` stays the same."""

    title: str | Unset | None = UNSET
    status: Status | Unset = UNSET
    metadata: JsonText | Unset = UNSET
    retain: bool | Unset = UNSET
