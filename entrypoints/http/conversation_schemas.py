"""The bodies with conversations, and their conversion to and from domain values."""

from typing import Annotated, Self

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from chatkeep.domain import model
from chatkeep.domain.ids import written_id
from chatkeep.domain.model import Changes, Conversation, Limits, Status
from chatkeep.entrypoints.http.field_schemas import (
    OBJECT,
    Metadata,
    Moment,
    NextCursor,
    Retain,
    StoredMetadata,
    Title,
)
from chatkeep.entrypoints.http.ids import OwnId, StoredId
from chatkeep.entrypoints.http.json_documents import parse_metadata
from chatkeep.entrypoints.http.message_schemas import MessageOut, NewMessage


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
        Annotated[Raw, Meta(description="replaces the metadata", extra_json_schema=OBJECT)]
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


class CreatedConversation(ConversationOut, kw_only=True):
    """The conversation, with its first messages if the request had any."""

    messages: list[MessageOut] | UnsetType = UNSET


class CountOut(Struct, kw_only=True):
    """How many conversations there are: at least `value`, and exactly that if `exact`.

    Of a list of conversations, those of all pages are counted, but at most 10,000.
    """

    value: int
    exact: bool


class ConversationPage(Struct, kw_only=True):
    """Conversations, latest first, and their count if `count` was requested."""

    items: list[ConversationOut]
    next_cursor: NextCursor | None
    count: CountOut | UnsetType = UNSET
