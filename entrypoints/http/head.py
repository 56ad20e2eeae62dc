"""HEAD, wherever there is GET (RFC 9110, section 9.3.2): the same response without its body."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """Lets `app` handle HEAD as GET, and sends only the head of its response.

    After the head, the application is told that the client has disconnected, so that it does not
    produce a body that is not sent.
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

        async def receive_until_sent() -> Any:  # noqa: ANN401 - one of ASGI's events
            return {"type": "http.disconnect"} if is_sent else await receive()

        async def send_head(message: Message) -> None:
            nonlocal is_sent
            if message["type"] == "http.response.start":
                is_sent = True
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await asyncio.sleep(0)  # lets the task that writes the body be cancelled

        try:
            await self._app(as_get, receive_until_sent, send_head)
        finally:
            # The log needs what the application added to the scope, such as the route and the user.
            scope |= as_get | {"method": "HEAD"}


def format_allow(methods: Iterable[str]) -> str:
    """Return the `Allow` header for a path with these methods: HEAD is allowed where GET is."""
    names = {*methods}
    return ", ".join(sorted(names | {"HEAD"} if "GET" in names else names))
