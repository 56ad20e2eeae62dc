"""Messages of Strands agents as messages that everything else can read."""

from typing import Any, Final

import msgspec
from strands.types.session import SessionMessage

from chatkeep_client._native import as_native, as_text
from chatkeep_client.models import JsonObject

FORMAT: Final = "strands"
"""The format of messages with a whole message of Strands as their original."""


def as_message(message: SessionMessage) -> JsonObject:
    """Return a message without an id, with the whole of it as its `original`."""
    said = message.to_message()
    blocks = [dict(block) for block in said["content"]]
    texts = [str(block["text"]) for block in blocks if isinstance(block.get("text"), str)]
    calls: list[Any] = [block["toolUse"] for block in blocks if "toolUse" in block]
    results: list[Any] = [block["toolResult"] for block in blocks if "toolResult" in block]
    if results and not texts:
        texts = [_result(part) for result in results for part in result["content"]]
    native = as_native(
        said["role"],
        "\n\n".join(texts),
        calls=[(call["toolUseId"], call["name"], call["input"]) for call in calls],
        answered=results[0]["toolUseId"] if results else None,
    )
    original = msgspec.json.encode(message.to_dict())
    return {**native, "format": FORMAT, "original": msgspec.Raw(original)}


def _result(part: JsonObject) -> str:
    if isinstance(part.get("text"), str):
        return str(part["text"])
    return as_text(part["json"]) if "json" in part else f"[{next(iter(part), '')}]"
