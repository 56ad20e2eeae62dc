"""Real servers in homes of their own, with processes that come, go and are killed."""

import asyncio
import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest

from adapters import postgres_binaries
from adapters.database_url import parse_database_url
from adapters.embedded_postgres import (
    DurablePostgres,
    EmbeddedPostgresError,
    default_home,
    ephemeral_postgres,
    secret,
)

PROJECT = Path(__file__).parents[2]
USES_IT = """
import sys
from pathlib import Path
from adapters.embedded_postgres import DurablePostgres
server = DurablePostgres.start(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.readline()
server.stop()
"""
USES_IT_WITH_CHILDREN = """
import os, subprocess, sys, time
from pathlib import Path
from adapters.embedded_postgres import DurablePostgres
server = DurablePostgres.start(Path(sys.argv[1]))
executed = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
forked = os.fork()
if forked == 0:
    os.close(1)
    server.stop()
    time.sleep(60)
    os._exit(0)
print(server.url, executed.pid, forked, flush=True)
sys.stdin.readline()
"""
USES_AN_EPHEMERAL_ONE = """
import sys
from adapters.embedded_postgres import ephemeral_postgres
with ephemeral_postgres() as url:
    print(url, flush=True)
    sys.stdin.readline()
"""
SAYS_ITS_SECRET = """
import sys
from pathlib import Path
from adapters.embedded_postgres import secret
print(secret(Path(sys.argv[1])))
"""


def python(code: str, *args: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, "the process ended without a word"
    return line


def end(process: "subprocess.Popen[str]") -> None:
    """Let it go the orderly way."""
    process.communicate("\n", timeout=30)
    assert process.returncode == 0


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


@asynccontextmanager
async def connected(url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(**parse_database_url(url).connect_args)
    try:
        yield connection
    finally:
        await connection.close()


async def ask(url: str, question: str) -> object:
    async with connected(url) as connection:
        return await connection.fetchval(question)


async def answers(url: str) -> bool:
    with suppress(OSError, asyncpg.CannotConnectNowError):
        return await ask(url, "SELECT 1") == 1
    return False


async def is_gone(url: str, *, within: float) -> bool:
    give_up = time.monotonic() + within
    while await answers(url):
        if time.monotonic() > give_up:
            return False
        await asyncio.sleep(0.02)
    return True


def home_directory() -> Path:
    """Return a new directory that the server's account can enter, whoever runs the tests."""
    return Path(tempfile.mkdtemp(prefix="chatkeep-test-"))


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home whose data is there already; every test leaves its server stopped."""
    path = home_directory()
    DurablePostgres.start(path).stop()
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def notes(home: Path) -> AsyncIterator[Callable[[str], object]]:
    """An empty table `notes`, kept in the home."""
    with DurablePostgres.start(home) as server:
        await ask(server.url, "CREATE TABLE notes (text text)")
    yield functools.partial(ask, question="SELECT string_agg(text, ' ') FROM notes")
    with DurablePostgres.start(home) as server:
        await ask(server.url, "DROP TABLE notes")


def postmaster(home: Path) -> int:
    return int((home / "postgres/data/postmaster.pid").read_text().split()[0])


def children_of(parent: int) -> list[int]:
    listed = subprocess.run(
        ["/bin/ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    )
    pairs = (line.split() for line in listed.stdout.splitlines())
    return [int(pid) for pid, ppid in pairs if int(ppid) == parent]


async def test_it_is_an_empty_database_of_ones_own(home: Path) -> None:
    with DurablePostgres.start(home) as server:
        assert await ask(server.url, "SELECT current_user || ' ' || current_database()") == (
            "chatkeep chatkeep"
        )
        assert await ask(server.url, "SHOW fsync") == "on"
        assert await ask(server.url, "SHOW server_encoding") == "UTF8"
        assert int(str(await ask(server.url, "SHOW max_connections"))) >= 200
        assert await ask(server.url, "CREATE TABLE made_here ()") is None
        assert await ask(server.url, "DROP TABLE made_here") is None


async def test_the_last_process_out_stops_the_server(home: Path) -> None:
    first = python(USES_IT, home)
    url = line_of(first)
    second = python(USES_IT, home)
    assert line_of(second) == url
    end(first)
    assert await answers(url)
    end(second)
    assert not await answers(url)
    assert not (home / "postgres/data/postmaster.pid").exists()


async def test_two_uses_in_one_process_count_as_two(home: Path) -> None:
    first, second = DurablePostgres.start(home), DurablePostgres.start(home)
    first.stop()
    first.stop()
    assert await answers(second.url)
    second.stop()
    assert not await answers(second.url)


async def test_two_processes_that_start_at_once_share_one_server() -> None:
    home = home_directory()
    both = [python(USES_IT, home), python(USES_IT, home)]
    try:
        urls = {line_of(process) for process in both}
        assert len(urls) == 1
        assert await answers(urls.pop())
    finally:
        for process in both:
            end(process)
        shutil.rmtree(home)


async def test_starting_again_and_joining_are_quick(home: Path) -> None:
    begun = time.monotonic()
    with DurablePostgres.start(home):
        started = time.monotonic()
        with DurablePostgres.start(home):
            joined = time.monotonic()
    assert started - begun < 2
    assert joined - started < 1


async def test_when_its_only_user_is_killed_the_server_stops_and_keeps_the_data(
    home: Path, notes: Callable[[str], object]
) -> None:
    owner = python(USES_IT, home)
    url = line_of(owner)
    await ask(url, "INSERT INTO notes VALUES ('kept')")
    kill(owner)
    assert await is_gone(url, within=10)
    with DurablePostgres.start(home) as server:
        assert await notes(server.url) == "kept"  # type: ignore[misc]


async def test_data_survives_a_killed_server(home: Path, notes: Callable[[str], object]) -> None:
    with DurablePostgres.start(home) as before:
        await ask(before.url, "INSERT INTO notes VALUES ('kept')")
        os.kill(postmaster(home), signal.SIGKILL)
        with DurablePostgres.start(home) as after:
            assert await notes(after.url) == "kept"  # type: ignore[misc]
