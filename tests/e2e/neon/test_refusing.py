"""A database that is there and does not serve: callers are told, in time, that it is not them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from chatkeep.adapters.piccolo.retries import MAX_CONFLICTS
from tests.e2e.neon.service import problem, service, timed
from tests.support import postgres
from tests.support.relay import Relay

REFUSING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{state}'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@asynccontextmanager
async def refusing(database_url: str, state: str) -> AsyncIterator[None]:
    """Have the database refuse to store messages, with an error of that code."""
    await execute(database_url, REFUSING.format(state=state))
    try:
        yield
    finally:
        await execute(database_url, "DROP FUNCTION refuse CASCADE")


async def execute(database_url: str, sql: str) -> None:
    connection = await asyncpg.connect(**postgres.connect_args(database_url))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("state", "reason", "attempts"),
    [
        ("53100", "no space left", 1),
        ("57014", "too long", 1),
        ("40P01", "too busy", 1 + MAX_CONFLICTS),
        ("25006", "is read-only", 1 + MAX_CONFLICTS),
    ],
)
async def test_what_passes_is_tried_a_few_times_and_what_does_not_is_said_at_once(
    relay: Relay, database_url: str, state: str, reason: str, attempts: int
) -> None:
    async with service(relay.url()) as caller:
        conversation, message = await caller.start(), uuid4()
        async with refusing(database_url, state):
            [refused], seconds = await timed(caller.say(conversation, "hello", message=message))
            made = sum(b"hello" in request for request in relay.requests)
            read = await caller.list()
            ready = await caller.is_ready()
        after = await caller.say(conversation, "hello", message=message)
        history = await caller.call("GET", f"/v1/conversations/{conversation}/messages")

    assert reason in problem(refused)["detail"]
    assert "ERRCODE" not in refused.text
    assert made == attempts
    assert seconds < 12  # else 15, as long as an outage is waited out
    assert (read.status_code, ready) == (200, True)
    assert after.status_code == 201
    assert len(history.json()["items"]) == 1


async def test_a_server_that_refuses_the_session_is_told_of_at_once(database_url: str) -> None:
    async with service(f"{database_url}&statement_timeout=soon") as caller:
        [refused], seconds = await timed(caller.list())
        ready = await caller.is_ready()

    assert "refuses this service" in problem(refused)["detail"]
    assert seconds < 12  # else 15, as long as an outage is waited out
    assert not ready


async def test_a_deadlock_that_passes_is_not_seen_by_the_caller(database_url: str) -> None:
    async with service(database_url) as caller:
        conversation = await caller.start()
        async with refusing(database_url, "40P01"):
            request = asyncio.create_task(caller.say(conversation, "hello"))
            await asyncio.sleep(0.05)
        answer = await request

    assert answer.status_code == 201


async def test_a_read_only_database_serves_reads_refuses_writes_and_is_found_writable_again(
    database_url: str, postgres_server: postgres.Server
) -> None:
    async with service(database_url) as caller:
        conversation = await caller.start()
    name = postgres.connect_args(database_url)["database"]
    alter = f"ALTER DATABASE {name} SET default_transaction_read_only ="
    await postgres_server.execute(f"{alter} on")

    async with service(database_url) as caller:
        refused = await caller.say(conversation, "hello")
        read = await caller.call("GET", f"/v1/conversations/{conversation}")
        await postgres_server.execute(f"{alter} off")
        # The connections of before are still read-only: they have to be replaced.
        after = await caller.say(conversation, "hello")

    assert "is read-only" in problem(refused)["detail"]
    assert read.status_code == 200
    assert after.status_code == 201


async def test_a_database_that_is_not_migrated_is_not_ready_until_it_is(
    postgres_server: postgres.Server,
) -> None:
    async with (
        postgres_server.database(template="template0") as url,
        service(url) as caller,
    ):
        refused = await caller.list()
        ready = await caller.is_ready()
        await asyncio.to_thread(postgres.migrate, url)
        await caller.until_ready()
        served = await caller.list()

    assert "chatkeep migrate" in problem(refused)["detail"]
    assert not ready
    assert served.status_code == 200
