"""Accepts requests of clients of Azure's OpenAI: paths without /v1, and the key as `api-key`."""

from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

_PREFIX: Final = "/openai/"
_PATH: Final = "/openai/conversations"
_PATH_HERE: Final = "/openai/v1/conversations"


class AzureRequests:
    """Changes requests below /openai into what OpenAI's own clients send.

    `/openai/conversations` becomes `/openai/v1/conversations`, and `api-key` a bearer token unless
    there is an `Authorization`. The query parameter `api-version` has no effect.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["path"].startswith(_PREFIX):
            path = scope["path"]
            if path == _PATH or path.startswith(f"{_PATH}/"):
                scope["path"] = _PATH_HERE + path.removeprefix(_PATH)
                raw_path = scope["raw_path"].removeprefix(_PATH.encode())
                scope["raw_path"] = _PATH_HERE.encode() + raw_path
            names = {name for name, _ in scope["headers"]}
            if b"api-key" in names and b"authorization" not in names:
                scope["headers"] = [
                    (b"authorization", b"Bearer " + value) if name == b"api-key" else (name, value)
                    for name, value in scope["headers"]
                ]
        await self._app(scope, receive, send)
