"""The events that streams and long polls deliver."""

from typing import Annotated, Self

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from chatkeep.domain.branch_pages import BranchMessage
from chatkeep.domain.drafts import TEXT, text_of_chunks
from chatkeep.domain.events import DraftDelta, Event, EventKind
from chatkeep.domain.ids import written_id
from chatkeep.entrypoints.http.conversation_schemas import ConversationOut
from chatkeep.entrypoints.http.draft_schemas import DraftOut
from chatkeep.entrypoints.http.ids import StoredId
from chatkeep.entrypoints.http.message_schemas import MessageOut, on_branch

EventsCursor = Annotated[str, Meta(description="where to go on: send it as `after`")]


class EventOut(Struct, kw_only=True):
    """Something that happened to a conversation or to one of its messages."""

    type: EventKind
    conversation_id: StoredId
    message: MessageOut | UnsetType = UNSET
    message_id: Annotated[StoredId, Meta(description="of a message that is gone")] | UnsetType = (
        UNSET
    )
    conversation: ConversationOut | UnsetType = UNSET
    draft: DraftOut | UnsetType = UNSET
    draft_id: Annotated[StoredId, Meta(description="of the draft that goes on")] | UnsetType = UNSET
    seq: Annotated[int, Meta(description="the number of the last chunk given")] | UnsetType = UNSET
    text: Annotated[str, Meta(description="how the answer goes on")] | UnsetType = UNSET
    chunks: (
        Annotated[
            list[Annotated[Raw, Meta(extra_json_schema={"type": "object"})]],
            Meta(description="the same for other formats than text, as they were written"),
        ]
        | UnsetType
    ) = UNSET

    @classmethod
    def from_domain(cls, event: Event) -> Self:
        if event.delta is not None:
            return cls._delta(event, event.delta)
        return cls(
            type=event.kind,
            conversation_id=written_id(event.conversation_id),
            message=_message(event),
            message_id=UNSET if event.message_id is None else written_id(event.message_id),
            conversation=UNSET
            if event.conversation is None
            else ConversationOut.from_domain(event.conversation),
            draft=UNSET if event.draft is None else DraftOut.from_domain(event.draft),
        )

    @classmethod
    def _delta(cls, event: Event, delta: DraftDelta) -> Self:
        out = cls(
            type=event.kind,
            conversation_id=written_id(event.conversation_id),
            draft_id=written_id(delta.id),
            seq=delta.chunks[-1].seq,
        )
        if delta.format == TEXT:
            out.text = text_of_chunks(delta.chunks)
        else:
            out.chunks = [Raw(chunk.text.encode()) for chunk in delta.chunks]
        return out


def _message(event: Event) -> MessageOut | UnsetType:
    if event.message is None:
        return UNSET
    if event.branch is None:  # it is not new, so the client knows where it is
        return MessageOut.from_domain(event.message)
    return on_branch(BranchMessage(event.message, event.parent_id, event.branch))


class EventsOut(Struct, kw_only=True):
    """Events in order; none if nothing happened."""

    items: list[EventOut]
    next_cursor: EventsCursor
