"""A relay in front of Postgres that does to connections what networks and proxies do."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Self
from urllib.parse import quote

from chatkeep.adapters.database_url import parse_database_url

CHUNK = 65_536

# https://www.postgresql.org/docs/current/protocol-message-formats.html
SSL_REQUEST = 80_877_103
GSS_REQUEST = 80_877_104
# After these a client waits for an answer: Sync, Flush, Query.
AWAITED = frozenset(b"SHQ")


class Relay:
    """Listens on a port of 127.0.0.1 and passes on what it gets.

    `delay` is in seconds, each way. `accepted` counts all connections so far, `open` has the
    current ones, and `most` is the largest number at a time. Each of `requests` is what a client
    sent before it waited for an answer, except to connect: one round trip. `swallowed` counts what
    clients sent on frozen connections. Clients may use TLS only with `tls`.
    """

    def __init__(self, database_url: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.delay = 0.0
        self.accepted = 0
        self.most = 0
        self.swallowed = 0
        self.open: set[Link] = set()
        self.requests: list[bytes] = []
        self.cuts: Callable[[bytes], bool] | None = None
        self.tls = tls
        self.port = 0
        self.upstream_url = database_url
        self._database = parse_database_url(database_url).connect_args
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._passes = asyncio.Event()
        self._passes.set()

    def url(self, *, user: str = "", password: str = "", params: str = "sslmode=disable") -> str:
        """Return the URL of the same database through this relay."""
        user = quote(user or self._database["user"], safe="")
        secret = f":{quote(password, safe='')}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{self._database['database']}?{params}"

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        self.go_on()
        self.reset()
        await asyncio.gather(*self._serving)

    async def accept(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse new connections."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def hold(self) -> None:
        """Accept new connections, but pass on nothing from them until `go_on`."""
        self._passes.clear()

    def go_on(self) -> None:
        self._passes.set()

    def freeze(self) -> None:
        """Pass on nothing more from the current connections, without closing them."""
        for link in self.open:
            link.frozen = True

    def reset(self) -> None:
        """Break all current connections."""
        for link in list(self.open):
            link.reset()

    def cut_when(self, condition: Callable[[bytes], bool] | None) -> None:
        """Break a connection after it sent such a request, and before it gets the answer.

        The server gets the request and answers it.
        """
        self.cuts = condition

    def cut_after(self, size: int) -> None:
        """Break each current connection after it has sent that many more bytes."""
        for link in self.open:
            link.allowance = size

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._relay(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = Link(self, reader, writer)
        self.open.add(link)
        self.most = max(self.most, len(self.open))
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._passes.wait()
                await link.run(*await self._upstream())
        finally:
            self.open.discard(link)
            link.reset()

    async def _upstream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._database["host"], self._database["port"]
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)


class _Frontend:
    """Finds the points in a client's messages at which it waits for an answer."""

    def __init__(self) -> None:
        self._rest = b""
        self._request = b""

    def requests(self, chunk: bytes) -> Iterator[bytes]:
        self._rest += chunk
        while len(self._rest) >= 5:
            size = 1 + int.from_bytes(self._rest[1:5])
            if len(self._rest) < size:
                return
            message, self._rest = self._rest[:size], self._rest[size:]
            self._request += message
            if message[0] in AWAITED:
                yield self._request
                self._request = b""


@dataclass(eq=False)
class Link:
    """A client's connection, and the connection to the server that was opened for it."""

    relay: Relay
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    upstream: asyncio.StreamWriter | None = None
    frozen: bool = False
    severed: bool = False
    allowance: int | None = None
    _client: _Frontend = field(default_factory=_Frontend)

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.upstream = writer
        opening = await self._opening()
        tasks = [
            asyncio.create_task(self._towards_server(opening, writer)),
            asyncio.create_task(self._towards_client(reader)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self.severed:  # let the server finish what it was sent
                await tasks[1]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def reset(self) -> None:
        for writer in (self.writer, self.upstream):
            if writer is not None:
                _break(writer)

    async def _opening(self) -> bytes:
        """Answer requests for encryption; return the first message of another kind."""
        while True:
            head = await self.reader.readexactly(8)
            size, code = struct.unpack("!II", head)
            if code not in {SSL_REQUEST, GSS_REQUEST}:
                return head + await self.reader.readexactly(size - 8)
            await asyncio.sleep(2 * self.relay.delay)
            tls = self.relay.tls if code == SSL_REQUEST else None
            self.writer.write(b"S" if tls else b"N")
            await self.writer.drain()
            if tls:
                await self._start_tls(tls)

    async def _start_tls(self, tls: ssl.SSLContext) -> None:
        transport = self.writer.transport
        # If the client rejects the certificate, asyncio fails because there is no transport.
        with suppress(AttributeError):
            await self.writer.start_tls(tls)
        if self.writer.transport is None:
            self.writer._transport = transport  # noqa: SLF001
            raise ConnectionAbortedError

    async def _towards_server(self, opening: bytes, writer: asyncio.StreamWriter) -> None:
        async with self._pass_on(writer) as send:
            send(opening)
            while chunk := await self.reader.read(CHUNK):
                requests = list(self._client.requests(chunk))
                if self.frozen:
                    self.relay.swallowed += len(requests)
                    continue
                self.relay.requests += requests
                if self.allowance is not None:
                    self.allowance -= len(chunk)
                    if self.allowance < 0:
                        send(chunk[: self.allowance])
                        break
                send(chunk)
                if self.relay.cuts and any(map(self.relay.cuts, requests)):
                    self.severed = True
                    _break(self.writer)
                    return

    async def _towards_client(self, reader: asyncio.StreamReader) -> None:
        async with self._pass_on(self.writer) as send:
            while chunk := await reader.read(CHUNK):
                if self.severed:
                    return
                if not self.frozen:
                    send(chunk)

    @asynccontextmanager
    async def _pass_on(
        self, writer: asyncio.StreamWriter
    ) -> AsyncIterator[Callable[[bytes], None]]:
        """Yield a function that writes a chunk after the delay; at the end, await all writes."""
        loop = asyncio.get_running_loop()
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def write() -> None:
            while True:
                at, chunk = await due.get()
                await asyncio.sleep(at - loop.time())
                if not self.frozen and not writer.is_closing():
                    writer.write(chunk)
                due.task_done()

        writing = asyncio.create_task(write())
        try:
            yield lambda chunk: due.put_nowait((loop.time() + self.relay.delay, chunk))
            await due.join()
        finally:
            writing.cancel()


def once(condition: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """Return a condition that holds only the first time."""
    held = False

    def holds(request: bytes) -> bool:
        nonlocal held
        held, found = held or condition(request), not held and condition(request)
        return found

    return holds


@dataclass
class Unlucky:
    """A condition that holds for some of the queries, at random, and counts them."""

    dice: Random
    share: float
    count: int = 0

    def __call__(self, request: bytes) -> bool:
        found = request[:1] == b"B" and self.dice.random() < self.share
        self.count += found
        return found


def _break(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None and not writer.is_closing() and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
