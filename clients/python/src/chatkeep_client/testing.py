"""A service in memory, for tests: `memory_service`. It needs chatkeep itself to be installed."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from chatkeep_client._async.client import AsyncChatkeep
from chatkeep_client._sync.client import Chatkeep
from chatkeep_client.errors import ChatkeepError

_WAIT: Final = 0.05


class ServiceNotInstalledError(ChatkeepError):
    """The command `chatkeep`, the service itself, was not found."""


class ServiceNotStartedError(ChatkeepError):
    """The service ended, or was not ready in time."""


@dataclass(frozen=True)
class MemoryService:
    """A service that keeps nothing. Its `service_key` acts for any user."""

    url: str
    service_key: str

    def client(self, user: str | None = None, **options: Any) -> Chatkeep:  # noqa: ANN401 - as there
        """Return a client for this user; `options` are those of `Chatkeep`."""
        return Chatkeep(self.url, service_key=self.service_key, user=user, **options)

    def async_client(self, user: str | None = None, **options: Any) -> AsyncChatkeep:  # noqa: ANN401 - as there
        """Return a client for this user; `options` are those of `AsyncChatkeep`."""
        return AsyncChatkeep(self.url, service_key=self.service_key, user=user, **options)


@contextmanager
def memory_service(
    *, command: Sequence[str] | None = None, ready_within: float = 60.0, **settings: str
) -> Iterator[MemoryService]:
    """Run `chatkeep serve --memory` on a free port, in a process, until the end of the block.

    `command` is where the service is installed, such as `["/opt/chatkeep/bin/chatkeep"]`; otherwise
    it is looked for next to this Python and in the PATH. `settings` are its environment variables,
    such as `CHATKEEP_MAX_PAGE="10"`; other ones that begin with `CHATKEEP_` or `DATABASE_URL` are
    not passed on. `ready_within` is in seconds. Raises `ServiceNotInstalledError` and
    `ServiceNotStartedError`.
    """
    key = f"of-this-test-{token_hex(16)}"
    # A file: a pipe that is not read would be full after some hundred lines of the service's log.
    with tempfile.TemporaryDirectory(prefix="chatkeep-memory-") as folder:
        log = Path(folder) / "log"
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - that is what it is for
                [*(command or _find()), "serve", "--memory", "--port", "0"],
                env=_environment() | {"CHATKEEP_SERVICE_KEYS": key} | settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        with process:
            try:
                yield _wait_until_ready(process, log, key, time.monotonic() + ready_within)
            finally:
                process.kill()


def _find() -> Sequence[str]:
    beside = Path(sys.executable).with_name("chatkeep")
    found = str(beside) if beside.exists() else shutil.which("chatkeep")
    if found is None:
        raise ServiceNotInstalledError(
            "The service is not installed here, neither next to this Python nor in the PATH. "
            "Install the package `chatkeep` (Python 3.11 or newer), or give its `command`."
        )
    return [found]


def _environment() -> dict[str, str]:
    ours = ("CHATKEEP_", "DATABASE_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _wait_until_ready(
    process: "subprocess.Popen[bytes]", log: Path, key: str, end: float
) -> MemoryService:
    service: MemoryService | None = None
    while service is None or not _is_ready(service):
        printed = log.read_text(encoding="utf-8", errors="replace")
        if process.poll() is not None:
            raise ServiceNotStartedError(f"The service ended: {printed}")
        if time.monotonic() > end:
            raise ServiceNotStartedError(f"The service was not ready in time: {printed}")
        if found := re.search(r"http://[^,\s]+(?=,)", printed):
            service = MemoryService(found[0], key)
        else:
            time.sleep(_WAIT)
    return service


def _is_ready(service: MemoryService) -> bool:
    with service.client() as client:
        return client.is_ready()
