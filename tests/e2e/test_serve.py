"""chatkeep serve: what it prints works, and when it ends, in whatever way, nothing is left."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from chatkeep.entrypoints.http.auth.tokens import sign
from tests.support.postgres import Server
from tests.support.processes import (
    SECRET,
    catches,
    chatkeep,
    descendants,
    processes_about,
    start_serve,
    url_in,
)
from tests.support.service_process import some
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc"
)


class TerminalService:
    """A service as in a terminal: it has a process group; `printed` is what it says first."""

    def __init__(self, *arguments: str, **settings: str) -> None:
        self.process = start_serve(*arguments, settings=settings, new_session=True)
        assert self.process.stdout is not None
        self.printed = self.process.stdout.readline()
        url = url_in(self.printed)
        assert url, self.end(signal.SIGTERM)
        self.url = url
        if settings.get("DATABASE_URL"):
            # Elsewhere than on the embedded database no token is printed: it would reach a log.
            self.token = sign(settings.get("CHATKEEP_JWT_SECRET", SECRET), "me", expires_in=600)
            return
        while self.printed.count("curl ") < 3:
            self.printed += self.process.stdout.readline()
        found = re.search(r"^TOKEN=(\S+)$", self.printed, re.MULTILINE)
        assert found
        self.token = found[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:  # which closes its pipes
            self.process.kill()

    def get(self, path: str, *, status: int = 200) -> Any:  # noqa: ANN401 - any JSON
        answer = httpx.get(
            f"{self.url}{path}", headers={"Authorization": f"Bearer {self.token}"}, timeout=PATIENCE
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    def create(self, title: str) -> None:
        answer = httpx.post(
            f"{self.url}/v1/conversations",
            headers={"Authorization": f"Bearer {self.token}"},
            json={"title": title},
            timeout=PATIENCE,
        )
        assert answer.status_code == 201, answer.text

    def titles(self) -> list[str]:
        return [each["title"] for each in self.get("/v1/conversations")["items"]]

    def end(self, how: signal.Signals) -> tuple[int, str]:
        """Send the signal as a terminal does; return the exit status and what was on stderr."""
        os.killpg(self.process.pid, how)
        _, error = self.process.communicate(timeout=PATIENCE)
        assert "Traceback" not in error, error
        return self.process.returncode, error


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Yield a directory for the embedded database that its account can enter."""
    path = Path(tempfile.mkdtemp(prefix="chatkeep-test-"))
    path.chmod(0o711)
    yield path
    assert not processes_about(path)
    shutil.rmtree(path)


def until(happened: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_what_is_printed_works_when_it_is_pasted(home: Path) -> None:
    with TerminalService(CHATKEEP_HOME=str(home)) as service:
        pasted = "\n".join(
            f"{line} --fail-with-body" if line.startswith("curl") else line
            for line in service.printed.splitlines()
            if line.startswith(("TOKEN=", "curl "))
        )
        done = subprocess.run(
            ["sh", "-e"], input=pasted, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        created, appended, listed = done.stdout.splitlines()
        assert '"title":"First steps"' in created
        assert '"context":{' in appended
        assert '"message_count":1' in listed

        answer = httpx.get(f"{service.url}/docs")
        assert answer.status_code == 200
        assert "server" not in answer.headers

        status, log = service.end(signal.SIGINT)
    assert status == 0
    lines = log.splitlines()
    assert len(lines) == 4
    assert all("INFO chatkeep.access: " in line for line in lines)
    assert lines[1].split(": ", 1)[1].split()[1:4] == [
        "POST",
        "/v1/conversations/{conversation_id}/messages",
        "201",
    ]


@pytest.mark.parametrize(
    ("workers", "how"), some([(1, signal.SIGTERM), (2, signal.SIGINT)], every=2)
)
def test_a_signal_ends_it_orderly_and_leaves_no_process(
    home: Path, workers: int, how: signal.Signals
) -> None:
    with TerminalService("--workers", str(workers), CHATKEEP_HOME=str(home)) as service:
        assert service.get("/v1/conversations")["next_cursor"] is None
        # Each of several workers is up when it has its handlers.
        serving = 1 if workers == 1 else 1 + workers
        until(lambda: _ready_for_signals(service) == serving)
        family = descendants(service.process.pid)
        about = processes_about(home)
        assert len(about) > 3  # the database has several of its own
        assert service.end(how)[0] == 0
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family | about))


def _ready_for_signals(service: TerminalService) -> int:
    return sum(catches(pid, signal.SIGTERM) for pid in descendants(service.process.pid))


@pytest.mark.full
def test_after_kill_9_nothing_is_left_and_the_next_one_finds_the_data(home: Path) -> None:
    with TerminalService("--workers", "2", CHATKEEP_HOME=str(home)) as service:
        service.create("kept")
        family = descendants(service.process.pid)
        os.kill(service.process.pid, signal.SIGKILL)
        until(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in family - {service.process.pid})
        )
    with TerminalService(CHATKEEP_HOME=str(home)) as service:
        assert "kept" in service.titles()
        assert service.end(signal.SIGTERM)[0] == 0


@pytest.mark.full
def test_a_second_service_shares_the_database_and_may_leave_first(home: Path) -> None:
    with TerminalService(CHATKEEP_HOME=str(home)) as first:
        with TerminalService(CHATKEEP_HOME=str(home)) as second:
            assert second.url != first.url
            second.create("of the second")
            assert second.end(signal.SIGTERM)[0] == 0
        assert "of the second" in first.titles()
        assert first.end(signal.SIGTERM)[0] == 0


def test_a_request_under_way_is_answered_before_the_end(home: Path) -> None:
    body = b'{"title": "in time"}'
    with TerminalService(CHATKEEP_HOME=str(home)) as service:
        host, port = service.url.removeprefix("http://").split(":")
        address = (host, int(port))
        with socket.create_connection(address, timeout=PATIENCE) as caller:
            head = (
                f"POST /v1/conversations HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\n"
                f"Authorization: Bearer {service.token}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            caller.sendall(head.encode())
            assert caller.recv(65_536).startswith(b"HTTP/1.1 100 ")  # the body is waited for
            service.process.send_signal(signal.SIGTERM)
            until(lambda: not accepts(address))
            caller.sendall(body)
            assert caller.recv(65_536).startswith(b"HTTP/1.1 201 ")
        assert service.end(signal.SIGTERM)[0] == 0


def accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=PATIENCE).close()
    except OSError:
        return False
    return True


def test_a_port_in_use_is_one_clear_line_before_the_database_is_started(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = chatkeep("serve", "--port", str(port), CHATKEEP_HOME=str(home))
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert f"port {port} of 127.0.0.1" in line
    assert "--port" in line
    assert not home.exists()


@pytest.mark.full
async def test_a_database_of_ones_own_is_migrated_when_asked(postgres_server: Server) -> None:
    async with postgres_server.database(template="template0") as url:
        settings = {"DATABASE_URL": url, "CHATKEEP_JWT_SECRET": SECRET}
        with TerminalService(**settings) as service:
            service.get("/v1/conversations", status=503)
            assert service.get("/health/ready", status=503)["status"] == 503
            assert service.end(signal.SIGTERM)[0] == 0
        with TerminalService("--migrate", **settings) as service:
            assert "TOKEN" not in service.printed
            assert service.titles() == []
            assert service.get("/health/ready") == {"status": "ready"}
            assert service.end(signal.SIGTERM)[0] == 0


def test_a_service_that_could_let_in_nobody_does_not_start(postgres_server: Server) -> None:
    done = chatkeep("serve", "--port", "0", DATABASE_URL=postgres_server.url)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert "CHATKEEP_JWT_SECRET" in line


# Spawned processes, which the workers are, have this argument; Python runs the file at its start.
DYING_WORKERS = """
import os, sys
if "--multiprocessing-fork" in sys.orig_argv:
    os._exit(7)
"""


def test_workers_that_die_at_once_are_told_of_and_the_service_gives_up(
    postgres_server: Server, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(DYING_WORKERS, encoding="utf-8")
    settings = {"DATABASE_URL": postgres_server.url, "CHATKEEP_JWT_SECRET": SECRET}
    done = chatkeep("serve", "--port", "0", "--workers", "2", PYTHONPATH=str(tmp_path), **settings)
    assert done.returncode == 1
    *lines, last = done.stderr.splitlines()
    said = "ended with exit status 7 before it served anything; another takes its place"
    assert 5 <= sum(said in line for line in lines) <= 6
    assert "workers in a row ended before they served anything; giving up" in last
