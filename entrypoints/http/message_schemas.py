"""The bodies with messages, and their conversion to and from domain values."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Self, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from chatkeep.domain.branch_pages import BranchMessage
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.originals import complete, read_original
from chatkeep.domain.ids import NamedId, of_conversation, parse_id, written_id
from chatkeep.domain.model import BranchNumber, ConversationId, Limits, Message, MessageId, Role
from chatkeep.domain.model import NewMessage as DomainNewMessage
from chatkeep.domain.places import After, AtTip, Place
from chatkeep.entrypoints.http.field_schemas import (
    AppendAfter,
    Content,
    FormatName,
    Metadata,
    Moment,
    Name,
    NextCursor,
    Original,
    PreviousCursor,
    StartsContext,
    StoredMetadata,
    StoredOriginal,
    StoredParts,
    StoredToolCalls,
    Tokens,
    ToolCallId,
    ToolCalls,
    WrittenBy,
)
from chatkeep.entrypoints.http.ids import OwnId, StoredId
from chatkeep.entrypoints.http.json_documents import (
    parse_content,
    parse_metadata,
    parse_original,
    parse_tool_calls,
)
from chatkeep.entrypoints.http.model_formats import ModelContext, UIMessageOut

_T = TypeVar("_T")


class NewMessage(Struct, forbid_unknown_fields=True, kw_only=True):
    """A message to store. If you choose its `id`, it is safe to send it again.

    With `"format": "ai-sdk"`, `original` is a UIMessage, with `"openai"` a message of OpenAI's chat
    API, and with `"anthropic"` one of Anthropic's: the fields that it has are read from it, unless
    they are given.
    """

    role: Role | UnsetType = UNSET
    content: Content | UnsetType = UNSET
    tool_calls: ToolCalls | UnsetType = UNSET
    tool_call_id: ToolCallId | None = None
    name: Name | None = None
    metadata: Metadata | UnsetType = UNSET
    id: OwnId | None = None
    tokens: Tokens | None = None
    starts_context: StartsContext = False
    format: FormatName | None = None
    original: Original | UnsetType = UNSET

    def to_domain(self, limits: Limits, *, within: str = "") -> DomainNewMessage:
        original = parse_original(self.original, limits, field=f"{within}original")
        read = None
        if original is not None and self.format is not None:
            read = read_original(self.format, original, field=f"{within}original", limits=limits)
        role = self.role if read is None or self.role is not UNSET else read.role
        if isinstance(role, UnsetType):
            raise InvalidValueError(f"{within}role", "is missing")
        content, parts = parse_content(self.content, limits, field=f"{within}content")
        given = DomainNewMessage(
            id=None if self.id is None else MessageId(parse_id(self.id, field=f"{within}id")),
            role=role,
            content=content,
            parts=parts,
            tool_calls=parse_tool_calls(self.tool_calls, limits, field=f"{within}tool_calls"),
            tool_call_id=self.tool_call_id,
            name=self.name,
            metadata=parse_metadata(self.metadata, limits, field=f"{within}metadata"),
            tokens=self.tokens,
            starts_context=self.starts_context,
            format=self.format,
            original=original,
        )
        return given if read is None else complete(given, read, within=within)


def to_domain(messages: Sequence[NewMessage], limits: Limits) -> list[DomainNewMessage]:
    limits.check("max_batch", len(messages), field="messages", unit="messages")
    return [
        message.to_domain(limits, within=f"messages[{index}].")
        for index, message in enumerate(messages)
    ]


def _or_none(value: _T | UnsetType) -> _T | None:
    return None if isinstance(value, UnsetType) else value


class Append(Struct, forbid_unknown_fields=True, kw_only=True):
    """Either the fields of one message, or several messages in `messages`."""

    messages: list[NewMessage] | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    content: Content | UnsetType = UNSET
    tool_calls: ToolCalls | UnsetType = UNSET
    tool_call_id: ToolCallId | UnsetType | None = UNSET
    name: Name | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET
    id: OwnId | UnsetType | None = UNSET
    tokens: Tokens | UnsetType | None = UNSET
    starts_context: StartsContext | UnsetType = UNSET
    format: FormatName | UnsetType | None = UNSET
    original: Original | UnsetType = UNSET
    after: AppendAfter | UnsetType | None = UNSET

    def place(
        self, conversation_id: ConversationId, branch: int | None, limits: Limits
    ) -> Place | None:
        """Return where to append. `branch` is the parameter of that name."""
        if branch is not None:
            if self.after is not UNSET:
                raise InvalidValueError("after", "cannot be combined with `branch`")
            return AtTip(BranchNumber(branch))
        if isinstance(self.after, UnsetType):
            return None
        if self.after is None:
            return After(None, limits.max_branches)
        after = of_conversation(conversation_id, parse_id(self.after, field="after"))
        return After(after, limits.max_branches)

    def to_domain(self, limits: Limits) -> list[DomainNewMessage]:
        if self.messages is UNSET:
            return [self._one(limits)]
        for field in NewMessage.__struct_fields__:
            if getattr(self, field) is not UNSET:
                raise InvalidValueError(field, "cannot be combined with `messages`")
        return to_domain(self.messages, limits)

    def _one(self, limits: Limits) -> DomainNewMessage:
        if self.role is UNSET and self.original is UNSET:
            raise InvalidValueError("role", "is missing: send one message, or `messages`")
        return NewMessage(
            role=self.role,
            content=self.content,
            tool_calls=self.tool_calls,
            tool_call_id=_or_none(self.tool_call_id),
            name=_or_none(self.name),
            metadata=self.metadata,
            id=_or_none(self.id),
            tokens=_or_none(self.tokens),
            starts_context=self.starts_context is True,
            format=_or_none(self.format),
            original=self.original,
        ).to_domain(limits)


_NOTHING_RARE: Final = tuple(Message._field_defaults.values())
_FIRST_RARE: Final = -len(_NOTHING_RARE)


class MessageOut(Struct, kw_only=True):
    """A message as it is stored. Fields that are not required are left out where they are empty."""

    id: StoredId
    conversation_id: StoredId
    role: Role
    content: str | StoredParts | None
    tool_calls: StoredToolCalls | None
    tool_call_id: str | None
    name: str | None
    metadata: StoredMetadata
    created_at: Moment
    tokens: Tokens | UnsetType = UNSET
    starts_context: StartsContext | UnsetType = UNSET
    edited_at: Annotated[Moment, Meta(description="the time of the last edit")] | UnsetType = UNSET
    format: FormatName | UnsetType = UNSET
    original: StoredOriginal | UnsetType = UNSET
    parent_id: (
        Annotated[StoredId, Meta(description="the message before it; null for the first one")]
        | UnsetType
        | None
    ) = UNSET
    branch: WrittenBy | UnsetType = UNSET

    @classmethod
    def from_domain(cls, message: Message) -> Self:
        """Return the message. It has its original if `message` was read with it."""
        # As `written_id`, without its calls: a page has many.
        key: Any = message.id
        within: Any = message.conversation_id
        one = cls(
            id=key.text if isinstance(key, NamedId) else key,
            conversation_id=within.text if isinstance(within, NamedId) else within,
            role=message.role,
            content=message.content,
            tool_calls=None if message.tool_calls is None else Raw(message.tool_calls),
            tool_call_id=message.tool_call_id,
            name=message.name,
            metadata=Raw(message.metadata),
            created_at=message.created_at,
        )
        if message[_FIRST_RARE:] != _NOTHING_RARE:  # one comparison for all: most have none
            one._add_rare(message)
        return one

    def _add_rare(self, message: Message) -> None:
        if message.parts is not None:
            self.content = Raw(message.parts)
        if message.tokens is not None:
            self.tokens = message.tokens
        if message.starts_context:
            self.starts_context = True
        if message.edited_at is not None:
            self.edited_at = message.edited_at
        if message.format is not None:
            self.format = message.format
        if message.original is not None:
            self.original = Raw(message.original)


def on_branch(found: BranchMessage) -> MessageOut:
    """Return a message with its parent and its branch."""
    return msgspec.structs.replace(
        MessageOut.from_domain(found.message),
        parent_id=None if found.parent_id is None else written_id(found.parent_id),
        branch=found.branch,
    )


class MessagePage(Struct, kw_only=True):
    """Messages, in the requested order."""

    items: list[MessageOut]
    next_cursor: NextCursor | None
    previous_cursor: PreviousCursor | UnsetType | None = UNSET


class UIMessagePage(Struct, kw_only=True):
    """UIMessages of the AI SDK, in the requested order."""

    items: Sequence[UIMessageOut]
    next_cursor: NextCursor | None
    previous_cursor: PreviousCursor | UnsetType | None = UNSET


class Appended(Struct, kw_only=True):
    """The stored messages, and the context that ends with them if `context` was requested.

    `branch` is left out in a conversation that has no branches.
    """

    messages: list[MessageOut]
    branch: WrittenBy | UnsetType = UNSET
    context: ModelContext | UnsetType = UNSET
