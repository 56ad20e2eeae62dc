"""The bodies of requests about drafts, and of their answers."""

from typing import Annotated, Final, Self

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from chatkeep.domain.draft_use_cases import DraftPage
from chatkeep.domain.drafts import (
    DEFAULT_LEASE,
    FIRST_CHUNK,
    FIRST_EPOCH,
    MAX_LEASE,
    MIN_LEASE,
    TEXT,
    Draft,
    DraftStatus,
    EndedDraft,
    NewChunks,
    text_of_chunks,
)
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.ids import of_conversation, parse_id, written_id
from chatkeep.domain.json_fields import check_original
from chatkeep.domain.model import BranchNumber, ConversationId, Limits
from chatkeep.domain.model import NewMessage as DomainNewMessage
from chatkeep.domain.places import After, AtTip, Place
from chatkeep.entrypoints.http.field_schemas import (
    AppendAfter,
    FormatName,
    Metadata,
    Moment,
    StoredMetadata,
)
from chatkeep.entrypoints.http.ids import OwnId, StoredId, parse_message_id
from chatkeep.entrypoints.http.message_schemas import MessageOut, NewMessage

_CHUNK: Final = {"type": ["string", "object"]}
Epoch = Annotated[
    int,
    Meta(
        description="the one that the start gave you; a producer that takes over gets a higher one",
        extra_json_schema={"minimum": FIRST_EPOCH},
    ),
]
Chunks = Annotated[
    list[Annotated[Raw, Meta(extra_json_schema=_CHUNK)]],
    Meta(
        description="pieces of the answer's text; for any other format JSON objects, which are "
        "kept as they are written"
    ),
]
Keep = Annotated[
    bool, Meta(description="keep what there is of the answer as a message, marked; else discard it")
]
_decode_text: Final = msgspec.json.Decoder(str).decode


class StartDraft(Struct, forbid_unknown_fields=True, kw_only=True):
    """An answer that begins. If you choose its `id`, it is safe to send it again."""

    id: OwnId | None = None
    message_id: (
        Annotated[OwnId, Meta(description="the id that the message will get (default: `id`)")]
        | None
    ) = None
    after: AppendAfter | UnsetType | None = UNSET
    format: Annotated[
        FormatName,
        Meta(
            description="of the chunks: `text` for pieces of text, `ai-sdk` for UI message chunks "
            "of the AI SDK, or the name of another one"
        ),
    ] = TEXT
    metadata: Metadata | UnsetType = UNSET
    lease: Annotated[
        int,
        Meta(
            description="seconds without a new chunk after which the draft is interrupted",
            extra_json_schema={"minimum": MIN_LEASE, "maximum": MAX_LEASE},
        ),
    ] = DEFAULT_LEASE
    supersede: Annotated[
        bool,
        Meta(
            description="interrupt an active draft; one with this `id` is taken over with its "
            "chunks instead"
        ),
    ] = False
    discard: Annotated[bool, Meta(description="do not keep the interrupted draft as a message")] = (
        False
    )

    def place(self, conversation_id: ConversationId, branch: int | None) -> Place | None:
        """Return where the message will be. `branch` is the parameter of that name."""
        if branch is not None:
            if self.after is not UNSET:
                raise InvalidValueError("after", "cannot be combined with `branch`")
            return AtTip(BranchNumber(branch))
        if isinstance(self.after, UnsetType):
            return None
        if self.after is None:
            return After(None)
        return After(of_conversation(conversation_id, parse_id(self.after, field="after")))


class WriteChunks(Struct, forbid_unknown_fields=True, kw_only=True):
    """Chunks in order. It is safe to send them again."""

    epoch: Epoch
    seq: Annotated[
        int,
        Meta(
            description="the number of the first one of them; the draft's first chunk is 1",
            extra_json_schema={"minimum": FIRST_CHUNK},
        ),
    ]
    chunks: Chunks

    def to_domain(self) -> NewChunks:
        documents = [bytes(each) for each in self.chunks]
        first = documents[0][:1] if documents else b""
        if first not in {b'"', b"{", b""}:
            raise InvalidValueError("chunks[0]", "must be a string or an object")
        texts = []
        for index, document in enumerate(documents):
            field = f"chunks[{index}]"
            if document[:1] != first:
                raise InvalidValueError(field, "must be a string or an object, as the first chunk")
            if first == b'"':
                texts.append(_decode_text(document))
            else:
                texts.append(str(check_original(document.decode(), field=field)))
        return NewChunks(texts, are_documents=first == b"{")


class FinishDraft(Struct, forbid_unknown_fields=True, kw_only=True):
    """The end of an answer. Without a `message`, the chunks become it."""

    epoch: Epoch
    message: (
        Annotated[
            NewMessage,
            Meta(description="the whole message; needed for the chunks of other formats"),
        ]
        | None
    ) = None

    def to_domain(self, conversation_id: ConversationId, limits: Limits) -> DomainNewMessage | None:
        message = self.message
        if message is None:
            return None
        given = message.to_domain(limits, within="message.")
        if given.id is None:
            return given
        return given._replace(
            id=parse_message_id(conversation_id, str(given.id), field="message.id")
        )


class CancelDraft(Struct, forbid_unknown_fields=True, kw_only=True):
    """The end of an answer that is not needed any more."""

    keep: Keep = True


class DraftOut(Struct, kw_only=True):
    """A draft, without its chunks."""

    id: StoredId
    conversation_id: StoredId
    status: DraftStatus
    epoch: int
    next: Annotated[int, Meta(description="the number of the next chunk")]
    message_id: Annotated[StoredId, Meta(description="the id that its message will get, or has")]
    format: str
    metadata: StoredMetadata
    lease: int
    started_at: Moment
    progress_at: Annotated[Moment, Meta(description="the time of the latest chunk")]
    deadline: (
        Annotated[Moment, Meta(description="when it is interrupted unless a chunk comes before")]
        | UnsetType
    ) = UNSET
    ended_at: Moment | UnsetType = UNSET

    @classmethod
    def from_domain(cls, draft: Draft) -> Self:
        return cls(
            id=written_id(draft.id),
            conversation_id=written_id(draft.conversation_id),
            status=draft.status,
            epoch=draft.epoch,
            next=draft.next,
            message_id=written_id(draft.message_id),
            format=draft.format,
            metadata=Raw(draft.metadata),
            lease=draft.lease,
            started_at=draft.started_at,
            progress_at=draft.progress_at,
            deadline=draft.deadline if draft.is_active else UNSET,
            ended_at=UNSET if draft.ended_at is None else draft.ended_at,
        )


class EndedDraftOut(Struct, kw_only=True):
    """A draft that has ended, and the message that it left; null if it left none."""

    draft: DraftOut
    message: MessageOut | None

    @classmethod
    def from_domain(cls, ended: EndedDraft) -> Self:
        message = ended.message
        return cls(
            draft=DraftOut.from_domain(ended.draft),
            message=None if message is None else MessageOut.from_domain(message.without_original()),
        )


class ReadDraftOut(Struct, kw_only=True):
    """A draft and what there is of it: its `text`, or its `chunks` if the format is another one."""

    draft: DraftOut
    last: Annotated[int, Meta(description="the last chunk given: send it as `after` to go on")]
    more: Annotated[bool, Meta(description="other chunks follow already")]
    text: str | UnsetType = UNSET
    chunks: list[Annotated[Raw, Meta(extra_json_schema={"type": "object"})]] | UnsetType = UNSET

    @classmethod
    def from_domain(cls, page: DraftPage, after: int) -> Self:
        read = cls(
            draft=DraftOut.from_domain(page.draft),
            last=page.chunks[-1].seq if page.chunks else after,
            more=page.more,
        )
        if page.draft.format == TEXT:
            read.text = text_of_chunks(page.chunks)
        else:
            read.chunks = [Raw(chunk.text.encode()) for chunk in page.chunks]
        return read


class DraftsOut(Struct, kw_only=True):
    """The latest drafts, the active one first."""

    items: list[DraftOut]
