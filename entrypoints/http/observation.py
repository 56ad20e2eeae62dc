"""One log line and one measurement a request, and what every answer carries."""

import logging
import re
from collections.abc import Iterable
from time import perf_counter
from typing import Final
from uuid import uuid4

from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.metrics import Metrics

logger = logging.getLogger("chatkeep.access")

_REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")
HEADERS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
_PAGE_POLICY: Final = (
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
_HEADERS_OF_PAGE: Final = [*HEADERS[:-1], (b"content-security-policy", _PAGE_POLICY)]
_PAGE: Final = "/docs"
_NO_STORE: Final = (b"cache-control", b"no-store")
# Any other word a client makes up counts as one: a metric has few labels.
_METHODS: Final = frozenset(HttpMethod)


class Observation:
    """Wraps the whole application, unknown paths included.

    `X-Request-ID` is taken from the request, or made, and returned. A line says the id, method,
    route, status and time: nothing of bodies, tokens or users.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        request_id = _request_id(scope["headers"])
        private = scope["path"].startswith(("/v1/", "/openai/"))
        fields = _HEADERS_OF_PAGE if scope["path"].rstrip("/") == _PAGE else HEADERS
        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], *fields, (b"x-request-id", request_id)]
                if private:
                    headers.append(_NO_STORE)
                message["headers"] = headers
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        finally:
            seconds = perf_counter() - started
            route = scope.get("path_template") or "-"
            method = scope["method"] if scope["method"] in _METHODS else "-"
            self._metrics.request(method, route, status, seconds)
            if logger.isEnabledFor(logging.INFO):
                logger.info(
                    "%s %s %s %d %.1fms",
                    request_id.decode(),
                    method,
                    route,
                    status,
                    seconds * 1000,
                )


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value
    return uuid4().hex.encode()
