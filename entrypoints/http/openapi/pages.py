"""The page at /docs. Everything that it needs is served from here: no CDN."""

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Schema, SecurityScheme, Tag
from litestar.params import FromPath
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from chatkeep.entrypoints.http.openapi.document import complete_document
from chatkeep.entrypoints.http.router import Router
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
// Requests go to the origin of this page, below the same path.
spec.servers = [{url: new URL("ROOT/", location.href).pathname.replace(/(.)\\/$/, "$1")}];
SwaggerUIBundle({spec, dom_id: "#page", deepLinking: true});
</script>
</body>
</html>
"""
_INTRODUCTION: Final = """\
Send a token with every request: `Authorization: Bearer <JWT>`. Its `sub` is the user, who sees
only their own data.

A chat turn is two calls: append the user's message with `?context=20`, hand `context.messages` to
the model, append its answer.

- **Retries.** Choose the `id` of a message or a conversation yourself, and the request is safe to
  repeat: the answer is what is stored, or 409 if that differs.
- **Pages.** To get the next page, send `next_cursor` as `cursor`.
- **Errors** are problem details (RFC 9457): `type` names the kind, `errors` the fields.
- **HEAD** works wherever GET does, and returns the same headers.
- **Every response** has an `X-Request-ID`, yours or a generated one, which is also in the log.
"""


def configure_openapi(settings: Settings, complete: Completion) -> OpenAPIConfig:
    """Return the configuration of /docs and /docs/openapi.json.

    `complete` adds the routes that Litestar does not describe.
    """
    document = _Document(settings, complete)
    return OpenAPIConfig(
        title="chatkeep",
        version=version("chatkeep"),
        summary="Keeps every conversation of your chatbot on your own Postgres.",
        description=_INTRODUCTION,
        openapi_router=Router(
            "/docs", route_handlers=[], include_in_schema=False, after_request=_raise_not_found
        ),
        render_plugins=[_Page(document), _Json(document)],
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="a JWT with the user as its `sub`, or a service key",
                ),
                "acting_for": SecurityScheme(
                    type="apiKey",
                    security_scheme_in="header",
                    name="X-User-Id",
                    description="with a service key: the user to act for, as UTF-8",
                ),
            }
        ),
        tags=[
            Tag("conversations", "Each is one chat session of one user"),
            Tag("messages", "What was said in a conversation, in order"),
            Tag("drafts", "Answers that are still being written"),
            Tag("events", "What happens to conversations, as it happens"),
            Tag("search", "What was said, in all conversations of a user"),
            Tag("ai-sdk", "What `useChat` calls: an answer that survives a closed tab"),
            Tag("users", "Who owns conversations"),
            Tag("overview", "The service as a whole"),
            Tag("audit", "What operators asked for"),
            Tag("health", "For operators"),
        ],
    )


class _Document:
    """The published document, built at the first request for it."""

    def __init__(self, settings: Settings, complete: Completion) -> None:
        self._settings = settings
        self._complete = complete
        self._built: dict[str, Any] = {}

    def build(self, generated: dict[str, Any]) -> dict[str, Any]:
        if not self._built:
            self._built = self._complete(complete_document(generated, self._settings))
        return self._built


class _Page(OpenAPIRenderPlugin):
    """Swagger UI. All its links are relative, so a proxy may serve it below any path."""

    def __init__(self, document: _Document) -> None:
        super().__init__(path="/")
        self._document = document

    def render(self, request: _AnyRequest, openapi_schema: dict[str, Any]) -> bytes:
        document = self.render_json(request, self._document.build(openapi_schema))
        page = _PAGE.replace("ROOT", ".." if request.scope["raw_path"].endswith(b"/") else ".")
        return page.encode().replace(b"DOCUMENT", document.replace(b"</", rb"<\/"))


class _Json(JsonRenderPlugin):
    def __init__(self, document: _Document) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)
        self._document = document

    def render(self, request: _AnyRequest, openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, self._document.build(openapi_schema))


async def _raise_not_found(response: Response[Any]) -> Response[Any]:
    # Litestar would answer an unknown path with an HTML page.
    if response.status_code == NotFoundException.status_code:
        raise NotFoundException
    return response


def asset_routes() -> Router:
    # Only the package's files are used: its code is not imported.
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
    """Describes JSON passed on as stored: any value; its field says more."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:  # noqa: ANN401 - Litestar's own
        return value is msgspec.Raw

    def to_openapi_schema(
        self,
        field_definition: FieldDefinition,  # noqa: ARG002 - Litestar's own
        schema_creator: object,  # noqa: ARG002 - Litestar's own
    ) -> Schema:
        return Schema()
