"""`conversations.json` of ChatGPT's data export: an array of conversations, each a tree of nodes.

The branch shown last becomes the messages; the other nodes are kept unchanged in the conversation's
metadata under `chatgpt.branches`. docs/transfer.md describes the whole mapping.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid5

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.codec import (
    IMPORTS,
    WHOLE,
    Document,
    Line,
    expect,
    get_optional,
    get_required,
    one_of,
)
from chatkeep.domain.formats.tool_calls import find_call, is_json_object, make_call
from chatkeep.domain.formats.values import write_time
from chatkeep.domain.model import Role, Status

KEY: Final = "chatgpt"

_ROLES: Final = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.DEVELOPER,
    "tool": Role.TOOL,
    "critic": Role.ASSISTANT,
}
_EVERYBODY: Final = frozenset({None, "", "all", "assistant"})
_REASONING: Final = frozenset({"thoughts", "reasoning_recap"})
# The member with the texts of each type of content; the rest is kept in the metadata.
_TEXTS: Final = {
    "code": ("text",),
    "execution_output": ("text",),
    "model_editable_context": ("model_set_context",),
    "system_error": ("text",),
    "tether_browsing_display": ("result",),
    "tether_quote": ("text",),
    "user_editable_context": ("user_profile", "user_instructions"),
}
_INSTRUCTIONS: Final = "user_editable_context"
# The parts of ChatGPT's own data about a message that are worth keeping.
_NOTES: Final = ("model_slug", "attachments", "citations", "content_references", "aggregate_result")
_HIDDEN: Final = "is_visually_hidden_from_conversation"


def recognizes(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("mapping"), dict)


def read(document: object) -> Line:
    """Return the conversation. Raises `InvalidValueError` naming the field."""
    given: Document = expect(document, WHOLE, dict)
    mapping: dict[str, Document] = get_required(given, "mapping", "", dict)
    for node_id, node in mapping.items():
        expect(node, f"mapping.{node_id}", dict)
    own_id, other_id, title, model, gizmo_id, current = (
        get_optional(given, name, "", str)
        for name in (
            *("conversation_id", "id", "title", "default_model_slug", "gizmo_id"),
            "current_node",
        )
    )
    chatgpt_id = own_id or other_id
    branch = _branch(mapping, current)
    reading = _Reading(chatgpt_id or "")
    for node_id in branch:
        if mapping[node_id].get("message") is not None:
            where = f"mapping.{node_id}.message"
            reading.add(node_id, expect(mapping[node_id]["message"], where, dict), where)
    kept: dict[str, Any] = {
        "model": model,
        "gizmo_id": gizmo_id,
        "thoughts": reading.thoughts,
        "branches": {node_id: node for node_id, node in mapping.items() if node_id not in branch},
    }
    kept = {key: value for key, value in kept.items() if value}
    is_archived = get_optional(given, "is_archived", "", bool)
    created_at, updated_at = (
        get_optional(given, name, "", float) for name in ("create_time", "update_time")
    )
    return chatkeep.read(
        {
            "source": f"{KEY}#{chatgpt_id}" if chatgpt_id else None,
            "title": title,
            "status": Status.ARCHIVED.value if is_archived else None,
            "metadata": {KEY: kept} if kept else None,
            "created_at": _time(created_at, "create_time"),
            "updated_at": _time(updated_at, "update_time"),
            "messages": reading.messages,
        },
        canonical=f"{KEY}:{chatgpt_id}" if chatgpt_id else None,
    )


def _branch(mapping: Mapping[str, Document], current: str | None) -> dict[str, None]:
    """Return the ids of the nodes from the root to the one shown last, in order."""
    node_id = current if current in mapping else _latest_leaf(mapping)
    path: dict[str, None] = {}
    while isinstance(node_id, str) and node_id in mapping:
        if node_id in path:
            raise InvalidValueError(f"mapping.{node_id}", "is among its own ancestors")
        path[node_id] = None
        node_id = mapping[node_id].get("parent")
    return dict.fromkeys(reversed(path))


def _latest_leaf(mapping: Mapping[str, Document]) -> str | None:
    parents = {str(node.get("parent")) for node in mapping.values()}
    leaves = [node_id for node_id in mapping if node_id not in parents]
    return max(leaves, key=lambda leaf: _said_at(mapping[leaf]), default=None)


def _said_at(node: Document) -> float:
    message = node.get("message")
    at = message.get("create_time") if isinstance(message, dict) else None
    return at if isinstance(at, int | float) else 0.0


@dataclass
class _Reading:
    """The messages so far. `thoughts` belong to the message that comes next."""

    chatgpt_id: str
    messages: list[Document] = field(default_factory=list)
    thoughts: list[Any] = field(default_factory=list)
    _calls: list[tuple[str, str]] = field(default_factory=list)

    def add(self, node_id: str, given: Document, where: str) -> None:
        author: Document = get_required(given, "author", where, dict)
        given_role: str = get_required(author, "role", f"{where}.author", str)
        tool: str | None = get_optional(author, "name", f"{where}.author", str)
        content: Document = get_optional(given, "content", where, dict) or {}
        recipient: str | None = get_optional(given, "recipient", where, str)
        channel: str | None = get_optional(given, "channel", where, str)
        notes: Document = get_optional(given, "metadata", where, dict) or {}
        seconds: float | None = get_optional(given, "create_time", where, float)

        kind = content.get("content_type", "text")
        kind = kind if isinstance(kind, str) else str(kind)
        if kind in _REASONING:
            self.thoughts.append(content)
            return
        role = one_of(_ROLES, given_role, f"{where}.author.role")
        text, rest = _text(kind, content)
        kept: dict[str, Any] = {
            "content_type": kind if kind not in {"text", "multimodal_text"} else None,
            "hidden": notes.get(_HIDDEN) or None,
            "channel": channel,
            **{key: notes.get(key) for key in _NOTES},
            **rest,
        }
        kept = {key: value for key, value in kept.items() if value not in (None, [], {})}
        is_call = role is Role.ASSISTANT and recipient not in _EVERYBODY
        if not text and not rest and not is_call and role is not Role.TOOL:
            return  # nodes without content: the root, empty instructions
        message: Document = {
            "role": (Role.SYSTEM if kind == _INSTRUCTIONS else role).value,
            "content": text,
            "created_at": _time(seconds, f"{where}.create_time"),
        }
        if self.chatgpt_id:
            message["id"] = str(uuid5(IMPORTS, f"{KEY}:{self.chatgpt_id}:{node_id}"))
        if is_call and recipient is not None:
            call_id = f"call_{node_id}"
            self._calls.append((recipient, call_id))
            message["content"] = None
            call = make_call(call_id, recipient, text, is_json=is_json_object(text))
            message["tool_calls"] = [call]
        elif role is Role.TOOL:
            message["name"] = tool
            message["tool_call_id"] = find_call(self._calls, tool) or f"call_{node_id}"
        if self.thoughts:
            kept["thoughts"], self.thoughts = self.thoughts, []
        message["metadata"] = {KEY: kept} if kept else None
        self.messages.append(message)


def _text(kind: str, content: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the text of a content, and its other parts."""
    rest = {key: value for key, value in content.items() if key not in {"content_type", "parts"}}
    keys = [key for key in _TEXTS.get(kind, ("text",)) if isinstance(rest.get(key), str)]
    texts: list[str] = [rest.pop(key) for key in keys]
    parts = content.get("parts")
    others: list[Any] = []
    for part in parts if isinstance(parts, Sequence) and not isinstance(parts, str) else ():
        match part:
            case str():
                texts.append(part)
            case {"content_type": "audio_transcription", "text": str(said)}:
                texts.append(said)
            case _:
                others.append(part)
    if others:
        rest["parts"] = others
    kept = (
        {"content": rest} if any(value not in (None, "", [], {}) for value in rest.values()) else {}
    )
    return "\n".join(filter(None, texts)), kept


def _time(seconds: float | None, field: str) -> str | None:
    if seconds is None:
        return None
    try:
        return write_time(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError) as error:
        reason = f"is {str(seconds)[:50]}, which is not a time in seconds"
        raise InvalidValueError(field, reason) from error
