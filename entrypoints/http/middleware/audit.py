"""Writes down what an operator asks for, before they get it."""

from contextlib import suppress
from typing import Any, Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from chatkeep.domain.audit_use_cases import AuditUseCases
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.ids import parse_id
from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.auth.authentication import FOR_SERVICES, Caller
from chatkeep.entrypoints.http.ids import decode_segment, user_in_path
from chatkeep.entrypoints.http.middleware.shared import SharedMiddleware

_USER: Final = "user_id"


class Audited(SharedMiddleware):
    """Writes a line for each request of an operator about a user, whatever it will answer.

    It comes after all that may refuse a request without a look at it. While no line can be
    written, the operator gets no answer: `StoreUnavailableError`.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, audit: AuditUseCases) -> None:
        self._audit = audit

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        caller: Caller = scope["user"]
        if caller.operator is not None and (user_id := _user_of(scope, caller)) is not None:
            given = scope["path_params"]
            await self._audit.record(
                caller.operator,
                user_id,
                _action(scope),
                conversation_id=_id_of(given, "conversation_id"),
                message_id=_id_of(given, "message_id"),
            )
        await next_app(scope, receive, send)


def _user_of(scope: Scope, caller: Caller) -> UserId | None:
    """Return the user whom a request is about; None for one about all users."""
    if _USER in scope["path_params"]:
        with suppress(InvalidValueError):
            return user_in_path(scope["raw_path"])
        return None
    handler: Any = scope["route_handler"]
    return None if handler.security == FOR_SERVICES else caller.user_id


def _action(scope: Scope) -> str:
    """Return the name of the operation; of OpenAI's API, the method and the route."""
    asked: Any = scope
    return str(asked["route_handler"].operation_id or f"{asked['method']} {asked['path_template']}")


def _id_of(given: dict[str, Any], name: str) -> str | None:
    """Return an id as it was given; None for a text that cannot be one: it is refused later."""
    if name in given:
        with suppress(InvalidValueError):
            text = decode_segment(given[name], name)
            parse_id(text)
            return text
    return None
