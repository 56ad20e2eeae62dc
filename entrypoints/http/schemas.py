"""The bodies of requests and responses, and their conversion to and from domain values."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Self, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from chatkeep.domain import model
from chatkeep.domain.branch_use_cases import BranchMessage
from chatkeep.domain.branches import After, AtTip, Place
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.originals import complete, read_original
from chatkeep.domain.ids import NamedId, of_conversation, parse_id, written_id
from chatkeep.domain.model import (
    MAX_FORMAT_CHARS,
    MAX_TOKENS,
    BranchNumber,
    Changes,
    Conversation,
    ConversationId,
    Limits,
    Message,
    MessageId,
    Role,
    Status,
    Usage,
)
from chatkeep.domain.model import NewMessage as DomainNewMessage
from chatkeep.entrypoints.http.ids import GivenId, OwnId, StoredId
from chatkeep.entrypoints.http.json_documents import (
    parse_content,
    parse_metadata,
    parse_original,
    parse_tool_calls,
)
from chatkeep.entrypoints.http.model_formats import ModelContext, UIMessageOut
from chatkeep.entrypoints.http.part_schemas import CONTENT, STORED_PARTS

_T = TypeVar("_T")

# `json_documents` decodes and checks these documents, so `Raw` also accepts null.
_OBJECT: Final = {"type": "object"}
_OBJECTS: Final = {"type": "array", "items": _OBJECT}
Metadata = Annotated[
    Raw,
    Meta(
        description="any data you want to store with it",
        extra_json_schema={"type": ["object", "null"], "default": None},
    ),
]
ToolCalls = Annotated[
    Raw,
    Meta(
        description="the assistant's tool calls, in the format of OpenAI's chat API",
        extra_json_schema={**_OBJECTS, "type": ["array", "null"], "default": None},
    ),
]
Content = Annotated[
    Raw,
    Meta(
        description="a text, or a list of content parts as in OpenAI's chat API; null only for an "
        "assistant that only calls tools",
        extra_json_schema=CONTENT,
    ),
]
ToolCallId = Annotated[str, Meta(description="for the role tool: the call that it answers")]
Name = Annotated[
    str, Meta(description="the author or the tool, if the role does not say it precisely enough")
]
Tokens = Annotated[
    int,
    Meta(
        description="how many tokens it is for the model; otherwise `max_tokens` estimates them",
        extra_json_schema={"minimum": 0, "maximum": MAX_TOKENS},
    ),
]
StartsContext = Annotated[
    bool,
    Meta(description="contexts begin with it: it is a summary of what came before, or a new start"),
]
FormatName = Annotated[
    str,
    Meta(
        description="the name of the format of `original`, such as `ai-sdk`, without spaces",
        extra_json_schema={"minLength": 1, "maxLength": MAX_FORMAT_CHARS},
    ),
]
Original = Annotated[
    Raw,
    Meta(
        description="your own document for it, any JSON; kept as it is written, byte for byte",
        extra_json_schema={},
    ),
]
Title = Annotated[str, Meta(description="a title to show in a list")]
Retain = Annotated[
    bool,
    Meta(description="a hold: deletion is refused until it is lifted; only for service keys"),
]

# Stored JSON is passed on unchanged.
StoredParts = Annotated[Raw, Meta(extra_json_schema=STORED_PARTS)]
StoredMetadata = Annotated[Raw, Meta(description="as it was sent", extra_json_schema=_OBJECT)]
StoredToolCalls = Annotated[Raw, Meta(description="as they were sent", extra_json_schema=_OBJECTS)]
StoredOriginal = Annotated[
    Raw, Meta(description="byte for byte as it was sent; only if requested", extra_json_schema={})
]
WrittenBy = Annotated[int, Meta(description="the number of the branch that it was written in")]
AppendAfter = Annotated[
    GivenId,
    Meta(
        description="continue after this message; null: before the first one. After a message that "
        "is not the last one of a branch, a new branch starts. Without it, the current branch goes "
        "on"
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]
NextCursor = Annotated[
    str, Meta(description="send it as `cursor` to get the next page; null on the last one")
]


class NewMessage(Struct, forbid_unknown_fields=True, kw_only=True):
    """A message to store. If you choose its `id`, it is safe to send it again.

    With `"format": "ai-sdk"`, `original` is a UIMessage, and with `"openai"` a message of OpenAI's
    chat API: the fields that it has are read from it, unless they are given.
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

    def place(self, conversation_id: ConversationId, branch: int | None) -> Place | None:
        """Return where to append. `branch` is the parameter of that name."""
        if branch is not None:
            if self.after is not UNSET:
                raise InvalidValueError("after", "cannot be combined with `branch`")
            return AtTip(BranchNumber(branch))
        if isinstance(self.after, UnsetType):
            return None
        if self.after is None:
            return After(None)
        return After(of_conversation(conversation_id, parse_id(self.after, field="after")))

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


class CreateConversation(Struct, forbid_unknown_fields=True, kw_only=True):
    """A conversation to create. If you choose its `id`, it is safe to send it again."""

    id: OwnId | None = None
    title: Title | None = None
    metadata: Metadata | UnsetType = UNSET
    messages: list[NewMessage] = []
    retain: Retain | UnsetType = UNSET


class PutConversation(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of a new conversation. An existing one is not changed."""

    title: Title | None = None
    metadata: Metadata | UnsetType = UNSET
    retain: Retain | UnsetType = UNSET


class PatchConversation(Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields to change; the others stay unchanged."""

    title: Title | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET
    metadata: (
        Annotated[Raw, Meta(description="replaces the metadata", extra_json_schema=_OBJECT)]
        | UnsetType
    ) = UNSET
    retain: Retain | UnsetType = UNSET

    def to_domain(self, limits: Limits) -> Changes:
        return Changes(
            title=model.UNSET if isinstance(self.title, UnsetType) else self.title,
            status=model.UNSET if isinstance(self.status, UnsetType) else self.status,
            metadata=model.UNSET
            if isinstance(self.metadata, UnsetType)
            else parse_metadata(self.metadata, limits, may_be_null=False),
            retain=model.UNSET if isinstance(self.retain, UnsetType) else self.retain,
        )


class ForkedFromOut(Struct):
    """Where a conversation was forked from; left out if it was not."""

    conversation_id: StoredId
    message_id: Annotated[StoredId, Meta(description="the last message that was copied")] | None


class ConversationOut(Struct, kw_only=True):
    """A conversation, without its messages."""

    id: StoredId
    title: str | None
    status: Status
    metadata: StoredMetadata
    message_count: int
    created_at: Moment
    updated_at: Annotated[Moment, Meta(description="the time of the last activity, an append")]
    retain: Annotated[bool, Meta(description="a hold: deletion is refused until it is lifted")]
    revision: Annotated[
        int, Meta(description="grows with every change of the conversation or its messages")
    ]
    branch: (
        Annotated[int, Meta(description="the current branch; left out if it never branched")]
        | UnsetType
    ) = UNSET
    forked_from: ForkedFromOut | UnsetType = UNSET

    @classmethod
    def from_domain(cls, conversation: Conversation) -> Self:
        return cls(
            id=written_id(conversation.id),
            title=conversation.title,
            status=conversation.status,
            metadata=Raw(conversation.metadata),
            message_count=conversation.message_count,
            created_at=conversation.created_at,
            updated_at=conversation.updated_at,
            retain=conversation.retain,
            revision=conversation.revision,
            branch=UNSET if conversation.branch is None else conversation.branch,
            forked_from=UNSET
            if conversation.forked_from is None
            else ForkedFromOut(*conversation.forked_from),
        )


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


class CreatedConversation(ConversationOut, kw_only=True):
    """The conversation, with its first messages if the request had any."""

    messages: list[MessageOut] | UnsetType = UNSET


class CountOut(Struct, kw_only=True):
    """How many conversations of the list there are, on all pages.

    More than 10,000 are not all counted: then there are at least `value`.
    """

    value: int
    exact: bool


class ConversationPage(Struct, kw_only=True):
    """Conversations, latest first, and their count if `count` was requested."""

    items: list[ConversationOut]
    next_cursor: NextCursor | None
    count: CountOut | UnsetType = UNSET


class MessagePage(Struct, kw_only=True):
    """Messages, in the requested order."""

    items: list[MessageOut]
    next_cursor: NextCursor | None


class UIMessagePage(Struct, kw_only=True):
    """UIMessages of the AI SDK, in the requested order."""

    items: Sequence[UIMessageOut]
    next_cursor: NextCursor | None


class Appended(Struct, kw_only=True):
    """The stored messages, and the context that ends with them if `context` was requested.

    `branch` is left out in a conversation that has no branches.
    """

    messages: list[MessageOut]
    branch: WrittenBy | UnsetType = UNSET
    context: ModelContext | UnsetType = UNSET


class UsageOut(Struct, kw_only=True):
    """The amount of data that the caller has stored."""

    user_id: str
    conversations: int
    active: int
    archived: int
    messages: int
    retained: Annotated[int, Meta(description="how many of the conversations are on hold")]

    @classmethod
    def from_domain(cls, usage: Usage) -> Self:
        return cls(
            user_id=usage.user_id,
            conversations=usage.conversations,
            active=usage.active,
            archived=usage.archived,
            messages=usage.messages,
            retained=usage.retained,
        )


class UserOut(Struct, kw_only=True):
    """A user who may own conversations."""

    id: str
