"""The HTTP application around finished use cases."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version

from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag

from domain.use_cases import Chatkeep
from entrypoints.http.authentication import Authentication
from entrypoints.http.body import JsonRequest
from entrypoints.http.conversations import conversation_routes
from entrypoints.http.documentation import RawSchema, assets_routes, documentation_page
from entrypoints.http.health import health_routes
from entrypoints.http.identity import Identity
from entrypoints.http.messages import WARNING_HEADER, message_routes
from entrypoints.http.metrics import Metrics, metrics_route
from entrypoints.http.observation import Observation
from entrypoints.http.problems import EXCEPTION_HANDLERS
from entrypoints.http.users import user_routes
from entrypoints.settings import Settings

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def create_app(
    chatkeep: Chatkeep,
    identity: Identity,
    *,
    settings: Settings,
    ready: Callable[[], bool] = lambda: True,
    lifespan: Sequence[Lifespan] = (),
) -> Litestar:
    """Build the application. `ready` tells whether the store answered when last asked."""
    metrics = Metrics()
    v1 = Router(
        "/v1",
        route_handlers=[
            conversation_routes(chatkeep),
            message_routes(chatkeep, metrics),
            user_routes(chatkeep),
        ],
        middleware=[Authentication(identity)],
        security=[{"bearer": []}],
    )
    app = Litestar(
        route_handlers=[v1, health_routes(ready), metrics_route(metrics), assets_routes()],
        request_class=JsonRequest,
        request_max_body_size=settings.max_body_bytes or None,
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=_cors(settings),
        openapi_config=_openapi(),
        plugins=[RawSchema()],
        lifespan=list(lifespan),
        logging_config=None,
        debug=False,
    )
    # Litestar's own middleware does not see requests for paths that it does not know.
    app.asgi_handler = Observation(app.asgi_handler, metrics)
    return app


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
        expose_headers=["Retry-After", "X-Request-ID", WARNING_HEADER],
    )


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="chatkeep",
        version=version("chatkeep"),
        summary="Keeps every conversation of your chatbot on your own Postgres.",
        path="/docs",
        render_plugins=[documentation_page()],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="A JWT whose `sub` is the user; or a service key, with the user "
                    "it acts for in `X-User-Id`.",
                )
            }
        ),
        tags=[
            Tag("conversations", "One chat session of one user each"),
            Tag("messages", "What was said in a conversation, in order"),
            Tag("users", "Who owns conversations"),
            Tag("health", "For whoever runs this service"),
        ],
    )
