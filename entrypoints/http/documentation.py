"""The page at /docs, with everything it needs served from here: no CDN."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import Schema
from litestar.params import FromPath
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

ASSETS_PATH: Final = "/docs-assets"
_ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui-standalone-preset.js": "text/javascript",
    "swagger-ui.css": "text/css",
}


def documentation_page() -> SwaggerRenderPlugin:
    bundle, preset, style = (f"{ASSETS_PATH}/{name}" for name in _ASSETS)
    return SwaggerRenderPlugin(
        js_url=bundle, standalone_preset_js_url=preset, css_url=style, path="/", favicon=""
    )


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
