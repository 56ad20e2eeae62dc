"""Converts rows of legacy tables: ids, roles, statuses, tool calls, times.

Values come as text, as the database prints them. Nothing in a row is lost silently: what has no
field is kept in the metadata, and a row that cannot be stored is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import (
    Conversation,
    ConversationId,
    MessageId,
    NewMessage,
    Role,
    Status,
    UserId,
    check_user_id,
)
from chatkeep.domain.operations.adoption.json_columns import (
    build_metadata,
    extra_members,
    parse_content,
    parse_tool_calls,
)
from chatkeep.domain.operations.adoption.layout import ColumnKind

# Adopted ids are derived from it: with another one, adopting again would add everything again.
NAMESPACE: Final = UUID("1065de24-4e8f-4da1-9764-38c84f6e2254")
ROLES: Final[Mapping[str, Role]] = {
    **{role.value: role for role in Role},
    "human": Role.USER,
    "customer": Role.USER,
    "ai": Role.ASSISTANT,
    "bot": Role.ASSISTANT,
    "chatbot": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "function": Role.TOOL,
}
STATUSES: Final[Mapping[str, Status]] = {
    **{status.value: status for status in Status},
    **dict.fromkeys(("", "open", "new", "ongoing", "in_progress"), Status.ACTIVE),
    **dict.fromkeys(
        ("closed", "inactive", "completed", "done", "finished", "ended", "resolved"),
        Status.ARCHIVED,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyConversation:
    """A row of the conversations table, with the number of its messages.

    `first_at` and `last_at` are the times of its first and last message. `bad_time`: one of the
    row's own times is outside the years 2 to 9998, and given as None.
    """

    id: str
    user_id: str | None = None
    title: str | None = None
    status: str | None = None
    metadata: str | None = None
    extra: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    bad_time: bool = False
    messages: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyMessage:
    """A row of the messages table. `bad_time`: see `LegacyConversation`."""

    id: str
    user_id: str | None = None
    role: str | None = None
    content: str | None = None
    tool_calls: str | None = None
    tool_call_id: str | None = None
    name: str | None = None
    metadata: str | None = None
    extra: str | None = None
    created_at: datetime | None = None
    bad_time: bool = False


@dataclass(frozen=True, slots=True)
class IdMapping:
    """Maps the ids of one legacy table to new ones.

    UUIDs are kept. Any other id becomes the version 5 UUID of "schema.table:id" in `NAMESPACE`.
    """

    table: str
    kind: ColumnKind

    def new(self, old: str) -> UUID:
        if self.kind is ColumnKind.UUID:
            return UUID(old)
        if self.kind is ColumnKind.TEXT and _is_uuid(old):
            return UUID(old)
        return uuid5(NAMESPACE, f"{self.table}:{old}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionRules:
    """How rows are converted. `owner` is the user of conversations that do not name one.

    `roles` and `statuses` are the operator's additions to the known ones. Conversations whose
    status maps to None are left behind. `content_kind` is the type of the column with contents.
    """

    conversations: IdMapping
    messages: IdMapping
    owner: UserId | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)
    statuses: Mapping[str, Status | None] = field(default_factory=dict)
    content_kind: ColumnKind = ColumnKind.TEXT

    def role(self, given: str) -> Role | None:
        """Return the role that a legacy role means, or None if it is unknown."""
        word = given.strip().lower()
        return self.roles.get(word) or ROLES.get(word)

    def knows(self, status: str) -> bool:
        word = status.strip().lower()
        return word in self.statuses or word in STATUSES

    def status(self, given: str | None) -> Status | None:
        """Return the status that a legacy status means, or None to leave the conversation behind.

        Raises `InvalidValueError` if it is unknown.
        """
        word = (given or "").strip().lower()
        if word in self.statuses:
            return self.statuses[word]
        if word not in STATUSES:
            raise InvalidValueError("status", f"{given!r} is unknown")
        return STATUSES[word]


def to_conversation(
    old: LegacyConversation, rules: AdoptionRules, now: datetime
) -> Conversation | None:
    """Convert a row; return None if its status leaves it behind.

    A missing `created_at` is that of the first message, else the row's `updated_at`, else `now`.
    `updated_at` is the last activity: the later of the row's own and of the last message's time.
    Raises `InvalidValueError` naming the column.
    """
    status = rules.status(old.status)
    if status is None:
        return None
    owner = old.user_id if old.user_id is not None else rules.owner
    if owner is None:
        raise InvalidValueError("user_id", "is null: name the owner with --user-id ID")
    if old.bad_time:
        raise InvalidValueError("created_at or updated_at", "is outside the years 2 to 9998")
    known = [t for t in (old.created_at, old.first_at, old.updated_at) if t is not None]
    created_at = known[0] if known else now
    activity = [t for t in (old.updated_at, old.last_at) if t is not None]
    return Conversation(
        id=ConversationId(rules.conversations.new(old.id)),
        user_id=check_user_id(owner),
        title=old.title,
        status=status,
        metadata=build_metadata(old.metadata, extra_members(old.extra)),
        message_count=0,
        created_at=created_at,
        updated_at=max(activity, default=created_at),
    )


def to_new_message(old: LegacyMessage, owner: UserId, rules: AdoptionRules) -> NewMessage:
    """Convert a row of a conversation of `owner`; its time stays None if it has none.

    Raises `InvalidValueError` naming the column.
    """
    if old.user_id is not None and old.user_id != owner:
        raise InvalidValueError("user_id", "is not the user of the conversation")
    if old.bad_time:
        raise InvalidValueError("created_at", "is outside the years 2 to 9998")
    if old.role is None:
        raise InvalidValueError("role", "is null")
    role = rules.role(old.role)
    if role is None:
        raise InvalidValueError(
            "role", f"{old.role!r} is unknown: map it with --role {old.role.strip()}=ROLE"
        )
    content, parts = old.content, None
    if rules.content_kind is ColumnKind.JSON and content is not None:
        content, parts = parse_content(content)
    calls, kept = parse_tool_calls(old.tool_calls)
    tool_call_id = old.tool_call_id or None
    if role is Role.TOOL and tool_call_id is None:
        tool_call_id = f"old_{old.id}"
    message = NewMessage(
        id=MessageId(rules.messages.new(old.id)),
        role=role,
        content=content,
        parts=parts,
        tool_calls=calls,
        tool_call_id=tool_call_id,
        name=old.name or None,
        metadata=build_metadata(old.metadata, kept | extra_members(old.extra)),
        created_at=old.created_at,
    )
    message.check(limits=None)
    return message


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
