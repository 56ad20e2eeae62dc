"""The events that streams and long polls deliver."""

from typing import Annotated, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from chatkeep.domain.branch_use_cases import BranchMessage
from chatkeep.domain.events import Event, EventKind
from chatkeep.domain.ids import written_id
from chatkeep.entrypoints.http.conversation_schemas import ConversationOut
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

    @classmethod
    def from_domain(cls, event: Event) -> Self:
        return cls(
            type=event.kind,
            conversation_id=written_id(event.conversation_id),
            message=_message(event),
            message_id=UNSET if event.message_id is None else written_id(event.message_id),
            conversation=UNSET
            if event.conversation is None
            else ConversationOut.from_domain(event.conversation),
        )


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
