"""The keys of text ids as SQL: the same as `domain.ids` derives.

For statements that make keys of texts that are already stored.
"""

from typing import Final

_USER_ENDS: Final = r"'\x00'::bytea"


def conversation_key(user_id: str, text: str) -> str:
    """Return the expression for the key of a conversation of a user."""
    return _key(f"convert_to({user_id}, 'UTF8') || {_USER_ENDS}", text)


def message_key(conversation_id: str, text: str) -> str:
    """Return the expression for the key of a message; `conversation_id` is that of its key."""
    return _key(f"uuid_send({conversation_id})", text)


def _key(scope: str, text: str) -> str:
    """Return the expression for UUID version 8 (RFC 9562) of the digest of a scope and a text."""
    digest = f"substring(sha256({scope} || convert_to({text}, 'UTF8')) FOR 16)"
    with_version = f"set_byte({digest}, 6, get_byte({digest}, 6) & 15 | 128)"
    key = f"set_byte({with_version}, 8, get_byte({digest}, 8) & 63 | 128)"
    return f"encode({key}, 'hex')::uuid"
