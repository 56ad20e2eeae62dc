"""Monitoring of a real service: two workers have one answer, and the log is what was asked for."""

import asyncio
import http.server
import json
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.postgres import Server
from tests.support.processes import SECRET, descendants
from tests.support.service_process import ServiceProcess, as_user, running
from tests.support.waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc"
)

TITLE = {"title": "secret words"}


async def scraped(service: ServiceProcess, name: str) -> float:
    """Return the sum of a metric's values, as any one worker tells it."""
    # On a connection of its own, so that it is not always the same worker.
    answer = await service.http.get("/metrics", headers={"Connection": "close"})
    samples = [s for f in text_string_to_metric_families(answer.text) for s in f.samples]
    return sum(sample.value for sample in samples if sample.name == name)


async def create(service: ServiceProcess, *, times: int) -> None:
    for number in range(times):
        headers = as_user(f"user {number}") | {"Connection": "close"}
        await service.call("POST", "/v1/conversations", TITLE, headers=headers)


def workers(service: ServiceProcess) -> dict[int, Path]:
    """Return the processes that share a directory, each with its socket."""
    found: dict[int, Path] = {}
    for pid in descendants(service.pid) - {service.pid}:
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        named = re.search(rb"(?:^|\0)_CHATKEEP_WORKERS=([^\0]+)", environ)
        if named and (path := Path(os.fsdecode(named[1])) / f"{pid}.sock").exists():
            found[pid] = path
    return found


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[ServiceProcess]:
    given = {"DATABASE_URL": database_url, "CHATKEEP_JWT_SECRET": SECRET}
    async with running("--workers", "2", **given) as service:
        await until(lambda: len(workers(service)) == 2)
        yield service


async def all_answer(pair: ServiceProcess, name: str, count: int) -> None:
    """Wait until six scrapes in a row have this count: each may be as old as a snapshot is."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = [await scraped(pair, name) for _ in range(6)]
            assert max(found) <= count
            if found == [count] * 6:
                return
            await asyncio.sleep(0.1)


@pytest.mark.full
async def test_any_worker_answers_for_all_no_counter_goes_back_and_nothing_is_left(
    pair: ServiceProcess,
) -> None:
    name = "chatkeep_statement_duration_seconds_count"
    await create(pair, times=10)
    await all_answer(pair, name, 10)
    assert await scraped(pair, "chatkeep_workers") == 2
    assert await scraped(pair, "chatkeep_pool_max_connections") == 60

    first = set(workers(pair))
    os.kill(min(first), signal.SIGKILL)
    await until(lambda: len(workers(pair)) == 2 and set(workers(pair)) != first)
    await create(pair, times=5)
    await all_answer(pair, name, 15)
    assert await scraped(pair, "chatkeep_workers") == 2

    [directory] = {path.parent for path in workers(pair).values()}
    assert directory.stat().st_mode & 0o777 == 0o700
    await pair.end(signal.SIGKILL)
    await until(lambda: not directory.exists())


async def test_the_log_is_json_without_users_or_words_and_the_same_user_is_the_same(
    postgres_server: Server,
) -> None:
    async with postgres_server.database() as url:
        given = {
            "DATABASE_URL": url,
            "CHATKEEP_SERVICE_KEYS": "k" * 32,
            "CHATKEEP_LOG_FORMAT": "json",
            "CHATKEEP_SLOW_QUERY_MS": "1",
        }
        async with running("--workers", "2", **given) as service:
            await until(lambda: len(workers(service)) == 2)
            for _ in range(12):
                headers = {"Authorization": f"Bearer {'k' * 32}", "X-User-Id": "alice-the-user"}
                headers |= {"Connection": "close", "X-Request-ID": "trace-7"}
                await service.call("POST", "/v1/conversations", TITLE, headers=headers)
            [directory] = {path.parent for path in workers(service).values()}
            assert await service.end() == 0
            assert not directory.exists()
            log = service.log
    lines = [json.loads(line) for line in log.splitlines()]
    requests = [line for line in lines if line.get("event") == "request"]
    assert len(requests) == 12
    [user] = {line["user"] for line in requests}
    assert re.fullmatch("[0-9a-f]{12}", user)
    assert {(line["request_id"], line["queries"]) for line in requests} == {("trace-7", 1)}
    slow = [line for line in lines if line.get("event") == "slow_statement"]
    assert {line["request_id"] for line in slow} <= {"trace-7"}
    assert all(line["statement"].startswith("log.create") for line in slow)
    for private in ("alice-the-user", "secret words", "k" * 32):
        assert private not in log


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Yield the URL of something that takes traces, and what it was sent."""
    taken: list[bytes] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()
        thread.join()


async def test_traces_are_sent_to_where_the_environment_says_at_the_latest_in_the_end(
    database_url: str,
) -> None:
    given = {"DATABASE_URL": database_url, "CHATKEEP_JWT_SECRET": SECRET}
    with collector() as (url, taken):
        async with running(**given, OTEL_EXPORTER_OTLP_ENDPOINT=url) as service:
            await create(service, times=1)
            assert await service.end() == 0
    sent = b"".join(taken)
    assert b"POST /v1/conversations" in sent
    assert b"log.create" in sent
    assert b"secret" not in sent


@pytest.mark.full
async def test_a_collector_that_is_away_holds_nobody_up(database_url: str) -> None:
    given = {"DATABASE_URL": database_url, "CHATKEEP_JWT_SECRET": SECRET}
    async with running(**given, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1") as service:
        await create(service, times=3)
        async with asyncio.timeout(PATIENCE):
            assert await service.end() == 0
        assert "Traceback" not in service.log


@pytest.mark.full
async def test_traces_without_their_packages_are_one_line_at_the_start(database_url: str) -> None:
    given = {"DATABASE_URL": database_url, "CHATKEEP_JWT_SECRET": SECRET}
    without = "import sys; sys.modules['opentelemetry.sdk'] = None"
    async with running(before=without, **given, OTEL_TRACES_EXPORTER="otlp") as service:
        await create(service, times=1)
        lines = [line for line in service.log.splitlines() if "chatkeep[otel]" in line]
    assert len(lines) == 1
