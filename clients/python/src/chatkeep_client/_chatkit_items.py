"""Items of ChatKit's threads as messages that everything else can read."""

from typing import Final

import msgspec
from chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    HiddenContextItem,
    InferenceOptions,
    SDKHiddenContextItem,
    ThreadItem,
    UserMessageItem,
    UserMessageTextContent,
)
from pydantic import TypeAdapter

from chatkeep_client._native import text_of
from chatkeep_client.models import JsonObject, Message

_FORMAT: Final = "chatkit-item"

_items: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)


def as_message(item: ThreadItem) -> JsonObject:
    """Return an item as a message without an id, with the whole item as its `original`.

    Texts are the content. Of other items, such as widgets, it is their type.
    """
    role = "assistant"
    if isinstance(item, UserMessageItem):
        role = "user"
        content = "".join(part.text for part in item.content)
    elif isinstance(item, AssistantMessageItem):
        content = "".join(part.text for part in item.content)
    elif isinstance(item, HiddenContextItem | SDKHiddenContextItem):
        role = "developer"
        content = item.content if isinstance(item.content, str) else f"[{item.type}]"
    else:
        content = f"[{item.type}]"
    return {
        "role": role,
        "content": content,
        "format": _FORMAT,
        "original": msgspec.Raw(_items.dump_json(item)),
    }


def as_item(message: Message) -> ThreadItem:
    """Return the item of a message; a new one with its text, if it was not stored as an item."""
    if message.format == _FORMAT and isinstance(message.original, msgspec.Raw):
        return _items.validate_json(bytes(message.original))
    text = text_of(message)
    common: JsonObject = {
        "id": message.id,
        "thread_id": message.conversation_id,
        "created_at": message.created_at,
    }
    if message.role == "user":
        return UserMessageItem(
            **common,
            content=[UserMessageTextContent(text=text)],
            inference_options=InferenceOptions(),
        )
    if message.role == "assistant":
        return AssistantMessageItem(**common, content=[AssistantMessageContent(text=text)])
    return HiddenContextItem(**common, content=text)
