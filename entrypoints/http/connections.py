"""One connection, bounded in what may come in before there is a request that could be refused.

Neither uvicorn nor its parser bounds how large the head of a request grows, how long it takes, or
how many requests are queued on a connection. Whoever sends those need not have a token.
"""

import logging
from asyncio import TimerHandle, Transport
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

import httptools
import msgspec
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from entrypoints.http.observation import HEADERS, Request
from entrypoints.http.problems import PROBLEM_JSON, ProblemError
from entrypoints.logs import ACCESS

logger = logging.getLogger(ACCESS)

MAX_HEAD_BYTES: Final = 65_536
"""Of one request: its first line, headers and trailers. What comes in one read is let through."""

PATIENCE: Final = 30.0
"""For so many seconds a connection may bring nothing that becomes a request."""

LINGER: Final = 2.0
"""For so many seconds a client that was refused may go on sending before it is cut off."""

_encode = msgspec.json.Encoder().encode


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with these bounds and with problem details for what is no HTTP.

    It ignores requests to upgrade, as a server may (RFC 9110, section 7.8): some clients of HTTP/2
    make one with their first request. uvicorn's own ignores the body of that request as well.
    """

    _deadline: TimerHandle | None = None
    _in_head = False
    _head_bytes = 0
    _is_deaf = False
    _served: RequestResponseCycle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn's
        super().connection_made(transport)
        self.flow = _OneAtATime(transport, lambda: bool(self.pipeline))
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._served is not None:
            # uvicorn tells only the last of several requests, and writes the others' answers.
            self._served.disconnected = True
            self._served.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._unset_keepalive_if_required()
        self._head_bytes += len(data)
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = self._without_upgrade(data[upgrade.args[0] :])
            except httptools.HttpParserError:
                self._refuse(ProblemError(400, "malformed-request", "This is not HTTP/1.1."))
                return
        if self._head_bytes > MAX_HEAD_BYTES:
            detail = f"The head of the request is larger than {MAX_HEAD_BYTES} bytes."
            self._refuse(ProblemError(431, "head-too-large", detail))
        elif self._deadline is None and self._is_idle():
            self._await_request()

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        if self.parser.should_upgrade():
            return
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - uvicorn's own
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    def _without_upgrade(self, rest: bytes) -> bytes:
        """Return what to take instead of a request that asked for it; `rest` came after its head.

        Nothing, when it is refused.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(ProblemError(400, "malformed-request", "This is no proxy."))
            return b""
        head = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        head += [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([*head, b"", rest])

    def _is_idle(self) -> bool:
        """Whether no request is being served; the rest of an answered one may still come in."""
        return self.cycle is None or self.cycle.response_complete

    def _await_request(self) -> None:
        self._deadline = self.loop.call_later(PATIENCE, self._lose_patience)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _lose_patience(self) -> None:
        self._deadline = None
        if not self._is_idle() or self.transport.is_closing():
            return
        if self._in_head:
            detail = f"The head of the request was not complete after {PATIENCE:.0f} seconds."
            self._refuse(ProblemError(408, "too-slow", detail))
        else:
            self.transport.close()

    def _refuse(self, problem: ProblemError) -> None:
        """Answer, and close the connection; what came before in order is answered first."""
        if not self._is_idle() and not self.cycle.more_body:
            self.cycle.keep_alive = False
            self.cycle.transport = _Lingering(self.transport, self._hang_up)
            self._is_deaf = True
            return
        request_id = uuid4().hex
        logger.info(Request(request_id, "-", "-", problem.status, 0.0, 0, None))
        body = _encode(problem.problem())
        fields = [
            *self.server_state.default_headers,
            (b"content-type", PROBLEM_JSON.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *HEADERS,
            (b"x-request-id", request_id.encode()),
        ]
        head = [STATUS_LINE[problem.status], *(b"%b: %b\r\n" % field for field in fields)]
        self.transport.write(b"".join([*head, b"\r\n", body]))
        self._hang_up()

    def _hang_up(self) -> None:
        """Close our side of the connection, and the other one a little later.

        What still comes in is dropped; unread, it would have the system reset the connection, and
        the client would lose the answers that it has not read yet.
        """
        self._is_deaf = True
        self.transport.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)


class _Lingering(Transport):
    """What a request that is the last one has for a transport: its end is `hang_up`."""

    def __init__(self, transport: Transport, hang_up: Callable[[], None]) -> None:
        super().__init__()
        self._transport = transport
        self._hang_up = hang_up

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._hang_up()


class _OneAtATime(FlowControl):
    """Reads no further while requests that were sent in advance wait for their turn."""

    def __init__(self, transport: Transport, is_behind: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._is_behind = is_behind

    def resume_reading(self) -> None:
        if not self._is_behind():
            super().resume_reading()
