"""Traces: a span for each request, below it one for each statement, and nothing of their matter."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from chatkeep.adapters import telemetry
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.telemetry import Telemetry
from chatkeep.entrypoints.bootstrap.service import http_app, missing_traces, traces
from chatkeep.entrypoints.settings import SettingsError
from tests.api.builders import appended, says, started
from tests.support.application import Service, serving, settings
from tests.support.peers import ENDLESS, FULL, peer
from tests.support.postgres import connect_args
from tests.support.waiting import PATIENCE

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
MESSAGES = "/v1/conversations/{conversation_id}/messages"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traced(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the application trace to memory, as it would to where the environment says."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setattr(Telemetry, "from_environment", lambda _version: Telemetry(provider))


@asynccontextmanager
async def on(database_url: str) -> AsyncIterator[Service]:
    given = settings(database_url=database_url)
    app = http_app(given, database=Engine(connect_args(database_url)))
    async with serving(given, app=app) as service:
        yield service


def named(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    [found] = [span for span in exporter.get_finished_spans() if span.name == name]
    return found


async def test_a_request_is_a_span_below_its_caller_and_above_its_statements(
    database_url: str, exporter: InMemorySpanExporter, traced: None
) -> None:
    async with on(database_url) as service:
        alice = service.user("alice-the-user")
        conversation = await started(alice, title="secret title")
        path = f"/v1/conversations/{conversation['id']}/messages"
        body = {"role": "user", "content": "secret words"}
        await alice.post(path, TRACEPARENT | {"X-Request-ID": "trace-7"}, json=body)

    request = named(exporter, f"POST {MESSAGES}")
    assert request.kind is SpanKind.SERVER
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == CALLER
    assert request.context is not None
    assert f"{request.context.trace_id:032x}" == TRACE
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": MESSAGES,
        "http.response.status_code": 201,
        "chatkeep.request_id": "trace-7",
    }
    [statement] = [
        span for span in exporter.get_finished_spans() if span.name.startswith("log.append")
    ]
    assert statement.kind is SpanKind.CLIENT
    assert statement.parent == request.context
    assert statement.start_time is not None
    assert request.start_time is not None
    assert request.end_time is not None
    assert statement.end_time is not None
    # The second clock, of durations, may differ from the first by a little.
    assert request.start_time - 1_000_000 < statement.start_time < statement.end_time
    assert statement.end_time < request.end_time
    assert dict(statement.attributes or {}) == {
        "db.system.name": "postgresql",
        "db.query.summary": statement.name,
    }
    for span in exporter.get_finished_spans():
        for private in ("secret", "alice-the-user", "Bearer", conversation["id"]):
            assert private not in span.to_json()


async def test_requests_at_once_keep_to_their_own_traces(
    database_url: str, exporter: InMemorySpanExporter, traced: None
) -> None:
    async with on(database_url) as service:
        alices = [service.user(f"alice {number}") for number in range(8)]
        conversations = await asyncio.gather(*map(started, alices))
        exporter.clear()
        await asyncio.gather(
            *(
                appended(alice, conversation, says("Hello"))
                for alice, conversation in zip(alices, conversations, strict=True)
            )
        )
    spans = exporter.get_finished_spans()
    requests = [span.context.span_id for span in spans if span.context and not span.parent]
    parents = [span.parent.span_id for span in spans if span.parent]
    assert len(set(requests)) == len(parents) == 8
    assert sorted(parents) == sorted(requests)


async def test_without_a_caller_that_is_traced_each_request_is_a_trace_of_its_own(
    exporter: InMemorySpanExporter, traced: None, database_url: str
) -> None:
    async with on(database_url) as service:
        exporter.clear()
        for header in ({}, {"traceparent": "nonsense"}):
            await service.nobody().get("/health/live", header)
    first, second = exporter.get_finished_spans()
    assert first.parent is second.parent is None
    assert first.context is not None
    assert second.context is not None
    assert first.context.trace_id != second.context.trace_id


async def test_a_failed_statement_and_a_server_error_are_marked_and_tell_no_words(
    database_url: str, exporter: InMemorySpanExporter, traced: None
) -> None:
    async with on(database_url) as service:
        await service.nobody().get("/nowhere/secret")
        await service.user().get("/v1/me")
        engine_error = Engine(connect_args(database_url))
        made = traces(engine_error)
        assert made is not None
        with pytest.raises(Exception, match="secret"):
            await engine_error.fetch(Statement("tests.once", "SELECT 'secret'::int"))
        with pytest.raises(Exception, match="secret"):
            async with engine_error.transaction():
                await engine_error.fetch(Statement("tests.within", "SELECT 'secret'::uuid"))

    for statement in ("tests.once", "tests.within"):
        failed = named(exporter, statement)
        assert failed.status.status_code is StatusCode.ERROR
        assert failed.attributes is not None
        assert failed.attributes["error.type"] == "InvalidTextRepresentationError"
    assert named(exporter, "GET").status.status_code is StatusCode.UNSET  # a 404
    assert named(exporter, "users.usage").status.status_code is StatusCode.UNSET


async def test_an_answer_of_500_or_more_is_an_error(exporter: InMemorySpanExporter) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    made = Telemetry(provider)
    for status in (499, 500, 503):
        made.begin([], "trace-7").end("GET", "/v1/me", status)
    marked = [span.status.status_code for span in exporter.get_finished_spans()]
    assert marked == [StatusCode.UNSET, StatusCode.ERROR, StatusCode.ERROR]


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
    ],
)
def test_traces_are_made_when_the_environment_says_so(
    environ: dict[str, str], *, asked: bool
) -> None:
    assert telemetry.is_requested(environ) is asked


def test_without_the_packages_that_is_said_and_nothing_is_traced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine({})
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    assert missing_traces() is None
    monkeypatch.setattr(telemetry, "is_installed", lambda: False)
    assert "pip install 'chatkeep[otel]'" in (missing_traces() or "")
    assert traces(engine) is None
    assert engine.metrics.trace is None


def test_packages_that_are_missing_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert telemetry.is_installed()
    for missing in ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http"):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, missing, None)
            assert not telemetry.is_installed()


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
)
def test_what_is_not_supported_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT["OTEL_EXPORTER_OTLP_ENDPOINT"])
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name}: {value} is not supported; use "):
        traces(Engine({}))


def test_the_service_has_its_name_unless_it_is_given_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    for given, name in (("", "chatkeep"), ("chat-eu", "chat-eu")):
        monkeypatch.setenv("OTEL_SERVICE_NAME", given)
        made = Telemetry.from_environment("1.2.3")
        attributes = made._provider.resource.attributes  # noqa: SLF001 - it is told to nobody else
        assert attributes["service.name"] == name
        assert attributes["service.version"] == "1.2.3"
        made.close()


@pytest.mark.parametrize("what_it_does", ENDLESS)
def test_no_collector_holds_up_the_end(what_it_does: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "FLUSH_SECONDS", 0.2)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    before = set(threading.enumerate())
    with peer(*ENDLESS[what_it_does]) as url:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        made = Telemetry.from_environment("1.2.3")
        made.begin([], "trace-7").end("GET", "/v1/me", 200)
        began = time.monotonic()
        made.close()
        assert time.monotonic() - began < PATIENCE
    # What still tries to send would write to the logs that other tests look at.
    for thread in set(threading.enumerate()) - before:
        thread.join(60)


def test_a_collector_whose_answer_has_no_end_is_not_listened_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
        while True:
            sent += len(FULL)
            yield FULL

    with peer(endless, 0) as url:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        made = Telemetry.from_environment("1.2.3")
        made.begin([], "trace-7").end("GET", "/v1/me", 200)
        made.close()
    assert 0 < sent < 32 * 1024 * 1024  # what the buffers of the connection hold
