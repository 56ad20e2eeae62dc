"""What the application on Postgres counts and logs of its database."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from chatkeep.adapters.piccolo import database_metrics
from chatkeep.adapters.piccolo.database_metrics import StorageMetrics
from chatkeep.adapters.piccolo.engine import MAX_CONNECTIONS, Engine
from chatkeep.adapters.piccolo.retries import Timing
from chatkeep.entrypoints.bootstrap.service import http_app
from tests.api.builders import appended, says, started
from tests.support.application import Caller, Service, serving, settings
from tests.support.postgres import connect_args, query
from tests.support.waiting import PATIENCE, until

Labels = frozenset[tuple[str, str]]
NOWHERE = {"host": "127.0.0.1", "port": 1, "user": "u", "password": "secret", "database": "d"}


@asynccontextmanager
async def on(engine: Engine, **changes: object) -> AsyncIterator[Service]:
    given = settings(database_url="postgresql://u@h/d", **changes)
    async with serving(given, app=http_app(given, database=engine)) as service:
        yield service


@pytest.fixture
async def engine(database_url: str) -> Engine:
    return Engine(connect_args(database_url))


async def scraped(service: Service) -> dict[tuple[str, Labels], float]:
    text = (await service.nobody().get("/metrics")).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def figure(service: Service, name: str, **labels: str) -> float:
    return (await scraped(service))[f"chatkeep_{name}", frozenset(labels.items())]


async def chat(alice: Caller) -> None:
    await appended(alice, await started(alice), says("Hello"))


async def test_statements_and_the_pool_are_counted(engine: Engine) -> None:
    async with on(engine) as service:
        before = await figure(service, "statement_duration_seconds_count")
        await chat(service.user())
        assert await figure(service, "statement_duration_seconds_count") == before + 2
        assert await figure(service, "statement_duration_seconds_bucket", le="+Inf") == before + 2
        assert 0 < await figure(service, "statement_duration_seconds_sum") < 60
        assert await figure(service, "pool_max_connections") == MAX_CONNECTIONS
        assert await figure(service, "pool_connections", state="in_use") == 0
        assert await figure(service, "pool_connections", state="idle") == 1
        assert await figure(service, "database_ready") == 1
        assert await figure(service, "database_away_seconds_total") == 0
        assert await figure(service, "workers") == 1


async def test_a_connection_in_use_and_who_waits_for_one_are_seen(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatkeep.adapters.piccolo.engine.MAX_CONNECTIONS", 1)
    async with on(engine) as service:
        await chat(service.user())
        taken = await engine.checkout()
        waiting = asyncio.create_task(query(engine, "SELECT 1"))
        await asyncio.sleep(0)
        assert await figure(service, "pool_connections", state="in_use") == 1
        assert await figure(service, "pool_waiting") == 1
        await engine.giveback(taken)
        await waiting
        assert await figure(service, "pool_waiting") == 0


async def rises(service: Service, name: str, above: float = 0, **labels: str) -> float:
    """Return the figure as soon as it is larger."""
    async with asyncio.timeout(PATIENCE):
        while (found := await figure(service, name, **labels)) <= above:  # noqa: ASYNC110 - scraped
            await asyncio.sleep(0.01)
    return found


async def test_a_database_that_is_away_is_seen_to_be() -> None:
    async with on(Engine(NOWHERE, Timing(outage=60))) as service:
        waiting = asyncio.create_task(service.user().get("/v1/me"))
        first = await rises(service, "database_away_seconds_total")
        await rises(service, "database_away_seconds_total", above=first)
        await rises(service, "retries_total", cause="connection")
        assert await figure(service, "database_ready") == 0
        waiting.cancel()


async def test_a_statement_that_is_run_again_is_counted_with_its_cause(engine: Engine) -> None:
    async with on(engine) as service:
        await chat(service.user())
        waiting = asyncio.create_task(query(engine, "SELECT pg_sleep(0.5), pg_backend_pid()"))
        other = await asyncpg.connect(**engine.config)
        while not await other.fetchval(  # noqa: ASYNC110 - the other one tells nobody
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
        ):
            await asyncio.sleep(0.01)
        await other.close()
        await waiting
        assert await figure(service, "retries_total", cause="away") == 1
        assert await figure(service, "retries_total", cause="busy") == 0


async def test_the_size_of_the_plan_is_there_when_it_is_set(engine: Engine) -> None:
    async with on(engine, plan_bytes=512) as service:
        assert await figure(service, "plan_bytes") == 512
    async with on(engine) as service:
        assert not [name for name, _ in await scraped(service) if "plan" in name]


@pytest.fixture
async def used(engine: Engine) -> AsyncIterator[Engine]:
    async with engine.pooled():
        await query(engine, "SELECT 1")
        yield engine


def statements(engine: Engine) -> int:
    return sum(engine.metrics.counts)


async def test_sizes_are_looked_at_only_while_somebody_uses_the_database(used: Engine) -> None:
    storage = StorageMetrics(used, every=0, check=0.05)
    async with storage.updating():
        before = statements(used)
        await asyncio.sleep(0.3)
        assert statements(used) == before  # nobody came
        assert not list(storage.families())

        await query(used, "SELECT 1")
        await until(lambda: bool(list(storage.families())))
        assert statements(used) == before + 1
        assert used.metrics.own["sizes"] == 1
        await asyncio.sleep(0.3)
        assert used.metrics.own["sizes"] == 1  # its own look is no use


async def test_sizes_are_not_looked_at_more_often_than_agreed(used: Engine) -> None:
    storage = StorageMetrics(used, every=60, check=0.02)
    async with storage.updating():
        for _ in range(20):
            await query(used, "SELECT 1")
            await asyncio.sleep(0.02)
    assert statements(used) == 1 + 20
    assert used.metrics.own["sizes"] == 1


async def test_tables_and_indexes_have_sizes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_metrics, "CHECK_SECONDS", 0.02)
    async with on(engine) as service:
        await chat(service.user())
        found: dict[tuple[str, Labels], float] = {}
        async with asyncio.timeout(PATIENCE):
            while not [name for name, _ in found if name == "chatkeep_relation_bytes"]:
                await asyncio.sleep(0.02)
                found = await scraped(service)
    sizes = {
        dict(labels)["name"]: (dict(labels), size)
        for (name, labels), size in found.items()
        if name == "chatkeep_relation_bytes"
    }
    labels, size = sizes["idx_messages_conversation_id"]
    assert labels["kind"] == "index"
    assert labels["table"] == "messages"
    assert size > 0
    assert sizes["messages"][0]["kind"] == "table"
    [seen] = [
        v for (name, _), v in found.items() if name.endswith("storage_seen_timestamp_seconds")
    ]
    assert seen > 1_700_000_000


async def test_a_line_of_a_request_says_how_many_statements_it_took(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "chatkeep.access")
    async with on(engine) as service:
        await asyncio.gather(*(chat(service.user(f"user {number}")) for number in range(5)))
        await service.user().get("/v1/nowhere")
    lines = [each.getMessage() for each in caplog.records if each.name == "chatkeep.access"]
    queries = [line.partition("queries=")[2][0] for line in lines]
    # None for what was not found, nor for the documentation that the test itself has read.
    assert sorted(queries) == ["0", "0"] + ["1"] * 10


async def test_a_slow_statement_is_named_and_nothing_of_its_matter(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    async with on(engine) as service:
        engine.metrics.slow = 0.0  # everything is slow
        await appended(service.user(), await started(service.user()), says("secret words"))
    slow = [each.getMessage() for each in caplog.records if each.name == "chatkeep.database"]
    assert len(slow) == 2
    assert re.fullmatch(r"slow statement log\.create\w*: \d+ ms", slow[0])
    assert re.fullmatch(r"slow statement log\.append\w*: \d+ ms", slow[1])
    assert "secret" not in caplog.text


@pytest.mark.parametrize(("milliseconds", "lines"), [(1, 1), (10_000, 0), (0, 0)])
async def test_what_is_slow_is_a_setting(
    engine: Engine, caplog: pytest.LogCaptureFixture, milliseconds: int, lines: int
) -> None:
    async with on(engine, slow_query_ms=milliseconds):
        await query(engine, "SELECT pg_sleep(0.01)")
    slow = [each for each in caplog.records if "slow statement tests.query" in each.getMessage()]
    assert len(slow) == lines
