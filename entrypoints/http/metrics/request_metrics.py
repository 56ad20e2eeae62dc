"""/metrics for Prometheus: the counts of this process, or of all worker processes together."""

import platform
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from hmac import compare_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from litestar import Litestar, Request, Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from chatkeep.domain.idle import SweepResult
from chatkeep.domain.operations.metrics import MetricFamily, MetricSource
from chatkeep.domain.threads import run_in_thread
from chatkeep.entrypoints.http.auth.identity import IdentityError
from chatkeep.entrypoints.http.metrics.metric_families import (
    collect_registry,
    format_families,
)
from chatkeep.entrypoints.http.metrics.multiprocess import MultiprocessMetrics
from chatkeep.entrypoints.http.snapshots import Snapshot

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The counters of one application, and the metrics of `sources`.

    If several processes serve together, `workers` is the directory that they share: a scrape of any
    of them then returns the metrics of all.
    """

    def __init__(self, sources: Sequence[MetricSource] = (), workers: Path | None = None) -> None:
        self.registry = CollectorRegistry()
        self._sources = [*sources]
        self._workers = None if workers is None else MultiprocessMetrics(workers, self._own)
        self._requests = Histogram(
            "chatkeep_request_duration_seconds",
            "Time from a request's headers to the end of its response",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._appended = Counter(
            "chatkeep_appended_messages", "Messages appended", registry=self.registry
        )
        self._over_soft_limit = Counter(
            "chatkeep_soft_limit_warnings",
            "Appends to conversations longer than recommended",
            registry=self.registry,
        )
        self._swept = Counter(
            "chatkeep_swept_conversations",
            "Conversations that sweeps archived or deleted",
            ("action",),
            registry=self.registry,
        )
        self._archived, self._deleted = map(self._swept.labels, ("archived", "deleted"))
        self._refused = Counter(
            "chatkeep_refused_requests",
            "Requests that flood protection refused",
            ("reason",),
            registry=self.registry,
        )
        for reason in ("overloaded", "user_at_once", "user_rate"):
            self._refused.labels(reason)
        self._by_labels: dict[tuple[str, str, int], Histogram] = {}
        self._text = Snapshot(self._make_text)

    def add(self, source: MetricSource) -> None:
        """Add a source of metrics, which is asked at each scrape."""
        self._sources.append(source)

    def record_request(self, method: str, route: str, status: int, seconds: float) -> None:
        labels = (method, route, status)
        histogram = self._by_labels.get(labels)
        if histogram is None:
            histogram = self._by_labels[labels] = self._requests.labels(method, route, str(status))
        histogram.observe(seconds)

    def record_append(self, messages: int, *, over_soft_limit: bool) -> None:
        self._appended.inc(messages)
        if over_soft_limit:
            self._over_soft_limit.inc()

    def record_sweep(self, swept: SweepResult) -> None:
        self._archived.inc(swept.archived)
        self._deleted.inc(swept.deleted)

    def record_refusal(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    async def render(self) -> bytes:
        """Return all metrics in Prometheus' text format, at most one second old."""
        return await self._text.get()

    async def _make_text(self) -> bytes:
        own = self._own() if self._workers is None else await self._workers.collect()
        families = list(own)
        return await run_in_thread(lambda: format_families(families))

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        if self._workers is None:
            yield
            return
        await self._workers.start()
        try:
            yield
        finally:
            await self._workers.stop()

    def _own(self) -> Iterator[MetricFamily]:
        about = {"version": version("chatkeep"), "python": platform.python_version()}
        yield MetricFamily.gauge("chatkeep_build_info", "Running versions", 1, about, combine="max")
        yield MetricFamily.gauge(
            "chatkeep_workers", "Worker processes included in these metrics", 1
        )
        yield from collect_registry(self.registry)
        for source in self._sources:
            yield from source()


def metrics_route(metrics: Metrics, key: str) -> HTTPRouteHandler:
    """Return the route. If `key` is not empty, requests must send it as a bearer token."""
    digest = sha256(key.encode()).digest()

    def check_key(authorization: str) -> None:
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise IdentityError(
                "Send the key for this service's metrics: Authorization: Bearer <key>.",
                code="missing_credentials",
                status=401,
            )
        if not compare_digest(sha256(credentials.strip().encode()).digest(), digest):
            raise IdentityError(
                "This is not the key for this service's metrics (CHATKEEP_METRICS_KEY).",
                code="invalid_token",
                status=401,
            )

    @get("/metrics", include_in_schema=False)
    async def scrape(request: Request[Any, Any, Any]) -> Response[bytes]:
        if key:
            check_key(request.headers.get("authorization", ""))
        # Litestar adds the charset to every text type.
        media_type = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")
        return Response(await metrics.render(), media_type=media_type)

    return scrape
