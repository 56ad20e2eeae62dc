"""Messages and what is made of them: pages, contexts, answers to changes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from chatkeep_client.models.json import JsonObject

Role = Literal["user", "assistant", "system", "developer", "tool"]
Order = Literal["asc", "desc"]
ContextFormat = Literal["openai", "anthropic", "ai-sdk"]


class NewMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A message to store; a dict with the same keys does as well.

    - `content`: a text, or a list of parts as in OpenAI's chat API; None only for an assistant that
      only calls tools.
    - `tool_calls`: the assistant's calls, in the form of OpenAI's chat API. `tool_call_id`: for the
      role tool, the call that it answers.
    - `id`: a UUID or any other text of 1 to 255 characters.
    - `tokens`: how many it is for the model; otherwise contexts estimate them.
    - `starts_context`: contexts begin with it from now on.
    - `original`: your own document of it, any JSON, kept byte for byte if it is a `msgspec.Raw`;
      `format` is its name, such as `ai-sdk`. For `ai-sdk` and `openai` the other fields are read
      from it.
    """

    role: Role | UnsetType = UNSET
    content: str | Sequence[Mapping[str, Any]] | UnsetType | None = UNSET
    tool_calls: Sequence[Mapping[str, Any]] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    metadata: Mapping[str, Any] | None = None
    id: str | None = None
    tokens: int | None = None
    starts_context: bool = False
    format: str | None = None
    original: Any = UNSET


MessageInput = NewMessage | Mapping[str, Any]


class Message(msgspec.Struct, kw_only=True):
    """A message as it is stored.

    - `content`: a text, or a list of parts; None for an assistant that only calls tools.
    - `edited_at`: the time of the last edit.
    - `original`: the JSON text of the client's own document, only if requested; `bytes(original)`
      has it exactly.
    - `parent_id` and `branch`: the message before it (None for the first one) and the branch that
      it was written in, if a branch was requested.
    """

    id: str
    conversation_id: str
    role: Role
    content: str | list[JsonObject] | None
    tool_calls: list[JsonObject] | None
    tool_call_id: str | None
    name: str | None
    metadata: JsonObject
    created_at: datetime
    tokens: int | None = None
    starts_context: bool = False
    edited_at: datetime | None = None
    format: str | None = None
    original: Raw | UnsetType = UNSET
    parent_id: str | UnsetType | None = UNSET
    branch: int | None = None


class StoredMessage(Message, kw_only=True):
    """A message after a put or a patch. `created` says whether it is new, at the end."""

    revision: int = 0
    created: bool = False


class MessagePage(msgspec.Struct, kw_only=True):
    """Messages in the requested order. `next_cursor` is None on the last page.

    `previous_cursor` leads to earlier messages, latest first, from a page around a message.
    """

    items: list[Message]
    next_cursor: str | None
    previous_cursor: str | None = None
    revision: int = 0


class UIMessagePage(msgspec.Struct, kw_only=True):
    """UIMessages of the AI SDK. `next_cursor` is None on the last page."""

    items: list[JsonObject]
    next_cursor: str | None
    revision: int = 0


class OmittedPart(msgspec.Struct, kw_only=True):
    """A content part that the model's API does not take; `part` is its place, from 0."""

    message_id: str
    part: int
    type: str
    reason: str


class Context(msgspec.Struct, kw_only=True):
    """The messages for the next call of the model, oldest first, in its `format`.

    - `messages`: in the form of that API. `system`: for Anthropic, the system prompt.
    - `truncated`: whether a limit left out messages.
    - `starts_at`, `replaced`: the message with `starts_context` that it begins with, and how many
      earlier ones that replaces.
    - `omitted`: content parts that the API does not take.
    """

    format: ContextFormat
    messages: list[JsonObject]
    truncated: bool
    system: str | None = None
    starts_at: str | None = None
    replaced: int | None = None
    omitted: list[OmittedPart] = []
    revision: int = 0


class Appended(msgspec.Struct, kw_only=True):
    """The stored messages, and the context that ends with them if it was requested.

    - `branch`: where they are; None in a conversation that has no branches.
    - `warning`: the conversation is longer than the service recommends.
    """

    messages: list[Message]
    branch: int | None = None
    context: Context | None = None
    revision: int = 0
    warning: str | None = None


class Truncated(msgspec.Struct, kw_only=True):
    """How many messages were deleted, and how many are left."""

    deleted: int
    message_count: int
    revision: int = 0


class Replaced(msgspec.Struct, kw_only=True):
    """The new messages as they are stored. A repeated request deletes none."""

    messages: list[Message]
    deleted: int
    message_count: int
    revision: int = 0


class ItemPage(msgspec.Struct, kw_only=True):
    """Items of OpenAI's Conversations API. The ids are empty if there are no items."""

    data: list[JsonObject]
    first_id: str
    last_id: str
    has_more: bool
