"""pg_dump and what it is restored with: the copy is equal, and the service goes on with it."""

import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.e2e.test_move import FILL, execute, rows
from tests.support import postgres
from tests.support.postgres import Server
from tests.support.processes import SECRET, chatkeep
from tests.support.service_process import as_user, running

SOURCE = "backup_source"
NIL = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
async def source(postgres_server: Server) -> AsyncIterator[str]:
    await postgres_server.execute(f"CREATE DATABASE {SOURCE} TEMPLATE {postgres.TEMPLATE}")
    await postgres_server.execute(FILL, database=SOURCE)
    yield postgres_server.of(SOURCE)
    await postgres_server.execute(f"DROP DATABASE {SOURCE}")


@pytest.fixture
async def restored(postgres_server: Server) -> AsyncIterator[str]:
    async with postgres_server.database(template="template0") as url:
        yield url


def run(program: str, *arguments: str | Path, text: bytes = b"") -> bytes:
    """Run a program that comes with the Postgres of the tests, to its end; return what it wrote."""
    command = [postgres.programs() / program, *arguments]
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def schema(url: str) -> list[str]:
    """Return all that is not rows, without the lines that differ from dump to dump.

    Those have a number of their own, and a check comes back with its casts elsewhere.
    """
    text = run("pg_dump", "--schema-only", "--no-owner", "--dbname", url).decode()
    lines = [line for line in text.splitlines() if not re.match(r"\\(un)?restrict ", line)]
    return [re.sub(r"( CONSTRAINT \w+ CHECK) .*", r"\1", line) for line in lines]


async def test_a_dump_is_restored_to_an_equal_database_that_serves(
    source: str, restored: str, tmp_path: Path
) -> None:
    dump = tmp_path / "chatkeep.dump"
    run("pg_dump", "--format=custom", "--no-owner", "--file", dump, "--dbname", source)
    run("pg_restore", "--no-owner", "--single-transaction", "--dbname", restored, dump)

    assert await rows(restored) == await rows(source)
    assert len((await rows(restored))["messages"]) == 5001
    assert schema(restored) == schema(source)
    assert any("CREATE STATISTICS" in line for line in schema(restored))
    with pytest.raises(asyncpg.CheckViolationError):
        await execute(restored, "UPDATE conversations SET status = 'lost'")

    done = chatkeep("migrate", DATABASE_URL=restored)
    assert (done.returncode, done.stdout) == (0, "nothing was pending\n")
    async with running(DATABASE_URL=restored, CHATKEEP_JWT_SECRET=SECRET) as service:
        ann = as_user("ann")
        path = f"/v1/conversations/{NIL}/messages"
        body = {"role": "user", "content": "after the restore"}
        await service.call("POST", path, body, headers=ann)
        page = await service.call("GET", f"{path}?order=desc&limit=2", headers=ann)
    last, before = page["items"]
    assert last["content"] == "after the restore"
    assert before["content"] == "é" * (5000 % 300)


async def test_a_plain_dump_goes_through_psql_too(source: str, restored: str) -> None:
    script = run("pg_dump", "--no-owner", "--dbname", source)
    options = ("--no-psqlrc", "--quiet", "--single-transaction", "--set", "ON_ERROR_STOP=1")
    run("psql", *options, "--output", "/dev/null", "--dbname", restored, text=script)

    assert await rows(restored) == await rows(source)


async def test_a_dump_is_not_restored_over_what_is_there(
    source: str, database_url: str, tmp_path: Path
) -> None:
    """One transaction: it is refused as a whole, and nothing of it stays."""
    await execute(database_url, "INSERT INTO users VALUES ('mine')")
    dump = tmp_path / "chatkeep.dump"
    run("pg_dump", "--format=custom", "--no-owner", "--file", dump, "--dbname", source)

    with pytest.raises(AssertionError, match="already exists"):
        run("pg_restore", "--no-owner", "--single-transaction", "--dbname", database_url, dump)

    there = await rows(database_url)
    assert [name for name, found in there.items() if found] == ["users"]
