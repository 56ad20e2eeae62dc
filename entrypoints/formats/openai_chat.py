"""OpenAI's chat format, as of fine-tuning files: {"messages": [...], "tools": [...]}, in and out.

What has no place here is kept under `openai` of the metadata, and written again.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import JsonText, Message, Role
from chatkeep.domain.operations.transfer import GivenConversation, Piece
from chatkeep.entrypoints.formats.decoding import converted, decoded
from chatkeep.entrypoints.formats.jsonl import GivenLine, GivenMessage, conversation
from chatkeep.entrypoints.formats.merge_roles import call, known_as

KEY: Final = "openai"
_ROLES: Final = {**{role.value: role for role in Role}, "function": Role.TOOL}
_SHARED: Final = frozenset({"role", "content", "tool_calls", "tool_call_id", "name"})


class _Function(Struct):
    name: str
    arguments: str


class _Message(Struct):
    role: str
    content: str | list[Any] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    function_call: _Function | None = None


_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_encode: Final = msgspec.json.Encoder().encode


def read(data: bytes) -> GivenConversation:
    """Return the conversation of an element. Raises `InvalidValueError` naming the field."""
    rest = decoded(_decoder, data)
    given = converted(rest.pop("messages", None), list[dict[str, Any]], field="messages")
    calls: list[tuple[str, str]] = []
    return conversation(
        GivenLine(
            metadata={KEY: rest} if rest else None,
            messages=[_message(message, index, calls) for index, message in enumerate(given)],
        )
    )


def _message(given: dict[str, Any], index: int, calls: list[tuple[str, str]]) -> GivenMessage:
    where = f"messages[{index}]"
    said = converted(given, _Message, field=where)
    role = _ROLES.get(said.role)
    if role is None:
        raise InvalidValueError(
            f"{where}.role", f"is {said.role[:50]!r}, not one of {', '.join(_ROLES)}"
        )
    rest = {key: value for key, value in given.items() if key not in _SHARED}
    text, parts = _told(said.content)
    if parts:
        rest["content"] = parts
    message = GivenMessage(
        role=role,
        content=text,
        tool_calls=said.tool_calls or None,
        tool_call_id=said.tool_call_id,
        name=said.name,
    )
    if said.function_call is not None and not said.tool_calls:
        del rest["function_call"]
        name = said.function_call.name
        calls.append((name, f"call_{index}"))
        arguments = said.function_call.arguments
        message.tool_calls = [call(f"call_{index}", name, arguments, is_json=True)]
    if said.role == "function":
        message.tool_call_id = known_as(calls, said.name) or f"call_{index}"
    if message.content is None and message.tool_calls is None:
        message.content = ""
    message.metadata = {KEY: rest} if rest else None
    return message


def _told(content: str | list[Any] | None) -> tuple[str | None, list[Any]]:
    """Return the text, and all the parts when they are more than one text."""
    if not isinstance(content, list):
        return content, []
    match content:
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text, []
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n\n".join(text for text in texts if isinstance(text, str)), content


class OpenAIChat:
    """Writes a line for each conversation that has messages, with what the format has a place for.

    `without_messages` counts the others, `items_left_out` what is an item and no message.
    """

    def __init__(self) -> None:
        self.without_messages = 0
        self.items_left_out = 0
        self._is_begun = False

    def write(self, piece: Piece) -> bytes:
        if piece.is_first:
            self._is_begun = False
        parts = []
        for entry in piece.entries:
            if entry.message is None:
                self.items_left_out += 1
                continue
            parts += [b"," if self._is_begun else b'{"messages":[', _encode(_shaped(entry.message))]
            self._is_begun = True
        if piece.is_last:
            if self._is_begun:
                rest = _kept(piece.conversation.metadata, {"messages"})
                parts += [b"]", b"," + _encode(rest)[1:] if rest else b"}", b"\n"]
            else:
                self.without_messages += 1
        return b"".join(parts)

    def left_out(self) -> str:
        """Return what there is to say of what was left out; nothing if nothing was."""
        told = []
        if self.items_left_out:
            told.append(f"{self.items_left_out} items that are no messages")
        if self.without_messages:
            told.append(f"{self.without_messages} conversations without messages")
        return " and ".join(told)


def _shaped(message: Message) -> dict[str, Any]:
    kept = _kept(message.metadata, _SHARED - {"content"})
    parts = kept.pop("content", None)
    shaped: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if isinstance(parts, list) and _told(parts)[0] == (message.content or ""):
        shaped["content"] = parts
    if message.tool_calls is not None:
        shaped["tool_calls"] = msgspec.Raw(message.tool_calls)
    if message.tool_call_id is not None:
        shaped["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        shaped["name"] = message.name
    return {**shaped, **kept}


def _kept(metadata: JsonText, without: set[str] | frozenset[str]) -> dict[str, Any]:
    if KEY not in metadata:
        return {}
    kept = _decoder.decode(metadata).get(KEY)
    if not isinstance(kept, dict):
        return {}
    return {key: value for key, value in kept.items() if key not in without}
