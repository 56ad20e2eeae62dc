"""One message of Claude.ai's data export: a list of blocks, which may be several messages here.

An answer of the assistant has its tool calls and their results in it. Here a call belongs to the
message before its results, each result is a message, and what follows them is the next message.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chatkeep.domain.formats.codec import (
    Document,
    check_objects,
    get_optional,
    get_required,
    one_of,
    present,
    without,
)
from chatkeep.domain.formats.tool_calls import AskedCalls, make_call
from chatkeep.domain.json_fields import stable_json
from chatkeep.domain.model import Role

KEY: Final = "claude-ai"
CURRENT: Final = "current_leaf_message_uuid"
PARENT: Final = "parent_message_uuid"
NO_PARENT: Final = "00000000-0000-4000-8000-000000000000"
"""The parent of every first message."""

_ROLES: Final = {
    "human": Role.USER,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
}
_PLACED: Final = ("uuid", "sender", "text", "content", "created_at", "attachments", "files")
_PLAIN: Final[list[Document]] = [{"type": "text"}]
_BLANK_LINE: Final = "\n\n"
_JOINS: Final = ("", "\n", _BLANK_LINE)


def read_message(given: Document, key: str, where: str) -> list[Document]:
    """Return the messages that a message becomes, at least one.

    `key` is its id, or what stands for it. Raises `InvalidValueError` naming the field, below
    `where`.
    """
    role = one_of(_ROLES, get_required(given, "sender", where, str), f"{where}.sender")
    text: str = get_optional(given, "text", where, str) or ""
    blocks, attachments = (
        check_objects(get_optional(given, name, where, list) or (), f"{where}.{name}")
        for name in ("content", "attachments")
    )
    files: list[Any] = get_optional(given, "files", where, list) or []
    created_at: str | None = get_optional(given, "created_at", where, str)

    reading = _Reading(role, key)
    for index, block in enumerate(blocks):
        reading.add(block, f"{where}.content[{index}]")
    parts = reading.parts
    said = [each for part in parts for each in part.texts if part.role is role]
    if text and not said and (role is not Role.ASSISTANT or not blocks):
        parts[0].texts, said = [text], [text]
    parts[0].attached = [_attached_text(each) for each in attachments]
    updated_at = given.get("updated_at")
    rest = without(given, *_PLACED, *(("updated_at",) if updated_at == created_at else ()))
    parts[0].kept |= {
        # The text of an answer is a digest of its blocks.
        "text": None if text in {by.join(said) for by in _JOINS} else text,
        "attachments": [_without_text(each) for each in attachments],
        "files": files,
        "message": present(rest),
    }
    return [part.to_message(given.get("uuid"), created_at) for part in parts]


def without_empty_beginning(messages: list[Document]) -> list[Document]:
    """Return the messages of a document that begins with a result, as exports write one alone."""
    first = messages[0]
    kept = (first["metadata"] or {}).get(KEY, {})
    says_nothing = not first["content"] and not first["tool_calls"] and kept.keys() <= {"id"}
    return messages[1:] if says_nothing and len(messages) > 1 else messages


@dataclass
class _Part:
    """A message in the making.

    `blocks` are those it is made of, each with the members that have a place in a message.
    """

    role: Role
    texts: list[str] = field(default_factory=list)
    attached: list[str] = field(default_factory=list)
    calls: list[Document] = field(default_factory=list)
    call_id: str | None = None
    name: str | None = None
    blocks: list[tuple[Document, tuple[str, ...]]] = field(default_factory=list)
    kept: Document = field(default_factory=dict)

    def to_message(self, uuid: object, created_at: str | None) -> Document:
        content = _BLANK_LINE.join(filter(None, (*self.texts, *self.attached)))
        kept = present({"id": uuid, "blocks": self._kept_blocks(), **self.kept})
        return {
            "role": self.role.value,
            "content": content or None if self.calls else content,
            "tool_calls": self.calls or None,
            "tool_call_id": self.call_id,
            "name": self.name,
            "created_at": created_at,
            "metadata": {KEY: kept} if kept else None,
        }

    def _kept_blocks(self) -> list[Document]:
        """Return what of the blocks has no place, in their order; a single text has."""
        # The content does not show where one of several texts ends.
        shared = ("text",) if len(self.texts) > 1 else ()
        found = [
            present(without(block, *(name for name in placed if name not in shared)))
            for block, placed in self.blocks
        ]
        return [] if _is_usual(found) else found


class _Reading:
    """The messages of a document so far: at least one."""

    def __init__(self, role: Role, key: str) -> None:
        self.parts = [_Part(role)]
        self._role = role
        self._key = key
        self._calls = AskedCalls()
        self._made = 0

    def add(self, block: Document, where: str) -> None:
        match block:
            case {"type": "tool_use"} if self._role is Role.ASSISTANT:
                self._add_call(block, where)
            case {"type": "tool_result"}:
                self._add_result(block, where)
            case {"type": "text", "text": str(text)}:
                part = self._open()
                part.texts.append(text)
                part.blocks.append((block, ("text",)))
            case _:
                self._open().blocks.append((block, ()))

    def _open(self) -> _Part:
        """Return the message that the next block belongs to: after a result, a new one."""
        if self.parts[-1].role is not self._role:
            self.parts.append(_Part(self._role))
        return self.parts[-1]

    def _add_call(self, block: Document, where: str) -> None:
        name: str = get_optional(block, "name", where, str) or "tool_use"
        # Calls of older exports have no id.
        call_id: str = get_optional(block, "id", where, str) or self._made_id()
        part = self._open()
        arguments = stable_json(block.get("input") or {})
        part.calls.append(make_call(call_id, name, arguments, is_json=True))
        part.blocks.append((block, ("id", "name", "input")))
        self._calls.add(name, call_id)

    def _add_result(self, block: Document, where: str) -> None:
        name: str | None = get_optional(block, "name", where, str)
        given_id: str | None = get_optional(block, "tool_use_id", where, str)
        content = get_optional(block, "content", where, str, list) or ""
        call_id = given_id or self._calls.answer(name) or self._made_id()
        self._calls.mark_answered(call_id)
        texts, items = ([content], []) if isinstance(content, str) else _split(content)
        rest = {
            **without(block, "tool_use_id", "name", "content", "is_error"),
            "content": items,
        }
        part = _Part(Role.TOOL, texts, call_id=call_id, name=name, blocks=[(rest, ())])
        # Every result has it.
        part.kept["is_error"] = block.get("is_error") or None
        self.parts.append(part)

    def _made_id(self) -> str:
        """Return an id for a call, or a result, that has none."""
        self._made += 1
        return f"call_{self._key}_{self._made}"


def _split(content: Sequence[Any]) -> tuple[list[str], list[Any]]:
    """Return the texts in a result, and what has no place: all of it if there are several."""
    texts = [text for each in content if (text := _text_of(each)) is not None]
    if len(texts) > 1:
        return texts, [*content]
    rest = [without(each, "text") if _text_of(each) is not None else each for each in content]
    return texts, [] if rest == _PLAIN else rest


def _text_of(item: object) -> str | None:
    match item:
        case {"text": str(text)}:
            return text
    return None


def _attached_text(attachment: Document) -> str:
    """Return the text of an attached file, as the model gets it.

    One without a name is a long text that was pasted.
    """
    text = attachment.get("extracted_content")
    if not isinstance(text, str) or not text:
        return ""
    name = attachment.get("file_name")
    if not isinstance(name, str) or not name:
        return text
    quoted = name.replace("&", "&amp;").replace('"', "&quot;")
    return f'<attachment name="{quoted}">\n{text}\n</attachment>'


def _without_text(attachment: Document) -> Document:
    is_text = isinstance(attachment.get("extracted_content"), str)
    return without(attachment, "extracted_content") if is_text else attachment


def _is_usual(blocks: Sequence[Document]) -> bool:
    """Return whether fields of a message say all of this: a text, then calls; or a result."""
    kinds = [block.get("type") for block in blocks]
    if any(len(block) > 1 for block in blocks):
        return False
    uses = kinds[1:] if kinds[:1] == ["text"] else kinds
    return kinds == ["tool_result"] or all(kind == "tool_use" for kind in uses)
