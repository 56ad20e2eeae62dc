"""Follows the events of an application in this process, or of a service, as they are sent."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from litestar import Litestar


class Sent(NamedTuple):
    """One event as it was sent. An event without a type only has an id."""

    type: str
    id: str
    data: Any


class Reader:
    """Parses a stream as a browser does (WHATWG HTML, section 9.2.6)."""

    def __init__(self) -> None:
        self.commented = asyncio.Event()
        self.retry: int | None = None
        self.last_id = ""
        self._rest = ""

    def feed(self, text: str) -> list[Sent]:
        """Return the events that are complete now."""
        *blocks, self._rest = (self._rest + text).split("\n\n")
        return [sent for block in blocks if (sent := self._parse(block)) is not None]

    def _parse(self, block: str) -> Sent | None:
        kind, data = "", []
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match name:
                case "":
                    self.commented.set()
                case "event":
                    kind = value
                case "id":
                    self.last_id = value
                case "data":
                    data.append(value)
                case "retry":
                    self.retry = int(value)
        return Sent(kind, self.last_id, json.loads("\n".join(data))) if data else None


class Following:
    """A stream that is open. `ended` is set once its answer is complete."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.reader = Reader()
        self.ended = asyncio.Event()
        self.started = asyncio.Event()
        self.leave = asyncio.Event()
        self._events: asyncio.Queue[Sent] = asyncio.Queue()

    async def next(self) -> Sent:
        return await self._events.get()

    async def take(self, count: int) -> list[Sent]:
        return [await self.next() for _ in range(count)]

    def waiting(self) -> int:
        """Return how many events have come and were not taken."""
        return self._events.qsize()

    async def send(self, message: Any) -> None:  # noqa: ANN401 - one of ASGI's events
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self.started.set()
            return
        for sent in self.reader.feed(message.get("body", b"").decode()):
            self._events.put_nowait(sent)
        if not message.get("more_body", False):
            self.ended.set()


@asynccontextmanager
async def following(
    app: Litestar,
    url: str,
    headers: Mapping[str, str],
    **extra: Any,  # noqa: ANN401
) -> AsyncIterator[Following]:
    """Open a stream of the application, and yield it once it has answered."""
    stream = Following()
    parts = urlsplit(url)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "state": {},
        **extra,
    }
    is_sent = False

    async def receive() -> Any:  # noqa: ANN401 - one of ASGI's events
        nonlocal is_sent
        if not is_sent:
            is_sent = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await stream.leave.wait()
        return {"type": "http.disconnect"}

    serving = asyncio.create_task(cast("Any", app)(scope, receive, stream.send))
    serving.add_done_callback(lambda _: stream.started.set())
    await stream.started.wait()
    try:
        yield stream
    finally:
        stream.leave.set()
        await serving
