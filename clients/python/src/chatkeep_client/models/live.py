"""Events and drafts."""

from datetime import datetime

import msgspec

from chatkeep_client.models.conversations import Conversation
from chatkeep_client.models.json import JsonObject
from chatkeep_client.models.messages import Message


class Event(msgspec.Struct, kw_only=True):
    """Something that happened to a conversation.

    - `type`: `message.created`, with the `message`, its `parent_id` and `branch`;
      `message.updated`, with the `message` as it is now; `message.deleted`, with `message_id`;
      `conversation.updated`, with the `conversation` as it is now; `conversation.deleted`;
      `draft.started`, `draft.finished` and `draft.interrupted`, with the `draft`; `draft.delta`,
      with `draft_id`, how the answer goes on (`text`, or `chunks` of other formats) and the number
      of its last chunk, `seq`; `stream.idle`. Later versions may add others.
    - `cursor`: where to go on behind it; empty in an `EventPage`, which has one for all.
    """

    type: str
    conversation_id: str = ""
    message: Message | None = None
    message_id: str | None = None
    conversation: Conversation | None = None
    draft: "Draft | None" = None
    draft_id: str | None = None
    seq: int | None = None
    text: str | None = None
    chunks: list[JsonObject] | None = None
    cursor: str = ""


class EventPage(msgspec.Struct, kw_only=True):
    """Events in order; none if nothing happened. `next_cursor` is where to go on."""

    items: list[Event]
    next_cursor: str


class Draft(msgspec.Struct, kw_only=True):
    """An answer that is being written, or that has ended.

    - `epoch`: that of its producer; one that takes over gets a higher one. `next`: the number of
      its next chunk.
    - `message_id`: the id that its message will get, or has.
    - `lease`: the seconds without a new chunk after which it is interrupted, at `deadline`.
    """

    id: str
    conversation_id: str
    status: str
    epoch: int
    next: int
    message_id: str
    format: str
    metadata: JsonObject
    lease: int
    started_at: datetime
    progress_at: datetime
    deadline: datetime | None = None
    ended_at: datetime | None = None


class DraftList(msgspec.Struct, kw_only=True):
    """The latest drafts, the active one first."""

    items: list[Draft]


class DraftPage(msgspec.Struct, kw_only=True):
    """A draft and its `text`, or its `chunks` if it has another format.

    `last` is the last chunk that is in it, and `more` says that others follow already.
    """

    draft: Draft
    last: int
    more: bool
    text: str | None = None
    chunks: list[JsonObject] | None = None


class EndedDraft(msgspec.Struct, kw_only=True):
    """A draft that has ended, and the message that it left; None if it left none."""

    draft: Draft
    message: Message | None
    revision: int = 0
