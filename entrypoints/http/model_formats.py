"""The responses with a context as the body of a request to a model provider.

`domain.formats` writes the documents; the types here describe their shape.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from chatkeep.domain.context import Context
from chatkeep.domain.formats.ai_sdk_writing import ui_messages
from chatkeep.domain.formats.table import CONTEXTS, Format
from chatkeep.domain.ids import written_id
from chatkeep.domain.model import Message, Order, Role
from chatkeep.entrypoints.http.ids import StoredId
from chatkeep.entrypoints.http.part_schemas import STORED_PARTS

OpenAIParts = Annotated[Raw, Meta(extra_json_schema=STORED_PARTS)]


class OmittedPart(msgspec.Struct):
    """A content part that the model's API does not take, so that it is not in `messages`."""

    message_id: StoredId
    part: Annotated[int, Meta(description="its place in the content of the message, from 0")]
    type: str
    reason: str


Omitted = Annotated[
    list[OmittedPart], Meta(description="the parts that were left out; absent if there are none")
]


class OpenAIMessage(msgspec.Struct):
    """A message of OpenAI's chat API; `content` is null only with `tool_calls`."""

    role: Role
    content: str | OpenAIParts | None
    name: str | UnsetType = UNSET
    tool_calls: Annotated[
        Raw | UnsetType,
        Meta(
            description="The calls, as they were appended.",
            extra_json_schema={"type": "array", "items": {"type": "object"}},
        ),
    ] = UNSET
    tool_call_id: str | UnsetType = UNSET


StartsAt = Annotated[
    StoredId,
    Meta(description="The latest message with `starts_context`: the context begins there."),
]
Replaced = Annotated[
    int,
    Meta(description="How many earlier messages are left out, since that one replaces them."),
]


class OpenAIContext(msgspec.Struct, tag_field="format", tag="openai"):
    """`truncated` says whether a limit left out messages."""

    messages: list[OpenAIMessage]
    truncated: bool
    starts_at: StartsAt | UnsetType = UNSET
    replaced: Replaced | UnsetType = UNSET
    omitted: Omitted | UnsetType = UNSET


class TextBlock(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class Base64Source(msgspec.Struct, tag_field="type", tag="base64"):
    media_type: str
    data: str


class UrlSource(msgspec.Struct, tag_field="type", tag="url"):
    url: str


class StoredSource(msgspec.Struct, tag_field="type", tag="file"):
    """A file that is stored at Anthropic."""

    file_id: str


class TextSource(msgspec.Struct, tag_field="type", tag="text"):
    media_type: str
    data: str


class ImageBlock(msgspec.Struct, tag_field="type", tag="image"):
    source: Base64Source | UrlSource | StoredSource


class DocumentBlock(msgspec.Struct, tag_field="type", tag="document"):
    source: Base64Source | UrlSource | TextSource | StoredSource
    title: str | UnsetType = UNSET
    context: str | UnsetType = UNSET


class ToolUseBlock(msgspec.Struct, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: Annotated[Raw, Meta(description="The arguments.", extra_json_schema={"type": "object"})]


class ToolResultBlock(msgspec.Struct, tag_field="type", tag="tool_result"):
    """The result of the `tool_use` with that id; a blank one has no `content`.

    `is_error` is there, and true, if the call failed.
    """

    tool_use_id: str
    content: str | list[TextBlock | ImageBlock | DocumentBlock] | UnsetType = UNSET
    is_error: Literal[True] | UnsetType = UNSET


Block = TextBlock | ImageBlock | DocumentBlock | ToolUseBlock | ToolResultBlock


class AnthropicMessage(msgspec.Struct):
    role: Literal["user", "assistant"]
    content: str | list[Block]


class AnthropicContext(msgspec.Struct, tag_field="format", tag="anthropic"):
    """`system` is null when the context has no system or developer messages."""

    system: str | None
    messages: list[AnthropicMessage]
    truncated: bool
    starts_at: StartsAt | UnsetType = UNSET
    replaced: Replaced | UnsetType = UNSET
    omitted: Omitted | UnsetType = UNSET


class UIMessageOut(msgspec.Struct):
    """A UIMessage of the AI SDK: as it was sent, or another message in that form."""

    id: str
    role: Literal["system", "user", "assistant"]
    parts: Annotated[
        list[Raw],
        Meta(
            description="of any version from 5 on",
            extra_json_schema={
                "items": {
                    "type": "object",
                    "properties": {"type": {"type": "string"}},
                    "required": ["type"],
                }
            },
        ),
    ]
    metadata: Annotated[Raw | UnsetType, Meta(extra_json_schema={})] = UNSET


class UIContext(msgspec.Struct, tag_field="format", tag="ai-sdk"):
    """The context as UIMessages of the AI SDK, for its `convertToModelMessages`."""

    messages: list[UIMessageOut]
    truncated: bool
    omitted: Omitted | UnsetType = UNSET
    starts_at: StartsAt | UnsetType = UNSET
    replaced: Replaced | UnsetType = UNSET


ModelContext = OpenAIContext | AnthropicContext | UIContext

_ANSWERS: Final[Mapping[Format, type[ModelContext]]] = {
    Format.OPENAI: OpenAIContext,
    Format.ANTHROPIC: AnthropicContext,
    Format.AI_SDK: UIContext,
}


def ui_messages_answer(
    messages: Sequence[Message], order: Order = Order.ASC
) -> Sequence[UIMessageOut]:
    """Return messages as UIMessages, in the order they are given in."""
    oldest_first = messages if order is Order.ASC else messages[::-1]
    found: list[Any] = ui_messages(oldest_first, Raw)
    return found if order is Order.ASC else found[::-1]


def context_answer(context: Context, form: Format) -> ModelContext:
    """Return the context in that format."""
    # The documents are encoded directly: converting them to structs first would take twice as long.
    document = CONTEXTS[form](context, Raw)
    answer = _ANSWERS[form](**document, truncated=context.truncated)
    if context.starts_at is not None:
        answer.starts_at, answer.replaced = written_id(context.starts_at), context.replaced
    return answer
