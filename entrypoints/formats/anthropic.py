"""Lists of messages of Anthropic's Messages API: {"system", "messages": [{"role", "content"}]}.

What has no place here (thinking, images, documents) is kept under `anthropic` of the metadata.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import Role
from chatkeep.domain.operations.transfer import GivenConversation
from chatkeep.entrypoints.formats.decoding import converted, decoded
from chatkeep.entrypoints.formats.jsonl import GivenLine, GivenMessage, conversation
from chatkeep.entrypoints.formats.merge_roles import call

KEY: Final = "anthropic"
_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}


class _Message(Struct):
    role: str
    content: str | list[dict[str, Any]]


class _Use(Struct):
    id: str
    name: str
    input: Any = msgspec.field(default_factory=dict)


class _Result(Struct):
    tool_use_id: str
    content: str | list[dict[str, Any]] | None = None


_decoder: Final = msgspec.json.Decoder(dict[str, Any] | list[Any])
_encode: Final = msgspec.json.Encoder().encode


def read(data: bytes) -> GivenConversation:
    """Return the conversation of an element. Raises `InvalidValueError` naming the field."""
    given = decoded(_decoder, data)
    rest = {"messages": given} if isinstance(given, list) else given
    listed = converted(rest.pop("messages", None), list[dict[str, Any]], field="messages")
    messages: list[GivenMessage] = []
    if rest.get("system"):
        said = converted(
            {"role": "system", "content": rest.pop("system")}, _Message, field="system"
        )
        text, others = _told(said.content)
        messages.append(_message(Role.SYSTEM, text, {"content": others}))
    for index, message in enumerate(listed):
        messages += _messages(message, f"messages[{index}]")
    return conversation(GivenLine(metadata={KEY: rest} if rest else None, messages=messages))


def _messages(given: dict[str, Any], where: str) -> list[GivenMessage]:
    """Return the results of tools that a message holds, and the rest of it, if there is any."""
    said = converted(given, _Message, field=where)
    role = _ROLES.get(said.role)
    if role is None:
        reason = f"is {said.role[:50]!r}, not one of {', '.join(_ROLES)}"
        raise InvalidValueError(f"{where}.role", reason)
    kept = {key: value for key, value in given.items() if key not in {"role", "content"}}
    found: list[GivenMessage] = []
    calls: list[dict[str, Any]] = []
    blocks: list[dict[str, Any]] = []
    for index, block in enumerate(said.content if isinstance(said.content, list) else ()):
        at = f"{where}.content[{index}]"
        match block.get("type"):
            case "tool_use" if role is Role.ASSISTANT:
                calls.append(_call(block, at))
            case "tool_result":
                found.append(_result(block, at))
            case _:
                blocks.append(block)
    text, others = _told(said.content if isinstance(said.content, str) else blocks)
    if text or others or calls or kept or not found:
        message = _message(role, text, {**kept, "content": others})
        if calls:
            message.tool_calls = calls
            message.content = text or None
        found.append(message)
    return found


def _call(block: dict[str, Any], where: str) -> dict[str, Any]:
    use = converted(block, _Use, field=where)
    made = call(use.id, use.name, _encode(use.input).decode(), is_json=True)
    rest = {
        key: value for key, value in block.items() if key not in {"type", "id", "name", "input"}
    }
    return {**made, KEY: rest} if rest else made


def _result(block: dict[str, Any], where: str) -> GivenMessage:
    result = converted(block, _Result, field=where)
    text, others = _told(result.content or "")
    rest = {
        key: value for key, value in block.items() if key not in {"type", "tool_use_id", "content"}
    }
    message = _message(Role.TOOL, text, {**rest, "content": others})
    message.tool_call_id = result.tool_use_id
    return message


def _told(content: str | list[dict[str, Any]]) -> tuple[str, list[Any]]:
    """Return the text of all blocks, and those blocks that are more than a text."""
    if isinstance(content, str):
        return content, []
    texts, others = [], []
    for block in content:
        if block.get("type") == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"])
            rest = {key: value for key, value in block.items() if value and key != "text"}
            if rest.keys() > {"type"}:
                others.append(rest)
        else:
            others.append(block)
    return "\n\n".join(filter(None, texts)), others


def _message(role: Role, text: str, kept: dict[str, Any]) -> GivenMessage:
    if not kept["content"]:
        del kept["content"]
    return GivenMessage(role=role, content=text, metadata={KEY: kept} if kept else None)
