"""`chatkeep import` of the service's own format, on a real Postgres and in a process of its own."""

import asyncio
import json
import os
import pty
import re
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.processes import CHATKEEP, PROJECT, chatkeep, environment
from tests.support.waiting import PATIENCE

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


async def test_what_is_exported_to_a_terminal_does_nothing_to_it(database_url: str) -> None:
    said = "clear\x1b[2J and\x9b2J more\x7f\r..."
    line = {"title": said, "messages": [{"role": "user", "content": said, "name": said}]}
    settings = {"DATABASE_URL": database_url}
    chatkeep("import", "-", "--user", "alice", stdin=jsonl(line), **settings)
    for format_ in ("jsonl", "markdown"):
        ours, theirs = pty.openpty()
        os.set_blocking(ours, False)
        done = await asyncio.to_thread(
            subprocess.run,
            [CHATKEEP, "export", "--user", "alice", "--format", format_],
            cwd=PROJECT,
            env=environment(**settings),
            stdout=theirs,
            stderr=subprocess.PIPE,
            check=True,
        )
        assert b"Traceback" not in done.stderr
        shown = os.read(ours, 65_536).decode()
        assert "clear" in shown
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)", shown)
        os.close(ours)
        os.close(theirs)


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
        *("import", "-", "--user", "alice", "--enforce-limits"),
        stdin="".join(lines),
        DATABASE_URL=database_url,
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


LONG: dict[str, Any] = {
    "title": "t" * 1_000,
    "metadata": {"note": "m" * 100_000},
    "messages": [
        {"role": "user", "content": "u" * 50_000, "metadata": {"seen": "m" * 100_000}},
        {"role": "assistant", "content": "a" * 50_000},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "c" * 2_000,
                    "type": "function",
                    "function": {"name": "find", "arguments": "x" * 50_000},
                }
            ],
        },
        {"role": "tool", "content": "t" * 50_000, "tool_call_id": "c" * 2_000, "name": "n" * 300},
    ],
}


def test_the_history_of_somebody_else_is_taken_however_long_its_texts_are(
    database_url: str,
) -> None:
    done = chatkeep("import", "-", "--user", "alice", stdin=jsonl(LONG), DATABASE_URL=database_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 imported, 0 already there, 0 refused; 4 messages imported\n"
    done = chatkeep("export", "--user", "alice", DATABASE_URL=database_url)
    assert of_file(json.loads(done.stdout), LONG) == LONG


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--enforce-limits"], "title"),
        (["--enforce-limits", "--max-title-chars", "0"], "metadata"),
        (
            ["--max-metadata-bytes", "200000", "--max-user-message-chars", "9"],
            "messages[0].content",
        ),
        (["--max-message-chars", "60000"], "messages[3].tool_call_id"),
    ],
)
def test_limits_are_kept_when_they_are_asked_for(
    database_url: str, options: list[str], field: str
) -> None:
    done = chatkeep(
        *("import", "-", "--user", "alice", *options), stdin=jsonl(LONG), DATABASE_URL=database_url
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"<stdin>:1: {field}: has ")


async def test_a_large_import_ends_with_new_statistics(
    database_url: str, connection: asyncpg.Connection
) -> None:
    text = {"role": "user", "content": "x" * 1001}
    large = jsonl({"messages": [text] * 1001})
    done = await asyncio.to_thread(
        chatkeep,
        *("import", "-", "--user", "alice"),
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
    give_up = time.monotonic() + PATIENCE
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
