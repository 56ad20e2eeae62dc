"""Server-sent events: an answer that goes on while events come (WHATWG HTML, section 9.2).

It waits in the hub and holds no connection of the database meanwhile. It ends, so that the client
comes back with the id of the last event,

- when it is older than `Pace.age`, when the caller's token expires, and when the service stops;
- with an event `stream.idle` after `Pace.idle` seconds without other events. A browser that then
  reconnects by itself is told not to (204), so that a page that is left open keeps no database
  awake.
"""

import asyncio
import contextlib
import random
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import inf
from typing import Any, Final, Protocol

import msgspec
from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.domain.hub import Watch
from chatkeep.entrypoints.http.event_cursors import IDLE
from chatkeep.entrypoints.http.event_schemas import EventOut
from chatkeep.entrypoints.http.server.ending import Ending, ending_of

EVENT_STREAM: Final = "text/event-stream"
HEARTBEAT: Final = 10.0
"""Seconds between comments, so that proxies do not take a quiet stream for a dead one."""

RETRY_MS: Final = 1_000
"""How long a client waits before it reconnects."""

_FIELDS: Final = (
    (b"content-type", EVENT_STREAM.encode()),
    (b"x-accel-buffering", b"no"),  # nginx would keep events until it has some kilobytes
)
RECENT: Final = 60.0
"""A stream that had an event within these seconds may be too old; others may become idle first."""

_BEAT: Final = b":\nid: %b\n\n"
"""With the cursor, since events that the reader does not want may have moved it."""

_IDLE: Final = b"event: stream.idle\nid: %b%b\ndata: {}\n\n"
_LINE_ENDS: Final = re.compile(rb"\r\n|\r|\n")
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Pace:
    """How long streams last, in seconds; an `idle` of 0 is for ever."""

    age: float
    idle: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Events, each with the cursor of a reader who has read it, and the cursor after all of them.

    Some have no cursor: who breaks off behind one gets it again.
    `more` means that others can be read at once, `is_over` that there will be no others. While an
    answer `is_written`, the reader looks whether its producer is still there. `stored_at` is when
    the newest of them was stored (`events.newest_at`).
    """

    events: Sequence[tuple[str | None, EventOut]]
    cursor: str
    more: bool
    is_over: bool = False
    is_written: bool = False
    stored_at: int = 0


class EventSource(Protocol):
    """Reads events, one batch after the other."""

    def watching(self) -> AbstractContextManager[Watch]:
        """Return a block in which the watch is woken when there may be new events."""
        ...

    async def read(self, watch: Watch) -> Batch:
        """Return the next events, and note in the watch what was read."""
        ...


class EventStream(Response[None]):
    """Sends the events of a source. The stream ends after `seconds` at the latest.

    It reports `Batch.stored_at` of what it has sent to a reader who waited for it.
    """

    def __init__(
        self, source: EventSource, pace: Pace, seconds: float, report: Callable[[int], None]
    ) -> None:
        super().__init__(None)
        self._source = source
        self._pace = pace
        self._seconds = seconds
        self._report = report

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:  # noqa: ANN401 - Litestar's
        return _Streaming(self._source, self._pace, self._seconds, self._report)


class _Streaming(ASGIResponse):
    __slots__ = ("_age", "_idle", "_is_gone", "_report", "_seconds", "_source")

    def __init__(
        self, source: EventSource, pace: Pace, seconds: float, report: Callable[[int], None]
    ) -> None:
        self._source = source
        self._report = report
        self._age = pace.age * random.uniform(0.8, 1)  # noqa: S311 - jitter
        self._idle = pace.idle
        self._seconds = seconds
        self._is_gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ending = ending_of(scope)
        with self._source.watching() as watch:
            # An error before the first byte gets an ordinary problem response.
            batch = await self._source.read(watch)
            start: Any = {"type": "http.response.start", "status": 200, "headers": [*_FIELDS]}
            await send(start)
            listening = asyncio.create_task(self._listen(receive, watch))
            ending.add(watch.wake)
            try:
                await self._stream(batch, watch, ending, send)
            finally:
                ending.remove(watch.wake)
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening

    async def _listen(self, receive: Receive, watch: Watch) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        watch.wake()

    async def _stream(self, batch: Batch, watch: Watch, ending: Ending, send: Send) -> None:
        now = asyncio.get_running_loop().time
        old, expired = now() + self._age, now() + self._seconds
        text = b"retry: %d\nid: %b\n\n" % (RETRY_MS, batch.cursor.encode())
        has_waited, said = False, now()
        while True:
            text += b"".join(_write(cursor, event) for cursor, event in batch.events)
            if batch.is_over:
                break
            if not text and now() - said >= HEARTBEAT:
                text = _BEAT % batch.cursor.encode()
            if text:
                await send(_body(text))
                text, said = b"", now()
                self._report_lag(batch, has_waited=has_waited)
            left = min(said + HEARTBEAT - now(), expired - now(), self._until_idle(watch))
            has_waited = not batch.more
            is_woken = batch.more or await watch.wait(max(0.0, left))
            if self._is_gone or ending.has_begun or now() >= expired:
                break
            if self._until_idle(watch) <= 0:
                text = _IDLE % (batch.cursor.encode(), IDLE.encode())
                break
            if now() >= old and watch.idle_seconds() < RECENT:
                break
            if not (is_woken or batch.is_written):
                batch = Batch((), batch.cursor, more=False)
                continue
            try:
                batch = await self._source.read(watch)
            except StoreUnavailableError:  # the client comes back, and then gets an answer
                break
        await send(_body(text, more=False))

    def _report_lag(self, batch: Batch, *, has_waited: bool) -> None:
        if has_waited and batch.stored_at:
            self._report(batch.stored_at)

    def _until_idle(self, watch: Watch) -> float:
        """Return for how many seconds nothing may happen before the stream ends for that."""
        return self._idle - watch.idle_seconds() if self._idle else inf


def _body(text: bytes, *, more: bool = True) -> Any:  # noqa: ANN401 - one of ASGI's events
    return {"type": "http.response.body", "body": text, "more_body": more}


def _write(cursor: str | None, event: EventOut) -> bytes:
    # Content parts are kept as they were written, with line ends where JSON allows them.
    data = b"\ndata: ".join(_LINE_ENDS.split(_encode(event)))
    name = b"" if cursor is None else b"id: %b\n" % cursor.encode()
    return b"event: %b\n%bdata: %b\n\n" % (event.type.encode(), name, data)
