"""Pages of a search."""

from datetime import datetime

import msgspec

from chatkeep_client.models.messages import Role


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
