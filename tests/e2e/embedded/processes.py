"""Processes that use an embedded Postgres, and what it answers."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import asyncpg

from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.piccolo.connection import BROKEN
from tests.support.processes import PROJECT
from tests.support.waiting import PATIENCE


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
    process.communicate("\n", timeout=PATIENCE)
    assert process.returncode == 0


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def ask(url: str, *statements: str) -> object:
    """Return the value that the last statement answers."""

    async def asked() -> object:
        connection = await asyncpg.connect(**parse_database_url(url).connect_args)
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    return asyncio.run(asked())


def answers(url: str) -> bool:
    with suppress(*BROKEN):
        return ask(url, "SELECT 1") == 1
    return False


def comes_true(condition: Callable[[], bool], *, within: float) -> bool:
    give_up = time.monotonic() + within
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.02)
    return True


def is_gone(url: str, *, within: float) -> bool:
    return comes_true(lambda: not answers(url), within=within)


def home_directory() -> Path:
    """Return a new directory that the server's account can enter, whoever runs the tests."""
    return Path(tempfile.mkdtemp(prefix="chatkeep-test-"))
