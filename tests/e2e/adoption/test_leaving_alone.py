"""Adopting does not touch legacy tables and other applications' tables; --dry-run, nothing."""

import csv
import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.e2e.adoption.conftest import Place, said
from tests.e2e.adoption.layouts import SERIAL_AND_NAIVE, SMALL
from tests.support.postgres import Server, connect_args, migrate

TODO = """
CREATE TABLE users (id varchar(255) PRIMARY KEY, email text {email}, since timestamp DEFAULT now());
CREATE TABLE tasks (id serial PRIMARY KEY, user_id varchar(255) REFERENCES users, note text);
INSERT INTO users (id, email) VALUES ('ann', 'ann@example.org');
INSERT INTO tasks (user_id, note) VALUES ('ann', 'buy milk');
"""
OURS = ("users", "conversations", "messages", "adoptions")


@pytest.fixture
async def small(place: Place) -> Place:
    await place.old.execute(SMALL)
    return place


@asynccontextmanager
async def with_todo(server: Server, email: str) -> AsyncIterator[Place]:
    """Yield a database of the todo application, with the small legacy tables."""
    async with server.database(template="template0") as url:
        connection = await asyncpg.connect(**connect_args(url))
        await connection.execute(TODO.format(email=email))
        migrate(url)
        await connection.execute(SMALL)
        yield Place(url, connection)
        await connection.close()


async def test_the_old_tables_stay_as_they_are(place: Place) -> None:
    await place.old.execute(SERIAL_AND_NAIVE.script)
    tables = ("old_conversations", "old_messages")
    before = [await place.rows(table) for table in tables]
    await place.adopted()
    await place.adopted()
    assert [await place.rows(table) for table in tables] == before


async def test_a_dry_run_changes_nothing_and_counts_what_a_real_one_does(small: Place) -> None:
    await small.old.execute("UPDATE old_messages SET role = 'helper' WHERE id = 2")
    before = [await small.rows(table) for table in OURS]

    dry = await small.adopt("--dry-run", "--json")

    assert [await small.rows(table) for table in OURS] == before
    real = await small.adopt("--json")
    assert dry.status == real.status == 1
    for key in ("conversations", "messages", "orphans", "refused"):
        assert dry.report[key] == real.report[key]
    assert (dry.report["dry_run"], dry.report["compared"]) == (True, None)
    assert "conversations: 0 to adopt, 2 already there" in (await small.adopt("--dry-run")).out


async def test_messages_without_a_conversation_are_told_and_not_adopted(small: Place) -> None:
    await small.old.execute("DELETE FROM old_conversations WHERE id = 1")
    done = await small.adopt()
    assert done.status == 0
    assert "not adopted: 2 messages without a conversation (1, 2)" in done.out
    assert await small.count("messages") == 1


async def test_stopping_at_a_bad_row_leaves_its_conversations_out(small: Place) -> None:
    await small.old.execute("UPDATE old_messages SET role = 'helper' WHERE id = 3")
    done = await small.adopt("--on-bad", "stop")
    assert done.status == 1
    [line] = done.err.splitlines()
    assert line.startswith("chatkeep: Stopped at messages: 3: role: 'helper' is unknown")
    assert [await small.count(table) for table in OURS] == [0, 0, 0, 0]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
async def test_the_mapping_names_all_that_is_here(
    small: Place, tmp_path: Path, suffix: str
) -> None:
    await small.old.execute("UPDATE old_messages SET role = 'helper' WHERE id = 3")
    file = tmp_path / f"ids{suffix}"
    await small.adopt("--mapping", str(file))
    first = file.read_text()
    await small.adopt("--mapping", str(file))

    assert file.read_text() == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [file.name]  # noqa: PTH208 - a Path's would be refused here
    lines = first.splitlines()
    rows = list(csv.DictReader(lines)) if suffix == ".csv" else [*map(json.loads, lines)]
    [ann], [bob] = [await small.conversations(user) for user in ("ann", "bob")]
    expected = {("conversations", "1", ann["id"]), ("conversations", "2", bob["id"])}
    expected |= {("messages", str(old), each["id"]) for old, each in enumerate(ann["messages"], 1)}
    assert {(row["table"], row["old_id"], row["new_id"]) for row in rows} == expected
    assert len(rows) == 4


async def test_a_run_that_fails_leaves_the_mapping_of_before(small: Place, tmp_path: Path) -> None:
    file = tmp_path / "ids.csv"
    file.write_text("of before")
    await small.old.execute("UPDATE old_messages SET role = 'helper' WHERE id = 3")
    await small.adopt("--mapping", str(file), "--on-bad", "stop")
    assert file.read_text() == "of before"
    assert os.listdir(tmp_path) == [file.name]  # noqa: PTH208 - a Path's would be refused here


async def test_the_todo_application_keeps_its_rows_and_gets_the_missing_owners(
    postgres_server: Server,
) -> None:
    async with with_todo(postgres_server, "DEFAULT ''") as place:
        users, tasks = await place.rows("users"), await place.rows("tasks")

        report = await place.adopted()

        assert report["users_added"] == 1
        assert await place.rows("tasks") == tasks
        assert (await place.rows("users"))[:1] == users
        added = await place.old.fetchval("SELECT id FROM users ORDER BY ctid DESC LIMIT 1")
        assert added == "bob"


async def test_owners_that_users_cannot_take_are_told_before_anything_is_done(
    postgres_server: Server,
) -> None:
    async with with_todo(postgres_server, "NOT NULL") as place:
        for arguments in ((), ("--dry-run",)):
            done = await place.adopt(*arguments)

            assert done.status == 1
            [line] = done.err.splitlines()
            assert "1 owners are not in the table users (bob)" in line
            assert "needs more than an id: email" in line
            assert await place.count("conversations") == 0


async def test_a_users_table_that_refuses_for_another_reason_is_told(small: Place) -> None:
    await small.old.execute("ALTER TABLE users ADD CHECK (id <> 'bob')")
    done = await small.adopt()
    assert done.status == 1
    [line] = done.err.splitlines()
    assert "refuses a row with only an id" in line
    assert "bob" in line
    assert await small.count("users") == 0


async def test_a_database_that_is_not_migrated_is_told(postgres_server: Server) -> None:
    async with postgres_server.database(template="template0") as url:
        done = await Place(url, None).adopt()
    assert done.status == 1
    [line] = done.err.splitlines()
    assert "run `chatkeep migrate` first" in line


async def test_whom_nobody_asked_sees_nothing(small: Place) -> None:
    """Other users cannot see what was adopted."""
    await small.adopted()
    assert [said(each) for each in await small.conversations("bob")] == [[("user", "Anyone?")]]
    assert await small.conversations("carol") == []
