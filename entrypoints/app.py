"""The HTTP application around finished use cases."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from litestar import Litestar, Router

from domain.transfer import Transfer
from domain.use_cases import Chatkeep
from entrypoints.formats.jsonl import JsonLines
from entrypoints.http.answers import JsonResponse
from entrypoints.http.authentication import Authentication
from entrypoints.http.body import JsonRequest
from entrypoints.http.conversations import conversation_routes
from entrypoints.http.cors import Preflights, cors
from entrypoints.http.documentation import RawSchema, assets_routes, documentation
from entrypoints.http.export import export_routes
from entrypoints.http.families import Source
from entrypoints.http.floods import FloodProtection, Rate
from entrypoints.http.head import Head
from entrypoints.http.health import health_routes
from entrypoints.http.identity import Identity
from entrypoints.http.messages import message_routes
from entrypoints.http.metrics import Metrics, metrics_route
from entrypoints.http.observation import Observation, Tracing
from entrypoints.http.problems import EXCEPTION_HANDLERS
from entrypoints.http.root import root_route
from entrypoints.http.routing import StrictRouting, check_query
from entrypoints.http.users import user_routes
from entrypoints.logs import Pseudonyms, salt
from entrypoints.openai.azure import AzureRequests
from entrypoints.openai.errors import shaped_for_openai
from entrypoints.openai.openapi import with_openai
from entrypoints.openai.routes import openai_api
from entrypoints.settings import Settings

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def create_app(  # noqa: PLR0913 - what the composition root has made
    chatkeep: Chatkeep,
    identity: Identity,
    *,
    settings: Settings,
    transfer: Transfer | None = None,
    ready: Callable[[], bool] = lambda: True,
    lifespan: Sequence[Lifespan] = (),
    sources: Sequence[Source] = (),
    workers: Path | None = None,
    tracing: Tracing | None = None,
) -> Litestar:
    """Build the application. `ready` tells whether the store answered when last asked.

    `sources` have metrics of their own. `workers` is a directory of the processes that serve the
    same address, so that each of them can answer a scrape for all.
    """
    metrics = Metrics(sources, workers)
    pages = cors(settings)
    guards = [Authentication(identity), _flood_protection(settings, metrics)]
    v1 = Router(
        "/v1",
        route_handlers=[
            conversation_routes(chatkeep),
            message_routes(chatkeep, metrics),
            user_routes(chatkeep),
            *(
                [export_routes(transfer, JsonLines, refused=metrics.refused)]
                if transfer is not None
                else []
            ),
        ],
        middleware=guards,
        before_request=check_query,
        response_class=JsonResponse,
    )
    app = Litestar(
        route_handlers=[
            v1,
            openai_api(chatkeep, settings, guards, metrics),
            health_routes(ready),
            metrics_route(metrics, settings.metrics_key),
            assets_routes(),
            root_route(),
        ],
        request_class=JsonRequest,
        request_max_body_size=settings.max_body_bytes or None,
        exception_handlers=shaped_for_openai(EXCEPTION_HANDLERS),
        cors_config=pages,
        openapi_config=documentation(settings, with_openai),
        plugins=[RawSchema(), StrictRouting()],
        lifespan=[*lifespan, metrics.lifespan],
        logging_config=None,
        debug=False,
    )
    app.state.metrics = metrics  # for what the lifespan does by itself
    # Litestar's own middleware does not see requests for paths that it does not know.
    who = Pseudonyms(salt(settings))
    handler = app.asgi_handler if pages is None else Preflights(app.asgi_handler, pages)
    app.asgi_handler = AzureRequests(Observation(Head(handler), metrics, who, tracing))
    return app


def _flood_protection(settings: Settings, metrics: Metrics) -> FloodProtection:
    return FloodProtection(
        at_once=settings.max_requests_at_once,
        at_once_per_user=settings.max_requests_at_once_per_user,
        bytes_at_once=settings.max_bytes_at_once,
        rate=Rate(settings.requests_per_minute) if settings.requests_per_minute else None,
        refused=metrics.refused,
    )
