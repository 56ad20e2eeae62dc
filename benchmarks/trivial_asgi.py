"""Answers every request at once with the same small page: shows what the load generator can do."""

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
        raise NotImplementedError  # uvicorn takes it that there is no lifespan
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": BODY})
