"""Behind a pooler in transaction mode, as Neon's is; and schemas that change under traffic."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from uuid import UUID

import asyncpg
import pytest

from tests.e2e.neon.load import check, figures, write_during
from tests.e2e.neon.servers import Suspendable, needs_pgbouncer, pgbouncer
from tests.e2e.neon.service import ChatBackend, service, service_process
from tests.support import postgres

# Each adds what statements do not ask for, or changes the type of what they return, and back.
CHANGES = (
    "ALTER TABLE messages ADD COLUMN extra text",
    "ALTER TABLE conversations ALTER COLUMN title TYPE varchar(500)",
    "ALTER TABLE messages ALTER COLUMN name TYPE varchar(300)",
    "ALTER TABLE conversations ADD COLUMN extra jsonb",
    "ALTER TABLE messages DROP COLUMN extra",
    "ALTER TABLE conversations ALTER COLUMN title TYPE text",
    "ALTER TABLE messages ALTER COLUMN name TYPE text",
    "ALTER TABLE conversations DROP COLUMN extra",
)


async def change_schema(database_url: str, *, rounds: int) -> None:
    connection = await asyncpg.connect(**postgres.connect_args(database_url))
    try:
        for _ in range(rounds):
            for change in CHANGES:
                await asyncio.sleep(0.1)
                await connection.execute(change)
    finally:
        await connection.close()


async def chat_during(callers: list[ChatBackend], event: asyncio.Task[None]) -> Counter[int]:
    """Have every caller use everything until the event is over; count the statuses."""
    statuses: Counter[int] = Counter()

    async def chat(caller: ChatBackend) -> None:
        conversation: UUID = await caller.start()
        path = f"/v1/conversations/{conversation}"
        while not event.done():
            answers = [
                await caller.say(conversation, "hello", query="?context=20"),
                await caller.call("GET", f"{path}/context"),
                await caller.call("GET", f"{path}/messages"),
                await caller.call("PATCH", path, {"title": "Lunch"}),
                await caller.list(),
            ]
            statuses.update(answer.status_code for answer in answers)

    await asyncio.gather(*map(chat, callers))
    await event
    return statuses


@needs_pgbouncer
@pytest.mark.full
async def test_two_processes_with_24_callers_share_four_server_connections_without_an_error(
    database_url: str, *, full: bool
) -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(pgbouncer(database_url, connections=4))
        processes = await asyncio.gather(
            *(stack.enter_async_context(service_process(url)) for _ in range(2))
        )
        callers = [caller for caller in processes for _ in range(12)]
        pause = asyncio.create_task(asyncio.sleep(15 if full else 1.5))

        statuses = await chat_during(callers, pause)
        connections = await server_connections(database_url)

    figures.info("%d requests, by status: %s", statuses.total(), dict(statuses))
    assert set(statuses) == {200, 201}
    assert statuses[201] >= 24
    assert connections <= 4


@pytest.mark.parametrize(
    "pooled", [pytest.param(True, marks=needs_pgbouncer), False], ids=["pooled", "direct"]
)
@pytest.mark.full
async def test_a_schema_that_changes_under_traffic_is_not_noticed(
    database_url: str, *, pooled: bool, full: bool
) -> None:
    async with AsyncExitStack() as stack:
        url = database_url
        if pooled:
            url = await stack.enter_async_context(pgbouncer(database_url, connections=4))
        caller = await stack.enter_async_context(service(url))
        changes = asyncio.create_task(change_schema(database_url, rounds=10 if full else 1))

        statuses = await chat_during([caller] * 12, changes)

    figures.info("%d requests, by status: %s", statuses.total(), dict(statuses))
    assert set(statuses) == {200, 201}


@needs_pgbouncer
@pytest.mark.full
async def test_restarts_of_the_database_behind_a_pooler_lose_nothing_and_show_no_error(
    suspendable: Suspendable, suspendable_url: str, *, full: bool
) -> None:
    async def restarts() -> None:
        for _ in range(3 if full else 1):
            await asyncio.sleep(0.3)
            await suspendable.restart("fast")
        await asyncio.sleep(1.5)

    async with pgbouncer(suspendable_url, connections=4) as url, service(url) as caller:
        ledger = await write_during(caller, restarts(), writers=12)

    figures.info("%s", ledger)
    await check(ledger, suspendable_url)


async def server_connections(database_url: str) -> int:
    connection = await asyncpg.connect(**postgres.connect_args(database_url))
    try:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return count
    finally:
        await connection.close()
