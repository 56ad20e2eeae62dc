"""Counts a program's statements and its round trips to Postgres.

A relay between the two reads the client's half of the protocol:
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

SOCKET: Final = ".s.PGSQL.5432"
_CHUNK: Final = 1 << 16
_LENGTH_BYTES: Final = 4
_ENCRYPTION_CODES: Final = frozenset({80877103, 80877104})  # SSLRequest, GSSENCRequest
_EXECUTE: Final = ord("E")
_SIMPLE_QUERY: Final = ord("Q")


@dataclass(slots=True)
class Wire:
    """The counts of all connections so far. A round trip is one wait for the server's response."""

    statements: int = 0
    round_trips: int = 0


@contextmanager
def open_relay(database_url: str) -> Iterator[tuple[str, Wire]]:
    """Yield the URL of a relay to a database on a Unix socket, and the relay's counters."""
    parts = urlsplit(database_url)
    [directory] = parse_qs(parts.query)["host"]
    wire = Wire()
    relay = _Relay(Path(directory) / SOCKET, wire)
    with (
        tempfile.TemporaryDirectory(prefix="wire-", dir="/tmp") as place,
        relay.listen(Path(place) / SOCKET),
    ):
        yield parts._replace(query=f"host={quote(place, safe='')}").geturl(), wire


class _Relay:
    """Listens in a separate thread."""

    def __init__(self, server: Path, wire: Wire) -> None:
        self._server = server
        self._wire = wire
        self._serving: set[asyncio.Task[None]] = set()

    @contextmanager
    def listen(self, place: Path) -> Iterator[None]:
        loop = asyncio.new_event_loop()
        ended = asyncio.Event()
        ready = Event()
        serving = self._serve_until(place, ready, ended)
        thread = Thread(target=loop.run_until_complete, args=(serving,))
        thread.start()
        ready.wait()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()
            loop.close()

    async def _serve_until(self, place: Path, ready: Event, ended: asyncio.Event) -> None:
        async with await asyncio.start_unix_server(self._accept, place):
            ready.set()
            await ended.wait()
        if self._serving:  # the programs have ended; their connections are about to
            await asyncio.wait(self._serving)

    def _accept(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(client, answer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        server, ask = await asyncio.open_unix_connection(self._server)
        counter = _Counter(self._wire)
        responses = asyncio.create_task(self._forward_responses(server, answer, counter))
        with contextlib.suppress(ConnectionError):
            while data := await client.read(_CHUNK):
                counter.count(data)
                ask.write(data)
                await ask.drain()
        ask.close()
        await responses

    async def _forward_responses(
        self, server: asyncio.StreamReader, answer: asyncio.StreamWriter, counter: "_Counter"
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await server.read(_CHUNK):
                counter.waiting = False
                answer.write(data)
                await answer.drain()
        answer.close()


class _Counter:
    """Counts on one connection. `waiting` is true from a client's message to the response."""

    def __init__(self, wire: Wire) -> None:
        self.waiting = False
        self._wire = wire
        self._received = b""
        self._started = False

    def count(self, data: bytes) -> None:
        if not self.waiting:
            self._wire.round_trips += 1
            self.waiting = True
        self._received += data
        while (size := self._find_message()) is not None:
            message, self._received = self._received[:size], self._received[size:]
            if not self._started:
                code = int.from_bytes(message[_LENGTH_BYTES : 2 * _LENGTH_BYTES])
                self._started = code not in _ENCRYPTION_CODES
            elif message[0] in (_EXECUTE, _SIMPLE_QUERY):
                self._wire.statements += 1

    def _find_message(self) -> int | None:
        """Return the size of the next message if it is complete. The very first has no type."""
        start = 1 if self._started else 0
        if len(self._received) < start + _LENGTH_BYTES:
            return None
        size = start + int.from_bytes(self._received[start : start + _LENGTH_BYTES])
        return size if len(self._received) >= size else None
