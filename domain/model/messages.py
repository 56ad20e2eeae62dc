"""Messages, and the rules that they keep."""

import re
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, NamedTuple, Self

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model.json_text import EMPTY_OBJECT, JsonText, OriginalText, same_json
from chatkeep.domain.model.limits import Limits, check_metadata
from chatkeep.domain.model.values import MAX_ID_CHARS, ConversationId, MessageId, Position

MAX_FORMAT_CHARS: Final = 64
MAX_TOKENS: Final = 2**31 - 1
_JSON_FIELDS: Final = frozenset({"tool_calls", "metadata", "parts"})
_FORMAT: Final = re.compile(r"[!-~]+", re.ASCII)


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    DEVELOPER = "developer"
    TOOL = "tool"


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


def _same(field: str, one: Any, other: Any) -> bool:  # noqa: ANN401 - of any field
    return same_json(one, other) if field in _JSON_FIELDS else one == other


def is_opening(message: Message) -> bool:
    """Return whether the message, at the start of a conversation, is an instruction."""
    return message.role in (Role.SYSTEM, Role.DEVELOPER)
