"""The page at /docs, with everything it needs served from here: no CDN."""

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Request, Response, Router, get
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Schema, SecurityScheme, Tag
from litestar.params import FromPath
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from chatkeep.entrypoints.http.openapi.document import published
from chatkeep.entrypoints.settings import Settings

_AnyRequest = Request[Any, Any, Any]
Completion = Callable[[dict[str, Any]], dict[str, Any]]

ASSETS_PATH: Final = "/docs-assets"
_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
_PAGE: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>chatkeep</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="ROOT/docs-assets/swagger-ui.css">
<script src="ROOT/docs-assets/swagger-ui-bundle.js"></script>
<style>body { margin: 0 }</style>
</head>
<body>
<div id="page"></div>
<script>
const spec = DOCUMENT;
// Requests go to where this page came from, below the same path.
spec.servers = [{url: new URL("ROOT/", location.href).pathname.replace(/(.)\\/$/, "$1")}];
SwaggerUIBundle({spec, dom_id: "#page", deepLinking: true});
</script>
</body>
</html>
"""
_INTRODUCTION: Final = """\
Send a token with every request: `Authorization: Bearer <JWT>`; its `sub` is the user, who sees
nothing but their own.

A chat turn is two calls: append the user's message with `?context=20`, hand `context.messages` to
the model, append its answer.

- **Again.** Give a message or a conversation an `id` of yours and a request may be sent again: it
  answers what is stored, or 409 when that is something else.
- **Pages** go on with `cursor`, which is `next_cursor` of the page before.
- **Errors** are problem details (RFC 9457): `type` tells kinds apart, `errors` names the fields.
- **HEAD** works wherever GET does, and is answered with the same headers.
- **Every answer** has an `X-Request-ID`, yours or one made here, to find it in the log.
"""


def documentation(settings: Settings, complete: Completion) -> OpenAPIConfig:
    """Return what makes /docs, and /docs/openapi.json beside it.

    `complete` adds the routes that Litestar does not describe.
    """
    document = _Document(settings, complete)
    return OpenAPIConfig(
        title="chatkeep",
        version=version("chatkeep"),
        summary="Keeps every conversation of your chatbot on your own Postgres.",
        description=_INTRODUCTION,
        openapi_router=Router(
            "/docs", route_handlers=[], include_in_schema=False, after_request=_no_page
        ),
        render_plugins=[_Page(document), _Json(document)],
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="a JWT whose `sub` is the user, or a service key",
                ),
                "acting_for": SecurityScheme(
                    type="apiKey",
                    security_scheme_in="header",
                    name="X-User-Id",
                    description="beside a service key: the user it acts for, as UTF-8",
                ),
            }
        ),
        tags=[
            Tag("conversations", "One chat session of one user each"),
            Tag("messages", "What was said in a conversation, in order"),
            Tag("users", "Who owns conversations"),
            Tag("health", "For whoever runs this service"),
        ],
    )


class _Document:
    """The published document, made when it is first asked for."""

    def __init__(self, settings: Settings, complete: Completion) -> None:
        self._settings = settings
        self._complete = complete
        self._made: dict[str, Any] = {}

    def of(self, generated: dict[str, Any]) -> dict[str, Any]:
        if not self._made:
            self._made = self._complete(published(generated, self._settings))
        return self._made


class _Page(OpenAPIRenderPlugin):
    """Swagger UI. All of its links are relative: a proxy may serve it below a path of its own."""

    def __init__(self, document: _Document) -> None:
        super().__init__(path="/")
        self._document = document

    def render(self, request: _AnyRequest, openapi_schema: dict[str, Any]) -> bytes:
        document = self.render_json(request, self._document.of(openapi_schema))
        page = _PAGE.replace("ROOT", ".." if request.scope["raw_path"].endswith(b"/") else ".")
        return page.encode().replace(b"DOCUMENT", document.replace(b"</", rb"<\/"))


class _Json(JsonRenderPlugin):
    def __init__(self, document: _Document) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)
        self._document = document

    def render(self, request: _AnyRequest, openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, self._document.of(openapi_schema))


async def _no_page(response: Response[Any]) -> Response[Any]:
    # Litestar has a page of its own for what is not there.
    if response.status_code == NotFoundException.status_code:
        raise NotFoundException
    return response


def assets_routes() -> Router:
    # The package is only a carrier of these files: its code is not imported.
    spec = find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package swagger-ui-py is not installed")
    folder = Path(spec.origin).parent / "static"

    @get("/{name:str}", include_in_schema=False, sync_to_thread=True)
    def asset(name: FromPath[str]) -> Response[bytes]:
        if name not in _ASSETS:
            raise NotFoundException
        return Response(
            (folder / name).read_bytes(),
            media_type=_ASSETS[name],
            headers={"Cache-Control": "public, max-age=86400"},
        )

    return Router(ASSETS_PATH, route_handlers=[asset])


class RawSchema(OpenAPISchemaPlugin):
    """Describes JSON that is passed on as it was stored: any value, said closer by its field."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:  # noqa: ANN401 - Litestar's own
        return value is msgspec.Raw

    def to_openapi_schema(
        self,
        field_definition: FieldDefinition,  # noqa: ARG002 - Litestar's own
        schema_creator: object,  # noqa: ARG002 - Litestar's own
    ) -> Schema:
        return Schema()
