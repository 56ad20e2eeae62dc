"""CORS: which web pages of other origins may call, and with which methods."""

from collections.abc import Awaitable
from typing import Any, Final

import msgspec
from litestar.config.cors import CORSConfig
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Method, Receive, Scope, Send

from chatkeep.entrypoints.http.problems import PROBLEM_JSON, ProblemError
from chatkeep.entrypoints.http.validation import shorten
from chatkeep.entrypoints.settings import Settings, variable

_METHODS: Final[list[Method]] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_EXPOSED: Final = (
    "Chatkeep-Warning",
    "Content-Disposition",
    "ETag",
    "RateLimit",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
    "X-Should-Retry",
)


def configure_cors(settings: Settings) -> CORSConfig | None:
    """Return the configuration for the origins in the settings; None if there are none.

    A page may send any header: SDKs send their own (`X-Stainless-*`), and no header but the token
    grants access. Unlike a cookie, a browser never adds a token by itself.
    """
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_methods=[*_METHODS],
        allow_headers=["*"],
        expose_headers=list(_EXPOSED),
    )


class PreflightExplainer:
    """Explains in the response why a preflight request is refused; Litestar does not."""

    def __init__(self, app: ASGIApp, config: CORSConfig) -> None:
        self._app = app
        self._config = config

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == ScopeType.HTTP and scope["method"] == "OPTIONS":
            problem = self._find_problem(dict(scope["headers"]))
            if problem is not None:
                return _send_problem(problem, send)
        return self._app(scope, receive, send)

    def _find_problem(self, headers: dict[bytes, bytes]) -> ProblemError | None:
        origin = headers.get(b"origin")
        if origin is None:
            return None
        name = origin.decode("latin-1")
        if not self._config.is_origin_allowed(name):
            setting = variable("cors_origins")
            others = f"{setting} lists the origins that may"
            detail = f"Pages of {shorten(name)} may not call this service; {others}."
            return ProblemError(400, "origin-not-allowed", detail)
        method = headers.get(b"access-control-request-method", b"GET").decode("latin-1")
        if method not in _METHODS:
            detail = f"Pages may not use {shorten(method)}, only {', '.join(_METHODS)}."
            return ProblemError(400, "method-not-allowed", detail)
        return None


async def _send_problem(problem: ProblemError, send: Send) -> None:
    body = msgspec.json.encode(problem.problem())
    headers: Any = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"vary", b"Origin"),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
