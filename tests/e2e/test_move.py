"""chatkeep move: everything arrives unchanged, or the command says what did not."""

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from chatkeep.adapters.operator.move.run import move, preview
from chatkeep.adapters.operator.move.statements import MADE_AGAIN, TABLES, TASKS
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.sizes import OWN_TABLES
from chatkeep.domain.operations.move import Advance, MoveError, MovePreview, MoveResult
from tests.support import postgres
from tests.support.postgres import Server, connect_args
from tests.support.processes import chatkeep
from tests.support.service_process import some

SOURCE = "move_source"

# More messages, and more keys of one conversation, than one range holds; the lowest and highest
# ids; texts that a copy could easily change.
FILL = """
INSERT INTO users (id, created_at) VALUES
  ('ann', '2020-02-29 12:34:56.789012+00'), ('Zoë', now()), ('zoe', now()), ('tab\tin', now());
INSERT INTO conversations (id, user_id, title, status, metadata, retain, message_count,
                           last_position, created_at, updated_at)
VALUES
  ('00000000-0000-0000-0000-000000000000', 'ann', E'a\\\\N\\r\\n\ufdd00', 'archived',
   '{"b": 1.50, "a": null}', true, 5000, 5000, '1970-01-01', '2024-01-01 00:00:00.000001+00'),
  ('00000000-0000-0000-0000-000000000000', 'zoe', NULL, 'active', '{}', false, 1, 7, now(), now()),
  ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'Zoë', '', 'active', '{}', false, 0, 0, now(), now());
INSERT INTO messages (conversation_id, user_id, role, position, content, created_at)
SELECT id, user_id, 'user', n, repeat('é', n % 300), timestamptz '2024-01-01' - n * interval '1 h'
FROM conversations, generate_series(1, 5000) n WHERE user_id = 'ann';
INSERT INTO messages (conversation_id, user_id, role, position, tool_calls, tool_call_id, name,
                      metadata, item_id, item, tokens, starts_context, edited_at, format, original)
SELECT id, user_id, 'assistant', 7, '[{"id": "c"}]', '', 'f', '{"n": 12345678901234567890.10}',
       'own', '{"b":1.0,  "a" : "\\u00e9", "a":2}', 7, true, '2024-01-01 00:00:00.000001+00', 'own',
       E'{"b":1.0,\r\n\t"a" : "\\\\u0000 \ufdd00", "a":2}' || repeat(' ', 100000)
FROM conversations WHERE user_id = 'zoe';
INSERT INTO conversation_items (conversation_id, user_id, position, item_id, item)
SELECT id, user_id, 9223372036854775807, 'rs', '{ "z":1}' FROM conversations;
INSERT INTO conversation_keys (conversation_id, user_id, key, digest, first_position, last_position)
SELECT id, user_id, 'key ' || n, 'd', n, n FROM conversations, generate_series(1, 2100) n
WHERE user_id = 'ann';
INSERT INTO conversation_branches
  (conversation_id, user_id, number, parent, left_at, name, firsts, lasts)
SELECT id, user_id, n, nullif(n - 1, -1), n, 'é' || n, ARRAY[n, n + 9], ARRAY[n + 1]
FROM conversations, generate_series(0, 2100) n WHERE user_id = 'ann';
INSERT INTO conversation_changes
  (conversation_id, user_id, revision, number, kind, message_id, text_id)
SELECT id, user_id, n, n, 'message.deleted', id, 'é' || n
FROM conversations, generate_series(1, 2100) n WHERE user_id = 'ann';
INSERT INTO drafts (conversation_id, user_id, number, id, epoch, status, message_id, format,
                    metadata, lease, next_chunk, bytes, chars, started_at, progress_at, ends_by)
SELECT id, user_id, 9, id, 2, 'active', id, 'text', '{}', 60, 4, 64, 3, now(), now(), now()
FROM conversations;
INSERT INTO draft_chunks (conversation_id, user_id, draft, seq, chunks, bytes)
SELECT conversation_id, user_id, number, n, ARRAY['é', E'a\\\\N"{}'], 36
FROM drafts, generate_series(1, 2100) n WHERE user_id = 'ann';
UPDATE conversations SET branch = 2100, forked_from = 'a fork', forked_at = 'm'
WHERE user_id = 'ann';
INSERT INTO tasks (user_id, title) SELECT 'ann', 'task' FROM generate_series(1, 9);
DELETE FROM tasks WHERE id = 9;
"""
CHANGE = """
DELETE FROM conversations WHERE user_id = 'Zoë';
DELETE FROM messages WHERE position = 4999;
UPDATE messages SET content = 'other' WHERE position = 5;
UPDATE conversations SET title = 'renamed', updated_at = now() WHERE user_id = 'ann';
INSERT INTO users VALUES ('new');
INSERT INTO conversations (user_id, updated_at) VALUES ('new', now() + interval '1 h');
"""


@pytest.fixture(scope="module", autouse=True)
async def template(postgres_server: Server) -> AsyncIterator[None]:
    """Create the source database once; each test gets a copy."""
    await postgres_server.execute(f"CREATE DATABASE {SOURCE} TEMPLATE {postgres.TEMPLATE}")
    await postgres_server.execute(FILL, database=SOURCE)
    yield
    await postgres_server.execute(f"DROP DATABASE {SOURCE}")


@pytest.fixture
async def source(postgres_server: Server) -> AsyncIterator[str]:
    async with postgres_server.database(template=SOURCE) as url:
        yield url


@pytest.fixture
async def target(postgres_server: Server) -> AsyncIterator[str]:
    """Yield the URL of a migrated database without rows."""
    async with postgres_server.database() as url:
        yield url


@pytest.fixture
async def empty(postgres_server: Server) -> AsyncIterator[str]:
    """Yield the URL of a database without tables."""
    async with postgres_server.database(template="template0") as url:
        yield url


async def run(source: str, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(chatkeep, "move", *arguments, stdin=stdin, DATABASE_URL=source)


async def moved(source: str, target: str, advance: Advance = lambda _: None) -> MoveResult:
    """Do what the command does, in this process, which is faster."""
    await seen(source, target)
    async with postgres.pool(target) as there:
        return await move(Engine(connect_args(source)), there, advance)


async def seen(source: str, target: str) -> MovePreview:
    return await preview(Engine(connect_args(source)), Engine(connect_args(target)))


@pytest.fixture
def home() -> Iterator[Path]:
    """Yield a directory that the embedded database's account can enter."""
    path = Path(tempfile.mkdtemp(prefix="chatkeep test "))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


async def rows(url: str, *names: str) -> dict[str, list[str]]:
    """Return the rows of the given tables, or of all, as text."""
    connection = await asyncpg.connect(**connect_args(url))
    try:
        return {
            name: [
                row["row"]
                for row in await connection.fetch(
                    f"SELECT t::text AS row FROM {name} t ORDER BY row"
                )
            ]
            for name in names or [*(table.name for table in TABLES), "tasks"]
        }
    finally:
        await connection.close()


async def execute(url: str, script: str) -> None:
    connection = await asyncpg.connect(**connect_args(url))
    try:
        await connection.execute(script)
    finally:
        await connection.close()


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(**connect_args(url))
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


class InterruptionError(Exception):
    """Simulates a power cut."""


async def interrupted(source: str, target: str, *, at: int) -> None:
    """Move until the given range, which is rolled back."""
    told = 0

    def advance(_rows: int) -> None:
        nonlocal told
        told += 1
        if told == at:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        await moved(source, target, advance)


async def test_every_table_of_the_schema_is_moved_with_every_column(target: str) -> None:
    there = await fetch(
        target,
        "SELECT json_object_agg(relname, columns) FROM (SELECT relname, array_agg(attname) "
        "AS columns FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 "
        "AND NOT attisdropped WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
        "GROUP BY relname) t",
    )

    columns = {name: set(found) for name, found in json.loads(str(there)).items()}
    del columns["migration"]  # Piccolo's own; the migration of the target creates it
    assert {*columns} == OWN_TABLES
    moved_columns = {name: of for name, of in columns.items() if name not in MADE_AGAIN}
    assert {table.name: set(table.columns) for table in (*TABLES, TASKS)} == moved_columns


async def test_everything_arrives_as_it_is_and_the_source_stays(source: str, empty: str) -> None:
    before = await rows(source)

    done = await run(source, "-", stdin=f"{empty}\n")

    assert (done.returncode, done.stderr) == (0, "")
    assert await rows(empty) == await rows(source) == before
    assert len(before["messages"]) == 5001
    messages = next(line for line in done.stdout.splitlines() if line.startswith("messages"))
    assert messages.split() == ["messages", "5,001", "->", "5,001", "rows", "equal"]
    assert "DATABASE_URL" in done.stdout
    assert await fetch(empty, "SELECT reltuples FROM pg_class WHERE relname = 'messages'") == 5001
    new_task = "INSERT INTO tasks (user_id, title) VALUES ('ann', 'next') RETURNING id"
    assert await fetch(empty, new_task) == await fetch(source, new_task) == 10


@pytest.mark.full
async def test_moving_again_after_it_was_done_changes_nothing(source: str, target: str) -> None:
    assert (await moved(source, target)).equal
    assert (await seen(source, target)).done

    await execute(target, "UPDATE messages SET content = 'of a service' WHERE position = 5")
    served = await rows(target)
    with pytest.raises(MoveError, match="a service has been writing there"):
        await moved(source, target)
    assert await rows(target) == served


@pytest.mark.full
async def test_what_is_written_after_it_was_done_is_taken_over_too(
    source: str, target: str
) -> None:
    assert (await moved(source, target)).equal
    await execute(source, CHANGE)

    assert not (await seen(source, target)).done
    assert (await moved(source, target)).equal
    assert await rows(target) == await rows(source)


@pytest.mark.parametrize("at", some([4, 2, 5], every=3))
async def test_an_interrupted_move_goes_on_and_takes_over_what_changed(
    source: str, target: str, at: int
) -> None:
    await interrupted(source, target, at=at)
    assert (await seen(source, target)).begun
    assert await rows(target) != await rows(source)
    await execute(source, CHANGE)

    assert (await moved(source, target)).equal

    assert await rows(target) == await rows(source)


@pytest.mark.full
async def test_what_is_there_and_equal_is_not_written_again(source: str, target: str) -> None:
    await interrupted(source, target, at=4)
    assert await fetch(target, "SELECT count(*) FROM messages") == 2000
    written = "SELECT string_agg(xmin::text, ' ' ORDER BY position) FROM messages "
    written += "WHERE position <= 1000 AND user_id = 'ann'"
    first = await fetch(target, written)

    assert (await moved(source, target)).equal

    assert await fetch(target, written) == first


@pytest.mark.full
async def test_what_is_written_meanwhile_is_told_and_taken_over_by_the_next_run(
    source: str, target: str
) -> None:
    writing: list[asyncio.Task[None]] = []

    def advance(_rows: int) -> None:
        if not writing:
            writing.append(asyncio.create_task(execute(source, CHANGE)))

    first = await moved(source, target, advance)
    await writing[0]
    assert not first.equal
    assert {each.table for each in first.tables if not each.equal} >= {"users", "messages"}

    assert (await moved(source, target)).equal
    assert await rows(target) == await rows(source)


async def test_a_target_that_is_not_equal_in_the_end_is_an_error(source: str, target: str) -> None:
    await execute(
        target,
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.name := 'x'; RETURN NEW; END $$; "
        "CREATE TRIGGER spoil BEFORE INSERT ON messages FOR EACH ROW WHEN (NEW.position = 7) "
        "EXECUTE FUNCTION spoil()",
    )

    done = await run(source, target)

    assert done.returncode == 1
    assert done.stdout.count("5,001 rows  NOT EQUAL") == 1
    assert done.stdout.count("NOT EQUAL") == 1
    assert "not equal to the source" in done.stderr
    assert "DATABASE_URL" not in done.stdout


async def test_a_target_in_use_is_refused_and_stays_as_it_is(source: str, target: str) -> None:
    await execute(target, "INSERT INTO users VALUES ('somebody')")
    before = await rows(target)

    done = await run(source, target)

    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("chatkeep: The target has rows in users")
    assert await rows(target) == before


async def test_a_begun_move_is_not_gone_on_with_from_another_source(
    source: str, target: str, postgres_server: Server
) -> None:
    await interrupted(source, target, at=4)
    async with postgres_server.database(template=SOURCE) as other:
        with pytest.raises(MoveError, match="a move from another database"):
            await moved(other, target)


async def test_a_begun_move_is_not_gone_on_with_when_the_target_was_written_to(
    source: str, target: str
) -> None:
    await interrupted(source, target, at=4)
    await execute(target, "INSERT INTO conversations (user_id) VALUES ('ann')")
    before = await rows(target)

    with pytest.raises(MoveError, match="a service has been writing there"):
        await moved(source, target)
    assert await rows(target) == before


async def test_a_database_is_not_moved_into_itself(source: str) -> None:
    with pytest.raises(MoveError, match="the same database"):
        await moved(source, source)


async def test_a_dry_run_changes_nothing(source: str, empty: str) -> None:
    done = await run(source, empty, "--dry-run")

    assert (done.returncode, done.stderr) == (0, "")
    assert ["messages", "5,001", "rows"] in [line.split() for line in done.stdout.splitlines()]
    assert await fetch(empty, "SELECT to_regclass('users')") is None


async def test_users_of_another_application_stay_and_those_that_are_missing_are_added(
    source: str, empty: str
) -> None:
    await execute(
        empty,
        "CREATE TABLE users (id text PRIMARY KEY, email text NOT NULL DEFAULT 'none'); "
        "INSERT INTO users VALUES ('ann', 'ann@example.org'), ('bob', 'bob@example.org')",
    )

    done = await run(source, empty)

    assert done.returncode == 0, done.stderr
    theirs = (await rows(empty, "users"))["users"]
    assert {"(ann,ann@example.org)", "(bob,bob@example.org)", "(zoe,none)"} < set(theirs)
    assert len(theirs) == 5
    rest = [table.name for table in TABLES if table.name != "users"]
    assert await rows(empty, *rest) == await rows(source, *rest)


async def test_tasks_of_another_application_are_not_mixed_with_ours(
    source: str, target: str
) -> None:
    await execute(target, "COMMENT ON TABLE tasks IS NULL")

    with pytest.raises(MoveError, match="a table tasks that is another application's"):
        await moved(source, target)
    assert await rows(target, "conversations", "tasks") == {"conversations": [], "tasks": []}


async def test_a_source_without_a_row_is_nothing_to_move(
    postgres_server: Server, target: str
) -> None:
    async with postgres_server.database() as nothing:
        with pytest.raises(MoveError, match="nothing to move"):
            await moved(nothing, target)


async def test_a_source_of_another_version_is_refused(source: str, target: str) -> None:
    await execute(source, "ALTER TABLE conversations ADD COLUMN later int")
    with pytest.raises(MoveError, match="later"):
        await moved(source, target)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://me:mysecret@/nothing?host={host}", "The target cannot be used. "),
        ("mysql://me:mysecret@host/db", "postgresql://"),
    ],
)
async def test_a_target_that_cannot_be_used_is_one_clear_line(
    source: str, url: str, told: str
) -> None:
    done = await run(source, url.format(host=connect_args(source)["host"]))
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert told in line
    assert "mysecret" not in line


@pytest.mark.full
async def test_the_embedded_database_is_moved_and_its_secret_is_named_but_not_shown(
    home: Path, empty: str
) -> None:
    line = '{"title": "from the embedded one", "messages": [{"role": "user", "content": "hi"}]}\n'
    settings = {"CHATKEEP_HOME": str(home)}
    done = await asyncio.to_thread(
        chatkeep, "import", "-", "--user", "alice", stdin=line, **settings
    )
    assert done.returncode == 0, done.stderr

    done = await asyncio.to_thread(chatkeep, "move", empty, **settings)

    assert done.returncode == 0, done.stderr
    assert await fetch(empty, "SELECT title FROM conversations") == "from the embedded one"
    assert f"\"$(cat '{home}/secret')\"" in done.stdout
    assert (home / "secret").read_text() not in done.stdout + done.stderr
