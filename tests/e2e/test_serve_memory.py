"""chatkeep serve --memory: the whole service without a database, as people's tests start it."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from chatkeep.entrypoints.cli.serve import serve
from chatkeep.entrypoints.settings import SettingsError
from tests.support.processes import PROJECT, SECRET, chatkeep, descendants, environment
from tests.support.service_process import SERVICE_KEY, as_service, as_user, running
from tests.support.waiting import PATIENCE

PAGE = PROJECT / "docs" / "testing.md"


async def test_it_serves_what_was_written_until_it_ends() -> None:
    async with running("--memory", CHATKEEP_SERVICE_KEYS=SERVICE_KEY) as service:
        assert await service.call("GET", "/health/ready") == {"status": "ready"}
        alice = as_service("alice")
        created = await service.call(
            "POST", "/v1/conversations", {"title": "Lunch"}, headers=alice, status=201
        )
        found = await service.call("GET", "/v1/conversations", headers=alice)
        assert [each["id"] for each in found["items"]] == [created["id"]]
        assert (await service.call("GET", "/v1/conversations", headers=as_service("bob"))) == {
            "items": [],
            "next_cursor": None,
        }
        export = await service.http.get("/v1/me/export", headers=alice)
        assert "Lunch" in export.text
        metrics = await service.http.get("/metrics")
        assert "chatkeep_request_duration_seconds_count" in metrics.text
        assert descendants(service.pid) == {service.pid}  # there is no database
        assert await service.end(signal.SIGTERM) == 0
    async with running("--memory", CHATKEEP_SERVICE_KEYS=SERVICE_KEY) as service:
        found = await service.call("GET", "/v1/conversations", headers=alice)
        assert found["items"] == []


async def test_a_token_of_the_command_lets_its_user_in() -> None:
    token = chatkeep("token", "--user", "alice", CHATKEEP_JWT_SECRET=SECRET).stdout.strip()
    async with running("--memory", CHATKEEP_JWT_SECRET=SECRET) as service:
        for headers in ({"Authorization": f"Bearer {token}"}, as_user("alice")):
            me = await service.call("GET", "/v1/me", headers=headers)
            assert me["user_id"] == "alice"


def start(**settings: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [Path(sys.executable).with_name("chatkeep"), "serve", "--memory", "--port", "0"],
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )


def test_it_says_that_nothing_is_kept_and_prints_a_token_where_nothing_is_set() -> None:
    with start() as process:
        try:
            assert process.stdout is not None
            printed = process.stdout.readline()
            while (
                "/v1/conversations\n" not in printed.rpartition("TOKEN=")[2].rpartition("curl")[2]
            ):
                printed += process.stdout.readline()
        finally:
            process.terminate()
    assert "nothing is kept" in printed.splitlines()[1]
    assert re.search(r"^TOKEN=\S+$", printed, re.MULTILINE)


def test_no_token_is_printed_of_a_secret_that_was_set() -> None:
    with start(CHATKEEP_JWT_SECRET=SECRET) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline(), process.stdout.readline()]
            url = re.search(r"http://[^,]+", lines[0])
            assert url
            httpx.get(f"{url[0]}/health/ready", timeout=PATIENCE).raise_for_status()
        finally:
            process.terminate()
        lines += process.stdout.readlines()
    assert len(lines) == 2
    assert "nothing is kept" in lines[1]


def call(*arguments: str, **settings: str) -> Result:
    """Run the command in this process, which is faster: it goes no further than its options."""
    absent = dict.fromkeys(os.environ.keys() - environment().keys())
    return CliRunner().invoke(serve, ["--memory", "--port", "0", *arguments], env=absent | settings)


@pytest.mark.parametrize(
    ("option", "said"),
    [("--migrate", "leave --migrate out"), ("--workers=2", "leave --workers out")],
)
def test_an_option_that_needs_a_database_is_a_usage_error(option: str, said: str) -> None:
    done = call(option)
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"DATABASE_URL": "postgresql://u:secret@h/d"}, "DATABASE_URL"),
        ({"DATABASE_URL_DIRECT": "postgresql://u:secret@h/d"}, "DATABASE_URL_DIRECT"),
        (
            {"CHATKEEP_ARCHIVE_AFTER": "30d", "CHATKEEP_DELETE_AFTER": "90d"},
            "CHATKEEP_ARCHIVE_AFTER, CHATKEEP_DELETE_AFTER",
        ),
        ({"CHATKEEP_PLAN_BYTES": "512MB"}, "CHATKEEP_PLAN_BYTES"),
    ],
)
def test_a_setting_that_needs_a_database_is_refused(settings: dict[str, str], named: str) -> None:
    done = call(**settings)
    assert isinstance(done.exception, SettingsError)
    assert f"so {named} would have no effect" in str(done.exception)
    assert "secret" not in str(done.exception)


@pytest.mark.full
def test_the_fixture_of_the_testing_page_runs(tmp_path: Path) -> None:
    example, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "test_page.py").write_text(example, encoding="utf-8")
    bin_folder = str(Path(sys.executable).parent)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"],
        cwd=tmp_path,
        env=environment(PATH=os.pathsep.join([bin_folder, os.environ["PATH"]])),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_lines_for_other_languages_run(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    lines, *_ = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    bin_folder = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["sh", "-e"],
        input=lines.replace("8123", port) + "kill $!\n",
        cwd=tmp_path,
        env=environment(PATH=os.pathsep.join([bin_folder, os.environ["PATH"]])),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith('{"status":"ready"}')
