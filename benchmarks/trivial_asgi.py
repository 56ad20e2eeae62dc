"""Answers every request at once with the same small body, to measure the load generator itself."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

BODY: Final = b'[{"role":"user","content":"Hello"}]'
_HEADERS: Final = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def app(
    scope: dict[str, Any],
    _receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        raise NotImplementedError  # tells uvicorn that lifespan is not supported
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": BODY})
