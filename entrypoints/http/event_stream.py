"""Server-sent events (WHATWG HTML, section 9.2): their stream, and what it is read from.

A stream ends so that the client comes back with the id of the last event. After `Pace.idle` seconds
without events it ends with `stream.idle`. A browser that then reconnects by itself is told not to
(204), so that a page that is left open keeps no database awake.
"""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

import msgspec

from chatkeep.domain.hub import Watch
from chatkeep.entrypoints.http.event_cursors import IDLE
from chatkeep.entrypoints.http.event_schemas import EventOut
from chatkeep.entrypoints.http.live_stream import Headers, StreamPart

RETRY_MS: Final = 1_000
"""How long a client waits before it reconnects."""

_BEAT: Final = b":\nid: %b\n\n"
"""With the cursor, since events that the reader does not want may have moved it."""

_IDLE: Final = b"event: stream.idle\nid: %b%b\ndata: {}\n\n"
_LINE_ENDS: Final = re.compile(rb"\r\n|\r|\n")
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Batch:
    """Events, each with the cursor of a reader who has read it, and the cursor after all of them.

    Some have no cursor: who breaks off behind one gets it again.
    `more` means that others can be read at once, `is_over` that there will be no others. The reader
    looks again at `due_at`, the deadline of the answer that is being written. `stored_at` is when
    the newest of them was stored (`events.newest_at`).
    """

    events: Sequence[tuple[str | None, EventOut]]
    cursor: str
    more: bool
    is_over: bool = False
    due_at: datetime | None = None
    stored_at: int = 0
    _text: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def text(self) -> bytes:
        """Return the events as they are sent: written once for all who share the batch."""
        if not self._text:
            self._text.append(b"".join(_write(cursor, event) for cursor, event in self.events))
        return self._text[0]


class EventSource(Protocol):
    """Reads events, one batch after the other."""

    def watching(self) -> AbstractContextManager[Watch]:
        """Return a block in which the watch is woken when there may be new events."""
        ...

    async def read(self, watch: Watch) -> Batch:
        """Return the next events, and note in the watch what was read."""
        ...


class EventText:
    """The events of a source as a `live_stream.StreamSource` sends them."""

    headers: Headers = ()

    def __init__(self, source: EventSource) -> None:
        self._source = source
        self._cursor = b""

    def watching(self) -> AbstractContextManager[Watch]:
        return self._source.watching()

    async def read(self, watch: Watch) -> StreamPart:
        batch = await self._source.read(watch)
        self._cursor = batch.cursor.encode()
        return StreamPart(batch.text(), batch.more, batch.is_over, batch.due_at, batch.stored_at)

    def opening(self) -> bytes:
        return b"retry: %d\nid: %b\n\n" % (RETRY_MS, self._cursor)

    def beat(self) -> bytes:
        return _BEAT % self._cursor

    def idle(self) -> bytes:
        return _IDLE % (self._cursor, IDLE.encode())


def _write(cursor: str | None, event: EventOut) -> bytes:
    # Content parts are kept as they were written, with line ends where JSON allows them.
    data = b"\ndata: ".join(_LINE_ENDS.split(_encode(event)))
    name = b"" if cursor is None else b"id: %b\n" % cursor.encode()
    return b"event: %b\n%bdata: %b\n\n" % (event.type.encode(), name, data)
