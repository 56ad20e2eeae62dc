"""Clients that hang up in the middle: an append happens wholly or not at all, and costs nothing."""

import asyncio
import json
import random
from uuid import UUID, uuid4

import asyncpg

from tests.e2e.faults.load import Writer
from tests.support.postgres import Server, connect_args
from tests.support.service_process import FULL, ServiceProcess, as_user, running_on
from tests.support.waiting import PATIENCE

LEAVERS = 3_000 if FULL else 300
AT_ONCE = 50
BATCH = 3
POOL = 30
STORED = "SELECT conversation_id, id FROM messages"
BUSY = """
SELECT state, wait_event_type, count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type = 'client backend' GROUP BY 1, 2"""


def batch(user: str, conversation: UUID, ids: list[UUID]) -> tuple[bytes, bytes]:
    """Return an append in two parts, its head and its body."""
    messages = [{"id": str(each), "role": "user", "content": "x" * 200} for each in ids]
    body = json.dumps({"messages": messages}).encode()
    head = (
        f"POST /v1/conversations/{conversation}/messages?context=20 HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {as_user(user)['Authorization']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode(), body


async def leave(
    service: ServiceProcess, request: tuple[bytes, bytes], chance: random.Random
) -> None:
    """Send as much of it as it happens, wait as long as it happens, and hang up, rudely or not.

    A busy service may not even have read what came by then, so some wait for the answer to begin.
    """
    whole = b"".join(request)
    cut = chance.choice([len(request[0]), chance.randrange(len(whole)), len(whole), len(whole)])
    reader, writer = await asyncio.open_connection(*service.address)
    writer.write(whole[:cut])
    await writer.drain()
    pause = chance.choice([0, 0, 0.001, 0.003, 0.01, 0.03, None, None, None])
    if pause is not None:
        await asyncio.sleep(pause)
    elif cut == len(whole):
        await reader.read(1)
    if chance.random() < 0.5:
        writer.transport.abort()
    writer.close()


async def test_who_leaves_in_the_middle_leaves_all_or_nothing_and_no_connection_behind(
    postgres_server: Server,
) -> None:
    chance = random.Random(20_26)
    async with running_on(postgres_server) as service:
        writers = [await Writer.of(service.http, f"user {number}") for number in range(10)]
        sent: list[tuple[UUID, list[UUID]]] = []
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            writer = writers[number % len(writers)]
            ids = [uuid4() for _ in range(BATCH)]
            sent.append((writer.conversation, ids))
            async with gate:
                await leave(service, batch(writer.user, writer.conversation, ids), chance)

        await asyncio.gather(*(one(number) for number in range(LEAVERS)))
        connection = await asyncpg.connect(**connect_args(service.database_url))
        await _until_idle(connection)

        stored = {row["id"] for row in await connection.fetch(STORED)}
        wholly = [ids for _, ids in sent if stored.issuperset(ids)]
        not_at_all = [ids for _, ids in sent if stored.isdisjoint(ids)]
        assert len(wholly) + len(not_at_all) == LEAVERS
        assert len(wholly) > LEAVERS // 10
        assert len(not_at_all) > LEAVERS // 10
        rows = await connection.fetch(
            "SELECT message_count, (SELECT count(*) FROM messages m "
            "WHERE m.conversation_id = c.id AND m.user_id = c.user_id) AS found "
            "FROM conversations c"
        )
        assert all(row["message_count"] == row["found"] for row in rows)

        await _check_the_pool_is_whole(service, connection, writers)
        assert await service.end() == 0
        assert "Traceback" not in service.log
        assert "ERROR" not in service.log


async def _until_idle(connection: asyncpg.Connection) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            states = {row["state"] for row in await connection.fetch(BUSY)}
            if states <= {"idle"}:
                return
            await asyncio.sleep(0.05)


async def _check_the_pool_is_whole(
    service: ServiceProcess, connection: asyncpg.Connection, writers: list[Writer]
) -> None:
    """Occupy every connection there may be, at the same time."""
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT FROM conversations FOR UPDATE")
    appends = [
        asyncio.create_task(writers[number % len(writers)].append()) for number in range(POOL)
    ]
    async with asyncio.timeout(PATIENCE):
        while True:
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            rows = await connection.fetch(BUSY)
            waiting = sum(row["count"] for row in rows if row["wait_event_type"] == "Lock")
            if waiting == POOL:
                break
            await asyncio.sleep(0.05)
    await transaction.rollback()
    assert await asyncio.gather(*appends) == [True] * POOL
    await connection.close()
