"""The shapes of what the service takes and returns. Unknown fields of answers are ignored."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

Role = Literal["user", "assistant", "system", "developer", "tool"]
Status = Literal["active", "archived"]
Sort = Literal["updated", "created"]
Order = Literal["asc", "desc"]
ContextFormat = Literal["openai", "anthropic", "ai-sdk"]
JsonObject = dict[str, Any]


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


class ForkedFrom(msgspec.Struct, kw_only=True):
    """Where a conversation was forked from. `message_id` is the last message that was copied."""

    conversation_id: str
    message_id: str | None


class Conversation(msgspec.Struct, kw_only=True):
    """A conversation, without its messages.

    - `updated_at`: the time of the last activity, an append.
    - `retain`: a hold; nothing in it can be deleted or rewritten.
    - `revision`: grows with every change of it or its messages.
    - `branch`: the current branch; None if it never branched.
    """

    id: str
    title: str | None
    status: Status
    metadata: JsonObject
    message_count: int
    created_at: datetime
    updated_at: datetime
    retain: bool
    revision: int
    branch: int | None = None
    forked_from: ForkedFrom | None = None


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


class FoundConversation(Conversation, kw_only=True):
    """A conversation. `created` says whether this request created it."""

    created: bool = False


class CreatedConversation(Conversation, kw_only=True):
    """A new conversation, with its first `messages` as they are stored."""

    messages: list[Message] = []


class Count(msgspec.Struct, kw_only=True):
    """How many conversations match; at least `value` if not `exact` (there are over 10,000)."""

    value: int
    exact: bool


class ConversationPage(msgspec.Struct, kw_only=True):
    """Conversations, latest first. It may be short, or empty, before the last one.

    `next_cursor` is None on the last page. `count` is there if it was requested.
    """

    items: list[Conversation]
    next_cursor: str | None
    count: Count | None = None


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


class Branch(msgspec.Struct, kw_only=True):
    """One path through a conversation.

    `parent` is the branch that it left, `left_at` the last message that it shares, `tip` its last
    message.
    """

    number: int
    name: str | None
    is_current: bool
    parent: int | None
    left_at: str | None
    tip: str | None
    created_at: datetime
    revision: int = 0


class BranchPage(msgspec.Struct, kw_only=True):
    """Branches by number. `next_cursor` is None on the last page."""

    items: list[Branch]
    next_cursor: str | None
    revision: int = 0


class Sibling(msgspec.Struct, kw_only=True):
    """A message that continues from the same message as another one, and its branch."""

    id: str
    branch: int
    is_current: bool


class Siblings(msgspec.Struct, kw_only=True):
    """All messages that continue from the same message, oldest first."""

    items: list[Sibling]


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


class Hit(msgspec.Struct, kw_only=True):
    """A message or an item that matches a search, or a conversation whose title does (`kind`).

    `highlights` are where `snippet` has what was searched, in code points: from the first number up
    to, but without, the second. `get_history(around=...)` takes the `message_id`, or the `item_id`
    of an item of OpenAI's API.
    """

    kind: str
    conversation_id: str
    title: str | None
    snippet: str
    highlights: list[tuple[int, int]]
    message_id: str | None = None
    position: int | None = None
    branch: int | None = None
    item_id: str | None = None
    item_type: str | None = None
    role: Role | None = None
    created_at: datetime | None = None


class QueryPart(msgspec.Struct, kw_only=True):
    """How one part of a query was read."""

    kind: str
    written: str
    field: str | None = None
    without: bool = False
    group: int | None = None


class Query(msgspec.Struct, kw_only=True):
    """How a query was read, with `notes` for the user."""

    written: str
    parts: list[QueryPart]
    notes: list[str]


class Left(msgspec.Struct, kw_only=True):
    """The conversations that are not searched yet, and how many messages they have in all."""

    conversations: int
    messages: int


class SearchPage(msgspec.Struct, kw_only=True):
    """Hits, latest first. It may have few or none before the last page.

    `complete` says whether all was searched; if not, `left` is what was not.
    """

    items: list[Hit]
    next_cursor: str | None
    complete: bool
    left: Left
    query: Query


class ItemPage(msgspec.Struct, kw_only=True):
    """Items of OpenAI's Conversations API. The ids are empty if there are no items."""

    data: list[JsonObject]
    first_id: str
    last_id: str
    has_more: bool


class Usage(msgspec.Struct, kw_only=True):
    """How much the user has stored. `retained` is how many conversations are on hold."""

    user_id: str
    conversations: int
    active: int
    archived: int
    messages: int
    retained: int


class ListedUser(msgspec.Struct, kw_only=True):
    """A user. At most 1,000 conversations are counted; without any there is no activity."""

    id: str
    conversations: Count
    latest_activity: datetime | None


class UserPage(msgspec.Struct, kw_only=True):
    """Users by id. `next_cursor` is None on the last page."""

    items: list[ListedUser]
    next_cursor: str | None


class Totals(msgspec.Struct, kw_only=True):
    """How much a service has; None where it is unknown."""

    users: int | None
    conversations: int | None
    messages: int | None
    estimated: bool


class Day(msgspec.Struct, kw_only=True):
    """A day, UTC, and its messages; at most 50,000 are counted."""

    day: date
    messages: Count


class DraftCounts(msgspec.Struct, kw_only=True):
    """Drafts that are kept now."""

    active: int
    interrupted: int
    exact: bool


class LastSweep(msgspec.Struct, kw_only=True):
    """The daily sweep that was due last."""

    due: datetime
    finished_at: datetime | None
    archived: int
    deleted: int
    retained: int


class Storage(msgspec.Struct, kw_only=True):
    """Bytes of the tables and of the database, their growth, and the plan."""

    stored_bytes: int
    database_bytes: int
    bytes_per_day: int | None
    plan_bytes: int | None
    days_left: float | None


class Latencies(msgspec.Struct, kw_only=True):
    """How long the statements of a process took since it started."""

    bounds_ms: list[float]
    counts: list[int]
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class LastExamination(msgspec.Struct, kw_only=True):
    """The last result of `chatkeep doctor`; `healthy` if nothing failed."""

    at: datetime
    healthy: bool
    ok: int
    warnings: int
    failed: int
    skipped: int
    promises_kept: int
    promises_broken: int


class Overview(msgspec.Struct, kw_only=True):
    """The service as a whole. Without a database it has no storage and no latencies."""

    at: datetime
    totals: Totals
    days: list[Day]
    drafts: DraftCounts
    last_sweep: LastSweep | None
    last_examination: LastExamination | None = None
    storage: Storage | None
    latencies: Latencies | None


class AuditLine(msgspec.Struct, kw_only=True):
    """A request of an operator about a user. `action` is the `operationId` of the request."""

    id: str
    at: datetime
    operator: str
    user_id: str
    action: str
    conversation_id: str | None
    message_id: str | None


class AuditPage(msgspec.Struct, kw_only=True):
    """Lines of the audit, latest first. `next_cursor` is None on the last page."""

    items: list[AuditLine]
    next_cursor: str | None


class User(msgspec.Struct, kw_only=True):
    """A user who may own conversations. `created` says whether they are new."""

    id: str
    created: bool = False
