"""Identifies the caller of a request and stores them in its scope, before anything else runs."""

from typing import Final

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.openapi.spec import SecurityRequirement
from litestar.types import ASGIApp, Receive, Scope, Send

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.auth.identity import Caller, Identity, IdentityError

__all__ = [
    "FOR_SERVICES",
    "FOR_USERS",
    "Authentication",
    "Caller",
    "require_service",
    "require_user",
]

# OpenAPI's security requirements: one entry of the list must be met, with every scheme it names.
FOR_USERS: Final[list[SecurityRequirement]] = [{"bearer": []}, {"bearer": [], "acting_for": []}]
FOR_SERVICES: Final[list[SecurityRequirement]] = [{"bearer": []}]

# Of two such headers a proxy may have checked the first, where this service would use the last.
_SINGLE_HEADERS: Final = {
    name.lower().encode(): name
    for name in ("Authorization", "Content-Type", "Idempotency-Key", "X-User-Id", "X-Operator")
}


class Authentication(ASGIMiddleware):
    """Lets only identified callers in. Raises `IdentityError`, also for headers sent twice."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        found: dict[bytes, bytes] = {}
        for header, value in scope["headers"]:
            if header in _SINGLE_HEADERS:
                if header in found:
                    raise _duplicate_header(_SINGLE_HEADERS[header])
                found[header] = value
        credentials = found.get(b"authorization")
        authorization = None if credentials is None else credentials.decode("latin-1")
        user_id = found.get(b"x-user-id")
        acting_for = None if user_id is None else _decode_utf8(user_id, "X-User-Id")
        name = found.get(b"x-operator")
        operator = None if name is None else _decode_utf8(name, "X-Operator")
        caller = None
        if authorization is not None and acting_for is None and operator is None:
            caller = self._identity.find_cached(authorization)
        scope["user"] = caller or await self._identity.identify(authorization, acting_for, operator)
        await next_app(scope, receive, send)


def require_user(caller: Caller) -> UserId:
    """Return the user whose data the request is about. Raises `IdentityError` if it names none."""
    if caller.user_id is None:
        raise IdentityError(
            "A service key acts for a user: send their id in X-User-Id.",
            code="invalid_request",
            status=400,
        )
    return caller.user_id


def require_service(caller: Caller) -> None:
    """Raise `IdentityError` unless the caller is a service."""
    if not caller.service:
        raise IdentityError(
            "Only a service key may do this.", code="insufficient_scope", status=403
        )


def _duplicate_header(header: str) -> IdentityError:
    return IdentityError(f"Send only one {header} header.", code="invalid_request", status=400)


def _decode_utf8(value: bytes, header: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        detail = f"{header} is not UTF-8."
        raise IdentityError(detail, code="invalid_request", status=400) from None
