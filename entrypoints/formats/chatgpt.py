"""`conversations.json` of ChatGPT's data export: an array of conversations, each a tree of nodes.

The branch that was shown last becomes the messages; the other nodes are kept as they are under
`chatgpt.branches` of the conversation's metadata. docs/transfer.md has the whole mapping.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid5

import msgspec
from msgspec import Struct

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import Role, Status
from chatkeep.domain.operations.transfer import NAMESPACE, GivenConversation
from chatkeep.entrypoints.formats.decoding import converted, decoded
from chatkeep.entrypoints.formats.jsonl import GivenLine, GivenMessage, conversation
from chatkeep.entrypoints.formats.merge_roles import call, is_json_object, known_as

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
# Where a content of that type has its texts; all else of it is kept in the metadata.
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
# Of what ChatGPT notes of a message, what somebody may want to have again.
_NOTES: Final = ("model_slug", "attachments", "citations", "content_references", "aggregate_result")
_HIDDEN: Final = "is_visually_hidden_from_conversation"


class _Author(Struct):
    role: str
    name: str | None = None


class _Message(Struct):
    author: _Author
    id: str | None = None
    create_time: float | None = None
    content: dict[str, Any] | None = None
    recipient: str | None = None
    channel: str | None = None
    metadata: dict[str, Any] | None = None


class _Conversation(Struct):
    mapping: dict[str, dict[str, Any]]
    id: str | None = None
    conversation_id: str | None = None
    title: str | None = None
    create_time: float | None = None
    update_time: float | None = None
    current_node: str | None = None
    is_archived: bool | None = None
    default_model_slug: str | None = None
    gizmo_id: str | None = None


_decoder: Final = msgspec.json.Decoder(_Conversation)


def read(data: bytes) -> GivenConversation:
    """Return the conversation of an element. Raises `InvalidValueError` naming the field."""
    given = decoded(_decoder, data)
    chatgpt_id = given.conversation_id or given.id
    branch = _branch(given)
    reading = _Reading(chatgpt_id or "")
    for node_id in branch:
        message = given.mapping[node_id].get("message")
        if message is not None:
            where = f"mapping.{node_id}.message"
            reading.add(node_id, converted(message, _Message, field=where), where)
    kept: dict[str, Any] = {
        "model": given.default_model_slug,
        "gizmo_id": given.gizmo_id,
        "thoughts": reading.thoughts,
        "branches": {
            node_id: node for node_id, node in given.mapping.items() if node_id not in branch
        },
    }
    kept = {key: value for key, value in kept.items() if value}
    line = GivenLine(
        source=f"{KEY}#{chatgpt_id}" if chatgpt_id else None,
        title=given.title,
        status=Status.ARCHIVED if given.is_archived else None,
        metadata={KEY: kept} if kept else None,
        created_at=_time(given.create_time, "create_time"),
        updated_at=_time(given.update_time, "update_time"),
        messages=reading.messages,
    )
    return conversation(line, canonical=f"{KEY}:{chatgpt_id}" if chatgpt_id else None)


def _branch(given: _Conversation) -> dict[str, None]:
    """Return the ids of the nodes from the root to the one that was shown last, in order."""
    node_id = given.current_node if given.current_node in given.mapping else _latest_leaf(given)
    path: dict[str, None] = {}
    while isinstance(node_id, str) and node_id in given.mapping:
        if node_id in path:
            raise InvalidValueError(f"mapping.{node_id}", "is a parent of its own parents")
        path[node_id] = None
        node_id = given.mapping[node_id].get("parent")
    return dict.fromkeys(reversed(path))


def _latest_leaf(given: _Conversation) -> str | None:
    parents = {str(node.get("parent")) for node in given.mapping.values()}
    leaves = [node_id for node_id in given.mapping if node_id not in parents]
    return max(leaves, key=lambda leaf: _said_at(given.mapping[leaf]), default=None)


def _said_at(node: Mapping[str, Any]) -> float:
    message = node.get("message")
    at = message.get("create_time") if isinstance(message, dict) else None
    return at if isinstance(at, int | float) else 0.0


@dataclass
class _Reading:
    """The messages so far. `thoughts` are waiting for the message that they led to."""

    chatgpt_id: str
    messages: list[GivenMessage] = field(default_factory=list)
    thoughts: list[Any] = field(default_factory=list)
    _calls: list[tuple[str, str]] = field(default_factory=list)

    def add(self, node_id: str, given: _Message, where: str) -> None:
        content = given.content or {}
        kind = content.get("content_type", "text")
        if kind in _REASONING:
            self.thoughts.append(content)
            return
        role = _ROLES.get(given.author.role)
        if role is None:
            reason = f"is {given.author.role!r}, not one of {', '.join(_ROLES)}"
            raise InvalidValueError(f"{where}.author.role", reason)
        text, rest = _told(kind, content)
        notes = given.metadata or {}
        kept: dict[str, Any] = {
            "content_type": kind if kind not in {"text", "multimodal_text"} else None,
            "hidden": notes.get(_HIDDEN) or None,
            "channel": given.channel,
            **{key: notes.get(key) for key in _NOTES},
            **rest,
        }
        kept = {key: value for key, value in kept.items() if value not in (None, [], {})}
        is_call = role is Role.ASSISTANT and given.recipient not in _EVERYBODY
        if not text and not rest and not is_call and role is not Role.TOOL:
            return  # the nodes that stand for nothing: the root, instructions that are empty
        message = GivenMessage(
            role=Role.SYSTEM if kind == _INSTRUCTIONS else role,
            content=text,
            created_at=_time(given.create_time, f"{where}.create_time"),
        )
        if self.chatgpt_id:
            message.id = uuid5(NAMESPACE, f"{KEY}:{self.chatgpt_id}:{node_id}")
        if is_call and given.recipient is not None:
            call_id = f"call_{node_id}"
            self._calls.append((given.recipient, call_id))
            message.content = None
            is_json = is_json_object(text)
            message.tool_calls = [call(call_id, given.recipient, text, is_json=is_json)]
        elif role is Role.TOOL:
            message.name = given.author.name
            message.tool_call_id = known_as(self._calls, given.author.name) or f"call_{node_id}"
        if self.thoughts:
            kept["thoughts"], self.thoughts = self.thoughts, []
        message.metadata = {KEY: kept} if kept else None
        self.messages.append(message)


def _told(kind: str, content: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the text of a content, and what of it is no text."""
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


def _time(seconds: float | None, where: str) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidValueError(where, f"is {seconds}, which is no time in seconds") from error
