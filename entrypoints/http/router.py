"""A router that is registered as it is."""

from typing import Any, Self

import litestar


class Router(litestar.Router):
    """A router that is made for one application, and registered once.

    Litestar copies all that is below a router, with each handler, on every level that it is
    registered on, so that it can be registered again elsewhere. That was a third of the time in
    which an application is made.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
