"""Traces with OpenTelemetry's SDK, configured by its own environment variables."""

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
    "traces are configured (OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER), but "
    "OpenTelemetry is not installed: pip install 'chatkeep[otel]'. Serving without traces."
)
FLUSH_SECONDS: Final = 3.0
"""Time to send pending spans on shutdown."""

_PACKAGES: Final = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_SERVER_ERRORS: Final = 500
_CREDENTIALS: Final = "OTEL_PYTHON_EXPORTER_OTLP_HTTP_"


class TracesError(ValueError):
    """One of OpenTelemetry's variables has an unsupported value."""


def is_requested(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the environment configures traces."""
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
    """Return whether the extra `otel` is installed."""
    try:
        return all(find_spec(name) is not None for name in _PACKAGES)
    except ModuleNotFoundError:  # a parent package
        return False


class Telemetry:
    """Creates a span for each request, and a child span for each statement."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import context, propagate, trace  # noqa: PLC0415 - it is an extra

        self._provider = provider
        self._context = context
        self._propagate = propagate
        self._trace = trace
        self._tracer = provider.get_tracer("chatkeep")

    @classmethod
    def from_environment(cls, version: str) -> "Telemetry":
        """Raise `TracesError` if the exporter or the protocol is not supported."""
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - it is an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - it is an extra
        from opentelemetry.sdk.trace.export import (  # noqa: PLC0415 - it is an extra
            BatchSpanProcessor,
        )

        exporter = _make_exporter()
        attributes = {"service.version": version}
        if not _has_service_name():
            attributes["service.name"] = "chatkeep"
        # The SDK reads sampler, limits and other resource attributes from the environment.
        provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider)

    def begin(self, headers: Iterable[tuple[bytes, bytes]], request_id: str) -> "RequestSpan":
        """Begin the span of a request, a child of the caller's if there is a `traceparent`."""
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
        """Record the span of a statement that has just ended, without its parameters."""
        ended = time_ns()
        span = self._tracer.start_span(
            name,
            None,
            self._trace.SpanKind.CLIENT,
            {"db.system.name": "postgresql", "db.query.summary": name},
            start_time=ended - int(seconds * 1e9),
        )
        if error is not None:
            kind = type(error).__name__  # its message may contain users' text
            span.set_attribute("error.type", kind)
            span.set_status(self._trace.StatusCode.ERROR, kind)
        span.end(ended)

    def close(self) -> None:
        """Send pending spans, for at most `FLUSH_SECONDS`: the collector may be unreachable."""
        # The daemon thread does not keep the process alive.
        closing = Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(FLUSH_SECONDS)

    def end(self, span: "Span", token: Any, method: str, route: str, status: int) -> None:  # noqa: ANN401 - its type is an extra's
        """End a span that `begin` began. `-` means an unknown route or method."""
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
    """The open span of a request."""

    __slots__ = ("_span", "_telemetry", "_token")

    def __init__(self, telemetry: Telemetry, span: "Span", token: Any) -> None:  # noqa: ANN401 - its type is an extra's
        self._telemetry = telemetry
        self._span = span
        self._token = token

    def end(self, method: str, route: str, status: int) -> None:
        self._telemetry.end(self._span, self._token, method, route, status)


def _has_service_name() -> bool:
    attributes = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name=" in attributes


def _make_exporter() -> "SpanExporter":
    name = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if name == "console":
        from opentelemetry.sdk.trace.export import (  # noqa: PLC0415 - it is an extra
            ConsoleSpanExporter,
        )

        return ConsoleSpanExporter()
    if name != "otlp":
        raise TracesError(
            f"OTEL_TRACES_EXPORTER: {name} is not supported; use otlp, console or none."
        )
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if protocol and protocol != "http/protobuf":
        raise TracesError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol} is not supported; use http/protobuf "
            "(port 4318)."
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - it is an extra
        OTLPSpanExporter,
    )

    if any(name.startswith(_CREDENTIALS) for name in os.environ):  # they need their own session
        return OTLPSpanExporter()
    return OTLPSpanExporter(session=_make_session())


def _make_session() -> "Session":
    """Return a session that does not read the bodies of responses.

    They are not needed, and a broken or hostile collector could send an endless one, which would be
    read into memory.
    """
    from requests import Response, Session  # noqa: PLC0415 - it is an extra's

    class HeadersOnly(Session):
        def request(self, *args: Any, **options: Any) -> Response:  # noqa: ANN401 - its own
            response = super().request(*args, **options | {"stream": True})
            response.close()
            return response

    return HeadersOnly()
