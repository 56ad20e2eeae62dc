"""A context as the body of a model provider's request: OpenAI's chat API, Anthropic's messages API.

Messages are as the provider takes them, to be sent on as they are; keys without a value are absent.
Both functions expect a context as `domain.context.select` gives it: every call with its result.
"""

import re
from enum import StrEnum
from itertools import chain, count
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chatkeep.domain.context import Call, Context, calls
from chatkeep.domain.model import Message, Role

_SYSTEM_ROLES: Final = frozenset({Role.SYSTEM, Role.DEVELOPER})
_OPENAI_NAME: Final = re.compile(r"[^\s<|\\/>]{1,64}")
_ANTHROPIC_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_IN_ANTHROPIC_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")
_ANTHROPIC_NAME_CHARS: Final = 128


class Format(StrEnum):
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class OpenAIMessage(msgspec.Struct):
    """A message of OpenAI's chat API; `content` is null only beside `tool_calls`."""

    role: Role
    content: str | None
    name: str | UnsetType = UNSET
    tool_calls: Annotated[
        msgspec.Raw | UnsetType,
        Meta(
            description="The calls, as they were appended.",
            extra_json_schema={"type": "array", "items": {"type": "object"}},
        ),
    ] = UNSET
    tool_call_id: str | UnsetType = UNSET


class OpenAIContext(msgspec.Struct, tag_field="format", tag="openai"):
    messages: list[OpenAIMessage]
    truncated: bool


class TextBlock(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class ToolUseBlock(msgspec.Struct, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: Annotated[
        msgspec.Raw, Meta(description="The arguments.", extra_json_schema={"type": "object"})
    ]


class ToolResultBlock(msgspec.Struct, tag_field="type", tag="tool_result"):
    """The answer to the `tool_use` of that id; a blank one has no `content`."""

    tool_use_id: str
    content: str | UnsetType = UNSET


Block = TextBlock | ToolUseBlock | ToolResultBlock
Speaker = Literal["user", "assistant"]
_Turn = tuple[Speaker, list[Block]]


class AnthropicMessage(msgspec.Struct):
    role: Speaker
    content: str | list[Block]


class AnthropicContext(msgspec.Struct, tag_field="format", tag="anthropic"):
    """`system` is null when the context has no system or developer messages."""

    system: str | None
    messages: list[AnthropicMessage]
    truncated: bool


def openai(context: Context) -> OpenAIContext:
    """Return the context as messages of OpenAI's chat API.

    Tool calls are passed on as they are stored. A `name` that the API refuses is left out.
    """
    return OpenAIContext(
        messages=[_openai_message(message) for message in context.messages],
        truncated=context.truncated,
    )


def anthropic(context: Context) -> AnthropicContext:
    """Return the context as `system` and `messages` of Anthropic's messages API.

    What that API has no place for is changed as little as it takes: system and developer texts all
    go to `system`; neighbours of one role become one turn; blank texts, what comes before the first
    text of the user, and white space at the end of a closing assistant turn are left out. Ids and
    names of tools that the API refuses, and ids that come again, are replaced. Blank arguments
    become `{}`, others that are no JSON object `{"arguments": ...}`, the input of a custom tool
    `{"input": ...}`.
    """
    system: list[str] = []
    turns: list[_Turn] = []
    asked: dict[str | None, ToolUseBlock] = {}
    used_ids: set[str] = set()
    for message in context.messages:
        text = message.content if message.content and not message.content.isspace() else None
        if message.role in _SYSTEM_ROLES:
            system += [text] if text else []
            continue
        if not turns and message.role is not Role.USER:
            continue
        blocks: list[Block]
        if message.role is Role.TOOL:
            blocks = [ToolResultBlock(asked[message.tool_call_id].id, text or UNSET)]
        else:
            blocks = [TextBlock(text)] if text else []
        if message.role is Role.ASSISTANT:
            asked = _tool_uses(message, used_ids)
            blocks += asked.values()
        _add(turns, "assistant" if message.role is Role.ASSISTANT else "user", blocks)
    return AnthropicContext(
        system="\n\n".join(system) if system else None,
        messages=_anthropic_messages(turns),
        truncated=context.truncated,
    )


def _openai_message(message: Message) -> OpenAIMessage:
    shaped = OpenAIMessage(role=message.role, content=message.content)
    if message.name is not None and _OPENAI_NAME.fullmatch(message.name):
        shaped.name = message.name
    if message.role is Role.ASSISTANT and message.tool_calls is not None:
        shaped.tool_calls = msgspec.Raw(message.tool_calls)
    if message.role is Role.TOOL and message.tool_call_id is not None:
        shaped.tool_call_id = message.tool_call_id
    return shaped


def _tool_uses(message: Message, used_ids: set[str]) -> dict[str | None, ToolUseBlock]:
    """Return the blocks for the calls of a message, by the ids that its results name."""
    uses: dict[str | None, ToolUseBlock] = {}
    # An id of our own comes from the message's, so that it stays the same from request to request:
    # providers cache prompts by their beginning.
    own_ids = (f"toolu_{message.id.hex}_{n}" for n in count())
    for call in calls(message.tool_calls) if message.tool_calls is not None else ():
        block_id = next(
            call_id
            for call_id in chain([call.id], own_ids)
            if _ANTHROPIC_ID.fullmatch(call_id) and call_id not in used_ids
        )
        used_ids.add(block_id)
        name = _NOT_IN_ANTHROPIC_NAME.sub("_", call.name)[:_ANTHROPIC_NAME_CHARS]
        uses[call.id] = ToolUseBlock(block_id, name, _input(call))
    return uses


def _input(call: Call) -> msgspec.Raw:
    if call.is_custom:
        return msgspec.Raw(msgspec.json.encode({"input": call.payload}))
    if not call.payload.strip():  # what models write for a tool without parameters
        return msgspec.Raw(b"{}")
    try:
        msgspec.json.decode(call.payload, type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError):
        return msgspec.Raw(msgspec.json.encode({"arguments": call.payload}))
    return msgspec.Raw(call.payload)


def _add(turns: list[_Turn], speaker: Speaker, blocks: list[Block]) -> None:
    if turns and turns[-1][0] == speaker:
        turns[-1][1].extend(blocks)
    elif blocks:
        turns.append((speaker, blocks))


def _anthropic_messages(turns: list[_Turn]) -> list[AnthropicMessage]:
    if turns and turns[-1][0] == "assistant":
        closing = turns[-1][1][-1]
        if isinstance(closing, TextBlock):
            closing.text = closing.text.rstrip()
    return [
        AnthropicMessage(
            speaker,
            blocks[0].text if len(blocks) == 1 and isinstance(blocks[0], TextBlock) else [*blocks],
        )
        for speaker, blocks in turns
    ]
