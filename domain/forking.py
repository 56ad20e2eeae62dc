"""Copies the entries of a conversation for a fork: pure functions.

A copy has another id, which follows from the new conversation and the original id. A text id
stays the same text, since that is unique only within its conversation. So a fork into a chosen id
can be repeated.
"""

from hashlib import sha256
from uuid import UUID

from chatkeep.domain.ids import NamedId, of_conversation
from chatkeep.domain.items import ItemId, ItemText
from chatkeep.domain.log import Entry
from chatkeep.domain.model import ConversationId, Message, MessageId


def forked_id(conversation_id: ConversationId, message_id: MessageId) -> MessageId:
    """Return the id of a message's copy: a UUID version 8 (RFC 9562) of a SHA-256 digest."""
    if isinstance(message_id, NamedId):
        return of_conversation(conversation_id, message_id)
    digest = bytearray(sha256(conversation_id.bytes + message_id.bytes).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return MessageId(UUID(bytes=bytes(digest)))


def fork_entry(entry: Entry, conversation_id: ConversationId) -> Entry:
    """Return the copy of an entry. The id of an item that this service generated follows."""
    message = entry.message
    if message is None:
        return entry
    copy = message._replace(
        id=forked_id(conversation_id, message.id), conversation_id=conversation_id
    )
    if entry.item is None or entry.item_id is None or not _is_generated(entry.item_id, message):
        return entry._replace(message=copy)
    item = entry.item.replace(message.id.hex, copy.id.hex)
    item_id = entry.item_id.replace(message.id.hex, copy.id.hex)
    return entry._replace(message=copy, item=ItemText(item), item_id=ItemId(item_id))


def _is_generated(item_id: ItemId, message: Message) -> bool:
    return item_id.endswith(f"_{message.id.hex}")
