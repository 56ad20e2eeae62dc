"""chatkeep sweep, as an operator runs it, and how it behaves beside other transactions."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from asyncio import to_thread
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.sweeps import PiccoloSweeps
from chatkeep.domain.errors import ConversationNotFoundError
from chatkeep.domain.idle import IdleConversation
from chatkeep.domain.model import Conversation, Status
from chatkeep.domain.operations.selftest.builders import ALICE, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.entrypoints.cli.sweep import sweep
from chatkeep.testing.builders import SECOND, numbered_messages
from tests.support.postgres import Server
from tests.support.processes import PROJECT, chatkeep, environment
from tests.support.waiting import PATIENCE

NOW = datetime.now(UTC)
YEAR = timedelta(days=365)
HALF_A_YEAR = timedelta(weeks=26)
UNUSED = "postgresql://nobody@127.0.0.1:1/nothing"
TABLES = [
    "conversations",
    "messages",
    "conversation_items",
    "conversation_keys",
    "conversation_sweeps",
    "users",
    "tasks",
]

# One conversation for each week of two years, of ten users, with everything that one can contain.
FILL = """
INSERT INTO users SELECT 'user-' || u FROM generate_series(1, 10) u;
INSERT INTO conversations (user_id, title, status, message_count, updated_at, retain)
SELECT 'user-' || 1 + w % 10, 'week ' || w, CASE WHEN w % 5 = 0 THEN 'archived' ELSE 'active' END,
       3, now() - make_interval(weeks => w, days => 1), w IN (60, 70, 77)
FROM generate_series(1, 104) w;
INSERT INTO messages (conversation_id, user_id, role, position, content)
SELECT c.id, c.user_id, 'user', p, 'text ' || p FROM conversations c, generate_series(1, 3) p;
INSERT INTO conversation_items (conversation_id, user_id, position, item_id, item)
SELECT id, user_id, 4, 'rs_1', '{}' FROM conversations;
INSERT INTO conversation_keys (conversation_id, user_id, key, digest, first_position, last_position)
SELECT id, user_id, 'key', 'digest', 4, 4 FROM conversations;
"""
# Idle for 52 weeks: 53, 3 of them on hold, of which 2 are archived. For 26: 26 more, 5 archived.
OPTIONS = ["--archive-after", "26w", "--delete-after", "52w"]
DONE = {"archived": 22, "deleted": 50, "messages": 150, "retained": 3}


async def everything(connection: asyncpg.Connection) -> dict[str, list[Any]]:
    return {
        table: sorted(map(str, await connection.fetch(f"SELECT * FROM {table}")))
        for table in TABLES
    }


def found(said: str) -> dict[str, Any]:
    return {key: value for key, value in json.loads(said).items() if key in DONE}


def tried(*arguments: str, database_url: str = UNUSED) -> Result:
    """Run the command in this process, which starts faster."""
    others = {name: None for name in os.environ if name.startswith("CHATKEEP_")}
    return CliRunner().invoke(
        sweep, arguments, env={"DATABASE_URL": database_url, **others}, catch_exceptions=False
    )


# the command


async def test_a_dry_run_counts_what_a_sweep_then_does_and_changes_nothing(
    database_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(FILL)
    before = await everything(connection)

    dry = await to_thread(tried, *OPTIONS, "--dry-run", "--json", database_url=database_url)

    assert (dry.exit_code, dry.stderr) == (0, "")
    assert await everything(connection) == before
    assert found(dry.stdout) == DONE
    assert json.loads(dry.stdout)["dry_run"] is True

    done = chatkeep("sweep", *OPTIONS, "--json", DATABASE_URL=database_url)

    assert (done.returncode, done.stderr) == (0, "")
    assert found(done.stdout) == DONE
    assert json.loads(done.stdout)["complete"] is True


async def test_a_sweep_leaves_what_is_recent_or_on_hold_exactly_as_it_was(
    database_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(FILL)
    kept = "updated_at > now() - interval '52 weeks' OR retain"
    rows = await connection.fetch(f"SELECT * FROM conversations WHERE {kept} ORDER BY id")
    expected = [
        dict(row)
        | (
            {"status": "archived", "revision": row["revision"] + 1}
            if row["updated_at"] < NOW - HALF_A_YEAR and row["status"] == "active"
            else {}
        )
        for row in rows
    ]
    messages = await connection.fetch(
        "SELECT * FROM messages WHERE conversation_id = ANY($1) ORDER BY id",
        [row["id"] for row in rows],
    )

    done = await to_thread(tried, *OPTIONS, database_url=database_url)

    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(
        "22 archived, 50 deleted with 150 messages, 3 on hold not deleted; "
    )
    left = await connection.fetch("SELECT * FROM conversations ORDER BY id")
    assert [dict(row) for row in left] == expected
    assert await connection.fetch("SELECT * FROM messages ORDER BY id") == messages
    for table in ("conversation_items", "conversation_keys"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == len(rows)


async def test_sweeping_again_does_nothing(
    database_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(FILL)
    await to_thread(tried, *OPTIONS, database_url=database_url)
    before = await everything(connection)

    done = await to_thread(tried, *OPTIONS, database_url=database_url)

    assert done.stdout.startswith("0 archived, 0 deleted with 0 messages, 3 on hold not deleted; ")
    assert await everything(connection) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--archive-after, --delete-after or both"),
        (["--dry-run"], "--archive-after, --delete-after or both"),
        (
            ["--archive-after", "90"],
            "'--archive-after': '90' is not a valid duration; give hours, days",
        ),
        (["--delete-after", "1y"], "'--delete-after': '1y' is not a valid duration"),
        (["--delete-after", ""], "'--delete-after': '' is not a valid duration"),
        (["--delete-after", "0d"], "'--delete-after': '0d' would include every conversation"),
        (["--archive-after", "40000d"], "'--archive-after': '40000d' is longer than a hundred"),
        (["--archive-after", "2w", "--delete-after", "13d"], "--delete-after is shorter than"),
        (["--archive-after", "2w", "more"], "unexpected extra argument"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(
    arguments: list[str], said: str
) -> None:
    result = tried(*arguments)

    assert result.exit_code == 2
    assert said in result.output.replace("\n", " ")


def test_a_database_that_does_not_serve_is_one_line(postgres_server: Server) -> None:
    url = postgres_server.of("no_such_database")

    done = chatkeep("sweep", "--archive-after", "90d", DATABASE_URL=url)

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"chatkeep: The database refuses this service\.? \(.*\)\n", done.stderr)


async def test_what_was_done_before_the_database_failed_is_said(
    database_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(FILL + FAILING)

    done = chatkeep("sweep", *OPTIONS, DATABASE_URL=database_url)

    assert (done.returncode, done.stdout) == (1, "")
    stopped, failed = done.stderr.splitlines()
    assert stopped.startswith("stopped here: 0 archived, 50 deleted with 150 messages")
    assert failed == "chatkeep: The database refused: no room for that"


FAILING = """
CREATE FUNCTION failing() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN RAISE EXCEPTION 'no room for that'; END$$;
CREATE TRIGGER failing BEFORE UPDATE ON conversations
  FOR EACH STATEMENT EXECUTE FUNCTION failing();
"""


async def test_ctrl_c_ends_it_with_what_was_done_and_another_sweep_goes_on(
    database_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(FILL + SLOW)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from functools import partial\nfrom chatkeep.domain.operations import sweep\n"
        "sweep.Sweep = partial(sweep.Sweep, batch_conversations=2)\n"
        "from chatkeep.entrypoints.cli import main\nmain()",
        *["sweep", "--delete-after", "52w", "--json"],
        cwd=PROJECT,
        env=environment(DATABASE_URL=database_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        while await connection.fetchval("SELECT count(*) FROM conversations") > 98:  # noqa: ASYNC110 - in the database
            await asyncio.sleep(0.02)

    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()

    assert (process.returncode, b"Traceback" in err) == (130, False), err
    assert err.decode().startswith("chatkeep: interrupted")
    assert json.loads(out)["complete"] is False
    gone = 104 - await connection.fetchval("SELECT count(*) FROM conversations")
    assert 6 <= gone < DONE["deleted"]
    assert json.loads(out)["deleted"] in (gone, gone - 2)
    assert await connection.fetchval("SELECT count(*) FROM messages") == 3 * (104 - gone)

    again = await to_thread(tried, "--delete-after", "52w", "--json", database_url=database_url)

    assert found(again.stdout)["deleted"] == DONE["deleted"] - gone


SLOW = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END';
CREATE TRIGGER slowly AFTER DELETE ON conversations
  FOR EACH STATEMENT EXECUTE FUNCTION slowly();
"""


# beside others


@pytest.fixture
def sweeps(engine: Engine) -> PiccoloSweeps:
    return PiccoloSweeps(engine)


async def test_what_somebody_is_just_changing_is_passed_over_without_waiting(
    engine: Engine, postgres_store: StoreUnderTest, sweeps: PiccoloSweeps
) -> None:
    busy = await postgres_store.start(*numbered_messages(2), at=NOW - YEAR)
    free = await postgres_store.start(*numbered_messages(3), at=NOW - YEAR)
    found = [IdleConversation(each.id, ALICE, each.message_count) for each in (busy, free)]

    somebody = await asyncpg.connect(**engine.config)
    async with somebody.transaction(), asyncio.timeout(PATIENCE):
        await somebody.execute("UPDATE conversations SET title = 'mine' WHERE id = $1", busy.id)
        archived = await sweeps.archive(found, NOW)
        deleted = await sweeps.delete(found, NOW)
    await somebody.close()

    assert (archived.archived, deleted.deleted, deleted.messages) == (1, 1, 3)
    assert len(await postgres_store.history(busy)) == 2
    assert (await postgres_store.conversations.get(ALICE, busy.id)).status is Status.ACTIVE


async def test_an_append_at_the_same_time_is_either_kept_whole_or_refused(
    postgres_store: StoreUnderTest, sweeps: PiccoloSweeps
) -> None:
    idle = [await postgres_store.start(*numbered_messages(3), at=NOW - YEAR) for _ in range(60)]
    found = [IdleConversation(each.id, ALICE, each.message_count) for each in idle]

    async def append(conversation: Conversation) -> bool:
        try:
            await postgres_store.append(conversation, new_message("I am back"), at=NOW)
        except ConversationNotFoundError:
            return False
        return True

    async def delete(at: int) -> int:
        return (await sweeps.delete(found[at : at + 5], NOW - SECOND)).deleted

    deleted = [await delete(0)]
    kept = [await append(idle[-1])]
    async with asyncio.TaskGroup() as both:  # for the other 54, in either order
        appending = [both.create_task(append(each)) for each in reversed(idle[:-1])]
        deleting = [both.create_task(delete(at)) for at in range(5, 60, 5)]
    kept += [task.result() for task in appending]
    deleted += [task.result() for task in deleting]

    # A conversation that an append had locked was skipped, and appended to.
    assert sum(deleted) == 60 - sum(kept)
    assert (deleted[0], kept[0]) == (5, True)
    for conversation, is_kept in zip(reversed(idle), kept, strict=True):
        if is_kept:
            contents = [each.content for each in await postgres_store.history(conversation)]
            assert contents == ["user 0", "user 1", "user 2", "I am back"]


async def test_two_sweeps_at_once_do_each_thing_once(
    postgres_store: StoreUnderTest, sweeps: PiccoloSweeps
) -> None:
    idle = [await postgres_store.start(*numbered_messages(2), at=NOW - YEAR) for _ in range(40)]
    found = [IdleConversation(each.id, ALICE, each.message_count) for each in idle]

    done = await asyncio.gather(*(sweeps.delete(found, NOW) for _ in range(4)))
    rest = await sweeps.delete(found, NOW)

    assert sum(each.deleted for each in done) + rest.deleted == 40
    assert sum(each.messages for each in done) + rest.messages == 80
