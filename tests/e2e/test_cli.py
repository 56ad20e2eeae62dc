"""chatkeep migrate and token, each in a process of its own, and what all commands share."""

import json
import os
from pathlib import Path
from typing import Any

import jwt
import pytest

from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.entrypoints.bootstrap.errors import explain
from chatkeep.entrypoints.cli import main
from tests.support.postgres import Server
from tests.support.processes import SECRET, chatkeep, environment

UNUSED = "postgresql://nobody@127.0.0.1:1/nothing"
SHORT: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}


def jsonl(*lines: dict[str, Any]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


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
    assert explain(away) == f"The database cannot be reached now ({reason})"


def test_a_fault_of_the_program_is_not_explained_away() -> None:
    assert explain(KeyError("x")) is None


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


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"DATABASE_URL": "mysql://me:mysecret@host/db"}, "postgresql://"),
        ({"DATABASE_URL": "postgresql://me:mysecret@sta..ging/db"}, "not a valid host name"),
        (
            {
                "DATABASE_URL": UNUSED,
                "DATABASE_URL_DIRECT": "postgresql://me:mysecret@host:99999/db",
            },
            "DATABASE_URL_DIRECT: The port",
        ),
    ],
)
@pytest.mark.parametrize("command", ["migrate", "serve --port 0 --workers 2 --migrate"])
def test_a_url_that_is_none_is_one_clear_line_without_the_password(
    command: str, settings: dict[str, str], says: str
) -> None:
    done = chatkeep(*command.split(), **settings | {"CHATKEEP_JWT_SECRET": SECRET})
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert says in line
    assert "mysecret" not in line
