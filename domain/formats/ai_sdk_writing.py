"""Writes messages of any format as UIMessages."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final

from chatkeep.domain.context import Call, calls
from chatkeep.domain.formats.ai_sdk_files import from_content_part
from chatkeep.domain.formats.ai_sdk_messages import DYNAMIC_TOOL, OUTPUT_AVAILABLE, TEXT
from chatkeep.domain.formats.codec import Document, Embed
from chatkeep.domain.formats.part_forms import to_openai_form
from chatkeep.domain.formats.tool_calls import parse_strictly
from chatkeep.domain.json_sources import dump, members, value_of, write
from chatkeep.domain.log import Entry
from chatkeep.domain.model import EMPTY_OBJECT, JsonText, Message, Role
from chatkeep.domain.parts import split_parts

FORMAT: Final = "ai-sdk"
_ROLES: Final = {
    Role.SYSTEM: "system",
    Role.DEVELOPER: "system",
    Role.USER: "user",
    Role.ASSISTANT: "assistant",
    Role.TOOL: "assistant",
}
# Most documents begin with their id.
_HAS_ID: Final = re.compile(r'\A\s*\{\s*"id"\s*:\s*"[^"]')
_ON_ONE_LINE: Final = str.maketrans("\n\r", "  ")


def ui_messages(
    messages: Iterable[Message], embed: Embed, omitted: list[Document] | None = None
) -> list[object]:
    """Return consecutive messages as UIMessages; those that were sent as one, as they were sent.

    - Each message becomes one with its id. The result of a tool goes into the part of its call; if
      that is not among the messages, it is the only part of an assistant's message.
    - A call of a tool is a part of the type `dynamic-tool`, in the state `output-available`, or
      `input-available` if it has no result here. Its input is the JSON of the arguments, or their
      text if they are not JSON.
    - What models thought, kept in the metadata by an import, becomes reasoning.
    - Developers' messages have the role `system`. Names, times, and parts of a content that have no
      form here are left out. Such parts are added to `omitted`.
    """
    omitted = [] if omitted is None else omitted
    found: list[object] = []
    waiting: dict[str, Document] = {}
    for message in messages:
        if message.format == FORMAT and message.original is not None:
            found.append(embed(_with_id(message.original, message)))
            continue
        asked = waiting.pop(message.tool_call_id or "", None) if message.role is Role.TOOL else None
        if asked is not None:
            asked["state"] = OUTPUT_AVAILABLE
            asked["output"] = message.content or ""
            continue
        document, asking = _translate(message, embed, omitted)
        waiting |= asking
        found.append(document)
    return found


def reasoning_message(entry: Entry) -> Document | None:
    """Return the UIMessage of an item that is a model's reasoning and has texts; else None."""
    if entry.message is not None or entry.item is None or '"reasoning"' not in entry.item:
        return None
    item = json.loads(entry.item, parse_int=float)
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        return None
    listed = [item.get("summary"), item.get("content")]
    blocks = [block for each in listed if isinstance(each, list) for block in each]
    parts = [
        {"type": "reasoning", "text": block["text"]}
        for block in blocks
        if isinstance(block, dict) and isinstance(block.get("text"), str) and block["text"]
    ]
    return {"id": entry.item_id, "role": "assistant", "parts": parts} if parts else None


def _with_id(original: str, message: Message) -> str:
    """Return the original on one line, with the message's id if it has none.

    Servers of the AI SDK write an empty id unless they are configured to make ids.
    """
    if "\n" in original or "\r" in original:  # between values: a string cannot contain them
        original = original.translate(_ON_ONE_LINE)
    if _HAS_ID.match(original):
        return original
    found = members(original)
    if found is None or value_of(found, "id") not in (None, ""):
        return original
    return write(found, {"id": dump(str(message.id))}, first=("id",))


def _translate(
    message: Message, embed: Embed, omitted: list[Document]
) -> tuple[Document, dict[str, Document]]:
    """Return the UIMessage, and its calls that wait for results, by their ids."""
    document: Document = {"id": str(message.id), "role": _ROLES[message.role]}
    if message.metadata != EMPTY_OBJECT:
        document["metadata"] = embed(message.metadata)
    if message.role is Role.TOOL:
        document["parts"] = [
            {
                "type": DYNAMIC_TOOL,
                "toolName": message.name or "unknown",
                "toolCallId": message.tool_call_id or "",
                "state": OUTPUT_AVAILABLE,
                "input": {},
                "output": message.content or "",
            }
        ]
        return document, {}
    asked = [] if message.tool_calls is None else calls(message.tool_calls)
    asking = {call.id: _call_part(call, embed) for call in asked}
    parts = [*_reasoning(message.metadata), *_content(message, omitted), *asking.values()]
    if not parts and message.role is not Role.ASSISTANT:  # the SDK refuses it without a part
        parts = [{"type": TEXT, "text": ""}]
    document["parts"] = parts
    return document, asking


def _content(message: Message, omitted: list[Document]) -> Sequence[Document]:
    if message.parts is not None:
        found = []
        for part in split_parts(message.parts):
            made = from_content_part(to_openai_form(part.value))
            if made is not None:
                found.append(made)
                continue
            reason = "a UIMessage has no such part, or no file without a URL"
            omitted.append(
                {
                    "message_id": message.id,
                    "part": part.place,
                    "type": part.kind,
                    "reason": reason,
                }
            )
        return found
    return [{"type": TEXT, "text": message.content}] if message.content else []


def _call_part(call: Call, embed: Embed) -> Document:
    is_json = not call.is_custom and parse_strictly(call.payload) is not None
    given: object = call.payload
    if is_json:
        given = embed(call.payload.translate(_ON_ONE_LINE))
    elif not call.is_custom and not call.payload.strip():
        given = {}
    return {
        "type": DYNAMIC_TOOL,
        "toolName": call.name,
        "toolCallId": call.id,
        "state": "input-available",
        "input": given,
    }


def _reasoning(metadata: JsonText) -> Sequence[Document]:
    """Return what models thought, where codecs keep it: `openai` and `anthropic`."""
    if '"thinking"' not in metadata and '"reasoning_content"' not in metadata:
        return []
    kept = json.loads(metadata, parse_int=float)
    match kept:
        case {"openai": {"reasoning_content": str(text)}} if text:
            return [{"type": "reasoning", "text": text}]
        case {"anthropic": {"content": list(blocks)}}:
            return [
                {"type": "reasoning", "text": block["thinking"]}
                for block in blocks
                if isinstance(block, dict) and isinstance(block.get("thinking"), str)
            ]
    return []
