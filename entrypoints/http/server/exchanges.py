"""One request and its response, between a connection and an ASGI application."""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast
from uuid import uuid4

import msgspec
from litestar.types import ASGIApp, HTTPScope, Message

from chatkeep.entrypoints.http.metrics.observation import RequestLogLine
from chatkeep.entrypoints.http.problems import PROBLEM_JSON, ProblemError, internal_error
from chatkeep.entrypoints.http.security_headers import HEADERS, NO_STORE
from chatkeep.entrypoints.http.server.response_writer import ResponseWriter
from chatkeep.entrypoints.http.server.uvicorn_parts import Server
from chatkeep.entrypoints.logs import ACCESS

logger = logging.getLogger("chatkeep.http")
access_logger = logging.getLogger(ACCESS)

BODY_BYTES: Final = 65_536
"""How much of a body is buffered for the application before reading from the client pauses."""

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_WITHOUT_BODY: Final = frozenset({204, 304})
_encode = msgspec.json.Encoder().encode


class Exchange:
    """One request and its response.

    Without a `scope` the request could not be parsed, and the caller must call `fail`.
    `resume_reading` is called when there is room for more of the body.
    """

    def __init__(  # noqa: PLR0913 - what a connection knows about a request
        self,
        writer: ResponseWriter,
        scope: HTTPScope | None,
        *,
        server: Server,
        resume_reading: Callable[[], None] = lambda: None,
        keep_alive: bool = False,
        expects_continue: bool = False,
    ) -> None:
        self.keep_alive = keep_alive
        self.is_answered = False
        self._writer = writer
        self._server = server
        self._resume_reading = resume_reading
        self._scope = scope
        self._problem: ProblemError | None = None
        self._event: asyncio.Event | None = None
        self._is_gone = False
        # The body of the request.
        self._expects_continue = expects_continue
        self._body: list[bytes] = []
        self._size = 0
        self._has_ended = False
        self._is_body_taken = False
        # The response.
        self._has_begun = False
        self._head = b""
        self._is_chunked = False
        self._has_no_body = False
        self._left: int | None = 0  # bytes of its body still to be sent; None: unknown

    # Called by the connection.

    def feed(self, body: bytes) -> None:
        if not self.is_answered:
            self._body.append(body)
            self._size += len(body)
            self._wake()

    def feed_end(self) -> None:
        self._has_ended = True
        self._wake()

    def is_full(self) -> bool:
        return self._size > BODY_BYTES

    def fail(self, problem: ProblemError) -> None:
        """End the request with this problem: the end of its body is unknown.

        If the application has not been called yet, it is not called; otherwise `receive` raises the
        problem.
        """
        self._problem = problem
        self.keep_alive = False
        self._wake()

    def abandon(self) -> None:
        """End the request without a response: the client has disconnected."""
        self._is_gone = True
        self._wake()

    async def run(self, app: ASGIApp) -> None:
        """Return when the response has been handed to the operating system, or cannot be."""
        if self._problem is not None or self._scope is None:
            await self._refuse(self._problem or internal_error())
            return
        try:
            await app(cast("Any", self._scope), self.receive, cast("Any", self.send))
        except asyncio.CancelledError:
            self._writer.transport.abort()
            raise
        except Exception:
            logger.exception("the application failed")
        else:
            if self.is_answered or self._is_gone:
                return
            logger.error("the application did not send a complete response")
        if self._head or not self._has_begun:  # no part of a response has been sent
            await self._send_problem(internal_error(), uuid4().hex)
        elif not self.is_answered:
            self._break_off()

    # ASGI.

    async def receive(self) -> Any:  # noqa: ANN401 - ASGI's own
        """Return the next piece of the body, or wait until the client disconnects.

        Raises `ProblemError` if the body is incomplete or malformed; it is to be the response.
        """
        if self._expects_continue and not self._has_ended and not self._has_begun:
            self._expects_continue = False
            await self._writer.write(_CONTINUE)
        while True:
            if self._is_gone or self.is_answered:
                return {"type": "http.disconnect"}
            if self._problem is not None:
                raise self._problem
            if not self._is_body_taken and (self._body or self._has_ended):
                break
            self._event = asyncio.Event()
            await self._event.wait()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        self._size = 0
        self._resume_reading()
        self._is_body_taken = self._has_ended and not self._body
        return {"type": "http.request", "body": body, "more_body": not self._is_body_taken}

    async def send(self, message: Message) -> None:
        """Return when the operating system has taken the message; drop it if the client is gone."""
        if self._is_gone:
            return
        if message["type"] == "http.response.start" and not self._has_begun:
            self._begin(message["status"], [*message.get("headers", ())])
            if self._left is None:  # the first piece of the body may come much later
                head, self._head = self._head, b""
                await self._writer.write(head)
        elif message["type"] == "http.response.body" and self._has_begun and not self.is_answered:
            await self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"{message['type']} is out of order")

    def _begin(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """Build the head of the response, and choose its framing (RFC 9112, section 6)."""
        self._has_begun = True
        self._expects_continue = False
        self._left = None
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        for name, value in (*self._server.default_headers, *fields):
            lowered = name.lower()
            if lowered == b"content-length":
                self._left = int(value)
            elif lowered == b"connection":
                self.keep_alive = self.keep_alive and value.lower() != b"close"
                continue
            lines.append(b"%b: %b\r\n" % (lowered, value))
        if not self._has_ended and self._has_body_without_length():
            # Most clients read no answer before they have sent their body: it may take long.
            self.keep_alive = False
        method = self._scope["method"] if self._scope is not None else ""
        self._has_no_body = method == "HEAD" or status in _WITHOUT_BODY
        if self._has_no_body:
            self._left = 0
        elif self._left is None:
            self._is_chunked = self._scope is not None and self._scope["http_version"] == "1.1"
            if self._is_chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                self.keep_alive = False  # closing the connection ends the response
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        self._head = b"".join([*lines, b"\r\n"])
        if self._head.count(b"\n") != len(lines) + 1:
            raise RuntimeError("a header contains a line feed")

    def _has_body_without_length(self) -> bool:
        fields = self._scope["headers"] if self._scope is not None else ()
        return any(name == b"transfer-encoding" for name, _ in fields)

    async def _send_body(self, body: bytes, more: bool) -> None:  # noqa: FBT001 - ASGI's own
        if self._has_no_body:
            body = b""
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left > 0 and not more):
                raise RuntimeError("the response's length differs from its Content-Length")
        pieces = [self._head] if self._head else []
        self._head = b""
        if body:
            pieces += [b"%x\r\n" % len(body), body, b"\r\n"] if self._is_chunked else [body]
        if not more:
            if self._is_chunked:
                pieces.append(b"0\r\n\r\n")
            self.is_answered = True
            self._body = []
            self._size = 0
        await self._writer.write(*pieces)
        if not more:
            self._wake()

    async def _refuse(self, problem: ProblemError) -> None:
        """Answer a request that does not reach the application."""
        request_id = uuid4().hex
        access_logger.info(RequestLogLine(request_id, "-", "-", problem.status, 0.0, 0, None))
        await self._send_problem(problem, request_id)

    async def _send_problem(self, problem: ProblemError, request_id: str) -> None:
        self.keep_alive = False
        body = _encode(problem.problem())
        fields = [
            (b"content-type", PROBLEM_JSON.encode()),
            (b"content-length", b"%d" % len(body)),
            *HEADERS,
            NO_STORE,
            (b"x-request-id", request_id.encode()),
        ]
        self._begin(problem.status, fields)
        await self._send_body(body, more=False)

    def _break_off(self) -> None:
        """End a response so that the client notices that it is incomplete."""
        self.keep_alive = False
        if self._is_chunked or self._left:
            self._writer.transport.close()
        else:
            self._writer.reset()

    def _wake(self) -> None:
        if self._event is not None:
            self._event.set()
