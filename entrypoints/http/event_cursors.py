"""The cursors of events: the `id:` of server-sent events, and `next_cursor` of a long poll."""

from typing import Any, Final

import msgspec

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.events import ALL_CHANGES, ENDED, FROM_START, Mark
from chatkeep.domain.model import LAST_POSITION, Position
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


def encode_mark(mark: Mark) -> str:
    return cursors.encode(_MarkCursor(*mark))


def read_mark(request: JsonRequest, after: str | None) -> Mark | None:
    """Return the mark to go on from: of the header, or else of `after`; None without either.

    Raises `InvalidValueError`.
    """
    if (header := request.find_header(LAST_EVENT_ID)) is not None:
        return _decode(header.decode("latin-1"), "Last-Event-ID")
    return None if after is None else _decode(after, "after")


def has_ended_idle(request: JsonRequest) -> bool:
    """Return whether a browser reconnects by itself after a stream has ended idle."""
    header = request.find_header(LAST_EVENT_ID)
    return header is not None and header.endswith(IDLE.encode())


def _decode(text: str, field: str) -> Mark:
    if text in _STARTS:
        return FROM_START
    mark = cursors.decode_as(text.removesuffix(IDLE), _MarkCursor)
    if mark is None:
        raise _unknown(field)
    values = msgspec.structs.astuple(mark)
    if any(
        not low <= value <= high for low, value, high in zip(_LOWEST, values, _HIGHEST, strict=True)
    ):
        raise _unknown(field)
    return Mark(
        mark.began,
        Position(mark.position),
        mark.revision,
        mark.number,
        mark.at,
        Position(mark.draft),
        mark.chunk,
    )


def _unknown(field: str) -> InvalidValueError:
    return InvalidValueError(
        field, "is not a cursor of these events; send the id of an event, or start for all of them"
    )
