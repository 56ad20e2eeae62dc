"""A server with few connections: requests wait for them, and that is no outage."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from chatkeep.adapters.piccolo import allowance
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Timing
from tests.e2e.neon.load import check, figures, write_during
from tests.e2e.neon.servers import needs_pgbouncer, pgbouncer
from tests.e2e.neon.service import ChatBackend, problem, service, timed
from tests.support import postgres
from tests.support.service_process import some
from tests.support.waiting import until

LIMIT = 5


@pytest.fixture
async def few(postgres_server: postgres.Server, database_url: str) -> AsyncIterator[str]:
    """Yield the URL of a migrated, empty database for a role that may connect `LIMIT` times."""
    role = f"limited_{postgres.connect_args(database_url)['database']}"
    await postgres_server.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT {LIMIT}")
    await execute(database_url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        yield database_url.replace("postgres@", f"{role}@")
    finally:
        await execute(database_url, f"DROP OWNED BY {role}")
        await postgres_server.execute(f"DROP ROLE {role}")


async def execute(database_url: str, sql: str) -> None:
    connection = await asyncpg.connect(**postgres.connect_args(database_url))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@asynccontextmanager
async def others(database_url: str, count: int) -> AsyncIterator[None]:
    """Have another client of the same role hold so many connections."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            connection = await asyncpg.connect(**postgres.connect_args(database_url))
            stack.push_async_callback(connection.close)
        yield


async def readiness(caller: ChatBackend, over: asyncio.Event) -> set[bool]:
    """Return what was answered to whoever asked, all the time, whether the service is ready."""
    found = set()
    while not over.is_set():
        found.add(await caller.is_ready())
        await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize(
    "pooled", some([False, pytest.param(True, marks=needs_pgbouncer)], every=2)
)
async def test_more_writers_than_connections_are_all_served_and_the_service_stays_ready(
    few: str, database_url: str, *, pooled: bool, full: bool
) -> None:
    over = asyncio.Event()
    async with AsyncExitStack() as stack:
        url = few
        if pooled:
            bouncer = pgbouncer(database_url, connections=LIMIT, clients=LIMIT)
            url = await stack.enter_async_context(bouncer)
        engine = Engine(postgres.connect_args(url))
        caller = await stack.enter_async_context(service(url, engine=engine))
        await caller.until_ready()
        asking = asyncio.create_task(readiness(caller, over))
        ledger = await write_during(caller, asyncio.sleep(8 if full else 1), writers=24)
        over.set()
        assert engine.pool is not None
        assert 1 < engine.pool.get_allowed_size() <= LIMIT

        assert await asking == {True}
        assert await caller.is_ready()  # its own idle connections hold every place

    figures.info("%s", ledger)
    assert ledger.repeated == 0
    assert ledger.total > 24
    await check(ledger, database_url)


async def test_another_client_that_takes_connections_and_frees_them_is_not_noticed(
    few: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "MIN_PAUSE", 0.05)
    monkeypatch.setattr(allowance, "MAX_PAUSE", 0.1)
    engine = Engine(postgres.connect_args(few))

    def allowed() -> int:
        assert engine.pool is not None
        found: int = engine.pool.get_allowed_size()
        return found

    over = asyncio.Event()
    async with service(few, engine=engine) as caller, AsyncExitStack() as others_there:
        await caller.until_ready()
        asking = asyncio.create_task(readiness(caller, over))
        await others_there.enter_async_context(others(few, LIMIT - 2))

        async def go() -> None:
            await until(lambda: allowed() <= 2)  # it may have given one up
            await asyncio.sleep(0.3)
            assert allowed() <= 2
            await others_there.aclose()
            await until(lambda: allowed() == LIMIT)  # it grows again

        ledger = await write_during(caller, go(), writers=12)
        over.set()
        assert await asking == {True}

    assert ledger.repeated == 0
    await check(ledger, database_url)


async def test_a_service_without_any_connection_waits_for_one_and_then_serves(few: str) -> None:
    async with AsyncExitStack() as stack:
        async with others(few, LIMIT):
            caller = await stack.enter_async_context(service(few))
            waiting = [asyncio.create_task(caller.list()) for _ in range(10)]
            await asyncio.sleep(0.3)
            unready = await caller.is_ready()
        answers = await asyncio.gather(*waiting)
        await caller.until_ready()

    assert not unready
    assert {answer.status_code for answer in answers} == {200}


async def test_who_has_waited_long_enough_for_the_first_connection_is_told_why(few: str) -> None:
    async with others(few, LIMIT), service(few, Timing(outage=3.0)) as caller:
        [refused], _ = await timed(caller.list())

    assert "no connection left" in problem(refused)["detail"]
