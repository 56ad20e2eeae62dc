"""chatkeep migrate, token, import and export, each in a process of its own."""

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
import jwt
import pytest

from domain.errors import StoreUnavailableError
from entrypoints.bootstrap.errors import explained
from entrypoints.cli import main
from tests.e2e.processes import CHATKEEP, PROJECT, SECRET, chatkeep, environment
from tests.postgres import Server, connect_args

UNUSED = "postgresql://nobody@127.0.0.1:1/nothing"
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


# import and export


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
        ("<stdin>:4", "line"),
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


def test_a_file_that_cannot_be_written_is_one_clear_line(database_url: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "out.jsonl"
    done = chatkeep("export", "--user", "a", "--output", missing, DATABASE_URL=database_url)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert str(missing) in line


# migrate


def test_migrate_says_what_it_applied_or_that_nothing_was_pending(database_url: str) -> None:
    done = chatkeep("migrate", DATABASE_URL=database_url)
    assert (done.returncode, done.stdout) == (0, "nothing was pending\n")
    done = chatkeep("migrate", "--status", DATABASE_URL=database_url)
    assert done.returncode == 0
    current, pending, *history = done.stdout.splitlines()
    assert pending == "pending: none"
    assert history[-1].startswith(f"{current.removeprefix('current: ')}  applied 20")


@pytest.mark.parametrize(
    "command", [["migrate"], ["migrate", "--status"], ["import", "-", "--user", "a"]]
)
def test_a_database_that_refuses_is_one_clear_line(
    command: list[str], postgres_server: Server
) -> None:
    url = postgres_server.of("no_such_database")
    done = chatkeep(*command, stdin=jsonl(SHORT), DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("chatkeep: The database refuses this service")
    assert "no_such_database" in done.stderr.splitlines()[-1]
    assert len(done.stderr.splitlines()) == (2 if command[0] == "import" else 1)


def test_a_database_that_is_down_is_told_with_the_reason_of_the_driver() -> None:
    """Not with what is said to callers over HTTP: they may send their request again."""
    away = StoreUnavailableError("The database cannot be reached now. Send the request again.")
    away.__cause__ = ConnectionRefusedError(111, "Connect call failed")
    reason = "ConnectionRefusedError: [Errno 111] Connect call failed"
    assert explained(away) == f"The database cannot be reached now ({reason})"


def test_a_fault_of_the_program_is_not_explained_away() -> None:
    assert explained(KeyError("x")) is None


# token, and calls that go no further than the settings: in this process, which is quicker


class Call:
    """Runs a command in this process, with these settings and no others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, **settings: str) -> tuple[int, str, str]:
        with self._monkeypatch.context() as patch:
            for name in set(os.environ) - set(environment()):
                patch.delenv(name)
            for name, value in settings.items():
                patch.setenv(name, value)
            patch.setattr("sys.argv", ["chatkeep", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *self._capsys.readouterr()


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    return Call(monkeypatch, capsys)


def test_a_token_has_the_user_the_time_and_what_the_settings_ask_for(call: Call) -> None:
    status, out, error = call(
        *("token", "--user", "alice", "--days", "2", "--hours", "1"),
        DATABASE_URL=UNUSED,
        CHATKEEP_JWT_SECRET=SECRET,
        CHATKEEP_JWT_ISSUER="https://issuer.example",
        CHATKEEP_JWT_AUDIENCE="chatkeep",
    )
    assert (status, error) == (0, "")
    [token] = out.splitlines()
    claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="chatkeep")
    assert claims["sub"] == "alice"
    assert claims["iss"] == "https://issuer.example"
    assert claims["exp"] - claims["iat"] == 49 * 3600


def test_the_embedded_database_signs_tokens_without_being_started(
    call: Call, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    _, out, _ = call("token", "--user", "alice", CHATKEEP_HOME=str(home))
    claims = jwt.decode(out.strip(), (home / "secret").read_text(), algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == 86_400
    assert not (home / "postgres").exists()


def test_no_token_is_made_where_others_sign_them(call: Call) -> None:
    status, out, error = call(
        *("token", "--user", "alice"),
        DATABASE_URL=UNUSED,
        CHATKEEP_JWKS_URL="https://issuer.example/jwks.json",
    )
    assert (status, out) == (1, "")
    [line] = error.splitlines()
    assert "CHATKEEP_JWT_SECRET" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["token"],
        ["token", "--user", ""],
        ["token", "--user", "a\0b"],
        ["token", "--user", "\udcff"],
        ["token", "--user", "a", "--days", "0"],
        ["import", "--user", "a"],
        ["import", "no-such-file.jsonl", "--user", "a"],
        ["import", "-", "--user", "a", "--max-title-chars", "-1"],
        ["export", "--user", "a", "--format", "xml"],
        ["serve", "--port", "65536"],
        ["sevre"],
    ],
)
def test_a_wrong_call_is_a_usage_error(call: Call, arguments: list[str]) -> None:
    status, out, error = call(*arguments, DATABASE_URL=UNUSED)
    assert (status, out) == (2, "")
    assert error.startswith("Usage: ")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"CHATKEEP_MAX_PAGES": "5"}, "CHATKEEP_MAX_PAGES"),
        ({"CHATKEEP_MAX_PAGE": "many"}, "CHATKEEP_MAX_PAGE"),
        ({"CHATKEEP_JWT_SECRET": "short"}, "CHATKEEP_JWT_SECRET"),
        ({"CHATKEEP_JWT_SECRET": "ssh-rsa " + "A" * 32}, "CHATKEEP_JWT_SECRET"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    call: Call, settings: dict[str, str], named: str
) -> None:
    status, out, error = call("token", "--user", "alice", DATABASE_URL=UNUSED, **settings)
    assert (status, out) == (1, "")
    [line] = error.splitlines()
    assert named in line


def test_a_url_that_is_none_is_one_clear_line_without_the_password() -> None:
    done = chatkeep("migrate", DATABASE_URL="mysql://me:mysecret@host/db")
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert "postgresql://" in line
    assert "mysecret" not in line
