"""Middleware with a state that all routes share."""

from typing import Self

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware


class SharedMiddleware(ASGIMiddleware):
    """Stays one object: Litestar copies routers with all they have, and a limit is for all routes.

    It must come after the authentication, which says who the user is.
    """

    scopes = (ScopeType.HTTP,)

    def __deepcopy__(self, _memo: object) -> Self:
        return self
