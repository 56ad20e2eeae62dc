"""The files and the server of an embedded Postgres."""

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
    own_directory,
    postgres_binaries,
)
from chatkeep.adapters.embedded.file_locks import locked, open_lock, private, try_lock

ROLE: Final = "chatkeep"
START_TIMEOUT: Final = 600  # seconds; recovery after a crash may take minutes
MAX_SOCKET_PATH: Final = 103 if sys.platform == "darwin" else 107  # bytes
MAX_LOG: Final = 1_000_000  # bytes, above which the log starts anew; the one before is kept
LOG_TAIL: Final = 12  # lines of it that an error shows

_BUILTIN_LOCALES_SINCE: Final = 17
_SOCKET: Final = ".s.PGSQL.5432"
_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "max_connections": "200",
    "log_checkpoints": "off",
    # What fails is told to whoever asked for it. In the log it would be two lines, the statement
    # among them, for each id that comes again.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A server's files: `data` and `server.log` in `place`, which belongs to the server's account.

    Programs run in `place` and get names relative to it, since pg_ctl hands them to a shell.
    """

    binaries: PostgresBinaries
    home: Path
    place: Path

    @classmethod
    def durable(cls, home: Path) -> Self:
        binaries = postgres_binaries()
        home = own_directory(home).resolve()
        place = home / "postgres"
        place.mkdir(mode=0o700, exist_ok=True)
        binaries.give(place)
        return cls(binaries, home, place)

    @property
    def data(self) -> Path:
        return self.place / "data"

    @property
    def log(self) -> Path:
        return self.place / "server.log"

    @property
    def sockets(self) -> Path:
        """The data directory, or one with a short name if the socket's path would be too long."""
        if len(os.fsencode(self.data / _SOCKET)) < MAX_SOCKET_PATH:
            return self.data
        name = hashlib.sha256(os.fsencode(self.place)).hexdigest()[:16]
        return Path(f"/tmp/chatkeep-{self.binaries.uid}-{name}")  # noqa: S108 - see _claim

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='')}"

    def create(self, name: str, *options: str, keep: int | None = None, script: str = "") -> None:
        """Make a data directory, and run a script in it, one statement a line."""
        access = ("-U", "postgres", "-A", "trust")
        text: tuple[str, ...] = ("-E", "UTF8", "--locale=C.UTF-8")
        if self.binaries.major() >= _BUILTIN_LOCALES_SINCE:  # the same on every system
            text = (
                *text[:2],
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            )
        made = self.binaries.run(
            "initdb", "-D", name, *access, *text, *options, cwd=self.place, keep=keep
        )
        if not made.returncode and script:
            single = ("--single", "-D", name, "-c", "exit_on_error=on", "postgres")
            made = self.binaries.run("postgres", *single, cwd=self.place, keep=keep, text=script)
        if made.returncode:
            raise self._failure("made", made.stderr)

    def launch(self, *settings: Mapping[str, str], keep: int | None = None) -> None:
        """Start the server and wait until it answers. Later settings override earlier ones."""
        sockets = "."
        if self.sockets != self.data:
            _claim(self.sockets, self.binaries)
            sockets = str(self.sockets)
        self.bound_log()
        given = {**_SETTINGS, "unix_socket_directories": sockets}
        for some in settings:
            given |= some
        options = " ".join(f"-c {shlex.quote(f'{k}={v}')}" for k, v in given.items())
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
        started = self.binaries.run("pg_ctl", *start, cwd=self.place, keep=keep)
        if started.returncode:
            raise self._failure("started", started.stderr)

    def bound_log(self) -> None:
        """Empty the log when it is too large, and keep the end of it in another file."""
        with suppress(FileNotFoundError), open(self.log, "rb+", 0, opener=_no_link) as log:
            if log.seek(0, os.SEEK_END) <= MAX_LOG:
                return
            log.seek(-MAX_LOG, os.SEEK_END)
            kept = self.log.with_suffix(".log.1")
            with suppress(OSError):  # on a full disk, above all, it must be emptied
                kept.unlink(missing_ok=True)
                with open(kept, "xb", opener=private) as file:
                    file.write(log.read(MAX_LOG) or b"")
            log.truncate(0)  # the server writes on at its end

    def ensure_running(self) -> None:
        """Start the server unless it runs, in whatever way the last one ended."""
        give_up = time.monotonic() + START_TIMEOUT
        with open_lock(self.home / "server.lock") as server:
            while not self._answers():
                if try_lock(server):
                    self._make_data(keep=server.fileno())
                    for stale in (self.data / "postmaster.pid", self.sockets / f"{_SOCKET}.lock"):
                        stale.unlink(missing_ok=True)
                    self.launch(keep=server.fileno())
                    return
                # It is starting or recovering, or children of a dead one have yet to notice.
                if time.monotonic() > give_up:
                    raise self._failure("reached", f"It gave no answer in {START_TIMEOUT} seconds.")
                time.sleep(0.05)

    def is_gone(self) -> bool:
        """Tell whether no process of the server is left. Nobody may be starting one meanwhile."""
        with open_lock(self.home / "server.lock") as server:
            return try_lock(server)

    def leave(self, users: FileIO) -> None:
        """Give up a share in the server; without another it stops."""
        with users, locked(self.home / "start.lock"):
            if not try_lock(users):
                return
            with open_lock(self.home / "server.lock") as server:
                if not try_lock(server):  # else a pid file there is stale, and may name anybody
                    self.binaries.run("pg_ctl", "-D", "data", "-m", "fast", "stop", cwd=self.place)
                    if self.sockets != self.data:
                        with suppress(OSError):
                            self.sockets.rmdir()

    def _answers(self) -> bool:
        asked = ("-q", "-h", self.sockets, "-U", ROLE, "-d", ROLE)
        return self.binaries.run("pg_isready", *asked).returncode == 0

    def _make_data(self, *, keep: int) -> None:
        if not self.data.exists():
            fresh = self.place / "data.new"  # what a killed initdb left does not count
            shutil.rmtree(fresh, ignore_errors=True)
            script = f"CREATE ROLE {ROLE} LOGIN\nCREATE DATABASE {ROLE} OWNER {ROLE}\n"
            self.create(fresh.name, keep=keep, script=script)
            fresh.rename(self.data)
        made_by = (self.data / "PG_VERSION").read_text().strip()
        ours = self.binaries.version()
        if made_by != str(self.binaries.major()):
            raise EmbeddedPostgresError(
                f"{self.data} was made by Postgres {made_by}, and this is Postgres {ours}: go back "
                "to the version of chatkeep that made it and dump the database, or move the "
                f"directory away to start with an empty one, {OR_ANOTHER}."
            )

    def _failure(self, what: str, said: str) -> EmbeddedPostgresError:
        lines = said.strip().splitlines()
        with suppress(OSError):
            log = self.log.read_text(errors="replace")
            lines += log.splitlines()[-LOG_TAIL:]
        hint = ""
        if self.binaries.nobody:
            hint = f" (user nobody must be able to enter {self.home.parent})"
        return EmbeddedPostgresError(
            f"The embedded Postgres in {self.home} could not be {what}: see below{hint}, "
            f"{OR_ANOTHER}.\n" + "\n".join(lines)
        )


def _no_link(path: str, flags: int) -> int:
    """Open a file of the server's account, which must not lead us to another."""
    return os.open(path, flags | os.O_NOFOLLOW)


def _claim(directory: Path, binaries: PostgresBinaries) -> None:
    """Make a directory where others may have been first, and take it only if it is ours alone."""
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid in (binaries.uid, os.geteuid())
    if not ours or found.st_mode & 0o077:
        raise EmbeddedPostgresError(
            f"{directory}, where the server's socket would be, is not a private directory of ours: "
            f"remove it, choose a home with a shorter path, {OR_ANOTHER}."
        )
    binaries.give(directory)
