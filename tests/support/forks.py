"""Commands that are forks of `tests.support.fork_server`, and are used as those of `subprocess`."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO, Final, Self, TextIO

_PROJECT: Final = Path(__file__).parents[2]
_lock: Final = Lock()


class Fork:
    """A command in a process of its own, with the part of `subprocess.Popen` that tests use.

    The process first runs the Python code `first`. The modules of the product are imported already.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        environment: Mapping[str, str],
        *,
        first: str = "",
        stdin: int = subprocess.PIPE,
        stderr: int | TextIO = subprocess.PIPE,
    ) -> None:
        self.returncode: int | None = None
        told, tell = os.pipe()
        self._told: Final = os.fdopen(told, encoding="ascii")
        asked = {
            "arguments": [str(each) for each in arguments],
            "environment": dict(environment),
            "folder": str(_PROJECT),
            "first": first,
        }
        with ExitStack() as given:
            files = [tell]
            given.callback(os.close, tell)

            def pipe(*, reading: bool) -> IO[str]:
                ours, theirs = os.pipe() if reading else reversed(os.pipe())
                given.callback(os.close, theirs)
                files.insert(-1, theirs)
                return os.fdopen(ours, "r" if reading else "w", encoding="utf-8")

            self.stdin = None
            if stdin == subprocess.PIPE:
                self.stdin = pipe(reading=False)
            else:
                files.insert(-1, os.open(os.devnull, os.O_RDONLY))
                given.callback(os.close, files[0])
            self.stdout: IO[str] | None = pipe(reading=True)
            self.stderr = None
            if stderr == subprocess.PIPE:
                self.stderr = pipe(reading=True)
            else:
                files.insert(-1, stderr if isinstance(stderr, int) else stderr.fileno())
            body = json.dumps(asked).encode()
            with _lock:
                requests = _requests()
                socket.send_fds(requests, [b"%08d" % len(body)], files)
                requests.sendall(body)
        self.pid: Final = int(self._told.readline())

    def poll(self) -> int | None:
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._wait(timeout)
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("chatkeep", timeout)
        return status

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            self.returncode = int(self._told.readline())
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, text: str, timeout: float) -> tuple[str, str]:
        """Write the text, and return what the command printed until its end."""
        assert self.stdin is not None
        assert self.stdout is not None
        assert self.stderr is not None
        with ThreadPoolExecutor(3) as pool:
            written = pool.submit(self._write, text)
            found = [pool.submit(each.read) for each in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            written.result()
            out, error = (each.result() for each in found)
        return out, error

    def _write(self, text: str) -> None:
        assert self.stdin is not None
        with suppress(BrokenPipeError), self.stdin:
            self.stdin.write(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the pipes and wait, as `subprocess` does."""
        for each in (self.stdin, self.stdout, self.stderr):
            if each is not None:
                each.close()
        self.wait()
        self._told.close()


@cache
def _requests() -> socket.socket:
    """Start the server, which ends with this process, and return where it takes requests."""
    ours, theirs = socket.socketpair()
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
            cwd=_PROJECT,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the tests, which then end the server
        )

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours
