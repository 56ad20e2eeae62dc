"""The service as in production: `chatkeep serve`, called over HTTP and over plain sockets."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, TypeVar
from urllib.parse import urlsplit

import httpx

from chatkeep.entrypoints.http.auth.tokens import sign
from tests.support.forks import Fork
from tests.support.plain_http import NO_AUTHORITIES
from tests.support.postgres import Server
from tests.support.processes import (
    CHATKEEP,
    SECRET,
    descendants,
    environment,
    start_serve,
    url_in,
)
from tests.support.waiting import PATIENCE

T = TypeVar("T")

FULL = os.environ.get("CHATKEEP_TEST_FULL") == "1"
"""Whether to run the full counts. Without it, tests do only as much as a fault needs to show."""


def some(cases: Iterable[T], *, every: int, first: int = 0) -> list[T]:
    """Return all cases in a full run, and every so many of them in a short one."""
    return list(cases)[0 if FULL else first :: 1 if FULL else every]


SERVICE_KEY = "sk_of_the_tests_0123456789abcdef0123456789"

# Settings that Python itself does not look at when it starts.
OURS = re.compile("CHATKEEP_|DATABASE_URL")
# The command line, after whatever a test wants to be different.
_MAIN = "\nfrom chatkeep.entrypoints.cli import main\nmain()\n"


def as_user(user_id: str, *, secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": f"Bearer {sign(secret, user_id, expires_in=900)}"}


def as_service(user_id: str | None = None, *, key: str = SERVICE_KEY) -> dict[str, str]:
    acting_for = {} if user_id is None else {"X-User-Id": user_id}
    return {"Authorization": f"Bearer {key}"} | acting_for


@dataclass
class ServiceProcess:
    """A service in a process of its own. `log` is what it wrote to stderr."""

    process: "subprocess.Popen[str] | Fork"
    url: str
    database_url: str
    log_file: Path
    http: httpx.AsyncClient = field(repr=False)

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @property
    def pid(self) -> int:
        return self.process.pid

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> Any:  # noqa: ANN401 - any JSON
        """Return the answer's JSON, None if empty; check its status, or that it is successful."""
        answer = await self.http.request(
            method,
            path,
            headers={"Content-Type": "application/json"} | dict(headers or {}),
            content=None if body is None else json.dumps(body),
        )
        assert answer.status_code == status if status else answer.is_success, answer.text[:1000]
        return answer.json() if answer.content else None

    async def raw(self, request: bytes, *, wait: float = PATIENCE) -> bytes:
        """Send these bytes, and return everything until the service closes the connection."""
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            writer.write(request)
            await writer.drain()
            async with asyncio.timeout(wait):
                return await reader.read()
        finally:
            writer.close()

    def memory(self) -> int:
        """Return the resident memory of the process and its children, in bytes."""
        return sum(_resident(pid) for pid in descendants(self.pid))

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal if the process still runs; return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return await asyncio.to_thread(self.process.wait, PATIENCE)


@asynccontextmanager
async def running(
    *arguments: str, before: str = "", **settings: str
) -> AsyncIterator[ServiceProcess]:
    """Run the service on a free port until the end of the block.

    The process first runs `before`, which is Python code; several workers do not run it. It can
    change what is looked up in a module, but not what another module has imported from it.
    """
    with tempfile.TemporaryDirectory(prefix="chatkeep-test-") as directory:
        log = Path(directory) / "log"
        with log.open("w", encoding="utf-8") as stderr:
            process = _start(*arguments, before=before, settings=settings, stderr=stderr)
        assert process.stdout is not None
        with process:
            try:
                first = await asyncio.to_thread(process.stdout.readline)
                url = url_in(first)
                assert url, log.read_text(encoding="utf-8")
                async with httpx.AsyncClient(
                    base_url=url,
                    timeout=PATIENCE,
                    limits=httpx.Limits(max_connections=None),
                    trust_env=False,
                    verify=NO_AUTHORITIES,
                ) as http:
                    service = ServiceProcess(
                        process, url, settings.get("DATABASE_URL", ""), log, http
                    )
                    yield service
                await service.end()
            finally:
                process.kill()


@asynccontextmanager
async def running_on(
    server: Server, *arguments: str, before: str = "", **settings: str
) -> AsyncIterator[ServiceProcess]:
    """Run the service on a new database of the server, with the secret that tests sign with."""
    async with (
        server.database() as url,
        running(
            *arguments,
            before=before,
            **{"DATABASE_URL": url, "CHATKEEP_JWT_SECRET": SECRET} | settings,
        ) as service,
    ):
        yield service


def _start(
    *arguments: str, before: str, settings: Mapping[str, str], stderr: TextIO
) -> "subprocess.Popen[str] | Fork":
    if "--workers" in arguments or not all(map(OURS.match, settings)):
        command = [sys.executable, "-c", before + _MAIN]
        return start_serve(*arguments, settings=settings, command=command, stderr=stderr)
    return Fork(
        [CHATKEEP, "serve", "--port", "0", *arguments],
        environment(**settings),
        first=before,
        stdin=subprocess.DEVNULL,
        stderr=stderr,
    )


def _resident(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
