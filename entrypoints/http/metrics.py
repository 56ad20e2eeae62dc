"""What Prometheus may scrape at /metrics, counted per process."""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "chatkeep_request_duration_seconds",
            "Time from a request's headers to the end of its answer",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._appended = Counter(
            "chatkeep_appended_messages", "Messages appended", registry=self.registry
        )
        self._over_soft_limit = Counter(
            "chatkeep_soft_limit_warnings",
            "Appends to conversations longer than advised",
            registry=self.registry,
        )
        self._by_labels: dict[tuple[str, str, int], Histogram] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        labels = (method, route, status)
        histogram = self._by_labels.get(labels)
        if histogram is None:
            histogram = self._by_labels[labels] = self._requests.labels(method, route, str(status))
        histogram.observe(seconds)

    def appended(self, messages: int, *, over_soft_limit: bool) -> None:
        self._appended.inc(messages)
        if over_soft_limit:
            self._over_soft_limit.inc()


def metrics_route(metrics: Metrics) -> HTTPRouteHandler:
    @get("/metrics", include_in_schema=False, sync_to_thread=False)
    def scrape() -> Response[bytes]:
        # Litestar adds the charset to any text type by itself.
        media_type = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")
        return Response(generate_latest(metrics.registry), media_type=media_type)

    return scrape
