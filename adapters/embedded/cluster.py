"""The data directory and the server process of an embedded Postgres."""

import hashlib
import os
import shlex
import shutil
import stat
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from chatkeep.adapters.embedded.binaries import (
    OR_ANOTHER,
    EmbeddedPostgresError,
    PostgresBinaries,
    find_binaries,
    make_private,
)
from chatkeep.adapters.embedded.file_locks import lock, open_lock, open_private, try_lock

ROLE: Final = "chatkeep"
START_TIMEOUT: Final = 600  # seconds; crash recovery may take minutes
MAX_SOCKET_PATH: Final = 103 if sys.platform == "darwin" else 107  # bytes
MAX_LOG_BYTES: Final = 1_000_000  # a larger log is rotated; one old file is kept
LOG_TAIL_LINES: Final = 12  # the lines of the log that an error message quotes

_BUILTIN_LOCALES_SINCE: Final = 17
_SOCKET: Final = ".s.PGSQL.5432"
_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "max_connections": "200",
    "log_checkpoints": "off",
    # Clients get the errors of their statements. Each repeated id would add two lines to the log.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A server's files: `data` and `server.log` in `directory`, owned by the server's account.

    Programs run in `directory` and get relative paths, since pg_ctl passes them to a shell.
    """

    binaries: PostgresBinaries
    home: Path
    directory: Path

    @classmethod
    def in_home(cls, home: Path) -> Self:
        binaries = find_binaries()
        home = make_private(home).resolve()
        directory = home / "postgres"
        directory.mkdir(mode=0o700, exist_ok=True)
        binaries.take_ownership(directory)
        return cls(binaries, home, directory)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def sockets(self) -> Path:
        """The data directory, or one with a short path if the socket's path would be too long."""
        if len(os.fsencode(self.data / _SOCKET)) < MAX_SOCKET_PATH:
            return self.data
        name = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path(f"/tmp/chatkeep-{self.binaries.uid}-{name}")  # noqa: S108 - see _claim_directory

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='')}"

    def create(self, name: str, *options: str, keep: int | None = None, script: str = "") -> None:
        """Create a data directory, and run a script in it, one statement per line."""
        access = ("-U", "postgres", "-A", "trust")
        text: tuple[str, ...] = ("-E", "UTF8", "--locale=C.UTF-8")
        if self.binaries.major() >= _BUILTIN_LOCALES_SINCE:  # sorts alike on every system
            text = (
                *text[:2],
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            )
        result = self.binaries.run(
            "initdb", "-D", name, *access, *text, *options, cwd=self.directory, keep=keep
        )
        if not result.returncode and script:
            single = ("--single", "-D", name, "-c", "exit_on_error=on", "postgres")
            result = self.binaries.run(
                "postgres", *single, cwd=self.directory, keep=keep, text=script
            )
        if result.returncode:
            raise self._make_error("created", result.stderr)

    def launch(self, *settings: Mapping[str, str], keep: int | None = None) -> None:
        """Start the server and wait until it answers. Later settings override earlier ones."""
        sockets = "."
        if self.sockets != self.data:
            _claim_directory(self.sockets, self.binaries)
            sockets = str(self.sockets)
        self.rotate_log()
        merged = {**_SETTINGS, "unix_socket_directories": sockets}
        for overrides in settings:
            merged |= overrides
        options = " ".join(f"-c {shlex.quote(f'{k}={v}')}" for k, v in merged.items())
        start = (
            "-D",
            "data",
            "-l",
            self.log.name,
            "-t",
            str(START_TIMEOUT),
            "-o",
            options,
            "start",
        )
        result = self.binaries.run("pg_ctl", *start, cwd=self.directory, keep=keep)
        if result.returncode:
            raise self._make_error("started", result.stderr)

    def rotate_log(self) -> None:
        """Empty the log if it is too large, and keep its end in another file."""
        with suppress(FileNotFoundError), open(self.log, "rb+", 0, opener=_open_no_link) as log:
            if log.seek(0, os.SEEK_END) <= MAX_LOG_BYTES:
                return
            log.seek(-MAX_LOG_BYTES, os.SEEK_END)
            kept = self.log.with_suffix(".log.1")
            with suppress(OSError):  # on a full disk, emptying it matters most
                kept.unlink(missing_ok=True)
                with open(kept, "xb", opener=open_private) as file:
                    file.write(log.read(MAX_LOG_BYTES) or b"")
            log.truncate(0)  # the server appends to it

    def ensure_running(self) -> None:
        """Start the server unless it runs, even after a crash."""
        deadline = time.monotonic() + START_TIMEOUT
        with open_lock(self.home / "server.lock") as server:
            while not self._answers():
                if try_lock(server):
                    self._create_data(keep=server.fileno())
                    for stale in (self.data / "postmaster.pid", self.sockets / f"{_SOCKET}.lock"):
                        stale.unlink(missing_ok=True)
                    self.launch(keep=server.fileno())
                    return
                # It is starting or recovering, or a dead server's children have not ended yet.
                if time.monotonic() > deadline:
                    raise self._make_error(
                        "reached", f"It did not answer within {START_TIMEOUT} seconds."
                    )
                time.sleep(0.05)

    def is_gone(self) -> bool:
        """Return whether no process of the server is left. Call it under `start.lock`."""
        with open_lock(self.home / "server.lock") as server:
            return try_lock(server)

    def leave(self, users: FileIO) -> None:
        """Release this process's share of the server; the last process stops it."""
        with users, lock(self.home / "start.lock"):
            if not try_lock(users):
                return
            with open_lock(self.home / "server.lock") as server:
                if not try_lock(server):  # otherwise its pid file is stale and may name any process
                    self.binaries.run(
                        "pg_ctl", "-D", "data", "-m", "fast", "stop", cwd=self.directory
                    )
                    if self.sockets != self.data:
                        with suppress(OSError):
                            self.sockets.rmdir()

    def _answers(self) -> bool:
        options = ("-q", "-h", self.sockets, "-U", ROLE, "-d", ROLE)
        return self.binaries.run("pg_isready", *options).returncode == 0

    def _create_data(self, *, keep: int) -> None:
        if not self.data.exists():
            fresh = self.directory / "data.new"  # a killed initdb may have left one
            shutil.rmtree(fresh, ignore_errors=True)
            script = f"CREATE ROLE {ROLE} LOGIN\nCREATE DATABASE {ROLE} OWNER {ROLE}\n"
            self.create(fresh.name, keep=keep, script=script)
            fresh.rename(self.data)
        created_by = (self.data / "PG_VERSION").read_text().strip()
        current = self.binaries.version()
        if created_by != str(self.binaries.major()):
            raise EmbeddedPostgresError(
                f"{self.data} was created by Postgres {created_by}, but this is Postgres "
                f"{current}: go back to the version of chatkeep that created it and dump the "
                "database, or move the directory away to start with an empty one, "
                f"{OR_ANOTHER}."
            )

    def _make_error(self, action: str, output: str) -> EmbeddedPostgresError:
        lines = output.strip().splitlines()
        with suppress(OSError):
            log = self.log.read_text(errors="replace")
            lines += log.splitlines()[-LOG_TAIL_LINES:]
        hint = ""
        if self.binaries.nobody:
            hint = f" (user nobody must be able to enter {self.home.parent})"
        return EmbeddedPostgresError(
            f"The embedded Postgres in {self.home} could not be {action}: see below{hint}, "
            f"{OR_ANOTHER}.\n" + "\n".join(lines)
        )


def _open_no_link(path: str, flags: int) -> int:
    """Open a file of the server's account, but refuse a symbolic link."""
    return os.open(path, flags | os.O_NOFOLLOW)


def _claim_directory(directory: Path, binaries: PostgresBinaries) -> None:
    """Create a directory in a shared place. Raise if another user owns it or may enter it."""
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid in (binaries.uid, os.geteuid())
    if not is_own or found.st_mode & 0o077:
        raise EmbeddedPostgresError(
            f"{directory}, the directory for the server's socket, is not private to this user: "
            f"remove it, choose a home with a shorter path, {OR_ANOTHER}."
        )
    binaries.take_ownership(directory)
