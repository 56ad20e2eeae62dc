"""Which format a conversation is in, by what it is made of."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.operations.transfer import GivenConversation
from chatkeep.entrypoints.formats import anthropic, chatgpt, jsonl, openai_chat, sharegpt
from chatkeep.entrypoints.formats.decoding import WHOLE, decoded

_SHOWN: Final = 8
_OF_OPENAI: Final = frozenset({"weight", "function_call", "refusal", "audio", "annotations"})
_OF_OPENAI_REQUESTS: Final = frozenset(
    {"tools", "functions", "parallel_tool_calls", "tool_choice", "model"}
)
_BLOCKS_OF_ANTHROPIC: Final = frozenset(
    {"tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document"}
)

_any: Final = msgspec.json.Decoder(Any)


class Format(StrEnum):
    JSONL = "jsonl"
    CHATGPT = "chatgpt"
    OPENAI = "openai"
    SHAREGPT = "sharegpt"
    ANTHROPIC = "anthropic"


READERS: Final[Mapping[Format, Callable[[bytes], GivenConversation]]] = {
    Format.JSONL: jsonl.read,
    Format.CHATGPT: chatgpt.read,
    Format.OPENAI: openai_chat.read,
    Format.SHAREGPT: sharegpt.read,
    Format.ANTHROPIC: anthropic.read,
}


def read(data: bytes) -> GivenConversation:
    """Return the conversation, in whatever format it is.

    What the service's own format takes is in that one; messages without further members mean the
    same in all. Raises `InvalidValueError`: when it is in none, with what was seen.
    """
    try:
        return jsonl.read(data)
    except InvalidValueError:
        value = decoded(_any, data)
        found = detected(value)
        if found is None:
            if isinstance(value, dict) and "messages" in value:
                raise
            raise InvalidValueError(WHOLE, _unknown(value)) from None
    return READERS[found](data)


def detected(value: object) -> Format | None:
    """Return the format of a conversation that is not in the service's own; None if unknown."""
    match value:
        case {"mapping": dict()}:
            return Format.CHATGPT
        case {"conversations": list()}:
            return Format.SHAREGPT
        case {"messages": list(messages), **rest}:
            return _of_messages({*rest}, messages)
        case [{"role": str()}, *_]:
            return Format.ANTHROPIC
    return None


def _of_messages(keys: set[object], messages: list[Any]) -> Format | None:
    said = [message for message in messages if isinstance(message, dict)]
    parts = [message["content"] for message in said if isinstance(message.get("content"), list)]
    kinds = {str(part.get("type")) for each in parts for part in each if isinstance(part, dict)}
    if "system" in keys or kinds & _BLOCKS_OF_ANTHROPIC:
        return Format.ANTHROPIC
    if (
        keys & _OF_OPENAI_REQUESTS
        or parts
        or any(message.keys() & _OF_OPENAI for message in said)
        or any(message.get("role") == "function" for message in said)
    ):
        return Format.OPENAI
    return None


def _unknown(value: object) -> str:
    match value:
        case {"role": _, "content": _} | {"from": _, "value": _}:
            seen = 'a message alone; the messages of one conversation go into {"messages": [...]}'
        case dict():
            keys = ", ".join(repr(key[:50]) for key in list(value)[:_SHOWN])
            seen = f"an object with the keys {keys}" if value else "an empty object"
        case list():
            seen = "an array"
        case _:
            seen = repr(value)[:50]
    return f"is in none of the formats {', '.join(Format)}: it is {seen}"
