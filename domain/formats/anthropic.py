"""Anthropic's Messages API: {"system", "messages": [{"role", "content": text or blocks}]}.

Images and documents become content parts, as they are. Blocks that a message has no place for, such
as thinking, are kept in the metadata under `anthropic`.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from chatkeep.domain.formats import chatkeep, openai_chat
from chatkeep.domain.formats.codec import (
    NO_ORIGINALS,
    WHOLE,
    Document,
    Line,
    Originals,
    check_objects,
    expect,
    get_optional,
    get_required,
    objects,
    one_of,
    without,
)
from chatkeep.domain.formats.remembering import mark_parts
from chatkeep.domain.formats.tool_calls import make_call
from chatkeep.domain.json_fields import stable_json
from chatkeep.domain.model import Role
from chatkeep.domain.parts import are_parts

KEY: Final = "anthropic"
_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_TOOL: Final = Role.TOOL
_BLOCKS: Final = frozenset(
    {
        *("tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document"),
        *("server_tool_use", "mcp_tool_use", "container_upload", "search_result", "tool_reference"),
    }
)
_PARTS: Final = frozenset({"text", "image", "document"})
"""Blocks that are content parts of a message."""

_PLACES: Final = {"tool_result": 0, "tool_use": 2}
_Found = tuple[Document, list[Document]]  # a message, and its blocks that are not calls or results
_OF_REQUESTS: Final = frozenset(
    {"anthropic_version", "anthropic_beta", "container", "mcp_servers", "stop_sequences", "top_k"}
)
# Blocks by which earlier versions recognized the format, apart from `system`.
_FIRST_BLOCKS: Final = frozenset(
    {"tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document"}
)


def recognizes(document: object) -> bool:
    """Return whether the document has anything that only this format has."""
    match document:
        case [{"role": str()}, *_]:
            return not openai_chat.recognizes(document)  # which has such lists too
        case {"messages": list(), "system": _}:
            return True
        case {"messages": list(messages), **rest}:
            if rest.keys() & _OF_REQUESTS or any(map(_is_tool, _listed(rest.get("tools")))):
                return True
            return any(map(_is_block, _blocks(messages)))
    return False


def was_recognized(document: object) -> bool:
    """Return whether earlier versions read a document as this format: see `Line.formerly`."""
    match document:
        case [*_] | {"system": _}:
            return True
        case {"messages": list(messages)}:
            return any(str(block.get("type")) in _FIRST_BLOCKS for block in _blocks(messages))
    return False


def _is_tool(tool: object) -> bool:
    return isinstance(tool, dict) and "input_schema" in tool


def _is_block(block: Document) -> bool:
    kind = str(block.get("type"))
    return kind in _BLOCKS or kind.endswith("_tool_result") or bool(block.get("citations"))


def _blocks(messages: Sequence[object]) -> Iterator[Document]:
    for message in messages:
        if isinstance(message, dict):
            for block in _listed(message.get("content")):
                if isinstance(block, dict):
                    yield block


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def read(document: object, originals: Originals = NO_ORIGINALS) -> Line:
    """Return the conversation. Raises `InvalidValueError` naming the field."""
    given: Any = expect(document, WHOLE, dict, list)
    given = {"messages": given} if isinstance(given, list) else given
    listed = objects(given, "messages")
    rest = without(given, "messages")
    found: list[_Found] = []
    if rest.get("system"):
        system = _content(rest.pop("system"), "system.content")
        instructions = _message(Role.SYSTEM, _text(system), {}, system, ("text",))
        found.append(({**instructions, chatkeep.ORIGIN: "system"}, []))
    for index, message in enumerate(listed):
        read = _read(message, f"messages[{index}]")
        read[0][0][chatkeep.ORIGIN] = index
        found += read
    metadata = {KEY: rest} if rest else None
    formerly = {"metadata": metadata, "messages": [_read_formerly(each) for each, _ in found]}
    messages = [_use_parts(message, blocks) for message, blocks in found]
    made = {"metadata": metadata, "messages": messages}
    line = chatkeep.read(made, key=KEY, formerly=formerly, originals=originals)
    return mark_parts(line, KEY) if originals else line


def _read_formerly(message: Document) -> Document:
    """Return the message as earlier versions read it: see `Line.formerly`.

    They kept only the blocks that are more than text, and neither their order nor their texts.
    """
    if not message["metadata"] or "content" not in message["metadata"][KEY]:
        return message
    own = ("tool_result",) if message["role"] == _TOOL else ("tool_result", "tool_use")
    others = []
    for block in message["metadata"][KEY]["content"]:
        if block.get("type") == "text" and isinstance(block.get("text"), str):
            rest = {key: value for key, value in block.items() if value and key != "text"}
            if rest.keys() > {"type"}:
                others.append(rest)
        elif block.get("type") not in own:
            others.append(block)
    kept = {
        **without(message["metadata"][KEY], "content"),
        **({"content": others} if others else {}),
    }
    return {**message, "metadata": {KEY: kept} if kept else None}


def _content(value: object, field: str) -> str | list[Document]:
    content = expect(value, field, str, list)
    return content if isinstance(content, str) else check_objects(content, field)


def _use_parts(message: Document, blocks: list[Document]) -> Document:
    """Return the message with its blocks as content, if images or documents are among them."""
    kinds = {block.get("type") for block in blocks}
    if kinds <= {"text"} or not kinds <= _PARTS or not are_parts(blocks):
        return message
    kept = (message["metadata"] or {KEY: {}})[KEY]
    places = [_PLACES.get(block["type"], 1) for block in kept.get("content", ())]
    if places == sorted(places):  # a reader of the message knows where each block was
        kept = without(kept, "content")
    return {**message, "content": blocks, "metadata": {KEY: kept} if kept else None}


def _read(given: Document, where: str) -> list[_Found]:
    """Return the tool results in a message, and a message with the rest, if there is any."""
    role = one_of(_ROLES, get_required(given, "role", where, str), f"{where}.role")
    content = _content(get_required(given, "content", where, str, list), f"{where}.content")
    kept = without(given, "role", "content")
    found: list[_Found] = []
    uses: list[Document] = []
    blocks: list[Document] = []
    for index, block in enumerate(content if isinstance(content, list) else ()):
        at = f"{where}.content[{index}]"
        match block.get("type"):
            case "tool_use" if role is Role.ASSISTANT:
                uses.append(_read_use(block, at))
            case "tool_result":
                found.append(_read_result(block, at))
            case _:
                blocks.append(block)
    text = _text(content if isinstance(content, str) else blocks)
    if text or blocks or uses or kept or not found:
        kinds = ("tool_result", "text", *(("tool_use",) if role is Role.ASSISTANT else ()))
        message = _message(role, text, kept, content, kinds)
        if uses:
            message["tool_calls"] = uses
            message["content"] = text or None
        found.append((message, blocks))
    return found


def _read_use(block: Document, where: str) -> Document:
    call_id = get_required(block, "id", where, str)
    name = get_required(block, "name", where, str)
    arguments = stable_json(block.get("input", {}))
    call = make_call(call_id, name, arguments, is_json=True)
    rest = without(block, "type", "id", "name", "input")
    return {**call, KEY: rest} if rest else call


def _read_result(block: Document, where: str) -> _Found:
    call_id = get_required(block, "tool_use_id", where, str)
    content = get_optional(block, "content", where, str, list)
    blocks = _content(content or "", f"{where}.content")
    rest = without(block, "type", "tool_use_id", "content")
    message = _message(Role.TOOL, _text(blocks), rest, blocks, ("text",))
    return {**message, "tool_call_id": call_id}, [] if isinstance(blocks, str) else blocks


def _text(content: str | list[Document]) -> str:
    """Return the text of all blocks."""
    if isinstance(content, str):
        return content
    texts = (block["text"] for block in content if _is_text(block))
    return "\n\n".join(filter(None, texts))


def _is_text(block: Document) -> bool:
    return block.get("type") == "text" and isinstance(block.get("text"), str)


def _is_plain(content: str | list[Document], kinds: Sequence[str]) -> bool:
    """Return whether fields of messages hold all of it: blocks in this order, one of them a text.

    Then a reader of the message knows what the blocks were.
    """
    for block in content if isinstance(content, list) else ():
        kind = "text" if _is_text(block) else str(block.get("type"))
        if kind not in kinds:
            return False
        kinds = kinds[kinds.index(kind) :]
        if kind == "text":
            if any(value for key, value in block.items() if key not in {"type", "text"}):
                return False
            kinds = kinds[1:]
    return True


def _message(
    role: Role, text: str, kept: Document, content: str | list[Document], kinds: Sequence[str]
) -> Document:
    if not _is_plain(content, kinds):
        kept = {**kept, "content": content}
    return {"role": role.value, "content": text, "metadata": {KEY: kept} if kept else None}
