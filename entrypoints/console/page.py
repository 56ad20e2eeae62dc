"""The files of the page at /console. `http/security_headers.py` says what it may do."""

from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from chatkeep.entrypoints.http.router import Router

CONSOLE_PATH: Final = "/console"
_FOLDER: Final = Path(__file__).parent / "static"
_INDEX: Final = "index.html"
_MEDIA_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class _File:
    """A file in memory, which never changes while the service runs."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        self.media_type = _MEDIA_TYPES[path.suffix]
        self.etag = f'"{sha256(self.content).hexdigest()[:32]}"'


def console_routes() -> Router:
    """Return the routes of the page. All its links are relative: a proxy may serve it anywhere."""
    files = {path.name: _File(path) for path in sorted(_FOLDER.iterdir())}

    def respond(name: str, request: Request[Any, Any, Any]) -> Response[bytes]:
        if name not in files:
            raise NotFoundException
        file = files[name]
        headers = {"ETag": file.etag}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    @get("/", include_in_schema=False, sync_to_thread=False)
    def page(request: Request[Any, Any, Any]) -> Response[Any]:
        if not request.scope["raw_path"].endswith(b"/"):
            return Redirect("./console/", status_code=307)
        return respond(_INDEX, request)

    @get("/{name:str}", include_in_schema=False, sync_to_thread=False)
    def file(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
        return respond(name, request)

    return Router(CONSOLE_PATH, route_handlers=[page, file])
