"""Messages of models, users and tools in fields that everything else can read."""

from collections.abc import Sequence
from typing import Any

import msgspec

from chatkeep_client.models import JsonObject, Message


def as_native(
    role: str,
    text: str,
    *,
    calls: Sequence[tuple[str | None, str, Any]] = (),
    answered: str | None = None,
) -> JsonObject:
    """Return role, content and calls of a message.

    `calls` are the id, the name and the arguments of each call of a tool, and `answered` is the id
    of the call whose result it is. Without such an id, a result is a message of its `role`.
    """
    if role == "assistant" and calls:
        return {"role": role, "content": text or None, "tool_calls": list(map(_call, calls))}
    if answered:
        return {"role": "tool", "content": text, "tool_call_id": answered}
    return {"role": role, "content": text}


def as_text(value: object) -> str:
    """Return a text as it is, and anything else as JSON."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value, enc_hook=str).decode()


def text_of(message: Message) -> str:
    """Return the text of a message, of all its parts."""
    content = message.content
    parts = content if isinstance(content, list) else [{"text": content or ""}]
    return "\n\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def _call(call: tuple[str | None, str, Any]) -> JsonObject:
    its_id, name, arguments = call
    return {
        "id": its_id or "call",
        "type": "function",
        "function": {"name": name, "arguments": as_text(arguments)},
    }
