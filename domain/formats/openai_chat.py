"""OpenAI's chat format: {"messages": [...], "tools": [...]}, of requests and fine-tuning files.

It is read and written for imports and exports, and written as a context to send on. Parts that a
message has no field for are kept in the metadata under `openai`, and written again.
"""

import json
import re
from typing import Any, Final

from chatkeep.domain.context import Context
from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.codec import (
    WHOLE,
    Document,
    Embed,
    Line,
    expect,
    get_optional,
    get_required,
    objects,
    one_of,
    without,
)
from chatkeep.domain.formats.tool_calls import find_call, make_call
from chatkeep.domain.log import Entry
from chatkeep.domain.model import Conversation, JsonText, Message, Role

KEY: Final = "openai"
_ROLES: Final = {**{role.value: role for role in Role}, "function": Role.TOOL}
_SHARED: Final = ("role", "content", "tool_calls", "tool_call_id", "name")
_OF_MESSAGES: Final = frozenset({"weight", "function_call", "refusal", "audio", "annotations"})
_OF_REQUESTS: Final = frozenset(
    {"tools", "functions", "parallel_tool_calls", "tool_choice", "model"}
)
_ASSISTANT: Final = Role.ASSISTANT
_TOOL: Final = Role.TOOL
_NAME: Final = re.compile(r"[^\s<|\\/>]{1,64}")

_Calls = list[tuple[str, str]]


def recognizes(document: object) -> bool:
    """Return whether the document has anything that only this format has.

    Many formats have messages with only a role and a text.
    """
    match document:
        case {"messages": list(messages), **rest}:
            said = [message for message in messages if isinstance(message, dict)]
            return bool(rest.keys() & _OF_REQUESTS) or any(map(_is_openais, said))
    return False


def _is_openais(message: Document) -> bool:
    return (
        isinstance(message.get("content"), list)
        or bool(message.keys() & _OF_MESSAGES)
        or message.get("role") == "function"
    )


def read(document: object) -> Line:
    """Return the conversation. Raises `InvalidValueError` naming the field."""
    given: Document = expect(document, WHOLE, dict)
    calls: _Calls = []
    messages = [_read(each, index, calls) for index, each in enumerate(objects(given, "messages"))]
    rest = without(given, "messages")
    return chatkeep.read({"metadata": {KEY: rest} if rest else None, "messages": messages})


def _read(given: Document, index: int, calls: _Calls) -> Document:
    where = f"messages[{index}]"
    given_role: str = get_required(given, "role", where, str)
    role = one_of(_ROLES, given_role, f"{where}.role")
    tool_calls = objects(given, "tool_calls", where) if given.get("tool_calls") else None
    get_optional(given, "tool_calls", where, list)
    name: str | None = get_optional(given, "name", where, str)
    rest = without(given, *_SHARED)
    text, parts = _text(get_optional(given, "content", where, str, list))
    if parts:
        rest["content"] = parts
    message: Document = {
        "role": role.value,
        "content": text,
        "tool_calls": tool_calls,
        "tool_call_id": get_optional(given, "tool_call_id", where, str),
        "name": name,
    }
    function: Document | None = get_optional(given, "function_call", where, dict)
    if function is not None:
        called: str = get_required(function, "name", f"{where}.function_call", str)
        arguments: str = get_required(function, "arguments", f"{where}.function_call", str)
        if not tool_calls:
            del rest["function_call"]
            calls.append((called, f"call_{index}"))
            message["tool_calls"] = [make_call(f"call_{index}", called, arguments, is_json=True)]
    if given_role == "function":
        message["tool_call_id"] = find_call(calls, name) or f"call_{index}"
    if text is None and message["tool_calls"] is None:
        message["content"] = ""
    message["metadata"] = {KEY: rest} if rest else None
    return message


def _text(content: str | list[Any] | None) -> tuple[str | None, list[Any]]:
    """Return the text, and all the parts if they are more than one text."""
    if not isinstance(content, list):
        return content, []
    match content:
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text, []
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n\n".join(text for text in texts if isinstance(text, str)), content


class OpenAIChatWriter:
    """Writes the format that `read` reads, for fine-tuning.

    It leaves out ids, times, titles, statuses, holds, other metadata than `openai`, entries that
    are not messages, and conversations without messages.
    """

    writes_empty = False
    leaves_out = frozenset({"id", "created_at", "metadata"})

    def head(self, conversation: Conversation, embed: Embed) -> Document:  # noqa: ARG002 - the interface
        return {}

    def entry(self, entry: Entry, embed: Embed) -> Document | None:
        message = entry.message
        if message is None:
            return None
        kept = without(_read_kept(message.metadata), *_SHARED[:1], *_SHARED[2:])
        parts = kept.pop("content", None)
        document: Document = {"role": message.role, "content": message.content}
        if isinstance(parts, list) and _text(parts)[0] == (message.content or ""):
            document["content"] = parts
        if message.tool_calls is not None:
            document["tool_calls"] = embed(message.tool_calls)
        if message.tool_call_id is not None:
            document["tool_call_id"] = message.tool_call_id
        if message.name is not None:
            document["name"] = message.name
        return {**document, **kept}

    def tail(self, conversation: Conversation, embed: Embed) -> Document:  # noqa: ARG002 - the interface
        return without(_read_kept(conversation.metadata), "messages")


def _read_kept(metadata: JsonText) -> Document:
    if KEY not in metadata:
        return {}
    kept = json.loads(metadata).get(KEY)
    return kept if isinstance(kept, dict) else {}


def write_context(context: Context, embed: Embed) -> Document:
    """Return the messages of a context to send on to OpenAI's chat API.

    Tool calls are written as they are stored. Metadata, and a `name` that the API refuses, are left
    out.
    """
    return {"messages": [_context_message(message, embed) for message in context.messages]}


def _context_message(message: Message, embed: Embed) -> Document:
    document: Document = {"role": message.role, "content": message.content}
    if message.name is not None and _NAME.fullmatch(message.name):
        document["name"] = message.name
    if message.role is _ASSISTANT and message.tool_calls is not None:
        document["tool_calls"] = embed(message.tool_calls)
    if message.role is _TOOL and message.tool_call_id is not None:
        document["tool_call_id"] = message.tool_call_id
    return document
