"""The cursors of events: the `id:` of server-sent events, and `next_cursor` of a long poll."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.events import ALL_CHANGES, ENDED, FROM_START, Mark
from chatkeep.domain.feed import FIRST_KEY, FeedMark
from chatkeep.domain.model import EPOCH, LAST_POSITION, Position, microseconds
from chatkeep.entrypoints.http import cursors
from chatkeep.entrypoints.http.body import JsonRequest

LAST_EVENT_ID: Final = b"last-event-id"
IDLE: Final = ".idle"
"""The end of a cursor that a stream ended with because nothing happened for a while."""

PARAMETER: Final[dict[str, Any]] = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "the cursor to go on from; browsers send it by themselves. It replaces `after`",
    "required": False,
    "schema": {"type": "string"},
}
"""The header, for OpenAPI."""

_MAX_WRITTEN: Final = 50
"""How many conversations a cursor of a feed names. Events of others may come again."""

_LATEST: Final = microseconds(datetime(9999, 1, 1, tzinfo=UTC))
_STARTS: Final = frozenset({"0", "start"})
_LOWEST: Final = (0, 0, 0, 0, 0, 0, ENDED)
_HIGHEST: Final = (
    LAST_POSITION,
    LAST_POSITION,
    LAST_POSITION,
    ALL_CHANGES,
    LAST_POSITION,
    LAST_POSITION - 1,
    ALL_CHANGES,
)


class _MarkCursor(msgspec.Struct, array_like=True, frozen=True, tag="events"):
    began: int
    position: int
    revision: int
    number: int
    at: int
    draft: int
    chunk: int


class _FeedCursor(msgspec.Struct, array_like=True, frozen=True, tag="feed"):
    since: int
    key: UUID
    unfinished: UUID | None
    known: Sequence[tuple[UUID, int, int, int, int]]


def encode_feed_mark(mark: FeedMark) -> str:
    known = [
        (key, each.began, each.position, each.revision, each.number)
        for key, each in [*mark.known.items()][-_MAX_WRITTEN:]
    ]
    since = microseconds(mark.since)
    return cursors.encode(_FeedCursor(since, mark.key, mark.unfinished, known))


def encode_mark(mark: Mark) -> str:
    return cursors.encode(_MarkCursor(*mark))


def read_mark(request: JsonRequest, after: str | None) -> Mark | None:
    """Return the mark to go on from: of the header, or else of `after`; None without either.

    Raises `InvalidValueError`.
    """
    text, field = _given(request, after)
    return None if text is None else _decode(text, field)


def read_feed_mark(request: JsonRequest, after: str | None) -> FeedMark | None:
    """Do the same for a feed."""
    text, field = _given(request, after)
    return None if text is None else _decode_feed(text, field)


def has_ended_idle(request: JsonRequest) -> bool:
    """Return whether a browser reconnects by itself after a stream has ended idle."""
    header = request.find_header(LAST_EVENT_ID)
    return header is not None and header.endswith(IDLE.encode())


def _given(request: JsonRequest, after: str | None) -> tuple[str | None, str]:
    """Return the cursor that was given, and where. An empty header is none."""
    header = request.find_header(LAST_EVENT_ID)
    return (header.decode("latin-1"), "Last-Event-ID") if header else (after, "after")


def _decode_feed(text: str, field: str) -> FeedMark:
    if text in _STARTS:
        return FeedMark(EPOCH, FIRST_KEY, {})
    cursor = cursors.decode_as(text.removesuffix(IDLE), _FeedCursor)
    if cursor is None or not 0 <= cursor.since <= _LATEST:
        raise _unknown(field)
    known = {}
    for key, *values in cursor.known:
        _check(values, field)
        began, position, revision, number = values
        known[key] = Mark(began, Position(position), revision, number)
    since = EPOCH + timedelta(microseconds=cursor.since)
    return FeedMark(since, cursor.key, known, cursor.unfinished)


def _decode(text: str, field: str) -> Mark:
    if text in _STARTS:
        return FROM_START
    mark = cursors.decode_as(text.removesuffix(IDLE), _MarkCursor)
    if mark is None:
        raise _unknown(field)
    _check(msgspec.structs.astuple(mark), field)
    return Mark(
        mark.began,
        Position(mark.position),
        mark.revision,
        mark.number,
        mark.at,
        Position(mark.draft),
        mark.chunk,
    )


def _check(values: Sequence[int], field: str) -> None:
    """Check the first numbers of a mark."""
    limits = zip(_LOWEST, values, _HIGHEST, strict=False)
    if any(not low <= value <= high for low, value, high in limits):
        raise _unknown(field)


def _unknown(field: str) -> InvalidValueError:
    return InvalidValueError(
        field, "is not a cursor of these events; send the id of an event, or start for all of them"
    )
