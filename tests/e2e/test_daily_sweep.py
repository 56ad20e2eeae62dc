"""The daily sweep of the service: the first process to claim it archives and deletes."""

import asyncio
import re

import asyncpg

from tests.support.processes import SECRET, chatkeep
from tests.support.service_process import ServiceProcess, as_user, running
from tests.support.waiting import PATIENCE, until

SOON = "from chatkeep.entrypoints import scheduled_sweep\nscheduled_sweep.SPREAD = 0.2\n"
"""Code that the process runs first, so that it does not wait half a minute."""

OLD = """
INSERT INTO users VALUES ('alice') ON CONFLICT DO NOTHING;
INSERT INTO conversations (user_id, message_count, updated_at, retain)
SELECT 'alice', 2, now() - make_interval(days => 100 * c, hours => 1), c = 5
FROM generate_series(1, 5) c;
INSERT INTO messages (conversation_id, user_id, role, position, content)
SELECT id, user_id, 'user', p, 'hello' FROM conversations, generate_series(1, 2) p;
"""
DONE = "swept: 4 archived, 1 deleted with 2 messages, 1 on hold not deleted"


def settings(database_url: str, **given: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "CHATKEEP_JWT_SECRET": SECRET,
        "CHATKEEP_ARCHIVE_AFTER": "90d",
        "CHATKEEP_DELETE_AFTER": "400d",
    } | given


async def logged(service: ServiceProcess, text: str) -> str:
    """Wait for a line with this text, and return it."""
    await until(lambda: text in service.log)
    [line] = [line for line in service.log.splitlines() if text in line]
    return line


async def statuses(connection: asyncpg.Connection) -> dict[str, int]:
    rows = await connection.fetch("SELECT status, count(*) FROM conversations GROUP BY status")
    return dict(rows)


async def test_of_two_services_one_sweeps_and_starting_again_does_not(
    database_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(OLD)

    async with (
        running(before=SOON, **settings(database_url)) as one,
        running(before=SOON, **settings(database_url)) as other,
    ):
        await until(lambda: "chatkeep.sweep" in one.log and "chatkeep.sweep" in other.log)
        sweeper, idler = (one, other) if "swept: " in one.log else (other, one)
        line = await logged(sweeper, "swept: ")
        await logged(idler, "another process does the sweep of")
        metrics = [(await each.http.get("/metrics")).text for each in (sweeper, idler)]

    assert DONE in line
    assert await statuses(connection) == {"archived": 4}
    assert swept_of(metrics[0]) == {"archived": 4, "deleted": 1}
    assert swept_of(metrics[1]) == {"archived": 0, "deleted": 0}
    for text in metrics:  # without any request of a user
        assert "chatkeep_statement_duration_seconds_count 0.0" in text
    sent = [re.search(r'own_statements_total{purpose="sweep"} (\S+)', text) for text in metrics]
    assert [float(each[1]) > 1 for each in sent if each] == [True, False]
    row = await connection.fetchrow("SELECT * FROM conversation_sweeps")
    assert (row["archived"], row["deleted"], row["messages"], row["retained"]) == (4, 1, 2, 1)
    assert row["due"] <= row["started_at"] <= row["finished_at"]

    await connection.execute(OLD)
    async with running(before=SOON, **settings(database_url)) as again:
        await logged(again, "another process does the sweep of")
    assert (await statuses(connection))["active"] == 5


def swept_of(metrics: str) -> dict[str, int]:
    found = re.findall(
        r'^chatkeep_swept_conversations_total\{\w+="(\w+)"\} (\S+)$', metrics, re.MULTILINE
    )
    return {what: int(float(count)) for what, count in found}


async def test_without_the_settings_nothing_is_swept(
    database_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(OLD)
    given = settings(database_url, CHATKEEP_ARCHIVE_AFTER="", CHATKEEP_DELETE_AFTER=" ")

    async with running(before=SOON, **given) as service:
        await service.call("GET", "/v1/conversations", headers=as_user("alice"))
        await asyncio.sleep(1)
        assert "sweep" not in service.log

    assert await connection.fetchval("SELECT count(*) FROM conversation_sweeps") == 0
    assert await statuses(connection) == {"active": 5}


async def test_the_service_answers_and_ends_in_the_middle_of_a_sweep(
    database_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(OLD + SLOW)

    async with running(before=SOON, **settings(database_url)) as service:
        async with asyncio.timeout(PATIENCE):
            while not await connection.fetchval(SWEEPING):  # noqa: ASYNC110 - in the database
                await asyncio.sleep(0.02)
        async with asyncio.timeout(PATIENCE):
            found = await service.call("GET", "/v1/conversations", headers=as_user("alice"))
            assert await service.end() == 0
        assert "Traceback" not in service.log
        assert "swept, but stopped early: 0 archived, 0 deleted" in service.log

    assert len(found["items"]) == 5
    assert await statuses(connection) == {"active": 5}
    assert await connection.fetchval("SELECT count(*) FROM messages") == 10


# A sweep that hangs in its first batch.
SLOW = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
CREATE TRIGGER slowly AFTER DELETE ON conversations
  FOR EACH STATEMENT EXECUTE FUNCTION slowly();
"""
SWEEPING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state = 'active' AND wait_event = 'PgSleep'"""


def test_a_setting_that_makes_no_sense_is_refused_at_the_start(database_url: str) -> None:
    done = chatkeep("serve", "--port", "0", **settings(database_url, CHATKEEP_DELETE_AFTER="90"))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "chatkeep: CHATKEEP_DELETE_AFTER: '90' is not a valid duration; give"
    )


async def test_a_database_that_is_not_migrated_is_said_and_the_service_goes_on(
    database_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute("DROP TABLE conversation_sweeps")

    async with running(before=SOON, **settings(database_url)) as service:
        line = await logged(service, "the sweep failed")
        await service.call("GET", "/v1/conversations", headers=as_user("alice"))
        assert "Traceback" not in service.log

    assert "run `chatkeep migrate`" in line
