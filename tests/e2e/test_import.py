"""`chatkeep import` of the service's own format, on a real Postgres and in a process of its own."""

import asyncio
import json
import os
import pty
import stat
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.e2e.processes import CHATKEEP, PROJECT, chatkeep, environment
from tests.postgres import connect_args

CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
FULL: dict[str, Any] = {
    "source": "elsewhere#1",
    "title": "Ein Gespräch\u2028in zwei Zeilen",
    "created_at": "2024-05-01T10:00:00.123456Z",
    "messages": [
        {"role": "user", "content": "find \u0000 it\u0085", "created_at": "2024-05-01T12:00:00Z"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [CALL],
            "created_at": "2024-05-01T11:00:00Z",
        },
        {
            "role": "tool",
            "content": "",
            "tool_call_id": "call_1",
            "name": "find",
            "created_at": "2024-05-01T12:00:00Z",
        },
    ],
}
SHORT: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(**connect_args(database_url))
    yield connection
    await connection.close()


def jsonl(*lines: dict[str, Any]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def of_file(line: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """Return what of an exported line stood in the imported one."""
    messages = [
        {key: message.get(key) for key in given}
        for message, given in zip(line["messages"], like["messages"], strict=True)
    ]
    return {key: line.get(key) for key in like} | {"messages": messages}


def test_what_was_imported_is_exported_again_and_importing_either_adds_nothing(
    database_url: str, tmp_path: Path
) -> None:
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text(jsonl(FULL, SHORT), encoding="utf-8")
    settings = {"DATABASE_URL": database_url, "CHATKEEP_PROVISION_USERS": "false"}

    done = chatkeep("import", file, "--user", "alice", **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 imported, 0 already there, 0 refused; 4 messages imported\n"

    done = chatkeep("export", "--user", "alice", "--output", out, **settings)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "2 conversations, 4 messages exported\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    newest, oldest = (json.loads(line) for line in out.read_bytes().split(b"\n")[:-1])
    assert of_file(oldest, FULL) == FULL
    assert of_file(newest, SHORT) == SHORT
    assert oldest["updated_at"] == "2024-05-01T12:00:00Z"

    for again in (file, out):
        done = chatkeep("import", again, "--user", "alice", **settings)
        assert done.returncode == 0
        assert done.stdout == "0 imported, 2 already there, 0 refused; 0 messages imported\n"


def test_a_bad_line_is_reported_with_its_place_and_the_others_go_in(database_url: str) -> None:
    taken = SHORT | {"id": "5a0e2c2f-9d47-4c0b-8d3e-0d8f4b6a2f11", "title": "taken"}
    lines = [
        jsonl(SHORT),
        "\n",
        '{"messages": [], "titel": "x"}\r\n',
        '{"messages": [}\n',
        jsonl({"messages": [{"role": "user", "content": "x" * 1001}]}),
        jsonl(taken),
        jsonl(taken | {"title": "not the same"}),
        jsonl({"messages": [{"role": "tool", "content": "x"}]}),
        jsonl(FULL).rstrip("\n"),
    ]
    done = chatkeep(
        "import", "-", "--user", "alice", stdin="".join(lines), DATABASE_URL=database_url
    )
    assert done.returncode == 1
    assert done.stdout == "3 imported, 0 already there, 5 refused; 5 messages imported\n"
    said = [line.split(": ", 2) for line in done.stderr.splitlines()]
    assert [(place, field) for place, field, _ in said] == [
        ("<stdin>:3", "titel"),
        ("<stdin>:4", "conversation"),
        ("<stdin>:5", "messages[0].content"),
        ("<stdin>:7", "id"),
        ("<stdin>:8", "messages[0].tool_call_id"),
    ]
    assert said[2][2] == (
        "has 1001 characters; the limit is 1000 (raise it with --max-user-message-chars)"
    )
    assert taken["id"] in said[3][2]

    done = chatkeep("export", "--user", "alice", DATABASE_URL=database_url)
    assert done.returncode == 0
    titles = [json.loads(line)["title"] for line in done.stdout.split("\n")[:-1]]
    assert sorted(titles, key=str) == [FULL["title"], None, "taken"]


async def test_an_option_raises_a_limit_and_a_large_import_ends_with_new_statistics(
    database_url: str, connection: asyncpg.Connection
) -> None:
    text = {"role": "user", "content": "x" * 1001}
    large = jsonl({"messages": [text] * 1001})
    done = await asyncio.to_thread(
        chatkeep,
        *("import", "-", "--user", "alice", "--max-user-message-chars", "0"),
        stdin=large,
        DATABASE_URL=database_url,
    )
    assert (done.returncode, done.stderr) == (0, "")
    counted = "SELECT reltuples::int FROM pg_class WHERE relname = 'messages'"
    assert await connection.fetchval(counted) == 1001


async def test_an_import_that_loses_its_database_says_where_and_goes_on_when_run_again(
    database_url: str, connection: asyncpg.Connection
) -> None:
    lines = [jsonl({"title": str(n), "messages": []}).encode() for n in range(3)]
    command = (CHATKEEP, "import", "-", "--user", "alice")
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=PROJECT,
        env=environment(DATABASE_URL=database_url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(lines[0])
    await process.stdin.drain()
    give_up = time.monotonic() + 30
    while not await connection.fetchval("SELECT count(*) FROM conversations"):
        assert time.monotonic() < give_up
        await asyncio.sleep(0.05)

    await connection.execute("ALTER TABLE conversations RENAME TO lost")
    out, error = await process.communicate(lines[1] + lines[2])
    assert (process.returncode, out) == (1, b"")
    stopped, reason = error.decode().splitlines()
    assert stopped.startswith("<stdin>:2: stopped here: 1 imported")
    assert reason.startswith("chatkeep: The database has not been migrated")

    await connection.execute("ALTER TABLE lost RENAME TO conversations")
    done = await asyncio.to_thread(
        chatkeep, *command[1:], stdin=b"".join(lines).decode(), DATABASE_URL=database_url
    )
    assert done.stdout.startswith("2 imported, 1 already there, 0 refused")


def test_progress_is_shown_to_a_terminal_only(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(jsonl(SHORT))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [CHATKEEP, "import", file, "--user", "alice"],
        cwd=PROJECT,
        env=environment(DATABASE_URL=database_url, TERM="xterm"),
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # how Linux tells the end of a terminal
            pass
        assert process.stdout is not None
        assert process.stdout.read().startswith(b"1 imported")
    os.close(ours)
    assert b"importing" in shown
    assert b"100%" in shown
