"""The migrations, run as an operator runs them: by Piccolo's command and by chatkeep's."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from piccolo.columns import (
    JSON,
    JSONB,
    UUID,
    Array,
    BigInt,
    Boolean,
    Bytea,
    Integer,
    Text,
    Timestamptz,
    Varchar,
)

from chatkeep.adapters.piccolo.piccolo_app import APP_CONFIG
from tests.support.postgres import Server, connect_args
from tests.support.processes import chatkeep, environment
from tests.support.service_process import some

ROOT = Path(__file__).parents[2]
BASELINE = "2026-11-22T05:00:00:000000"
OPENAI_ITEMS = "2026-11-22T06:00:00:000000"
RETAIN = "2026-11-22T09:00:00:000000"
REVISION = "2026-11-27T04:00:00:000000"
USER_LIST = "2026-11-29T03:00:00:000000"
MIGRATIONS = sorted(
    re.findall(r'^ID = "(.+)"$', file.read_text(), re.MULTILINE)[0]
    for file in (ROOT / "piccolo_migrations").glob("chatkeep_*.py")
)

TODO_APPLICATION = """
CREATE TABLE users (id varchar(255) PRIMARY KEY, email text NOT NULL DEFAULT '');
CREATE TABLE tasks (id serial PRIMARY KEY, user_id varchar(255) REFERENCES users, note text);
INSERT INTO users VALUES ('ann', 'ann@example.org'), ('bob', '');
INSERT INTO tasks (user_id, note) VALUES ('ann', 'buy milk');
"""

INSERT_MESSAGE = "INSERT INTO messages (conversation_id, user_id, role, content) "

COLUMNS = """
SELECT table_name, column_name, data_type, column_default, is_nullable
FROM information_schema.columns WHERE table_schema = 'public'
ORDER BY table_name, ordinal_position"""


@pytest.fixture
async def empty_url(postgres_server: Server) -> AsyncIterator[str]:
    """Yield the URL of a database without tables."""
    async with postgres_server.database(template="template0") as url:
        yield url


@pytest.fixture
async def connection(empty_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(**connect_args(empty_url))
    yield connection
    await connection.close()


@pytest.fixture
async def migrated(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(**connect_args(database_url))
    yield connection
    await connection.close()


async def piccolo(url: str, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "piccolo"),
        *("migrations", *arguments),
        cwd=ROOT,
        env=environment(DATABASE_URL=url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def migrate(url: str, *arguments: str) -> tuple[int, str]:
    done = await asyncio.to_thread(chatkeep, "migrate", *arguments, DATABASE_URL=url)
    return done.returncode, done.stdout + done.stderr


async def tables(connection: asyncpg.Connection) -> set[str]:
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {row["tablename"] for row in rows}


async def test_piccolo_takes_an_empty_database_forwards_and_back_and_forwards_again(
    empty_url: str, connection: asyncpg.Connection
) -> None:
    status, output = await piccolo(empty_url, "forwards", "chatkeep")
    assert status == 0, output
    made = await tables(connection)
    assert made >= {"users", "tasks", "conversations", "messages"}
    columns = await connection.fetch(COLUMNS)

    status, output = await piccolo(empty_url, "backwards", "chatkeep", "all", "--auto_agree")
    assert status == 0, output
    assert await tables(connection) == {"migration"}

    status, output = await piccolo(empty_url, "forwards", "chatkeep")
    assert status == 0, output
    assert await connection.fetch(COLUMNS) == columns


async def test_our_command_does_what_piccolo_does(
    empty_url: str, connection: asyncpg.Connection, database_url: str
) -> None:
    status, output = await migrate(empty_url)
    assert status == 0, output
    assert BASELINE in output

    ours = await connection.fetch(COLUMNS)
    template = await asyncpg.connect(**connect_args(database_url))
    assert ours == await template.fetch(COLUMNS)
    await template.close()
    status, output = await piccolo(empty_url, "forwards", "chatkeep")
    assert (status, "No migrations need to be run" in output) == (0, True), output


async def test_the_tables_are_made_in_the_schema_that_the_url_names(
    empty_url: str, connection: asyncpg.Connection
) -> None:
    schema = f"{empty_url}{'&' if '?' in empty_url else '?'}schema=our%20chat"
    status, output = await migrate(schema)
    assert status == 1
    assert "no schema" in output
    await connection.execute('CREATE SCHEMA "our chat"')
    status, output = await migrate(schema)
    assert status == 0, output
    assert not await tables(connection)
    assert await connection.fetchval("""SELECT to_regclass('"our chat".messages') IS NOT NULL""")


async def test_the_status_says_what_is_pending_and_what_ran_and_changes_nothing(
    empty_url: str, connection: asyncpg.Connection
) -> None:
    status, output = await migrate(empty_url, "--status")
    assert status == 0, output
    assert BASELINE in output
    assert "pending" in output
    assert await tables(connection) == set()

    await migrate(empty_url)

    status, output = await migrate(empty_url, "--status")
    assert status == 0, output
    assert f"current: {MIGRATIONS[-1]}" in output
    assert "pending: none" in output


async def test_eight_processes_at_once_apply_it_once(
    empty_url: str, connection: asyncpg.Connection
) -> None:
    outcomes = await asyncio.gather(*(migrate(empty_url) for _ in range(8)))

    assert [status for status, _ in outcomes] == [0] * 8, outcomes
    assert sum(BASELINE in output for _, output in outcomes) == 1
    assert await connection.fetchval("SELECT count(*) FROM migration") == len(MIGRATIONS)


@pytest.mark.full
async def test_the_items_are_added_to_a_database_that_has_messages_and_taken_away_again(
    empty_url: str, connection: asyncpg.Connection
) -> None:
    assert (await piccolo(empty_url, "forwards", "chatkeep", BASELINE))[0] == 0
    await connection.execute(
        "INSERT INTO users VALUES ('ann'); INSERT INTO conversations (user_id) VALUES ('ann'); "
        f"{INSERT_MESSAGE} SELECT id, user_id, 'user', 'hello' FROM conversations"
    )
    before = await connection.fetch("SELECT * FROM messages")

    status, output = await migrate(empty_url)
    assert status == 0, output
    assert BASELINE not in output
    row = await connection.fetchrow("SELECT item, item_id FROM messages")
    assert tuple(row) == (None, None)
    await connection.execute(
        "UPDATE messages SET item = '{}', item_id = 'own'; "
        "INSERT INTO conversation_items (conversation_id, user_id, position, item_id, item) "
        "SELECT id, user_id, 1, 'rs', '{}' FROM conversations"
    )

    status, output = await piccolo(empty_url, "backwards", "chatkeep", OPENAI_ITEMS, "--auto_agree")
    assert status == 0, output
    assert await connection.fetch("SELECT * FROM messages") == before
    assert (await migrate(empty_url))[0] == 0


@pytest.mark.full
async def test_going_back_before_holds_and_forwards_again_keeps_the_conversations(
    empty_url: str, connection: asyncpg.Connection
) -> None:
    await migrate(empty_url)
    await connection.execute(
        "INSERT INTO users VALUES ('ann'); "
        "INSERT INTO conversations (user_id, title, retain) VALUES ('ann', 'held', true)"
    )

    status, output = await piccolo(empty_url, "backwards", "chatkeep", RETAIN, "--auto_agree")
    assert status == 0, output
    assert (await migrate(empty_url))[0] == 0

    row = await connection.fetchrow("SELECT title, retain FROM conversations")
    assert tuple(row) == ("held", False)


@pytest.mark.full
async def test_revisions_are_added_without_writing_the_rows_again(
    empty_url: str, connection: asyncpg.Connection
) -> None:
    await migrate(empty_url)
    status, output = await piccolo(empty_url, "backwards", "chatkeep", REVISION, "--auto_agree")
    assert status == 0, output
    # As a process of the previous version does it, also after the migration.
    insert = "INSERT INTO conversations (user_id, title) VALUES ('ann', $1)"
    file = "SELECT pg_relation_filenode('conversations')"
    await connection.execute("INSERT INTO users VALUES ('ann')")
    await connection.execute(insert, "before")
    stored_in = await connection.fetchval(file)

    assert (await migrate(empty_url))[0] == 0
    await connection.execute(insert, "after")

    rows = await connection.fetch("SELECT title, revision FROM conversations ORDER BY title")
    assert [tuple(row) for row in rows] == [("after", 0), ("before", 0)]
    assert await connection.fetchval(file) == stored_in


async def test_tables_of_another_application_and_their_rows_stay_as_they_are(
    empty_url: str, connection: asyncpg.Connection
) -> None:
    await connection.execute(TODO_APPLICATION)
    before = await connection.fetch(COLUMNS)
    rows = await connection.fetch("SELECT * FROM users, tasks")

    assert (await migrate(empty_url))[0] == 0
    after = await connection.fetch(COLUMNS)
    assert [row for row in after if row["table_name"] in {"users", "tasks"}] == before
    assert await connection.fetch("SELECT * FROM users, tasks") == rows
    await connection.execute("INSERT INTO conversations (user_id) VALUES ('ann')")

    assert (await piccolo(empty_url, "backwards", "chatkeep", "all", "--auto_agree"))[0] == 0
    assert await connection.fetch("SELECT * FROM users, tasks") == rows


async def test_going_back_keeps_users_that_are_in_use(
    empty_url: str, connection: asyncpg.Connection
) -> None:
    await migrate(empty_url)
    await connection.execute("INSERT INTO users VALUES ('ann')")

    assert (await piccolo(empty_url, "backwards", "chatkeep", "all", "--auto_agree"))[0] == 0

    assert await connection.fetchval("SELECT count(*) FROM users") == 1
    assert (await migrate(empty_url))[0] == 0


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("users (id integer PRIMARY KEY)", "users.id is of type integer"),
        ("users (id uuid PRIMARY KEY)", "users.id is of type uuid"),
        ("users (id varchar(255))", "users.id is not unique"),
        ("users (name text)", "has no column 'id'"),
        ("conversations (id integer)", "'conversations' exists already"),
        ("messages (id integer)", "'messages' exists already"),
    ],
)
async def test_a_table_in_the_way_is_named_and_nothing_changes(
    empty_url: str, connection: asyncpg.Connection, table: str, complaint: str
) -> None:
    await connection.execute(f"CREATE TABLE {table}")
    before = await tables(connection)

    status, output = await migrate(empty_url)

    assert status == 1
    assert complaint in output
    assert "Traceback" not in output
    assert await tables(connection) == before


@pytest.mark.parametrize(
    "id_type", some(["varchar(255)", "varchar", "text", "varchar(64)"], every=2)
)
async def test_ids_of_any_text_type_fit(
    empty_url: str, connection: asyncpg.Connection, id_type: str
) -> None:
    await connection.execute(f"CREATE TABLE users (id {id_type} UNIQUE)")

    assert (await migrate(empty_url))[0] == 0


async def test_only_our_own_table_of_users_gets_an_index_and_loses_it_again(
    empty_url: str, connection: asyncpg.Connection
) -> None:
    find = "SELECT count(*) FROM pg_indexes WHERE indexname = 'idx_users_id'"
    await migrate(empty_url)
    assert await connection.fetchval(find) == 1

    status, output = await piccolo(empty_url, "backwards", "chatkeep", USER_LIST, "--auto_agree")
    assert status == 0, output
    assert await connection.fetchval(find) == 0
    await connection.execute("COMMENT ON TABLE users IS NULL")
    assert (await migrate(empty_url))[0] == 0
    assert await connection.fetchval(find) == 0


async def test_plain_inserts_by_hand_work(migrated: asyncpg.Connection) -> None:
    connection = migrated
    await connection.execute("INSERT INTO users (id) VALUES ('ann')")
    conversation = await connection.fetchval(
        "INSERT INTO conversations (user_id) VALUES ('ann') RETURNING id"
    )

    message = await connection.fetchrow(
        "INSERT INTO messages (conversation_id, user_id, role, content) "
        "VALUES ($1, 'ann', 'user', 'hello') RETURNING *",
        conversation,
    )

    assert message["position"] > 1_700_000_000_000_000
    assert message["metadata"] == "{}"


@pytest.mark.parametrize(
    "statement",
    [
        f"{INSERT_MESSAGE} VALUES (gen_random_uuid(), 'ann', 'user', 'an orphan')",
        f"{INSERT_MESSAGE} SELECT id, 'bob', 'user', 'into one of ann' FROM conversations",
        f"{INSERT_MESSAGE} SELECT id, user_id, 'robot', 'of no known role' FROM conversations",
        f"{INSERT_MESSAGE} SELECT id, user_id, 'user', NULL FROM conversations",
        "INSERT INTO conversations (user_id) VALUES ('nobody')",
        "UPDATE conversations SET status = 'lost'",
    ],
)
async def test_the_database_itself_refuses_what_must_not_be(
    migrated: asyncpg.Connection, statement: str
) -> None:
    await migrated.execute(
        "INSERT INTO users VALUES ('ann'), ('bob'); "
        "INSERT INTO conversations (user_id) VALUES ('ann')"
    )

    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await migrated.execute(statement)


async def test_the_tables_are_what_piccolo_believes_they_are(migrated: asyncpg.Connection) -> None:
    types = {
        Array: "ARRAY",
        BigInt: "bigint",
        Boolean: "boolean",
        Bytea: "bytea",
        Integer: "integer",
        JSON: "json",
        JSONB: "jsonb",
        Text: "text",
        Timestamptz: "timestamp with time zone",
        UUID: "uuid",
        Varchar: "character varying",
    }
    rows = await migrated.fetch(COLUMNS)

    for table in APP_CONFIG.table_classes:
        meta = table._meta  # noqa: SLF001 - Piccolo's way of saying it
        assert {
            (column._meta.name, types[type(column)], column._meta.null)  # noqa: SLF001
            for column in meta.columns
        } == {
            (row["column_name"], row["data_type"], row["is_nullable"] == "YES")
            for row in rows
            if row["table_name"] == meta.tablename
        }
