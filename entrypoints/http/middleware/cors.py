"""Which pages of other origins may call, and with what (CORS)."""

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
    "RateLimit",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
    "X-Should-Retry",
)


def cors(settings: Settings) -> CORSConfig | None:
    """Return what lets the pages of the settings in; None when there are none.

    A page may send any header: SDKs send their own (`X-Stainless-*`), and none of them lets it in.
    What does is the token, which a browser never adds by itself as it would a cookie.
    """
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_methods=[*_METHODS],
        allow_headers=["*"],
        expose_headers=list(_EXPOSED),
    )


class Preflights:
    """Tells whoever asks in vain whether a page may call why it may not; Litestar does not."""

    def __init__(self, app: ASGIApp, config: CORSConfig) -> None:
        self._app = app
        self._config = config

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == ScopeType.HTTP and scope["method"] == "OPTIONS":
            problem = self._refusal(dict(scope["headers"]))
            if problem is not None:
                return _refuse(problem, send)
        return self._app(scope, receive, send)

    def _refusal(self, headers: dict[bytes, bytes]) -> ProblemError | None:
        origin = headers.get(b"origin")
        if origin is None:
            return None
        name = origin.decode("latin-1")
        if not self._config.is_origin_allowed(name):
            others = f"{variable('cors_origins')} names others"
            detail = f"Pages of {shorten(name)} may not call this service; {others}."
            return ProblemError(400, "origin-not-allowed", detail)
        method = headers.get(b"access-control-request-method", b"GET").decode("latin-1")
        if method not in _METHODS:
            detail = f"Pages may not call with {shorten(method)}, only {', '.join(_METHODS)}."
            return ProblemError(400, "method-not-allowed", detail)
        return None


async def _refuse(problem: ProblemError, send: Send) -> None:
    body = msgspec.json.encode(problem.problem())
    headers: Any = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"vary", b"Origin"),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
