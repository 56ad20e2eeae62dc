"""/: links to everything else, for those who know only the address."""

from importlib.metadata import version
from typing import Any, Final

from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

# Relative, because a proxy may serve all of this below any path.
_DOCS: Final = "./docs"
_CONSOLE: Final = "./console/"
_LINKS: Final = {
    "docs": _DOCS,
    "openapi": "./docs/openapi.json",
    "live": "./health/live",
    "ready": "./health/ready",
    "metrics": "./metrics",
    "api": "./v1",
    "openai_base_url": "./openai/v1",
}


def root_route(*, console: bool) -> HTTPRouteHandler:
    """Return the route. In a browser it leads to the console, or else to the documentation."""
    pages = {"console": _CONSOLE} if console else {}
    this = {"name": "chatkeep", "version": version("chatkeep"), **_LINKS, **pages}
    page = _CONSOLE if console else _DOCS

    @get("/", include_in_schema=False, sync_to_thread=False)
    def root(request: Request[Any, Any, Any]) -> Response[Any]:
        headers = {"Vary": "Accept"}
        if _prefers_html(request.headers.get("accept", "")):
            return Redirect(page, status_code=307, headers=headers)
        return Response(this, headers=headers)

    return root


def _prefers_html(accept: str) -> bool:
    """Return whether HTML comes before JSON, as in browsers; most programs accept anything."""
    for each in accept.split(","):
        media_type = each.partition(";")[0].strip().lower()
        if media_type in {"text/html", "application/json"}:
            return media_type == "text/html"
    return False
