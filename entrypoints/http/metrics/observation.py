"""One log line and one measurement per request, and the headers that every response carries."""

import logging
import re
from collections.abc import Iterable
from os import urandom
from time import perf_counter
from typing import ClassVar, Final, Protocol

import msgspec
from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from chatkeep.entrypoints.http.metrics.request_metrics import Metrics
from chatkeep.entrypoints.http.security_headers import choose_headers
from chatkeep.entrypoints.logs import ACCESS, CURRENT_REQUEST, CurrentRequest, Pseudonyms

logger = logging.getLogger(ACCESS)

_REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")
_SLASHES: Final = re.compile("/{2,}")
# All other methods share one label: a client must not create unlimited time series.
_METHODS: Final = frozenset(HttpMethod)


class RequestLogLine(msgspec.Struct, frozen=True):
    """A line of the log. `queries` counts the statements sent; `user` is a salted hash."""

    event: ClassVar[str] = "request"

    request_id: str
    method: str
    route: str
    status: int
    duration_ms: float
    queries: int
    user: str | None

    def __str__(self) -> str:
        return (
            f"{self.request_id} {self.method} {self.route} {self.status} {self.duration_ms:.1f}ms "
            f"queries={self.queries} user={self.user or '-'}"
        )


class Span(Protocol):
    def end(self, method: str, route: str, status: int) -> None:
        """End the span with the outcome of the request. Called once, in the task that began it."""


class Tracing(Protocol):
    def begin(self, headers: Iterable[tuple[bytes, bytes]], request_id: str) -> Span:
        """Begin the span of a request. Until its end it is the parent of all new spans."""


class Observation:
    """Wraps the whole application, unknown paths included.

    Returns the request's `X-Request-ID`, or a new one. Logs the id, method, route, status, time,
    number of statements and a hash of the user, but nothing from bodies or tokens.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, who: Pseudonyms, tracing: Tracing | None = None
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._who = who
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request_id = _request_id(scope["headers"])
        under_way = CurrentRequest(request_id.decode())
        before = CURRENT_REQUEST.set(under_way)
        span = None
        if self._tracing is not None:
            span = self._tracing.begin(scope["headers"], under_way.id)
        if "//" in scope["path"]:  # routed like one slash, so it must get the same headers
            scope["path"] = _SLASHES.sub("/", scope["path"])
        fields = choose_headers(scope["path"])
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *fields, (b"x-request-id", request_id)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            seconds = perf_counter() - started
            route = scope.get("path_template") or "-"
            method = scope["method"] if scope["method"] in _METHODS else "-"
            self._metrics.record_request(method, route, status, seconds)
            if span is not None:
                span.end(method, route, status)
            if logger.isEnabledFor(logging.INFO):
                caller = scope.get("user")
                user_id = None if caller is None else caller.user_id
                logger.info(
                    RequestLogLine(
                        under_way.id,
                        method,
                        route,
                        status,
                        round(seconds * 1000, 1),
                        under_way.statements,
                        None if user_id is None else self._who(user_id),
                    )
                )
            CURRENT_REQUEST.reset(before)


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value
    return urandom(16).hex().encode()
