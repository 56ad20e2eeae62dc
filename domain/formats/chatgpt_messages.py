"""One message of ChatGPT's data export: its role, its text, and what has no place in a message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import (
    Document,
    get_optional,
    get_required,
    one_of,
    present,
    without,
)
from chatkeep.domain.formats.values import write_time
from chatkeep.domain.model import Role

_ROLES: Final = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.DEVELOPER,
    "tool": Role.TOOL,
    "critic": Role.ASSISTANT,
}
_EVERYBODY: Final = frozenset({None, "", "all", "assistant"})
_PLAIN: Final = frozenset({"text", "multimodal_text"})
# The member with the texts of each type of content; the rest is kept in the metadata.
_TEXTS: Final = {
    "citable_code_output": ("output_str",),
    "code": ("text",),
    "execution_output": ("text",),
    "model_editable_context": ("model_set_context",),
    "system_error": ("text",),
    "tether_browsing_display": ("result",),
    "tether_quote": ("text",),
    "user_editable_context": ("user_profile", "user_instructions"),
}
# Where the text of a type that is not known may be.
_ANY_TEXTS: Final = ("text", "content", "result", "output", "summary")
_INSTRUCTIONS: Final = frozenset({"user_editable_context", "model_editable_context"})
_OLD_INSTRUCTIONS: Final = "user_context_message_data"
# The parts of ChatGPT's own data about a message that are in the metadata by their own names.
_NOTES: Final = ("model_slug", "attachments", "citations", "content_references", "aggregate_result")
_HIDDEN: Final = "is_visually_hidden_from_conversation"
_PLACED: Final = ("author", "content", "create_time", "channel")
_USUAL: Final = {"status": "finished_successfully", "weight": 1.0, "recipient": "all"}


@dataclass(frozen=True, slots=True)
class Said:
    """The message of a node. `recipient` is the tool, if the message is a tool call.

    `kept` are the members for the metadata. `formerly_left_out` means that earlier versions
    dropped the node.
    """

    role: Role
    text: str
    tool: str | None
    recipient: str | None
    created_at: str | None
    kept: Document
    formerly_left_out: bool


def read_reasoning(node: Document, where: str) -> Document | None:
    """Return the content of a node that has only the model's reasoning, or None."""
    content = get_optional(node["message"], "content", where, dict) or {}
    return content if content.get("content_type") in ("thoughts", "reasoning_recap") else None


def read_message(node_id: str, node: Document, where: str) -> Said | None:
    """Return what the message of a node says, or None if it has nothing to say.

    Raises `InvalidValueError` naming the field, below `where`.
    """
    given: Document = node["message"]
    author: Document = get_required(given, "author", where, dict)
    given_role: str = get_required(author, "role", f"{where}.author", str)
    tool: str | None = get_optional(author, "name", f"{where}.author", str)
    content: Document = get_optional(given, "content", where, dict) or {}
    recipient: str | None = get_optional(given, "recipient", where, str)
    notes: Document = get_optional(given, "metadata", where, dict) or {}
    seconds: float | None = get_optional(given, "create_time", where, float)
    channel: str | None = get_optional(given, "channel", where, str)

    role = one_of(_ROLES, given_role, f"{where}.author.role")
    kind = content.get("content_type", "text")
    kind = kind if isinstance(kind, str) else str(kind)
    text, rest = _text(kind, content)
    is_call = role is Role.ASSISTANT and recipient not in _EVERYBODY
    instructions = "" if text or is_call else _old_instructions(notes)
    if not text and not is_call and not instructions and _says_nothing(role, kind, rest):
        return None
    role = Role.SYSTEM if kind in _INSTRUCTIONS else role
    kept = {
        "id": node_id,
        "content_type": kind if kind != "text" else None,
        "hidden": notes.get(_HIDDEN) or bool(instructions) or None,
        "channel": channel,
        **{key: notes.get(key) for key in _NOTES},
        "content": rest,
        "message": _without_place(given, node_id, role, is_call=is_call),
        "node": members_of_node(node),
    }
    return Said(
        role=role,
        text=text or instructions,
        tool=tool,
        recipient=recipient if is_call else None,
        created_at=read_time(seconds, f"{where}.create_time"),
        kept={key: value for key, value in kept.items() if value not in (None, [], {})},
        formerly_left_out=bool(instructions),
    )


def is_of_tool(node: Document) -> bool:
    match node.get("message"):
        case {"author": {"role": "tool"}}:
            return True
    return False


def members_of_node(node: Document) -> Document:
    """Return the members that the order of messages does not say, such as several children."""
    children = node.get("children")
    usual = () if isinstance(children, list) and len(children) > 1 else ("children",)
    return present(without(node, "id", "message", "parent", *usual))


def _says_nothing(role: Role, kind: str, rest: Document) -> bool:
    """Return whether a message without a text is not one: a tool's is, and a picture is."""
    if role is Role.TOOL:
        return False
    return not rest or (role is not Role.USER and kind not in _TEXTS and kind not in _PLAIN)


def _old_instructions(notes: Document) -> str:
    """Return the custom instructions in the form of exports of 2023, or an empty text."""
    said = notes.get(_OLD_INSTRUCTIONS)
    texts = said.values() if isinstance(said, dict) else ()
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _without_place(given: Document, node_id: str, role: Role, *, is_call: bool) -> Document:
    """Return the members of a message that have no place, apart from the usual ones."""
    notes = without(given.get("metadata") or {}, *_NOTES)
    if notes.get(_HIDDEN) is True:
        del notes[_HIDDEN]
    author = dict(given["author"])
    if author["role"] == role.value:
        del author["role"]
    if role is Role.TOOL:
        author.pop("name", None)
    rest = {**without(given, *_PLACED), "author": present(author), "metadata": notes}
    usual = {**_USUAL, "id": node_id, **({"recipient": given.get("recipient")} if is_call else {})}
    return {key: value for key, value in present(rest).items() if usual.get(key) != value}


def _text(kind: str, content: Mapping[str, Any]) -> tuple[str, Document]:
    """Return the text of a content, and what it has besides.

    That is the whole content if there are several texts, or other parts than texts.
    """
    rest = without(content, "content_type", "parts")
    keys = [key for key in _TEXTS.get(kind, ("text",)) if isinstance(content.get(key), str)]
    texts: list[str] = [content[key] for key in keys]
    parts = content.get("parts")
    parts = parts if isinstance(parts, Sequence) and not isinstance(parts, str) else ()
    texts += [text for text in map(_text_of, parts) if text is not None]
    is_plain = all(isinstance(part, str) for part in parts)
    if not any(texts) and kind not in _PLAIN:
        found = (content.get(key) for key in _ANY_TEXTS)
        texts = [text for text in found if isinstance(text, str) and text][:1]
        is_plain = is_plain and not texts
    texts = list(filter(None, texts))
    if is_plain and len(texts) <= 1:
        rest = without(rest, *keys)
    elif parts:
        rest["parts"] = parts
    return "\n".join(texts), rest if present(rest) else {}


def _text_of(part: object) -> str | None:
    match part:
        case str():
            return part
        case {"content_type": "audio_transcription" | "text", "text": str(text)}:
            return text
    return None


def read_time(seconds: float | None, field: str) -> str | None:
    """Return a time in seconds as text. Raises `InvalidValueError`."""
    if seconds is None:
        return None
    try:
        return write_time(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError) as error:
        reason = f"is {str(seconds)[:50]}, which is not a time in seconds"
        raise InvalidValueError(field, reason) from error
