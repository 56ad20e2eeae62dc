"""JSON responses, encoded once and handed to the server unchanged.

Litestar's own response builds a case-insensitive mapping, three coroutines and a copy of its
headers for each response. That takes longer than encoding a page of messages.
"""

from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.response.base import ASGIResponse, T
from litestar.types import Receive, Scope, Send

from chatkeep.entrypoints.http.middleware.memory import SMALL_BYTES, reserve_memory

_encode: Final = msgspec.json.Encoder().encode
_JSON: Final = (b"content-type", b"application/json")


class JsonResponse(Response[T]):
    """Send what a handler returns as JSON. Litestar sends a response without content (204)."""

    def to_asgi_response(
        self,
        app: object,  # noqa: ARG002 - Litestar's
        request: Request[Any, Any, Any],
        *,
        status_code: int | None = None,
        headers: dict[str, str] | None = None,
        **others: Any,  # noqa: ANN401 - Litestar's: cookies, background tasks, encoders; unused here
    ) -> ASGIResponse:
        if self.content is None:
            return super().to_asgi_response(
                None, request, status_code=status_code, headers=headers, **others
            )
        body = _encode(self.content)
        if len(body) > SMALL_BYTES:
            # A change that was made cannot be refused any more.
            reserve_memory(
                request.scope, len(body), may_refuse=request.scope["method"] in {"GET", "HEAD"}
            )
        fields = [_JSON, (b"content-length", b"%d" % len(body))]
        for name, value in {**(headers or {}), **self.headers}.items():
            fields.append((name.lower().encode(), value.encode()))
        return _EncodedResponse(self.status_code or status_code or 200, fields, body)


class _EncodedResponse(ASGIResponse):
    __slots__ = ("_body", "_start")

    def __init__(self, status: int, fields: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._start: Any = {"type": "http.response.start", "status": status, "headers": fields}
        self._body: Any = {"type": "http.response.body", "body": body, "more_body": False}

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send(self._start)
        await send(self._body)
