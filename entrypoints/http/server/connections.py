"""One HTTP connection: parses requests, answers them one after another, and bounds both.

Any client may connect, with or without a token. So the head of a request is bounded in size and
time, pipelined requests wait unparsed, and a client that stops reading is disconnected.
docs/decisions.md says why this replaces uvicorn's own protocol.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Final

import httptools
from litestar.types import ASGIApp

from chatkeep.entrypoints.http.problems import ProblemError
from chatkeep.entrypoints.http.server.deadlines import Deadline
from chatkeep.entrypoints.http.server.ending import ENDING, Ending
from chatkeep.entrypoints.http.server.exchanges import Exchange
from chatkeep.entrypoints.http.server.heads import RequestHead
from chatkeep.entrypoints.http.server.response_writer import ResponseWriter
from chatkeep.entrypoints.http.server.uvicorn_parts import Configuration, Server

MAX_HEAD_BYTES: Final = 65_536
"""Limit for a request's first line, headers and trailers, checked after each `SLICE_BYTES`."""

SLICE_BYTES: Final = 16_384
"""How much is parsed at a time. Parsing cannot stop within a slice."""


class Connection(asyncio.Protocol):
    """Serves HTTP/1.1 and 1.0 over one connection; pass the class to uvicorn as `http=`.

    It ignores upgrade requests, as a server may (RFC 9110, section 7.8): some HTTP/2 clients send
    one with their first request. It drops trailers (RFC 9110, section 6.5.1). It still serves a
    client that has closed its own side.
    """

    request_timeout = 30.0
    """Seconds until the head of the next request must be complete."""

    write_timeout = 30.0
    """Seconds that a client may read nothing of its response."""

    linger_timeout = 2.0
    """Seconds that a refused client may go on sending before the connection is aborted."""

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
        self._writer: ResponseWriter

        # Input.
        self._parser = httptools.HttpRequestParser(self)
        self._unparsed = b""
        self._head: RequestHead | None = None
        self._head_bytes = 0
        self._receiving: Exchange | None = None  # the one whose body has not ended
        self._is_paused = False
        self._is_last = False  # no request is accepted after the one being received
        self._ignores_input = False
        self._has_dropped = False  # whether input was ignored

        # Output. The first exchange of the queue is being answered.
        self._queue: deque[Exchange] = deque()
        self._is_serving = False

        self._ending = Ending()
        self._deadline = Deadline(self._loop, self._time_out)
        self._is_idle = False  # after a response, until new input

    # Called by the event loop.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # a stream always has one
        self.transport = transport
        self._writer = ResponseWriter(transport, self.write_timeout)
        self._addresses = (_address(transport, "peername"), _address(transport, "sockname"))
        self.server.connections.add(self)
        self._deadline.set(self.request_timeout)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own
        self.server.connections.discard(self)
        self._ignores_input = True
        self._unparsed = b""
        self._receiving = None
        for exchange in self._queue:
            exchange.abandon()
        self._writer.resume()
        self._deadline.close()

    def eof_received(self) -> bool:
        """Return whether to keep the connection: a client may close its side after its requests."""
        if self._receiving is not None:
            self._refuse(ProblemError(400, "malformed-request", "The body ended too early."))
        self._ignores_input = True
        if not self._queue:
            return False
        self._queue[-1].keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        if self._ignores_input:
            self._has_dropped = True
            return
        if self._is_idle:
            self._is_idle = False
            self._deadline.set(self.request_timeout)
        self._unparsed += data
        self._parse()

    def pause_writing(self) -> None:
        self._writer.pause()

    def resume_writing(self) -> None:
        self._writer.resume()

    # Called by uvicorn.

    def shutdown(self) -> None:
        """Answer the accepted requests, then close. Streams of events end at once."""
        self._ending.begin()
        if not self._queue:
            self.transport.close()
            return
        self._queue[-1].keep_alive = False
        self._is_last = True
        self._ignores_input = self._receiving is None
        self._has_dropped = self._has_dropped or len(self._unparsed) > 0

    # Called by the parser.

    def on_message_begin(self) -> None:
        self._head = RequestHead()

    def on_url(self, url: bytes) -> None:
        if self._head is not None:
            self._head.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is not None:  # otherwise it is a trailer
            self._head.add(name, value)

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        head = self._head
        if head is None or self._ignores_input or self._parser.should_upgrade():
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
        scope[ENDING] = self._ending  # type: ignore[typeddict-unknown-key] # ASGI allows extra keys
        exchange = Exchange(
            self._writer,
            scope,
            server=self.server,
            resume_reading=self.resume_reading,
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
        self._ignores_input = self._ignores_input or self._is_last

    # Input.

    def _parse(self) -> None:
        """Parse the input, but stop while a request or a body waits for its turn."""
        rest = memoryview(self._unparsed)
        while rest and not self._ignores_input and not self._is_behind():
            piece, rest = rest[:SLICE_BYTES], rest[SLICE_BYTES:]
            self._feed(piece)
        self._has_dropped = self._has_dropped or (self._ignores_input and len(rest) > 0)
        self._unparsed = b"" if self._ignores_input else bytes(rest)
        self._pause_reading(paused=len(self._unparsed) > 0)

    def _feed(self, data: memoryview | bytes) -> None:
        self._head_bytes += len(data)
        while data:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = self._drop_upgrade(bytes(data[upgrade.args[0] :]))
            except httptools.HttpParserError:
                self._refuse(ProblemError(400, "malformed-request", "This is not HTTP/1.1."))
                return
        if self._head_bytes > MAX_HEAD_BYTES:
            detail = f"The head of the request is larger than {MAX_HEAD_BYTES} bytes."
            self._refuse(ProblemError(431, "head-too-large", detail))

    def _drop_upgrade(self, rest: bytes) -> bytes:
        """Return the request without its `Upgrade` header, to be parsed again.

        `rest` is the input after its head. Returns b"" if the request is refused.
        """
        head = self._head
        method = self._parser.get_method()
        if head is None or method == b"CONNECT":
            self._refuse(ProblemError(400, "malformed-request", "This service is not a proxy."))
            return b""
        lines = [b"%b %b HTTP/%b" % (method, head.url, self._parser.get_http_version().encode())]
        lines += [b"%b: %b" % field for field in head.fields if field[0] != b"upgrade"]
        self._parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([*lines, b"", rest])

    def _is_behind(self) -> bool:
        return len(self._queue) > 1 or (self._receiving is not None and self._receiving.is_full())

    def resume_reading(self) -> None:
        """Continue to read after a waiting request or body has been taken."""
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
        """Ignore all further input, and answer with the problem when its turn comes.

        If a body is being received, the problem answers that request.
        """
        if self._ignores_input:
            return
        self._ignores_input = self._has_dropped = True
        exchange, self._receiving = self._receiving, None
        if exchange is None:
            exchange = Exchange(self._writer, None, server=self.server)
            exchange.fail(problem)
            self._enqueue(exchange)
        elif exchange.is_answered:
            self._hang_up()
        else:
            exchange.fail(problem)

    # Output.

    def _enqueue(self, exchange: Exchange) -> None:
        self._deadline.cancel()
        self._queue.append(exchange)
        if not self._is_serving:
            self._is_serving = True
            task = self._loop.create_task(self._serve())
            self.server.tasks.add(task)
            task.add_done_callback(self.server.tasks.discard)

    async def _serve(self) -> None:
        """Answer the queued requests one after another."""
        try:
            while self._queue and not self.transport.is_closing():
                exchange = self._queue[0]
                await exchange.run(self._app)
                self.server.total_requests += 1
                self._queue.popleft()
                if not exchange.keep_alive:
                    self._end()
                    return
                self.resume_reading()
                if self._queue:
                    await asyncio.sleep(0)  # let other connections take their turn
        finally:
            self._is_serving = False
        self._is_idle = self._receiving is None and self._head is None
        self._deadline.set(self._keep_alive if self._is_idle else self.request_timeout)

    def _end(self) -> None:
        self._queue.clear()
        if self._receiving is not None or self._has_dropped:
            self._hang_up()
        else:
            self.transport.close()

    def _hang_up(self) -> None:
        """Close our side of the connection, and the other side `linger_timeout` later.

        Meanwhile input is read and dropped. If it stayed unread, the operating system would reset
        the connection, and the client would lose responses that it has not read yet.
        """
        self._ignores_input = True
        self._unparsed = b""
        if self.transport.is_closing():
            return
        self._pause_reading(paused=False)
        with suppress(OSError):  # the client has reset the connection
            self.transport.write_eof()
        self._deadline.cancel()
        self._loop.call_later(self.linger_timeout, self.transport.abort)

    def _time_out(self) -> None:
        if self.transport.is_closing():
            return
        if self._head is not None and self._receiving is None:
            seconds = f"{self.request_timeout:g} seconds"
            detail = f"The head of the request was not complete after {seconds}."
            self._refuse(ProblemError(408, "too-slow", detail))
        else:
            self.transport.close()


def _address(transport: asyncio.BaseTransport, which: str) -> tuple[str, int] | None:
    address = transport.get_extra_info(which)
    return address[:2] if isinstance(address, tuple) else None
