"""Idempotency keys: a caller's names for requests, so that each is stored once."""

from typing import Final
from uuid import UUID, uuid5

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.items import MAX_KEY_CHARS
from chatkeep.domain.model import ConversationId, UserId

HEADER: Final = "Idempotency-Key"

# It must never change: a create that is sent again would make a second conversation.
_NAMESPACE: Final = UUID("3f0a7e0e-6f0b-4c5c-9d3b-0c1c2b9a7f55")


def check_key(key: str) -> None:
    """Raise `InvalidValueError` unless the key can be stored."""
    if not 0 < len(key) <= MAX_KEY_CHARS or "\x00" in key:
        raise InvalidValueError(HEADER, f"has from 1 to {MAX_KEY_CHARS} characters and no NUL")


def keyed_conversation_id(user_id: UserId, key: str) -> ConversationId:
    """Return the id of the conversation that a user creates with a key, and without an id."""
    return ConversationId(uuid5(_NAMESPACE, f"{user_id}\0{key}"))
