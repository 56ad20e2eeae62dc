"""Middleware with state that all routes share."""

from typing import Self

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware


class SharedMiddleware(ASGIMiddleware):
    """Stays one object: Litestar copies routers deeply, but a limit applies to all routes together.

    It must come after the authentication, which identifies the user.
    """

    scopes = (ScopeType.HTTP,)

    def __deepcopy__(self, _memo: object) -> Self:
        return self
