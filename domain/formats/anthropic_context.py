"""A context to send on to Anthropic's Messages API."""

import json
import re
from collections.abc import Sequence
from itertools import count
from typing import Final

from chatkeep.domain.context import Call, Context, calls
from chatkeep.domain.formats.codec import Document, Embed
from chatkeep.domain.formats.part_forms import anthropic_blocks
from chatkeep.domain.formats.tool_calls import is_json_object
from chatkeep.domain.model import JsonText, Message, Role

_USER: Final = Role.USER
_ASSISTANT: Final = Role.ASSISTANT
_SYSTEM: Final = Role.SYSTEM
_DEVELOPER: Final = Role.DEVELOPER
_TOOL: Final = Role.TOOL
_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_IN_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_NAME_CHARS: Final = 128


def write_context(context: Context, embed: Embed) -> Document:
    """Return a context as `system` and `messages` to send on to Anthropic's API.

    The context must come from `domain.context.select`: every call has its result. The API accepts
    less, so a few things are changed: system and developer texts all go to `system`, which is None
    if there are none, and consecutive messages with the same role become one turn. Names, metadata,
    blank texts, everything before the first text of the user, and white space at the end of a final
    assistant turn are left out. Ids and tool names that the API refuses, and repeated ids, are
    replaced. Blank arguments become `{}`, others that are not a JSON object `{"arguments": ...}`,
    and the input of a custom tool `{"input": ...}`. A result whose metadata has `is_error` under
    `anthropic` is one. `omitted` names the content parts that the API does not take, if there are
    any.
    """
    omitted: list[Document] = []
    system: list[str] = []
    turns: list[Document] = []
    asked: dict[str | None, Document] = {}
    used_ids: set[str] = set()
    for message in context.messages:
        text = message.content if message.content and not message.content.isspace() else None
        role = message.role
        if role is _SYSTEM or role is _DEVELOPER:
            system += [text] if text else []
            if message.parts is not None:
                anthropic_blocks(message, omitted)
            continue
        if not turns and role is not _USER:
            continue
        if message.parts is None:
            blocks = [{"type": "text", "text": text}] if text else []
        else:
            blocks = anthropic_blocks(message, omitted)
        if role is _TOOL:
            block = {"type": "tool_result", "tool_use_id": asked[message.tool_call_id]["id"]}
            if blocks:
                block["content"] = text if message.parts is None else blocks
                # The API refuses it without a text, and together with images.
                if _is_error(message.metadata) and all(each["type"] == "text" for each in blocks):
                    block["is_error"] = True
            blocks = [block]
        if role is _ASSISTANT:
            asked = {} if message.tool_calls is None else _uses(message, used_ids, embed)
            blocks += asked.values()
        _add(turns, "assistant" if role is _ASSISTANT else "user", blocks)
    _close(turns)
    document: Document = {"system": "\n\n".join(system) if system else None, "messages": turns}
    return {**document, "omitted": omitted} if omitted else document


def _is_error(metadata: JsonText) -> bool:
    """Return whether the metadata of a result says that its call failed, as imports keep it."""
    if "is_error" not in metadata:
        return False
    match json.loads(metadata):
        case {"anthropic": {"is_error": True}} | {"claude-ai": {"is_error": True}}:
            return True
    return False


def _uses(message: Message, used_ids: set[str], embed: Embed) -> dict[str | None, Document]:
    """Return the blocks for the calls of a message, by the ids that its results refer to."""
    uses: dict[str | None, Document] = {}
    # A replaced id is derived from the message's, so that it is the same in every request:
    # providers cache prompts by their beginning.
    own_ids = (f"toolu_{message.id.hex}_{n}" for n in count())
    for call in calls(message.tool_calls or JsonText("")):
        block_id = call.id
        while block_id in used_ids or not _ID.fullmatch(block_id):
            block_id = next(own_ids)
        used_ids.add(block_id)
        name = _NOT_IN_NAME.sub("_", call.name)[:_NAME_CHARS]
        uses[call.id] = {
            "type": "tool_use",
            "id": block_id,
            "name": name,
            "input": _input(call, embed),
        }
    return uses


def _input(call: Call, embed: Embed) -> object:
    if call.is_custom:
        return {"input": call.payload}
    if not call.payload.strip():  # models write this for a tool without parameters
        return {}
    return embed(call.payload) if is_json_object(call.payload) else {"arguments": call.payload}


def _add(turns: list[Document], speaker: str, blocks: list[Document]) -> None:
    if turns and turns[-1]["role"] == speaker:
        turns[-1]["content"] += blocks
    elif blocks:
        turns.append({"role": speaker, "content": blocks})


def _close(turns: Sequence[Document]) -> None:
    """Replace the content of each turn that is a single text by that text."""
    if turns and turns[-1]["role"] == "assistant":
        closing = turns[-1]["content"][-1]
        if closing["type"] == "text":
            closing["text"] = closing["text"].rstrip()
    for turn in turns:
        match turn["content"]:
            case [{"type": "text", "text": text}]:
                turn["content"] = text
