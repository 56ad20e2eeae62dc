"""Users, conversations and messages, and their rules.

Times are timezone-aware, in UTC, to the microsecond. Lengths of text are in Unicode code points.
"""

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, NamedTuple, NewType, Self
from uuid import UUID

from chatkeep.domain.errors import InvalidValueError, LimitExceededError
from chatkeep.domain.pages import NO_BOUND

UserId = NewType("UserId", str)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", UUID)

BranchNumber = NewType("BranchNumber", int)

Position = NewType("Position", int)
"""The place of an entry in its conversation: strictly increasing, final, at least 1."""

JsonText = NewType("JsonText", str)
"""A JSON document kept as text, since the service does not need to decode it.

It is well-formed, has no unpaired surrogates, and escapes only characters that must be escaped: the
code that creates one from input ensures that.
Equal documents may differ as text (spaces, order of keys): compare them with `same_json`.
"""

OriginalText = NewType("OriginalText", str)
"""The document that a client sent for a message: JSON, kept exactly as it was written.

Other than `JsonText` it is never rewritten: spaces, escapes, the order of keys and repeated keys
stay. It has no unpaired surrogates, and nests at most 500 levels.
"""

EMPTY_OBJECT: Final = JsonText("{}")
MAX_ID_CHARS: Final = 255
MAX_FORMAT_CHARS: Final = 64
MAX_TOKENS: Final = 2**31 - 1
FIRST_REVISION: Final = 1
MAX_REVISION: Final = 2**53 - 1
"""The highest that an import may set: every JSON parser reads it exactly, and it can still grow."""

NO_REVISION: Final = -1
"""What no conversation has: a change that expects it is always a conflict."""

FIRST_POSITION: Final = Position(1)
LAST_POSITION: Final = Position(2**63 - 1)
_JSON_FIELDS: Final = frozenset({"tool_calls", "metadata", "parts"})
_FORMAT: Final = re.compile(r"[!-~]+", re.ASCII)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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
    """Limits on what a caller may send and request. 0 switches a limit off."""

    max_user_message_chars: int = 1_000
    max_message_chars: int = 10_000
    soft_max_conversation_messages: int = 1_000
    max_title_chars: int = 200
    max_metadata_bytes: int = 16_384
    max_branches: int = 10_000
    max_page: int = 100
    max_batch: int = 100
    max_items: int = 1_000
    max_item_bytes: int = 10_485_760
    max_answer_bytes: int = 16_777_216
    max_draft_bytes: int = 4_194_304
    max_draft_seconds: int = 3_600

    @property
    def max_bytes(self) -> int:
        """The most bytes of a page or a context."""
        return self.max_answer_bytes or NO_BOUND

    def check(self, limit_name: str, actual: int | None, *, field: str, unit: str) -> None:
        """Raise `LimitExceededError` if `actual` is over the limit with that name.

        None means that the value is over the limit, but was not counted.
        """
        limit: int = getattr(self, limit_name)
        if limit and (actual is None or actual > limit):
            raise LimitExceededError(
                field, limit_name=limit_name, limit=limit, actual=actual, unit=unit
            )

    def check_page(self, limit: int, *, field: str = "limit") -> None:
        """Raise an error unless a page may have this many items."""
        if limit < 1:
            raise InvalidValueError(field, f"is {limit}; at least 1")
        self.check("max_page", limit, field=field, unit="items")


# Conversations and messages are named tuples, since a page has 20 of them: creating frozen
# dataclasses takes three times as long.


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


class Message(NamedTuple):
    """A message as it is stored in its conversation.

    `tokens` is its length for a model, as the client counted it. `starts_context` means that a
    context begins with this message, not before it. `original` is the client's own document, and
    `format` the name of its format; most reads leave `original` out, and then it is None.
    `edited_at` is the time of the last edit.
    """

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
    tokens: int | None = None
    starts_context: bool = False
    format: str | None = None
    original: OriginalText | None = None
    edited_at: datetime | None = None
    parts: JsonText | None = None

    def without_original(self) -> Self:
        return self if self.original is None else self._replace(original=None)


class NewMessage(NamedTuple):
    """A message to store. Only imports set `created_at` and `edited_at`."""

    role: Role
    content: str | None
    tool_calls: JsonText | None = None
    tool_call_id: str | None = None
    name: str | None = None
    metadata: JsonText = EMPTY_OBJECT
    id: MessageId | None = None
    created_at: datetime | None = None
    tokens: int | None = None
    starts_context: bool = False
    format: str | None = None
    original: OriginalText | None = None
    edited_at: datetime | None = None
    parts: JsonText | None = None

    def check(self, limits: Limits | None, *, within: str = "") -> None:
        """Raise `InvalidValueError` or `LimitExceededError` if the message breaks a rule.

        `within` is a prefix for the name of the field, such as `messages[3].`. Without `limits` all
        lengths are accepted: an import must take the history of another service as it is.
        """
        self._check_shape(within)
        if self.tokens is not None or self.format is not None or self.original is not None:
            self._check_extras(limits, within)
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
        # A character has at most four bytes: only the bytes of long texts are counted.
        if self.parts is not None and len(self.parts) * 4 > limits.max_item_bytes:
            size = len(self.parts.encode())
            limits.check("max_item_bytes", size, field=f"{within}content", unit="bytes")
        for field, value in (("tool_call_id", self.tool_call_id), ("name", self.name)):
            if value is not None and len(value) > MAX_ID_CHARS:
                raise InvalidValueError(
                    f"{within}{field}", f"has {len(value)} characters; at most {MAX_ID_CHARS}"
                )
        check_metadata(self.metadata, limits, field=f"{within}metadata")

    def _check_shape(self, within: str) -> None:
        if self.content is None and self.tool_calls is None and self.parts is None:
            raise InvalidValueError(
                f"{within}content", "may be null only with tool_calls; give a text"
            )
        if self.tool_calls is not None and self.role is not Role.ASSISTANT:
            raise InvalidValueError(
                f"{within}tool_calls", "only a message with the role assistant may have tool_calls"
            )
        if self.role is Role.TOOL and not self.tool_call_id:
            raise InvalidValueError(
                f"{within}tool_call_id",
                "a message with the role tool must name the call it answers",
            )
        if self.role is not Role.TOOL and self.tool_call_id is not None:
            raise InvalidValueError(
                f"{within}tool_call_id", "only a message with the role tool may have a tool_call_id"
            )

    def _check_extras(self, limits: Limits | None, within: str) -> None:
        if self.tokens is not None:
            check_tokens(self.tokens, field=f"{within}tokens")
        if self.format is not None:
            check_format(self.format, field=f"{within}format")
        elif self.original is not None:
            raise InvalidValueError(
                f"{within}format", "is missing: an original needs the name of its format"
            )
        if self.original is not None and limits is not None:
            check_original_bytes(self.original, limits, field=f"{within}original")

    def to_message(
        self, conversation_id: ConversationId, position: Position, at: datetime
    ) -> Message:
        """Return this message as stored in its conversation. It must have an id."""
        if self.id is None:
            raise ValueError("a message needs an id before it is stored")
        return Message(
            self.id,
            conversation_id,
            self.role,
            self.content,
            self.tool_calls,
            self.tool_call_id,
            self.name,
            self.metadata,
            self.created_at or at,
            position,
            self.tokens,
            self.starts_context,
            self.format,
            self.original,
            self.edited_at,
            self.parts,
        )

    def equals(self, stored: Message) -> bool:
        """Return whether storing this message would give `stored`."""
        return (
            str(self.id) == str(stored.id)  # a text id and its key differ
            and all(map(_same, AUTHORED, _authored(self), _authored(stored)))
            and (self.created_at is None or self.created_at == stored.created_at)
            and (self.edited_at is None or self.edited_at == stored.edited_at)
        )


AUTHORED: Final = tuple(
    field
    for field in Message._fields
    if field in {*NewMessage._fields} - {"id", "created_at", "edited_at"}
)
"""The fields of a message that its author sets, in the order of `Message`."""

_authored: Final = attrgetter(*AUTHORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much one user has stored. `retained` counts the conversations on hold."""

    user_id: UserId
    conversations: int
    active: int
    archived: int
    messages: int
    retained: int


class Unset:
    """The type of `UNSET`, which means no change; None is a value."""


UNSET: Final = Unset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Changes of a conversation. They are not activity: `updated_at` stays the same."""

    title: str | Unset | None = UNSET
    status: Status | Unset = UNSET
    metadata: JsonText | Unset = UNSET
    retain: bool | Unset = UNSET


def check_user_id(user_id: str) -> UserId:
    """Return `user_id` if it is valid. Raises `InvalidValueError`."""
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


def check_tokens(tokens: int, *, field: str = "tokens") -> None:
    """Raise `InvalidValueError` unless this can be the number of tokens of a message."""
    if not 0 <= tokens <= MAX_TOKENS:
        raise InvalidValueError(field, f"is {tokens}; at least 0, at most {MAX_TOKENS}")


def check_format(name: str, *, field: str = "format") -> None:
    """Raise `InvalidValueError` unless this can be the name of a format."""
    if not 0 < len(name) <= MAX_FORMAT_CHARS or not _FORMAT.fullmatch(name):
        raise InvalidValueError(
            field, f"must be 1 to {MAX_FORMAT_CHARS} ASCII characters without spaces"
        )


def check_original_bytes(original: OriginalText, limits: Limits, *, field: str) -> None:
    # A character has at most four bytes: only the bytes of long texts are counted.
    if len(original) * 4 > limits.max_item_bytes:
        limits.check("max_item_bytes", len(original.encode()), field=field, unit="bytes")


def same_json(one: JsonText | None, other: JsonText | None) -> bool:
    """Return whether two documents are equal as JSON."""
    if one is None or other is None:
        return one is other
    return one == other or _are_same(_exactly(one), _exactly(other))


def _same(field: str, one: Any, other: Any) -> bool:  # noqa: ANN401 - of any field
    return same_json(one, other) if field in _JSON_FIELDS else one == other


def _are_same(one: object, other: object) -> bool:
    """Return whether two decoded documents are equal. To Python, true equals 1."""
    if one != other:
        return False
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, bool) or isinstance(other, bool):
            if one is not other:
                return False
        elif isinstance(one, dict) and isinstance(other, dict):
            pairs += [(value, other[key]) for key, value in one.items()]
        elif isinstance(one, list) and isinstance(other, list):
            pairs += zip(one, other, strict=True)
    return True


def _exactly(document: JsonText) -> object:
    """Decode with exact numbers: as floats, different numbers could be equal."""
    try:
        return json.loads(document, parse_float=Decimal)
    except ValueError:  # `int()` refuses very long numbers; decimals take ten times as long
        return json.loads(document, parse_int=Decimal, parse_float=Decimal)


def is_opening(message: Message) -> bool:
    """Return whether the message, at the start of a conversation, is an instruction."""
    return message.role in (Role.SYSTEM, Role.DEVELOPER)


def microseconds(at: datetime) -> Position:
    """Return a time as a position: microseconds since 1970."""
    return Position((at - EPOCH) // timedelta(microseconds=1))


def uuid7(at: datetime) -> UUID:
    """Return a new UUID version 7 (RFC 9562), ordered by time to the millisecond."""
    milliseconds = (at - EPOCH) // timedelta(milliseconds=1)
    random = int.from_bytes(os.urandom(10))
    return UUID(
        int=(milliseconds & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (random >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | random & 0x3FFF_FFFF_FFFF_FFFF
    )
