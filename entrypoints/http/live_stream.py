"""An answer that goes on while there is something to tell, as server-sent events.

It waits in the hub and holds no connection of the database meanwhile. It ends when its source is
over, when it is older than `Pace.age`, when nothing has happened for `Pace.idle` seconds, when the
caller's token expires, and when the service stops.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any, Final, Protocol

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.domain.hub import Watch
from chatkeep.domain.ports import Clock
from chatkeep.entrypoints.http.server.ending import Ending, ending_of

EVENT_STREAM: Final = "text/event-stream"
HEARTBEAT: Final = 15.0
"""Seconds between comments, so that proxies do not take a quiet stream for a dead one."""

Headers = tuple[tuple[bytes, bytes], ...]

RECENT: Final = 60.0
"""A stream that had an event within these seconds may be too old; others may become idle first."""

_FIELDS: Final = (
    (b"content-type", EVENT_STREAM.encode()),
    (b"x-accel-buffering", b"no"),  # nginx would keep events until it has some kilobytes
)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long streams last, in seconds; an `idle` of 0 is for ever."""

    age: float = inf
    idle: float = 0


@dataclass(frozen=True, slots=True)
class StreamPart:
    """The text to send next.

    `more` means that others can be read at once, `is_over` that there will be no others. The source
    is read again at `due_at`, although nothing has woken it. `stored_at` is when the newest of it
    was stored, in microseconds since 1970; 0 if there is no such time.
    """

    text: bytes
    more: bool = False
    is_over: bool = False
    due_at: datetime | None = None
    stored_at: int = 0


class StreamSource(Protocol):
    """The parts of a stream, one after the other."""

    headers: Headers

    def watching(self) -> AbstractContextManager[Watch]:
        """Return a block in which the watch is woken when there may be something new."""
        ...

    async def read(self, watch: Watch) -> StreamPart:
        """Return the next part, and note in the watch what was read."""
        ...

    def opening(self) -> bytes:
        """Return what comes before the first part, after it was read."""
        ...

    def beat(self) -> bytes:
        """Return a comment for the time in which nothing happens."""
        ...

    def idle(self) -> bytes:
        """Return the end of a stream in which nothing has happened for long."""
        ...


class LiveStream(Response[None]):
    """A stream as the answer of a handler, for Litestar."""

    def __init__(self, streaming: "Streaming") -> None:
        super().__init__(None)
        self._streaming = streaming

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:  # noqa: ANN401 - Litestar's
        return self._streaming


class Streaming(ASGIResponse):
    """Sends what a source tells, until `seconds` from now at the latest.

    It reports `StreamPart.stored_at` of what it has sent to a reader who waited for it.
    """

    __slots__ = ("_age", "_clock", "_idle", "_is_gone", "_report", "_seconds", "_source")

    def __init__(
        self,
        source: StreamSource,
        pace: Pace,
        seconds: float,
        clock: Clock,
        report: Callable[[int], None],
    ) -> None:
        self._source = source
        self._age = pace.age * random.uniform(0.8, 1)  # noqa: S311 - jitter
        self._idle = pace.idle
        self._seconds = seconds
        self._clock = clock
        self._report = report
        self._is_gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ending = ending_of(scope)
        with self._source.watching() as watch:
            # An error before the first byte gets an ordinary problem response.
            part = await self._source.read(watch)
            headers = [*_FIELDS, *self._source.headers]
            start: Any = {"type": "http.response.start", "status": 200, "headers": headers}
            await send(start)
            listening = asyncio.create_task(self._listen(receive, watch))
            ending.add(watch.wake)
            try:
                await self._stream(part, watch, ending, send)
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

    async def _stream(self, part: StreamPart, watch: Watch, ending: Ending, send: Send) -> None:
        now = asyncio.get_running_loop().time
        old, expired = now() + self._age, now() + self._seconds
        text = self._source.opening()
        has_waited, said = False, now()
        while True:
            text += part.text
            if part.is_over:
                break
            if not text and now() - said >= HEARTBEAT:
                text = self._source.beat()
            if text:
                await send(_body(text))
                text, said = b"", now()
                if has_waited and part.stored_at:
                    self._report(part.stored_at)
            left = min(said + HEARTBEAT - now(), expired - now(), self._until_idle(watch))
            has_waited = not part.more
            is_woken = part.more or await watch.wait(
                max(0.0, min(left, self._until_due(part.due_at)))
            )
            last = self._last(watch, ending, old, expired)
            if last is not None:
                text = last
                break
            if not is_woken and self._until_due(part.due_at) > 0:
                part = StreamPart(b"", due_at=part.due_at)
                continue
            try:
                part = await self._source.read(watch)
            except StoreUnavailableError:  # the client comes back, and then gets an answer
                break
        await send(_body(text, more=False))

    def _last(self, watch: Watch, ending: Ending, old: float, expired: float) -> bytes | None:
        """Return what the stream ends with now; None if it goes on."""
        now = asyncio.get_running_loop().time()
        if self._is_gone or ending.has_begun or now >= expired:
            return b""
        if self._until_idle(watch) <= 0:
            return self._source.idle()
        return b"" if now >= old and watch.idle_seconds() < RECENT else None

    def _until_idle(self, watch: Watch) -> float:
        """Return for how many seconds nothing may happen before the stream ends for that."""
        return self._idle - watch.idle_seconds() if self._idle else inf

    def _until_due(self, at: datetime | None) -> float:
        return inf if at is None else (at - self._clock.now()).total_seconds()


def _body(text: bytes, *, more: bool = True) -> Any:  # noqa: ANN401 - one of ASGI's events
    return {"type": "http.response.body", "body": text, "more_body": more}
