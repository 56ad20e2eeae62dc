"""Keeps from operators what users wrote, where CHATKEEP_CONSOLE_TEXT says so.

An operator may call the operations that are listed here, and no others. Of their answers, only what
is known to be no text of a user is sent. So a new route or a new field is hidden until it is named.
"""

from typing import Any, Final

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from chatkeep.domain.threads import run_aside
from chatkeep.entrypoints.http.auth.authentication import FOR_SERVICES, Caller
from chatkeep.entrypoints.http.auth.identity import IdentityError
from chatkeep.entrypoints.http.middleware.shared import SharedMiddleware

OPERATIONS: Final = frozenset(
    {
        *("getUsage", "eraseMe", "listConversations", "getConversation", "changeConversation"),
        *("deleteConversation", "getHistory", "getMessage", "listBranches", "listSiblings"),
    }
)
"""What an operator may ask of a user's. Its answers are JSON, which is rewritten here."""

PLAIN: Final = frozenset(
    {
        *("id", "conversation_id", "message_id", "user_id", "parent_id", "left_at", "tool_call_id"),
        *("role", "status", "format", "created_at", "updated_at", "edited_at", "at"),
        *("next_cursor", "previous_cursor", "position"),
    }
)
"""Fields whose texts are shown."""

_FREE: Final = frozenset({"content", "tool_calls", "parts"})
_LEFT_OUT: Final = frozenset({"original"})
_MARK: Final = "•"
_LONGEST: Final = 40
_MAX_TYPE: Final = 40


class HiddenText(SharedMiddleware):
    """Comes after the authentication, which knows who is an operator."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        caller: Caller = scope["user"]
        handler: Any = scope["route_handler"]
        if caller.operator is None or handler.security == FOR_SERVICES:
            await next_app(scope, receive, send)
        elif handler.operation_id in OPERATIONS:
            await next_app(scope, receive, _Rewriting(send))
        else:
            raise IdentityError(
                "This service keeps from operators what users wrote, and this request would show "
                "it (CHATKEEP_CONSOLE_TEXT).",
                code="insufficient_scope",
                status=403,
            )


class _Rewriting:
    """Sends an answer on once it is complete, without texts. Problems have none of a user."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Any = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] < 400:  # noqa: PLR2004 - the first status of a problem
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish()
            return
        await self._send(message)

    async def _finish(self) -> None:
        body = bytes(self._body)
        if body:
            body = await run_aside(len(body), lambda: hide_json(bytes(self._body)))
            named = (b"content-length", b"%d" % len(body))
            others = [field for field in self._start["headers"] if field[0] != b"content-length"]
            self._start = {**self._start, "headers": [*others, named]}
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def hide_json(body: bytes) -> bytes:
    """Return a JSON text with all texts hidden but those of `PLAIN`."""
    return msgspec.json.encode(_hide(msgspec.json.decode(body), ""))


def _hide(value: Any, field: str) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value if field in PLAIN else _mask(value)
    if isinstance(value, list):
        return [_part(each) if field in _FREE else _hide(each, field) for each in value]
    if not isinstance(value, dict):
        return value
    if field == "metadata":
        return {}
    return {key: _hide(each, key) for key, each in value.items() if key not in _LEFT_OUT}


def _part(part: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a part of a message, or a call of a tool, with its kind and nothing else of it."""
    if not isinstance(part, dict):
        return {"type": "hidden"}
    kind = part.get("type")
    if isinstance(part.get("function"), dict):
        call = {name: _mask(str(part["function"].get(name, ""))) for name in ("name", "arguments")}
        return {"id": str(part.get("id", "")), "type": "function", "function": call}
    if isinstance(part.get("text"), str):
        return {"type": "text", "text": _mask(part["text"])}
    is_name = isinstance(kind, str) and kind.isidentifier() and len(kind) <= _MAX_TYPE
    return {"type": f"hidden {kind}" if is_name else "hidden"}


def _mask(text: str) -> str:
    return _MARK * min(len(text), _LONGEST)
