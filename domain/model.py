"""Users, conversations and messages, and the rules they keep.

Times are timezone-aware, in UTC, to the microsecond. Lengths of text are in Unicode code points.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple, NewType
from uuid import UUID, uuid5

from chatkeep.domain.errors import (
    ConversationIdTakenError,
    InvalidValueError,
    LimitExceededError,
    MessageIdTakenError,
)

UserId = NewType("UserId", str)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", UUID)

Position = NewType("Position", int)
"""Where a message stands in its conversation: strictly increasing, final, at least 1."""

JsonText = NewType("JsonText", str)
"""A JSON document kept as text, since between its writer and its reader nobody looks into it.

It is well-formed, holds no lone surrogates and escapes no character that may stand as itself:
whoever makes one from outside input sees to that.
Equal documents may differ as text (spaces, order of keys): compare with `same_json`.
"""

EMPTY_OBJECT: Final = JsonText("{}")
MAX_ID_CHARS: Final = 255
FIRST_POSITION: Final = Position(1)
LAST_POSITION: Final = Position(2**63 - 1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    DEVELOPER = "developer"
    TOOL = "tool"


class Status(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


class Order(StrEnum):
    ASC = "asc"
    DESC = "desc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a caller may send and ask for. 0 switches a limit off."""

    max_user_message_chars: int = 1_000
    max_message_chars: int = 10_000
    soft_max_conversation_messages: int = 1_000
    max_title_chars: int = 200
    max_metadata_bytes: int = 16_384
    max_page: int = 100
    max_batch: int = 100
    max_items: int = 1_000
    max_item_bytes: int = 10_485_760
    max_answer_bytes: int = 16_777_216

    def check(self, limit_name: str, actual: int | None, *, field: str, unit: str) -> None:
        """Raise `LimitExceededError` when `actual` is over the limit of that name.

        None is known to be over it.
        """
        limit: int = getattr(self, limit_name)
        if limit and (actual is None or actual > limit):
            raise LimitExceededError(
                field, limit_name=limit_name, limit=limit, actual=actual, unit=unit
            )


# Conversations and messages are named tuples, since a page is 20 of them: frozen dataclasses take
# three times as long to make.


class Conversation(NamedTuple):
    """One chat session of one user. `updated_at` is the last activity: the latest append.

    `retain`: on hold, neither it nor anything in it is deleted until the hold is lifted.
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


class Message(NamedTuple):
    """One entry of a conversation, as it is stored."""

    id: MessageId
    conversation_id: ConversationId
    role: Role
    content: str | None
    tool_calls: JsonText | None
    tool_call_id: str | None
    name: str | None
    metadata: JsonText
    created_at: datetime
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message as its author gives it. Only imports give `created_at`."""

    role: Role
    content: str | None
    tool_calls: JsonText | None = None
    tool_call_id: str | None = None
    name: str | None = None
    metadata: JsonText = EMPTY_OBJECT
    id: MessageId | None = None
    created_at: datetime | None = None

    def check(self, limits: Limits | None, *, within: str = "") -> None:
        """Raise `InvalidValueError` or `LimitExceededError` for what breaks a rule.

        `within` is put before the name of the field, such as `messages[3].`. Without `limits`
        anything may be of any length: the history of somebody else's service is as it is.
        """
        self._check_shape(within)
        if limits is not None:
            self._check_lengths(limits, within)

    def _check_lengths(self, limits: Limits, within: str) -> None:
        for field, text in (("content", self.content), ("tool_calls", self.tool_calls)):
            if text is None:
                continue
            name, chars = f"{within}{field}", len(text)
            if self.role is Role.USER:
                limits.check("max_user_message_chars", chars, field=name, unit="characters")
            limits.check("max_message_chars", chars, field=name, unit="characters")
        for field, value in (("tool_call_id", self.tool_call_id), ("name", self.name)):
            if value is not None and len(value) > MAX_ID_CHARS:
                raise InvalidValueError(
                    f"{within}{field}", f"has {len(value)} characters; at most {MAX_ID_CHARS}"
                )
        check_metadata(self.metadata, limits, field=f"{within}metadata")

    def _check_shape(self, within: str) -> None:
        if self.content is None and self.tool_calls is None:
            raise InvalidValueError(
                f"{within}content", "may be null only beside tool_calls; give a text"
            )
        if self.tool_calls is not None and self.role is not Role.ASSISTANT:
            raise InvalidValueError(
                f"{within}tool_calls", "only a message of role assistant has tool_calls"
            )
        if self.role is Role.TOOL and not self.tool_call_id:
            raise InvalidValueError(
                f"{within}tool_call_id", "a message of role tool names the call it answers"
            )
        if self.role is not Role.TOOL and self.tool_call_id is not None:
            raise InvalidValueError(
                f"{within}tool_call_id", "only a message of role tool has a tool_call_id"
            )

    def identified(self, message_id: MessageId) -> "NewMessage":
        """Return this message with that id."""
        return NewMessage(
            role=self.role,
            content=self.content,
            tool_calls=self.tool_calls,
            tool_call_id=self.tool_call_id,
            name=self.name,
            metadata=self.metadata,
            id=message_id,
            created_at=self.created_at,
        )

    def stored(self, conversation_id: ConversationId, position: Position, at: datetime) -> Message:
        """Return this message as it stands in its conversation. It has its id by then."""
        if self.id is None:
            raise ValueError("a message is given an id before it is stored")
        return Message(
            id=self.id,
            conversation_id=conversation_id,
            role=self.role,
            content=self.content,
            tool_calls=self.tool_calls,
            tool_call_id=self.tool_call_id,
            name=self.name,
            metadata=self.metadata,
            created_at=self.created_at or at,
            position=position,
        )

    def equals(self, stored: Message) -> bool:
        """Whether `stored` is what this message would have become."""
        return (
            self.id == stored.id
            and self.role is stored.role
            and self.content == stored.content
            and self.tool_call_id == stored.tool_call_id
            and self.name == stored.name
            and same_json(self.tool_calls, stored.tool_calls)
            and same_json(self.metadata, stored.metadata)
            and (self.created_at is None or self.created_at == stored.created_at)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one user has stored. `retained`: how many of the conversations are on hold."""

    user_id: UserId
    conversations: int
    active: int
    archived: int
    messages: int
    retained: int


class Unset:
    """The type of `UNSET`: a change that was not asked for, where None is a value."""


UNSET: Final = Unset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What to change of a conversation. None of it is activity: `updated_at` stays."""

    title: str | Unset | None = UNSET
    status: Status | Unset = UNSET
    metadata: JsonText | Unset = UNSET
    retain: bool | Unset = UNSET


def check_user_id(user_id: str) -> UserId:
    """Return `user_id` when it can own conversations, else raise `InvalidValueError`."""
    if not user_id:
        raise InvalidValueError("user_id", "is empty")
    if len(user_id) > MAX_ID_CHARS:
        raise InvalidValueError("user_id", f"has {len(user_id)} characters; at most {MAX_ID_CHARS}")
    if "\x00" in user_id:
        raise InvalidValueError("user_id", "contains the NUL character")
    return UserId(user_id)


def check_title(title: str | None, limits: Limits) -> None:
    if title is not None:
        limits.check("max_title_chars", len(title), field="title", unit="characters")


def check_metadata(metadata: JsonText, limits: Limits, *, field: str = "metadata") -> None:
    if metadata is not EMPTY_OBJECT:
        limits.check("max_metadata_bytes", len(metadata.encode()), field=field, unit="bytes")


def same_json(one: JsonText | None, other: JsonText | None) -> bool:
    """Whether two documents are equal as JSON."""
    if one is None or other is None:
        return one is other
    return one == other or _exactly(one) == _exactly(other)


def _exactly(document: JsonText) -> object:
    """Decode with numbers as they are: as floats, different ones could be equal."""
    try:
        return json.loads(document, parse_float=Decimal)
    except ValueError:  # Python refuses very long integers; decimals take ten times as long
        return json.loads(document, parse_int=Decimal, parse_float=Decimal)


def is_opening(message: Message) -> bool:
    """Whether the message, at the start of a conversation, instructs rather than converses."""
    return message.role in (Role.SYSTEM, Role.DEVELOPER)


def microseconds(at: datetime) -> Position:
    """Return the clock's reading as a position: microseconds since 1970."""
    return Position((at - _EPOCH) // timedelta(microseconds=1))


def uuid7(at: datetime) -> UUID:
    """Return a new UUID version 7 (RFC 9562): its order is that of the clock to the millisecond."""
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    random = int.from_bytes(os.urandom(10))
    return UUID(
        int=(milliseconds & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (random >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | random & 0x3FFF_FFFF_FFFF_FFFF
    )


def with_ids(
    messages: Sequence[NewMessage], at: datetime, *, seed: UUID | None = None
) -> tuple[NewMessage, ...]:
    """Return the messages of a batch, each with its id: its own, or a new one.

    One given id, of the conversation (`seed`) or of any message, makes the whole batch safe to send
    again: the ids of the others follow from it.
    """
    seed = seed or next((message.id for message in messages if message.id is not None), None)
    return tuple(
        message
        if message.id is not None
        else message.identified(MessageId(uuid5(seed, str(index)) if seed else uuid7(at)))
        for index, message in enumerate(messages)
    )


def replayed(
    conversation_id: ConversationId, given: Sequence[NewMessage], stored: Sequence[Message]
) -> tuple[Message, ...]:
    """Return what an append stored before, when the same append is sent again.

    `stored` are the user's messages that have an id of `given`, at least one, in any conversation.
    Raises `MessageIdTakenError` when they are not that same append.
    """
    by_id = {message.id: message for message in stored}
    found = []
    for new in given:
        old = by_id.get(new.id) if new.id is not None else None
        if old is None:
            continue
        if old.conversation_id != conversation_id or not new.equals(old):
            raise MessageIdTakenError(old.id)
        found.append(old)
    if len(found) != len(given):
        raise MessageIdTakenError(stored[0].id)
    return tuple(found)


def recreated(
    given: Conversation,
    given_messages: Sequence[NewMessage],
    stored: Conversation,
    stored_messages: Sequence[Message],
) -> tuple[Conversation, tuple[Message, ...]]:
    """Return what a create stored before, when the same create is sent again.

    `stored_messages` are the first messages of the stored conversation, as many as were given.
    Raises `ConversationIdTakenError` when it is not that same create.
    """
    if (
        given.title != stored.title
        or (given.retain and not stored.retain)  # else a hold would seem to be set that is not
        or not same_json(given.metadata, stored.metadata)
        or len(given_messages) != len(stored_messages)
        or not all(map(NewMessage.equals, given_messages, stored_messages))
    ):
        raise ConversationIdTakenError(stored.id)
    return stored, tuple(stored_messages)
