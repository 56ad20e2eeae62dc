"""Traces by OpenTelemetry's SDK, set up by its own environment variables."""

import os
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from threading import Thread
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span
    from requests import Session

MISSING: Final = (
    "traces are asked for (OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER), but OpenTelemetry "
    "is not installed: pip install 'chatkeep[otel]'. Serving without traces."
)
LAST_EXPORT: Final = 3.0
"""So many seconds may it take, at the end, to send what has not been sent."""

_PACKAGES: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_SERVER_ERRORS: Final = 500
_CREDENTIALS: Final = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_"


class TracesError(ValueError):
    """A variable of OpenTelemetry's asks for something that there is not."""


def asked_for(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment asks for traces."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter:
        return exporter != "none"
    return any(
        environ.get(name, "").strip()
        for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    )


def is_installed() -> bool:
    """Whether the extra `otel` is there."""
    try:
        return all(find_spec(name) is not None for name in _PACKAGES)
    except ModuleNotFoundError:  # one that these are below
        return False


class Telemetry:
    """Makes a span of each request, and below it one of each statement."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import context, propagate, trace  # noqa: PLC0415 - it is an extra

        self._provider = provider
        self._context = context
        self._propagate = propagate
        self._trace = trace
        self._tracer = provider.get_tracer("chatkeep")

    @classmethod
    def from_environment(cls, version: str) -> "Telemetry":
        """Raise `TracesError` for an exporter or a protocol that is not supported."""
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - it is an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - it is an extra
        from opentelemetry.sdk.trace.export import (  # noqa: PLC0415 - it is an extra
            BatchSpanProcessor,
        )

        exporter = _exporter()
        about = {"service.version": version}
        if not _names_a_service():
            about["service.name"] = "chatkeep"
        # Sampler, limits and the rest of the resource are read from the environment by the SDK.
        provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider)

    def begin(self, headers: Iterable[tuple[bytes, bytes]], request_id: str) -> "RequestSpan":
        """Begin the span of a request, below that of the caller when `traceparent` names one."""
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        parent = self._propagate.extract(carrier)
        span = self._tracer.start_span(
            "request",
            parent,
            self._trace.SpanKind.SERVER,
            {"chatkeep.request_id": request_id},
        )
        token = self._context.attach(self._trace.set_span_in_context(span, parent))
        return RequestSpan(self, span, token)

    def statement(self, name: str, seconds: float, error: Exception | None) -> None:
        """Add the span of a statement that has just ended, without its parameters."""
        ended = time_ns()
        span = self._tracer.start_span(
            name,
            None,
            self._trace.SpanKind.CLIENT,
            {"db.system.name": "postgresql", "db.query.summary": name},
            start_time=ended - int(seconds * 1e9),
        )
        if error is not None:
            kind = type(error).__name__  # its message may hold what users wrote
            span.set_attribute("error.type", kind)
            span.set_status(self._trace.StatusCode.ERROR, kind)
        span.end(ended)

    def close(self) -> None:
        """Send what has not been sent, for a few seconds at most: the collector may be away."""
        # Its own threads hold up neither this process nor each other.
        closing = Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(LAST_EXPORT)

    def end(self, span: "Span", token: Any, method: str, route: str, status: int) -> None:  # noqa: ANN401 - its type is an extra's
        """End what `begin` began. `-` is a route, or a method, that there is not."""
        method = "_OTHER" if method == "-" else method
        span.set_attribute("http.request.method", method)
        span.set_attribute("http.response.status_code", status)
        if route == "-":
            span.update_name(method)
        else:
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
        if status >= _SERVER_ERRORS:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()
        self._context.detach(token)


class RequestSpan:
    """The span of a request that is under way."""

    __slots__ = ("_span", "_telemetry", "_token")

    def __init__(self, telemetry: Telemetry, span: "Span", token: Any) -> None:  # noqa: ANN401 - its type is an extra's
        self._telemetry = telemetry
        self._span = span
        self._token = token

    def end(self, method: str, route: str, status: int) -> None:
        self._telemetry.end(self._span, self._token, method, route, status)


def _names_a_service() -> bool:
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name=" in given


def _exporter() -> "SpanExporter":
    name = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if name == "console":
        from opentelemetry.sdk.trace.export import (  # noqa: PLC0415 - it is an extra
            ConsoleSpanExporter,
        )

        return ConsoleSpanExporter()
    if name != "otlp":
        raise TracesError(f"OTEL_TRACES_EXPORTER: there is otlp, console and none, no {name}.")
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if protocol and protocol != "http/protobuf":
        raise TracesError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL: there is http/protobuf (port 4318), no {protocol}."
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - it is an extra
        OTLPSpanExporter,
    )

    if any(name.startswith(_CREDENTIALS) for name in os.environ):  # they bring their own session
        return OTLPSpanExporter()
    return OTLPSpanExporter(session=_headers_only())


def _headers_only() -> "Session":
    """Return what sends requests and leaves the bodies of their answers unread.

    Nothing in them is of use here, and a collector, or what stands in its place, could send one
    without an end: it would be read for as long as it comes, into memory.
    """
    from requests import Response, Session  # noqa: PLC0415 - it is an extra's

    class HeadersOnly(Session):
        def request(self, *args: Any, **options: Any) -> Response:  # noqa: ANN401 - its own
            response = super().request(*args, **options | {"stream": True})
            response.close()
            return response

    return HeadersOnly()
