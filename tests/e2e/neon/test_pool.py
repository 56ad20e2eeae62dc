"""The pool of connections: never waited for without end, and whole after whatever happened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from uuid import UUID, uuid4

import asyncpg
import pytest

from chatkeep.adapters.piccolo.connection import PooledConnection
from chatkeep.adapters.piccolo.connector import CANCEL_TIMEOUT
from chatkeep.adapters.piccolo.engine import MAX_CONNECTIONS, Engine
from chatkeep.adapters.piccolo.retries import Timing
from chatkeep.adapters.piccolo.stores import piccolo_stores
from chatkeep.domain.log import entries_of
from chatkeep.domain.operations.selftest.builders import ALICE, NOON
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import new_messages
from tests.e2e.neon.service import AS_ALICE, problem, service, timed
from tests.support import postgres
from tests.support.relay import Relay
from tests.support.waiting import PATIENCE, until

SLACK = 8.0  # seconds, for busy machines; what is timed would else take many more
BUSY = "SELECT pg_sleep(0.2)"
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'"""
SLOWLY_ADDED = "INSERT INTO users (id) SELECT 'late' FROM pg_sleep(1)"


@asynccontextmanager
async def locked(database_url: str, conversation: UUID) -> AsyncIterator[None]:
    connection = await asyncpg.connect(**postgres.connect_args(database_url))
    try:
        async with connection.transaction():
            await connection.execute(
                "SELECT FROM conversations WHERE id = $1 FOR UPDATE", conversation
            )
            yield
    finally:
        await connection.close()


async def all_wait(database_url: str) -> None:
    """Return when every connection that there may be waits for a lock."""
    connection = await asyncpg.connect(**postgres.connect_args(database_url))
    try:
        async with asyncio.timeout(PATIENCE):
            while await connection.fetchval(WAITING) < MAX_CONNECTIONS:  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


async def assert_whole(engine: Engine) -> None:
    """Assert that every connection of the pool can be used, all at once."""
    await asyncio.gather(*(postgres.query(engine, BUSY) for _ in range(MAX_CONNECTIONS)))
    assert engine.pool is not None
    assert engine.pool.get_size() == engine.pool.get_idle_size() == MAX_CONNECTIONS


async def test_when_all_connections_are_in_use_requests_are_refused_in_time_and_then_served(
    database_url: str,
) -> None:
    async with service(database_url, Timing(acquire=0.5)) as caller:
        conversation = await caller.start()
        async with locked(database_url, conversation):
            blocked = [
                asyncio.create_task(caller.say(conversation, "blocked"))
                for _ in range(MAX_CONNECTIONS)
            ]
            await all_wait(database_url)
            refused, seconds = await timed(*(caller.list() for _ in range(10)))
            ready = await caller.is_ready()
        served = await asyncio.gather(*blocked)
        after = await caller.list()

    for answer in refused:
        assert "in use" in problem(answer)["detail"]
    assert seconds < 0.5 + SLACK
    assert ready  # it is busy, not away
    assert {answer.status_code for answer in served} == {201}
    assert after.status_code == 200


async def test_a_statement_that_waits_too_long_for_a_lock_is_refused_and_undone(
    database_url: str,
) -> None:
    async with service(database_url, Timing(command=0.5)) as caller:
        conversation = await caller.start()
        async with locked(database_url, conversation):
            [refused], seconds = await timed(caller.say(conversation, "blocked"))
            other = await caller.list()
        page = await caller.call("GET", f"/v1/conversations/{conversation}/messages")

    assert "too long" in problem(refused)["detail"]
    assert seconds < 0.5 + SLACK
    assert other.status_code == 200
    assert page.json()["items"] == []


async def test_a_request_on_a_connection_that_went_dead_unnoticed_is_served_on_a_new_one(
    relay: Relay,
) -> None:
    timing = Timing(command=0.5)
    async with service(relay.url(), timing) as caller:
        await asyncio.gather(*(caller.list() for _ in range(20)))
        relay.freeze()

        [answer], seconds = await timed(caller.list())
        healed = await asyncio.gather(*(caller.list() for _ in range(20)))

    assert {each.status_code for each in [answer, *healed]} == {200}
    assert seconds < timing.command + CANCEL_TIMEOUT + SLACK
    assert relay.swallowed == 1  # nobody else has used one of the dead ones


async def test_thirty_requests_on_dead_connections_are_all_served_in_time(relay: Relay) -> None:
    timing = Timing(command=0.5)
    async with service(relay.url(), timing) as caller:
        conversation = await caller.start()
        async with locked(relay.upstream_url, conversation):
            first = [asyncio.create_task(caller.say(conversation, "a")) for _ in range(30)]
            await until(lambda: len(relay.open) == MAX_CONNECTIONS)
        await asyncio.gather(*first)
        relay.freeze()

        answers, seconds = await timed(*(caller.say(conversation, "b") for _ in range(30)))

    assert {answer.status_code for answer in answers} == {201}
    assert seconds < timing.command + CANCEL_TIMEOUT + SLACK


async def test_there_are_never_more_than_thirty_connections(relay: Relay) -> None:
    async with postgres.pool(relay.url()) as engine:
        await asyncio.gather(*(postgres.query(engine, "SELECT pg_sleep(0.02)") for _ in range(200)))

    assert relay.most == MAX_CONNECTIONS


async def test_cancelled_statements_leave_the_pool_whole(database_url: str, *, full: bool) -> None:
    dice = Random(7)

    async def cancelled(engine: Engine) -> None:
        running = asyncio.create_task(
            postgres.query(engine, "SELECT pg_sleep(:seconds::float)", seconds=dice.random() / 9)
        )
        await asyncio.sleep(dice.random() / 10)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    async with postgres.pool(database_url) as engine:
        for _ in range(50 if full else 8):
            await asyncio.gather(*(cancelled(engine) for _ in range(60)))
        await assert_whole(engine)


async def test_a_cancelled_append_is_stored_wholly_or_not_at_all(
    database_url: str, *, full: bool
) -> None:
    dice = Random(7)
    async with postgres.pool(database_url) as engine:
        store = StoreUnderTest.of(piccolo_stores(engine))
        conversation = await store.start()
        took = []

        async def cancelled(number: int) -> None:
            batch = new_messages(*(f"{number} {part}" for part in "abc"))
            running = asyncio.create_task(
                store.log.append(ALICE, conversation.id, entries_of(batch), NOON)
            )
            await asyncio.sleep(dice.random() * 0.03)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
                took.append(number)

        for _ in range(50 if full else 5):
            await asyncio.gather(*(cancelled(uuid4().int) for _ in range(20)))
        await assert_whole(engine)  # so no statement of a cancelled call is under way any more
        stored = [
            message.content or "" for message in await store.history(conversation, limit=9999)
        ]
        counted = (await store.reload(conversation)).message_count

    batches = [content.split()[0] for content in stored[::3]]
    assert stored == [f"{number} {part}" for number in batches for part in "abc"]
    assert len(set(batches)) == len(batches)
    assert {str(number) for number in took} <= set(batches)
    assert counted == len(stored)
    assert batches


async def test_a_statement_that_nobody_waits_for_any_more_is_stopped_also_when_the_pool_closes(
    database_url: str,
) -> None:
    async with postgres.pool(database_url) as engine:
        await asyncio.gather(*(postgres.query(engine, "SELECT") for _ in range(3)))
        adding = asyncio.create_task(postgres.query(engine, SLOWLY_ADDED))
        await asyncio.sleep(0.3)
        adding.cancel()
        with suppress(asyncio.CancelledError):
            await adding
    await asyncio.sleep(1)
    async with postgres.pool(database_url) as engine:
        [row] = await postgres.query(engine, "SELECT count(*) AS found FROM users")

    assert row["found"] == 0


@pytest.mark.parametrize("begun", [True, False], ids=["in a statement", "while it begins"])
async def test_cancelled_transactions_leave_the_pool_whole(
    database_url: str, *, begun: bool, full: bool
) -> None:
    dice = Random(7)

    async def cancelled(engine: Engine) -> None:
        async def transact() -> None:
            async with engine.transaction():
                if begun:
                    await postgres.query(engine, "SELECT pg_sleep(0.01)")

        running = asyncio.create_task(transact())
        await asyncio.sleep(dice.random() * (0.02 if begun else 0.003))
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    async with postgres.pool(database_url) as engine:
        for _ in range(100 if full else 5):
            await asyncio.gather(*(cancelled(engine) for _ in range(30)))
        await assert_whole(engine)


async def test_a_transaction_cancelled_before_the_server_began_it_leaves_the_pool_whole(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(*_: object) -> None:
        raise asyncio.CancelledError

    async with postgres.pool(database_url) as engine:
        await postgres.query(engine, "SELECT")
        with monkeypatch.context() as patch:
            patch.setattr(PooledConnection, "execute", cancelled)
            with pytest.raises(asyncio.CancelledError):
                async with engine.transaction():
                    pass
        async with engine.transaction():
            await postgres.query(engine, "SELECT")
        await assert_whole(engine)


async def test_callers_that_hang_up_leave_the_pool_whole(database_url: str, *, full: bool) -> None:
    dice = Random(7)
    engine = Engine(postgres.connect_args(database_url))
    async with service(database_url, engine=engine) as caller:
        address = caller.http.base_url.host, caller.http.base_url.port
        headers = "".join(f"{name}: {value}\r\n" for name, value in AS_ALICE.items())

        async def hang_up() -> None:
            _, writer = await asyncio.open_connection(*address)
            writer.write(f"GET /v1/conversations HTTP/1.1\r\nHost: t\r\n{headers}\r\n".encode())
            await asyncio.sleep(dice.random() * 0.05)
            writer.transport.abort()

        for _ in range(50 if full else 5):
            await asyncio.gather(*(hang_up() for _ in range(60)))
        await assert_whole(engine)
