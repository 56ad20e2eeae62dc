"""The answers of a search."""

from enum import StrEnum
from typing import Annotated, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from chatkeep.domain.ids import written_id
from chatkeep.domain.model import Role
from chatkeep.domain.search import Hit, Left
from chatkeep.domain.search_query import Kind, Query, Reading
from chatkeep.domain.search_use_cases import SNIPPET_CHARS, ShownHit
from chatkeep.entrypoints.http.field_schemas import Moment, NextCursor, WrittenBy
from chatkeep.entrypoints.http.ids import StoredId

_Offsets = Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=2, max_length=2)]
Highlights = Annotated[
    list[_Offsets],
    Meta(
        description="where `snippet` has what was searched, in code points: from the first number "
        "up to, but without, the second"
    ),
]


class HitKind(StrEnum):
    MESSAGE = "message"
    ITEM = "item"
    CONVERSATION = "conversation"


class SearchGroup(StrEnum):
    CONVERSATION = "conversation"


class HitOut(Struct, kw_only=True):
    """A message or an item that matches, or a conversation whose title does.

    A message has `message_id` and `role`, an item of OpenAI's API that is not a message `item_id`
    and `item_type`. Both have `position` and `created_at`, and `branch` if their conversation
    branched. `messages?around=` takes either id.
    """

    kind: Annotated[HitKind, Meta(description="`conversation`: its title matches")]
    conversation_id: StoredId
    title: Annotated[str | None, Meta(description="the title of the conversation")]
    snippet: Annotated[
        str,
        Meta(
            description=f"the part of the text, or of the title, that matches: at most "
            f"{SNIPPET_CHARS} characters"
        ),
    ]
    highlights: Highlights
    message_id: StoredId | UnsetType = UNSET
    position: (
        Annotated[int, Meta(description="greater for later messages of a conversation")] | UnsetType
    ) = UNSET
    branch: WrittenBy | UnsetType = UNSET
    item_id: Annotated[str, Meta(description="its id in OpenAI's API")] | UnsetType = UNSET
    item_type: Annotated[str, Meta(description="such as `reasoning`")] | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    created_at: Moment | UnsetType = UNSET

    @classmethod
    def from_domain(cls, shown: ShownHit) -> Self:
        hit, message, item = shown.hit, shown.hit.message, shown.hit.item
        one = cls(
            kind=_kind(hit),
            conversation_id=written_id(hit.conversation_id),
            title=hit.title,
            snippet=shown.snippet.text,
            highlights=[[start, end] for start, end in shown.snippet.highlights],
        )
        if message is not None:
            one.message_id = written_id(message.id)
            one.position = message.position
            one.role = message.role
            one.created_at = message.created_at
        if item is not None:
            one.item_id = item.id
            one.item_type = item.kind
            one.position = item.position
            one.created_at = item.created_at
        if shown.branch is not None:
            one.branch = shown.branch
        return one


def _kind(hit: Hit) -> HitKind:
    if hit.item is not None:
        return HitKind.ITEM
    return HitKind.CONVERSATION if hit.message is None else HitKind.MESSAGE


class ReadingOut(Struct, kw_only=True):
    """How one part of the query was read."""

    kind: Annotated[
        Kind, Meta(description="`text`: it looks like a filter, but was searched as text")
    ]
    written: Annotated[str, Meta(description="the part, in the query language")]
    field: Annotated[str, Meta(description="the name of the filter, or `title`")] | UnsetType = (
        UNSET
    )
    without: Annotated[bool, Meta(description="whether it excludes")] = False
    group: (
        Annotated[int, Meta(description="of those with the same number, one is enough")] | UnsetType
    ) = UNSET

    @classmethod
    def from_domain(cls, reading: Reading) -> Self:
        return cls(
            kind=reading.kind,
            written=reading.written,
            field=UNSET if reading.field is None else reading.field,
            without=reading.without,
            group=reading.group or UNSET,
        )


class QueryOut(Struct, kw_only=True):
    """How the query was read."""

    written: Annotated[str, Meta(description="the query as it was understood")]
    parts: list[ReadingOut]
    notes: Annotated[list[str], Meta(description="what the user should know, in sentences")]

    @classmethod
    def from_domain(cls, query: Query) -> Self:
        return cls(
            written=query.written,
            parts=[ReadingOut.from_domain(reading) for reading in query.readings],
            notes=[*query.notes],
        )


class LeftOut(Struct, kw_only=True):
    """The conversations that are not searched yet, and how many messages they have in all."""

    conversations: int
    messages: int


class SearchPageOut(Struct, kw_only=True):
    """Hits, latest first, and how the query was read.

    A page may have few hits or none before the last one: go on until `next_cursor` is null.
    """

    items: list[HitOut]
    next_cursor: NextCursor | None
    complete: Annotated[
        bool,
        Meta(
            description="whether all was searched; if not, search again: each search adds to "
            "the index, the latest conversations first"
        ),
    ]
    left: LeftOut
    query: QueryOut


def left_out(left: Left) -> LeftOut:
    return LeftOut(conversations=left.conversations, messages=left.messages)
