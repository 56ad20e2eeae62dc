"""Runs a program in separate processes that listen on loopback."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks.programs import SECRET, Program

HOST: Final = "127.0.0.1"
START_TIMEOUT: Final = 30.0  # seconds
STOP_TIMEOUT: Final = 10.0
POLL_EVERY: Final = 0.005


class ServiceError(Exception):
    """A program did not start, or ended early; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Service:
    """A running program. `started_in` is the time from its start to its first 200, in seconds."""

    port: int
    pid: int
    started_in: float

    def busy(self) -> float | None:
        """Return the processor time of the process so far, in seconds; None if it is unknown."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return None
        fields = stat.read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Return the resident memory of the process, in bytes."""
        statm = Path(f"/proc/{self.pid}/statm")
        if statm.exists():
            return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        command = ["/bin/ps", "-o", "rss=", "-p", str(self.pid)]
        return int(subprocess.run(command, check=True, capture_output=True).stdout) * 1024  # noqa: S603 - fixed


@contextmanager
def running(program: Program, database_url: str, *, workers: int = 1) -> Iterator[Service]:
    """Serve the program until the block ends. Raises `ServiceError` if it does not start."""
    port = _free_port()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("CHATKEEP_")}
    environ |= {
        "DATABASE_URL": urlsplit(database_url)._replace(scheme=program.url_scheme).geturl(),
        "CHATKEEP_JWT_SECRET": SECRET,
    }
    command = [sys.executable, *program.command, "--port", str(port), "--workers", str(workers)]
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        started = time.monotonic()
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)  # noqa: S603 - ours
        try:
            _await_ready(process, port, program, Path(log.name))
            yield Service(port, process.pid, time.monotonic() - started)
            if process.poll() is not None:
                raise ServiceError(f"{program.name} ended early:\n{_tail(Path(log.name))}")
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_ready(
    process: "subprocess.Popen[bytes]", port: int, program: Program, log: Path
) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(port, program.ready):
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServiceError(f"{program.name} did not start:\n{_tail(log)}")
        time.sleep(POLL_EVERY)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=START_TIMEOUT)
    try:
        connection.request("GET", path, headers={"X-User-Id": "unknown"})
        return connection.getresponse().status == HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
