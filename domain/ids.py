"""The ids that clients choose: UUIDs, and any other text.

Stores know each conversation and each message by a UUID, its key. The key of a UUID is that UUID.
The key of any other text is derived from the text and from the scope in which it is unique: the
user of a conversation, the conversation of a message. So a text is found by the primary key,
without an index for texts.
"""

import re
import unicodedata
from hashlib import sha256
from typing import Any, Final, Self
from uuid import UUID

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import MAX_ID_CHARS, ConversationId, MessageId, UserId

# Other ways to write a UUID, such as braces, are text.
_UUID: Final = re.compile(
    r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32}"
)
_DOTS: Final = frozenset({".", ".."})
_UNPLACED: Final = b""


class NamedId(UUID):
    """The key of a text id, with the text.

    `str()` gives the text. Everything else is that of the key: equality, order, hash, `hex`.
    """

    __slots__ = ("text",)

    text: str

    def __init__(self, text: str, key: int) -> None:
        super().__init__(int=key)
        object.__setattr__(self, "text", text)

    @classmethod
    def derive(cls, text: str, scope: bytes) -> Self:
        """Return the id of a text: its key is UUID version 8 (RFC 9562) of a SHA-256 digest."""
        digest = sha256(scope + text.encode()).digest()
        return cls(text, UUID(bytes=digest[:16]).int & _RANDOM | _VERSION_8)

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type[Self], tuple[str, int]]:
        return type(self), (self.text, self.int)


_VERSION_8: Final = 8 << 76 | 0b10 << 62
_RANDOM: Final = (1 << 128) - 1 & ~(0xF << 76 | 0b11 << 62)


def parse_id(text: str, *, field: str = "id") -> UUID:
    """Return the id that a client wrote: a UUID, or a `NamedId` that has no scope yet.

    A UUID may be written in upper or lower case, with all hyphens or with none.
    Raises `InvalidValueError` naming the field.
    """
    if _UUID.fullmatch(text):
        return UUID(text)
    if reason := _refuse(text):
        raise InvalidValueError(field, reason)
    return NamedId.derive(text, _UNPLACED)


def of_user(user_id: UserId, given: UUID) -> ConversationId:
    """Return the id of a conversation of that user."""
    if isinstance(given, NamedId):
        given = NamedId.derive(given.text, user_id.encode() + b"\0")
    return ConversationId(given)


def of_conversation(conversation_id: ConversationId, given: UUID) -> MessageId:
    """Return the id of a message of that conversation."""
    if isinstance(given, NamedId):
        given = NamedId.derive(given.text, conversation_id.bytes)
    return MessageId(given)


def same_id(one: UUID, other: UUID) -> bool:
    """Return whether both are the same id: a text id and a UUID that is its key are not."""
    return one == other and id_text(one) == id_text(other)


def with_text(key: UUID, text: str | None) -> UUID:
    """Return the id of a stored key, with its text if it has one."""
    return key if text is None else NamedId(text, key.int)


def id_text(given: UUID | None) -> str | None:
    """Return the text of a text id, to store it with the key; None for a UUID."""
    return given.text if isinstance(given, NamedId) else None


def written_id(given: UUID) -> Any:  # noqa: ANN401 - JSON encoders write UUIDs as strings, and faster
    """Return what a JSON encoder writes as the id that the client knows."""
    return given.text if isinstance(given, NamedId) else given


def key_text(given: UUID) -> str:
    """Return the key as text."""
    return given.hex if isinstance(given, NamedId) else str(given)


def _refuse(text: str) -> str | None:
    """Return the reason why a text may not be an id."""
    if not text:
        return f"is empty; give 1 to {MAX_ID_CHARS} characters"
    if len(text) > MAX_ID_CHARS:
        return f"has {len(text)} characters; at most {MAX_ID_CHARS}"
    if text in _DOTS:
        return "is . or .., which clients remove from paths"
    if not text.isprintable():
        for character in text:
            category = unicodedata.category(character)
            if category == "Cc":
                return f"contains the control character U+{ord(character):04X}"
            if category == "Cs":
                return "contains an unpaired surrogate, so it is not valid Unicode"
    return None
