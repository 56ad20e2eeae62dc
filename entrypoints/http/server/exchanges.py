"""One request and its answer, between a connection and an ASGI application."""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast
from uuid import uuid4

import msgspec
from litestar.types import ASGIApp, HTTPScope, Message

from chatkeep.entrypoints.http.metrics.observation import HEADERS, NO_STORE, Request
from chatkeep.entrypoints.http.problems import PROBLEM_JSON, ProblemError, internal_error
from chatkeep.entrypoints.http.server.outlets import Outlet
from chatkeep.entrypoints.http.server.uvicorn_parts import Server
from chatkeep.entrypoints.logs import ACCESS

logger = logging.getLogger("chatkeep.http")
access_logger = logging.getLogger(ACCESS)

BODY_BYTES: Final = 65_536
"""So much of a body waits for the application; the connection is not read further meanwhile."""

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_WITHOUT_BODY: Final = frozenset({204, 304})
_encode = msgspec.json.Encoder().encode


class Exchange:
    """One request and its answer.

    Without a `scope` it is no request, and has to `fail`. `read_on` is called when there is room
    for more of its body.
    """

    def __init__(  # noqa: PLR0913 - what a connection knows of a request
        self,
        outlet: Outlet,
        scope: HTTPScope | None,
        *,
        server: Server,
        read_on: Callable[[], None] = lambda: None,
        keep_alive: bool = False,
        expects_continue: bool = False,
    ) -> None:
        self.keep_alive = keep_alive
        self.is_answered = False
        self._outlet = outlet
        self._server = server
        self._read_on = read_on
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
        # The answer.
        self._has_begun = False
        self._head = b""
        self._is_chunked = False
        self._has_no_body = False
        self._left: int | None = 0  # bytes of it that are still to come; None: nobody knows

    # What the connection calls.

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
        """Let the request end with this problem: there is no telling where its body ends.

        If it has not begun to be served it never is; else waiting for its body raises the problem.
        """
        self._problem = problem
        self.keep_alive = False
        self._wake()

    def abandon(self) -> None:
        """Let it come to an end without an answer: the client is gone."""
        self._is_gone = True
        self._wake()

    async def run(self, app: ASGIApp) -> None:
        """Return when the answer has been handed to the system, or cannot be any more."""
        if self._problem is not None or self._scope is None:
            await self._refuse(self._problem or internal_error())
            return
        try:
            await app(cast("Any", self._scope), self.receive, cast("Any", self.send))
        except asyncio.CancelledError:
            self._outlet.transport.abort()
            raise
        except Exception:
            logger.exception("the application failed")
        else:
            if self.is_answered or self._is_gone:
                return
            logger.error("the application gave no whole answer")
        if self._head or not self._has_begun:  # nothing of an answer has been sent
            await self._send_problem(internal_error(), uuid4().hex)
        elif not self.is_answered:
            self._break_off()

    # ASGI.

    async def receive(self) -> Any:  # noqa: ANN401 - ASGI's own
        """Return the next piece of the body, or that the client left, which may not come about.

        Raises `ProblemError` when the body breaks off or is malformed: an answer to give.
        """
        if self._expects_continue and not self._has_ended and not self._has_begun:
            self._expects_continue = False
            await self._outlet.write(_CONTINUE)
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
        self._read_on()
        self._is_body_taken = self._has_ended and not self._body
        return {"type": "http.request", "body": body, "more_body": not self._is_body_taken}

    async def send(self, message: Message) -> None:
        """Return when the system has taken it; a client that is gone gets nothing more."""
        if self._is_gone:
            return
        if message["type"] == "http.response.start" and not self._has_begun:
            self._begin(message["status"], [*message.get("headers", ())])
            if self._left is None:  # nobody knows when the first piece comes
                head, self._head = self._head, b""
                await self._outlet.write(head)
        elif message["type"] == "http.response.body" and self._has_begun and not self.is_answered:
            await self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"{message['type']} is out of order")

    def _begin(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """Make the head of the answer, and decide what tells its end (RFC 9112, section 6)."""
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
        method = self._scope["method"] if self._scope is not None else ""
        self._has_no_body = method == "HEAD" or status in _WITHOUT_BODY
        if self._has_no_body:
            self._left = 0
        elif self._left is None:
            self._is_chunked = self._scope is not None and self._scope["http_version"] == "1.1"
            if self._is_chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                self.keep_alive = False  # the end of the connection is that of the answer
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        self._head = b"".join([*lines, b"\r\n"])
        if self._head.count(b"\n") != len(lines) + 1:
            raise RuntimeError("a header has a line feed in it")

    async def _send_body(self, body: bytes, more: bool) -> None:  # noqa: FBT001 - ASGI's own
        if self._has_no_body:
            body = b""
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left > 0 and not more):
                raise RuntimeError("the answer is not as long as its Content-Length says")
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
        await self._outlet.write(*pieces)
        if not more:
            self._wake()

    async def _refuse(self, problem: ProblemError) -> None:
        """Answer what no application is to see."""
        request_id = uuid4().hex
        access_logger.info(Request(request_id, "-", "-", problem.status, 0.0, 0, None))
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
        """End an answer so that the client does not take it for whole."""
        self.keep_alive = False
        if self._is_chunked or self._left:
            self._outlet.transport.close()
        else:
            self._outlet.reset()

    def _wake(self) -> None:
        if self._event is not None:
            self._event.set()
