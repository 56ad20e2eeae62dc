"""One connection: takes requests apart, answers them one after another, and bounds both.

Whoever connects need not have a token. So the head of a request is bounded in size and time, a
rest of requests that were sent in advance waits unparsed, and a reader that takes nothing is cut
off. docs/decisions.md says why this is not uvicorn's own.
"""

import asyncio
from collections import deque
from typing import Any, Final

import httptools
from litestar.types import ASGIApp

from chatkeep.entrypoints.http.problems import ProblemError
from chatkeep.entrypoints.http.server.deadlines import Deadline
from chatkeep.entrypoints.http.server.exchanges import Exchange
from chatkeep.entrypoints.http.server.heads import Head
from chatkeep.entrypoints.http.server.outlets import Outlet
from chatkeep.entrypoints.http.server.uvicorn_parts import Configuration, Server

MAX_HEAD_BYTES: Final = 65_536
"""Of one request: its first line, headers and trailers; up to `SLICE_BYTES` more get through."""

SLICE_BYTES: Final = 16_384
"""So much is parsed at a time: what is in it cannot be left for later."""


class Connection(asyncio.Protocol):
    """Serves HTTP/1.1 and 1.0 over one connection; give the class to uvicorn as `http=`.

    It ignores requests to upgrade, as a server may (RFC 9110, section 7.8): some clients of HTTP/2
    make one with their first request. It drops trailers (RFC 9110, section 6.5.1). It serves a
    client that has closed its own side.
    """

    patience = 30.0
    """For so many seconds a connection may bring nothing that becomes a request."""

    stall = 30.0
    """For so many seconds a client may take nothing of its answer."""

    linger = 2.0
    """For so many seconds a client that was refused may go on sending before it is cut off."""

    def __init__(
        self,
        config: Configuration,
        server_state: Server,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._app: ASGIApp = config.loaded_app
        self._root_path = config.root_path
        self._keep_alive = config.timeout_keep_alive
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self.server = server_state
        self.transport: asyncio.Transport
        self._outlet: Outlet

        # What comes in.
        self._parser = httptools.HttpRequestParser(self)
        self._unparsed = b""
        self._head: Head | None = None
        self._head_bytes = 0
        self._receiving: Exchange | None = None  # the one whose body has not ended
        self._is_paused = False
        self._is_last = False  # no request is taken after the one that is being received
        self._is_deaf = False  # what comes in is dropped
        self._has_dropped = False

        # What goes out. The first of the queue is being answered.
        self._queue: deque[Exchange] = deque()
        self._is_serving = False

        self._deadline = Deadline(self._loop, self._run_out_of_patience)
        self._is_resting = False  # after an answer, until something comes in

    # What the event loop calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # what a stream has
        self.transport = transport
        self._outlet = Outlet(transport, self.stall)
        self._addresses = (_address(transport, "peername"), _address(transport, "sockname"))
        self.server.connections.add(self)
        self._deadline.set(self.patience)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own
        self.server.connections.discard(self)
        self._is_deaf = True
        self._unparsed = b""
        self._receiving = None
        for exchange in self._queue:
            exchange.abandon()
        self._outlet.resume()
        self._deadline.close()

    def eof_received(self) -> bool:
        """Return whether to go on answering: a client may close its own side when it has asked."""
        if self._receiving is not None:
            self._refuse(ProblemError(400, "malformed-request", "The body ended too early."))
        self._is_deaf = True
        if not self._queue:
            return False
        self._queue[-1].keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            self._has_dropped = True
            return
        if self._is_resting:
            self._is_resting = False
            self._deadline.set(self.patience)
        self._unparsed += data
        self._parse()

    def pause_writing(self) -> None:
        self._outlet.pause()

    def resume_writing(self) -> None:
        self._outlet.resume()

    # What uvicorn calls.

    def shutdown(self) -> None:
        """Answer what was accepted, and close."""
        if not self._queue:
            self.transport.close()
            return
        self._queue[-1].keep_alive = False
        self._is_last = True
        self._is_deaf = self._receiving is None
        self._has_dropped = self._has_dropped or len(self._unparsed) > 0

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._head = Head()

    def on_url(self, url: bytes) -> None:
        if self._head is not None:
            self._head.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is not None:  # else it is a trailer
            self._head.add(name, value)

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        head = self._head
        if head is None or self._is_deaf or self._parser.should_upgrade():
            return
        self._head = None
        try:
            scope = head.scope(
                self._parser.get_method(), self._parser.get_http_version(), self._root_path
            )
        except ProblemError as problem:
            self._refuse(problem)
            return
        scope["client"], scope["server"] = self._addresses
        scope["state"] = self._app_state.copy()
        exchange = Exchange(
            self._outlet,
            scope,
            server=self.server,
            read_on=self.read_on,
            keep_alive=scope["http_version"] == "1.1" and self._parser.should_keep_alive(),
            expects_continue=head.expects_continue and scope["http_version"] == "1.1",
        )
        self._is_last = not exchange.keep_alive
        self._receiving = exchange
        self._enqueue(exchange)

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if self._receiving is not None:
            self._receiving.feed(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        if self._parser.should_upgrade() or self._receiving is None:
            return
        self._receiving.feed_end()
        self._receiving = None
        self._is_deaf = self._is_deaf or self._is_last

    # What comes in.

    def _parse(self) -> None:
        """Parse what has come, but no further while there is something that waits for its turn."""
        rest = memoryview(self._unparsed)
        while rest and not self._is_deaf and not self._is_behind():
            piece, rest = rest[:SLICE_BYTES], rest[SLICE_BYTES:]
            self._feed(piece)
        self._has_dropped = self._has_dropped or (self._is_deaf and len(rest) > 0)
        self._unparsed = b"" if self._is_deaf else bytes(rest)
        self._pause_reading(paused=len(self._unparsed) > 0)

    def _feed(self, data: memoryview | bytes) -> None:
        self._head_bytes += len(data)
        while data:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade(bytes(data[upgrade.args[0] :]))
            except httptools.HttpParserError:
                self._refuse(ProblemError(400, "malformed-request", "This is not HTTP/1.1."))
                return
        if self._head_bytes > MAX_HEAD_BYTES:
            detail = f"The head of the request is larger than {MAX_HEAD_BYTES} bytes."
            self._refuse(ProblemError(431, "head-too-large", detail))

    def _without_upgrade(self, rest: bytes) -> bytes:
        """Return what to take instead of a request that asked for it; `rest` came after its head.

        Nothing, when it is refused.
        """
        head = self._head
        method = self._parser.get_method()
        if head is None or method == b"CONNECT":
            self._refuse(ProblemError(400, "malformed-request", "This is no proxy."))
            return b""
        lines = [b"%b %b HTTP/%b" % (method, head.url, self._parser.get_http_version().encode())]
        lines += [b"%b: %b" % field for field in head.fields if field[0] != b"upgrade"]
        self._parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([*lines, b"", rest])

    def _is_behind(self) -> bool:
        return len(self._queue) > 1 or (self._receiving is not None and self._receiving.is_full())

    def read_on(self) -> None:
        """Go on reading, after something that waited has been taken."""
        if self._is_paused:
            self._parse()

    def _pause_reading(self, *, paused: bool) -> None:
        if paused != self._is_paused and not self.transport.is_closing():
            self._is_paused = paused
            if paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def _refuse(self, problem: ProblemError) -> None:
        """Take nothing more from this client; answer with the problem when it is its turn.

        A request whose body is broken off is the one that is answered so.
        """
        if self._is_deaf:
            return
        self._is_deaf = self._has_dropped = True
        exchange, self._receiving = self._receiving, None
        if exchange is None:
            exchange = Exchange(self._outlet, None, server=self.server)
            exchange.fail(problem)
            self._enqueue(exchange)
        elif exchange.is_answered:
            self._hang_up()
        else:
            exchange.fail(problem)

    # What goes out.

    def _enqueue(self, exchange: Exchange) -> None:
        self._deadline.call_off()
        self._queue.append(exchange)
        if not self._is_serving:
            self._is_serving = True
            task = self._loop.create_task(self._serve())
            self.server.tasks.add(task)
            task.add_done_callback(self.server.tasks.discard)

    async def _serve(self) -> None:
        """Answer one request after another, until there is none."""
        try:
            while self._queue and not self.transport.is_closing():
                exchange = self._queue[0]
                await exchange.run(self._app)
                self.server.total_requests += 1
                self._queue.popleft()
                if not exchange.keep_alive:
                    self._end()
                    return
                self.read_on()
                if self._queue:
                    await asyncio.sleep(0)  # others have their turn, too
        finally:
            self._is_serving = False
        self._is_resting = self._receiving is None and self._head is None
        self._deadline.set(self._keep_alive if self._is_resting else self.patience)

    def _end(self) -> None:
        self._queue.clear()
        if self._receiving is not None or self._has_dropped:
            self._hang_up()
        else:
            self.transport.close()

    def _hang_up(self) -> None:
        """Close our side of the connection, and the other one a little later.

        What still comes in is dropped; unread, it would have the system reset the connection, and
        the client would lose the answers that it has not read yet.
        """
        self._is_deaf = True
        self._unparsed = b""
        if self.transport.is_closing():
            return
        self._pause_reading(paused=False)
        self.transport.write_eof()
        self._deadline.call_off()
        self._loop.call_later(self.linger, self.transport.abort)

    def _run_out_of_patience(self) -> None:
        if self.transport.is_closing():
            return
        if self._head is not None and self._receiving is None:
            detail = f"The head of the request was not complete after {self.patience:g} seconds."
            self._refuse(ProblemError(408, "too-slow", detail))
        else:
            self.transport.close()


def _address(transport: asyncio.BaseTransport, which: str) -> tuple[str, int] | None:
    address = transport.get_extra_info(which)
    return address[:2] if isinstance(address, tuple) else None
