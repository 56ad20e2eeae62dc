"""The bodies of requests that rewrite a log, and of their answers."""

from typing import Annotated, Self

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from chatkeep.domain import model
from chatkeep.domain.editing import MessagePatch, Replaced, Truncated
from chatkeep.domain.model import JsonText, Limits
from chatkeep.entrypoints.http.field_schemas import Tokens
from chatkeep.entrypoints.http.ids import GivenId
from chatkeep.entrypoints.http.json_documents import parse_metadata
from chatkeep.entrypoints.http.message_schemas import MessageOut, NewMessage

MergePatch = Annotated[
    Raw,
    Meta(
        description="a merge patch (RFC 7396): null removes a member, or all of them",
        extra_json_schema={"type": ["object", "null"]},
    ),
]
Deleted = Annotated[int, Meta(description="how many messages this request deleted")]
MessagesLeft = Annotated[int, Meta(description="how many the conversation has now")]


class ReplaceMessages(Struct, forbid_unknown_fields=True, kw_only=True):
    """The end of a conversation as you know it, and the messages that replace it."""

    after: Annotated[
        GivenId | None,
        Meta(description="replace what is after the message with this id; null: everything"),
    ]
    expected: Annotated[
        list[GivenId],
        Meta(description="the ids of the messages after it, in order, as you know them"),
    ]
    messages: Annotated[
        list[NewMessage],
        Meta(description="what replaces them. If you choose their ids, it is safe to send again"),
    ]


class PatchMessage(Struct, forbid_unknown_fields=True, kw_only=True):
    """The notes about a message to change; the others stay unchanged."""

    metadata: MergePatch | UnsetType = UNSET
    tokens: Tokens | UnsetType | None = UNSET

    def to_domain(self, limits: Limits) -> MessagePatch:
        metadata: JsonText | model.Unset = model.UNSET
        if not isinstance(self.metadata, UnsetType):
            metadata = parse_metadata(self.metadata, limits)
            if bytes(self.metadata).strip() == b"null":
                metadata = JsonText("null")
        return MessagePatch(
            metadata=metadata,
            tokens=model.UNSET if isinstance(self.tokens, UnsetType) else self.tokens,
        )


class TruncatedOut(Struct, kw_only=True):
    """How many messages a truncation deleted, and how many are left."""

    deleted: Deleted
    message_count: MessagesLeft

    @classmethod
    def from_domain(cls, truncated: Truncated) -> Self:
        return cls(deleted=truncated.deleted, message_count=truncated.message_count)


class ReplacedOut(Struct, kw_only=True):
    """The new messages as they are stored. A request sent again deletes none."""

    messages: list[MessageOut]
    deleted: Deleted
    message_count: MessagesLeft

    @classmethod
    def from_domain(cls, replaced: Replaced) -> Self:
        return cls(
            messages=[MessageOut.from_domain(message) for message in replaced.messages],
            deleted=replaced.deleted,
            message_count=replaced.message_count,
        )
