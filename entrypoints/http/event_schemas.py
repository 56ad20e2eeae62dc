"""The events that streams and long polls deliver."""

from typing import Annotated, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from chatkeep.domain.branch_use_cases import BranchMessage
from chatkeep.domain.branches import MAIN
from chatkeep.domain.events import Event, EventKind
from chatkeep.domain.ids import written_id
from chatkeep.entrypoints.http.ids import StoredId
from chatkeep.entrypoints.http.message_schemas import MessageOut, on_branch

EventsCursor = Annotated[str, Meta(description="where to go on: send it as `after`")]


class EventOut(Struct, kw_only=True):
    """Something that happened to a conversation or to one of its messages."""

    type: EventKind
    conversation_id: StoredId
    message: MessageOut | UnsetType = UNSET

    @classmethod
    def from_domain(cls, event: Event) -> Self:
        message: MessageOut | UnsetType = UNSET
        if event.message is not None:
            branch = MAIN if event.branch is None else event.branch
            message = on_branch(BranchMessage(event.message, event.parent_id, branch))
        return cls(
            type=event.kind, conversation_id=written_id(event.conversation_id), message=message
        )


class EventsOut(Struct, kw_only=True):
    """Events in order; none if nothing happened."""

    items: list[EventOut]
    next_cursor: EventsCursor
