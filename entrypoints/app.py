"""The HTTP application around finished use cases."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from litestar import Litestar
from litestar.middleware import ASGIMiddleware

from chatkeep.domain.forgetting import Forgetting
from chatkeep.domain.interrupting import Interrupting
from chatkeep.domain.operations.transfer import Transfer
from chatkeep.domain.polling import Poller
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.ai_sdk.routes import ai_sdk_routes
from chatkeep.entrypoints.console.page import console_routes
from chatkeep.entrypoints.formats.json_lines import JsonLines
from chatkeep.entrypoints.formats.markdown import Markdown
from chatkeep.entrypoints.http.auth.authentication import Authentication
from chatkeep.entrypoints.http.auth.identity import Identity
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.exception_handlers import EXCEPTION_HANDLERS
from chatkeep.entrypoints.http.head import HeadMiddleware
from chatkeep.entrypoints.http.ids import EncodedPaths
from chatkeep.entrypoints.http.live_stream import Pace
from chatkeep.entrypoints.http.metrics.draft_metrics import draft_metrics
from chatkeep.entrypoints.http.metrics.event_metrics import EventMetrics
from chatkeep.entrypoints.http.metrics.observation import Observation, Tracing
from chatkeep.entrypoints.http.metrics.request_metrics import Metrics, metrics_route
from chatkeep.entrypoints.http.middleware.audit import Audited
from chatkeep.entrypoints.http.middleware.concurrency import ConcurrencyLimiter, Places
from chatkeep.entrypoints.http.middleware.cors import PreflightExplainer, configure_cors
from chatkeep.entrypoints.http.middleware.hidden_text import HiddenText
from chatkeep.entrypoints.http.middleware.memory import MemoryBudget, MemoryLimiter
from chatkeep.entrypoints.http.middleware.rate_limiting import Rate, RateLimiter
from chatkeep.entrypoints.http.openapi.pages import RawSchema, asset_routes, configure_openapi
from chatkeep.entrypoints.http.responses import JsonResponse
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.audit import audit_routes
from chatkeep.entrypoints.http.routes.branches import branch_routes
from chatkeep.entrypoints.http.routes.conversations import conversation_routes
from chatkeep.entrypoints.http.routes.draft_streams import draft_stream_routes
from chatkeep.entrypoints.http.routes.drafts import draft_routes
from chatkeep.entrypoints.http.routes.events import event_routes
from chatkeep.entrypoints.http.routes.export import ExportFormat, Writers, export_routes
from chatkeep.entrypoints.http.routes.health import health_routes
from chatkeep.entrypoints.http.routes.messages import message_routes
from chatkeep.entrypoints.http.routes.overview import overview_routes
from chatkeep.entrypoints.http.routes.root import root_route
from chatkeep.entrypoints.http.routes.search import search_routes
from chatkeep.entrypoints.http.routes.users import user_routes
from chatkeep.entrypoints.http.routing import StrictRouting, check_request
from chatkeep.entrypoints.logs import Pseudonyms, salt
from chatkeep.entrypoints.openai.azure import AzureRequests
from chatkeep.entrypoints.openai.errors import answer_like_openai
from chatkeep.entrypoints.openai.openapi import with_openai
from chatkeep.entrypoints.openai.routes import openai_api
from chatkeep.entrypoints.settings import Settings

EXPORTS: Final[Writers] = {ExportFormat.JSONL: JsonLines, ExportFormat.MARKDOWN: Markdown}
Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def create_app(  # noqa: PLR0913 - the parts that bootstrap has made
    chatkeep: Chatkeep,
    transfer: Transfer,
    identity: Identity,
    *,
    settings: Settings,
    ready: Callable[[], bool] = lambda: True,
    lifespan: Sequence[Lifespan] = (),
    metrics: Metrics | None = None,
    tracing: Tracing | None = None,
) -> Litestar:
    """Build the application.

    `ready` says whether the store could serve when it was last asked. `lifespan` are blocks that
    the application runs in, the first one outermost.
    """
    metrics = metrics or Metrics()
    poller = Poller(chatkeep.hub, chatkeep.events)
    lags = EventMetrics(chatkeep.hub, chatkeep.clock, poller.counts)
    metrics.add(lambda: draft_metrics(chatkeep.drafts.counts))
    metrics.add(lags)
    pages = configure_cors(settings)
    limiters = _limiters(settings, metrics.record_refusal)
    middleware = [Authentication(identity), *limiters, *_of_operators(chatkeep, settings)]
    v1 = Router(
        "/v1",
        route_handlers=[
            conversation_routes(chatkeep),
            message_routes(chatkeep, metrics),
            branch_routes(chatkeep),
            draft_routes(chatkeep, metrics),
            user_routes(chatkeep),
            audit_routes(chatkeep),
            overview_routes(chatkeep, settings.plan_bytes),
            search_routes(chatkeep),
            *export_routes(transfer, EXPORTS, on_refused=metrics.record_refusal),
        ],
        middleware=middleware,
        before_request=check_request,
        response_class=JsonResponse,
    )
    app = Litestar(
        route_handlers=[
            v1,
            *_streams(chatkeep, identity, settings, metrics, lags),
            openai_api(chatkeep, settings, middleware, metrics),
            health_routes(ready),
            metrics_route(metrics, settings.metrics_key),
            asset_routes(),
            root_route(console=settings.console == "on"),
            *([console_routes()] if settings.console == "on" else []),
        ],
        request_class=JsonRequest,
        request_max_body_size=settings.max_body_bytes or None,
        exception_handlers=answer_like_openai(EXCEPTION_HANDLERS),
        cors_config=pages,
        openapi_config=configure_openapi(settings, with_openai),
        plugins=[RawSchema(), StrictRouting()],
        lifespan=[
            *lifespan,
            metrics.lifespan,
            lambda _app: poller.running(),
            lambda _app: Forgetting(chatkeep).running(),
            lambda _app: Interrupting(chatkeep.drafts, chatkeep.hub).running(),
        ],
        logging_config=None,
        debug=False,
    )
    # Litestar's own middleware does not see requests for paths that it does not know.
    who = Pseudonyms(salt(settings))
    handler = app.asgi_handler if pages is None else PreflightExplainer(app.asgi_handler, pages)
    app.asgi_handler = AzureRequests(
        Observation(HeadMiddleware(EncodedPaths(handler)), metrics, who, tracing)
    )
    return app


def _streams(
    chatkeep: Chatkeep,
    identity: Identity,
    settings: Settings,
    metrics: Metrics,
    lags: EventMetrics,
) -> list[Router]:
    """Return the routes of streams. These last for minutes, so they have separate places."""
    refused = metrics.record_refusal
    pace = Pace(settings.stream_seconds, settings.stream_idle_seconds)
    places = Places(
        settings.max_streams,
        settings.max_streams_per_user,
        what="streams",
        raised_by=(" (CHATKEEP_MAX_STREAMS)", " (CHATKEEP_MAX_STREAMS_PER_USER)"),
        refused=refused,
    )
    middleware = [
        Authentication(identity),
        ConcurrencyLimiter(places),
        *_rate_limiters(settings, refused),
        *_of_operators(chatkeep, settings),
    ]
    routes = {
        "/v1": [
            draft_stream_routes(chatkeep, metrics),
            event_routes(chatkeep.live, chatkeep.feed, pace, lags.record_sent),
        ],
        "/ai-sdk": [ai_sdk_routes(chatkeep, lags.record_sent)],
    }
    return [
        Router(
            path,
            route_handlers=routers,
            middleware=middleware,
            before_request=check_request,
            response_class=JsonResponse,
        )
        for path, routers in routes.items()
    ]


def _of_operators(chatkeep: Chatkeep, settings: Settings) -> list[ASGIMiddleware]:
    """Return what writes down the requests of operators, and what hides texts from them."""
    hidden = [HiddenText()] if settings.console_text == "hidden" else []
    return [Audited(chatkeep.audit), *hidden]


def _rate_limiters(settings: Settings, refused: Callable[[str], None]) -> list[ASGIMiddleware]:
    if not settings.requests_per_minute:
        return []
    return [RateLimiter(Rate(settings.requests_per_minute), refused)]


def _limiters(settings: Settings, refused: Callable[[str], None]) -> list[ASGIMiddleware]:
    """Return what bounds the requests served at once, their bytes, and their rate."""
    places = Places(
        settings.max_requests_at_once,
        settings.max_requests_at_once_per_user,
        what="requests",
        raised_by=(
            " (CHATKEEP_MAX_REQUESTS_AT_ONCE)",
            " (CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER)",
        ),
        refused=refused,
    )
    limiters: list[ASGIMiddleware] = [ConcurrencyLimiter(places)]
    if settings.requests_per_minute:
        limiters.append(RateLimiter(Rate(settings.requests_per_minute), refused))
    return [*limiters, MemoryLimiter(MemoryBudget(settings.max_bytes_at_once, refused))]
