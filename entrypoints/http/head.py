"""HEAD, wherever there is GET (RFC 9110, section 9.3.2): the same answer without its body."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """Has `app` answer a HEAD as a GET, and sends the head of its answer.

    What is written while it is sent is not written: as soon as the head is out, the application
    is told that the client has left.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == ScopeType.HTTP and scope["method"] == "HEAD":
            return self._answer(scope, receive, send)
        return self._app(scope, receive, send)

    async def _answer(self, scope: Any, receive: Receive, send: Send) -> None:  # noqa: ANN401 - it is copied
        as_get: Any = {**scope, "method": "GET"}
        is_sent = False

        async def hear() -> Any:  # noqa: ANN401 - one of ASGI's events
            return {"type": "http.disconnect"} if is_sent else await receive()

        async def send_head(message: Message) -> None:
            nonlocal is_sent
            if message["type"] == "http.response.start":
                is_sent = True
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await asyncio.sleep(0)  # in which whoever writes on is stopped

        try:
            await self._app(as_get, hear, send_head)
        finally:
            # What was found out on the way, such as the route and the user, is for the log.
            scope |= as_get | {"method": "HEAD"}


def allowed(methods: Iterable[str]) -> str:
    """Return the `Allow` header of a path that has these methods."""
    names = {*methods}
    return ", ".join(sorted(names | {"HEAD"} if "GET" in names else names))
