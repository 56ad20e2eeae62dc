"""However the service ends under load, what was acknowledged is there, and it says what it did."""

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from functools import partial

import asyncpg
import pytest

from tests.e2e.faults.load import Stored, Writer, workers
from tests.support.postgres import Server, connect_args
from tests.support.processes import SECRET
from tests.support.service_process import FULL, ServiceProcess, as_user, running, running_on, some
from tests.support.waiting import PATIENCE, until

WRITERS = 12
EACH = 20 if FULL else 3
"""So many appends of each writer are acknowledged before the service is ended."""

ROUNDS = 3 if FULL else 1
OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type = 'client backend'"""
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


async def writers(service: ServiceProcess, count: int = WRITERS) -> list[Writer]:
    return [await Writer.of(service.http, f"user {number}") for number in range(count)]


@pytest.mark.parametrize("processes", some([1, 2], every=2))
async def test_told_to_end_it_finishes_what_it_accepted_and_refuses_the_rest(
    postgres_server: Server, processes: int
) -> None:
    async with running_on(postgres_server, "--workers", str(processes)) as service:
        if processes > 1:
            await until(lambda: len(workers(service)) == processes)
        load = await writers(service)
        writing = asyncio.gather(*(writer.until_it_fails() for writer in load))
        await until(partial(_each_is_acknowledged, load))
        # These are under way when the end comes, and could not be over before it. They wait for a
        # moment only: the service gives up locks that take long.
        slow = await writers(service, 8)
        connection = await asyncpg.connect(**connect_args(service.database_url))
        transaction = connection.transaction()
        await transaction.start()
        ids = [writer.conversation for writer in slow]
        await connection.execute("SELECT FROM conversations WHERE id = ANY($1) FOR UPDATE", ids)
        held = [asyncio.create_task(writer.append()) for writer in slow]

        async def each_waits() -> bool:
            return bool(await connection.fetchval(WAITING) == len(slow))

        await until(each_waits)

        service.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        await transaction.rollback()
        await connection.close()

        assert await asyncio.gather(*held) == [True] * len(slow)
        await asyncio.wait_for(writing, PATIENCE)
        started = time.monotonic()
        assert await service.end() == 0
        assert time.monotonic() - started < PATIENCE
        assert "ERROR" not in service.log

        (await Stored.of(service.database_url)).check([*load, *slow], answered_all=True)
        assert sum(writer.refused + writer.lost for writer in load) == WRITERS


async def test_killed_under_load_it_loses_nothing_that_it_acknowledged(
    postgres_server: Server,
) -> None:
    async with postgres_server.database() as url, AsyncExitStack() as stack:
        load: list[Writer] = []
        for _ in range(ROUNDS):
            service = await stack.enter_async_context(
                running(DATABASE_URL=url, CHATKEEP_JWT_SECRET=SECRET)
            )
            these = await writers(service)
            load += these
            writing = asyncio.gather(*(writer.until_it_fails() for writer in these))
            await until(partial(_each_is_acknowledged, these))
            service.process.kill()
            await asyncio.wait_for(writing, PATIENCE)
            # What the dead process had asked for, the database may still be doing.
            await _until_alone(url)
            (await Stored.of(url)).check(load)

        service = await stack.enter_async_context(
            running(DATABASE_URL=url, CHATKEEP_JWT_SECRET=SECRET)
        )
        unsure = 0
        for writer in load:
            writer.http = service.http
            for message in writer.sent:
                if message not in writer.acknowledged:
                    unsure += 1
                    assert await writer.append(message)
        assert unsure == len(load)
        (await Stored.of(url)).check(load, answered_all=True)


async def _until_alone(url: str) -> None:
    connection = await asyncpg.connect(**connect_args(url))
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                if not await connection.fetchval(OTHERS):
                    return
                await asyncio.sleep(0.05)
    finally:
        await connection.close()


def _each_is_acknowledged(load: list[Writer]) -> bool:
    return all(len(writer.acknowledged) >= EACH for writer in load)


def _one_is_new(service: ServiceProcess, known: set[int]) -> bool:
    return len(workers(service) - known) == 1


def _more_are_acknowledged(load: list[Writer], before: int) -> bool:
    return sum(len(writer.acknowledged) for writer in load) > before


@pytest.mark.full
async def test_a_worker_that_dies_is_replaced_and_the_others_go_on(
    postgres_server: Server,
) -> None:
    async with running_on(postgres_server, "--workers", "2") as service:
        await until(lambda: len(workers(service)) == 2)
        load = await writers(service)
        over = asyncio.Event()
        writing = asyncio.gather(*(writer.until(over) for writer in load))
        for _ in range(ROUNDS):
            before = workers(service)
            victim = min(before)
            acknowledged = sum(len(writer.acknowledged) for writer in load)
            os.kill(victim, signal.SIGKILL)
            await until(partial(_one_is_new, service, before))
            assert workers(service) > before - {victim}
            await until(partial(_more_are_acknowledged, load, acknowledged))
        over.set()
        await writing
        assert service.log.count("; another takes its place") == ROUNDS
        assert "giving up" not in service.log

        answers = await asyncio.gather(
            *(service.http.get("/v1/me", headers=as_user("user 0")) for _ in range(50))
        )
        assert {answer.status_code for answer in answers} == {200}
        assert await service.end() == 0
        (await Stored.of(service.database_url)).check(load, answered_all=True)
