"""A Postgres of our own: for when no DATABASE_URL is set, and for tests.

Any process may be killed at any moment, so what counts is held by the kernel. In the home of a
durable server:

- `users.lock`: whoever uses the server shares it. It is the reference count.
- `start.lock`: starting, stopping and making things happens under it, one at a time.
- `server.lock`: every process of the server inherits it. While it is free no server runs, whatever
  a pid file says; while it is taken the data directory is in use, whoever has died.

A watchdog, a shell that reads a pipe from the process, cleans up after one that was killed.
"""

import hashlib
import logging
import os
import secrets
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from threading import Event, Thread
from typing import Final, Self
from urllib.parse import quote

from adapters.file_locks import hold, locked, open_lock, private, share, try_lock
from adapters.postgres_binaries import (
    OR_ANOTHER,
    ROOT_HOME,
    EmbeddedPostgresError,
    PostgresBinaries,
    own_directory,
    postgres_binaries,
    refuse_windows,
)

__all__ = [
    "DurablePostgres",
    "EmbeddedPostgresError",
    "default_home",
    "ephemeral_postgres",
    "secret",
]

logger = logging.getLogger("chatkeep.database")

ROLE: Final = "chatkeep"
START_TIMEOUT: Final = 600  # seconds; recovery after a crash may take minutes
MAX_SOCKET_PATH: Final = 103 if sys.platform == "darwin" else 107  # bytes
ROOM_IN_MEMORY: Final = 2**31  # bytes that must be free, for an ephemeral server to live there
MAX_LOG: Final = 1_000_000  # bytes, above which the log starts anew; the one before is kept
LOOK_EVERY: Final = 1.0  # seconds
LOG_TAIL: Final = 12  # lines of it that an error shows

_SOCKET: Final = ".s.PGSQL.5432"
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of a new name is made in it
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
_FAST: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}
# A line on the pipe means that there is nothing to do; its end, that its other end is gone.
_AFTER_DURABLE: Final = 'read -r _ || exec "$@"'
_AFTER_EPHEMERAL: Final = 'read -r _; "$1" -D "$2/data" -m immediate stop; rm -rf "$2"'


class DurablePostgres:
    """One use of the server that keeps its data in a home directory.

    Processes that name the same home share the server. It stops when the last of them leaves, by
    `stop` or by dying; children of the process do not count.
    """

    def __init__(self, cluster: "_Cluster") -> None:
        self.url: Final = cluster.url(ROLE, ROLE)
        self._cluster = cluster
        self._users = open_lock(cluster.home / "users.lock")
        self._watchdog = _watch(
            [_AFTER_DURABLE, "sh", sys.executable, "-P", "-m", "adapters.embedded_postgres"],
            cluster.home,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(_import_path())},
        )

    @classmethod
    def start(cls, home: Path) -> Self:
        """Start the server of `home`, or join the one that runs; make its data the first time.

        On return it accepts connections to `url`, as the owner of a database of their own.
        Raises `EmbeddedPostgresError`.
        """
        with _explained(home):
            self = cls(_Cluster.durable(home))
            try:
                with locked(self._cluster.home / "start.lock"):
                    share(self._users)
                    self._cluster.ensure_running()
            except BaseException:
                self.stop()
                raise
            return self

    def stop(self) -> None:
        """Leave; the last one out stops the server and waits for that. Again does nothing."""
        if self._users.closed:  # also in a forked child
            return
        self._cluster.leave(self._users)
        self._watchdog.communicate(b"\n")

    @contextmanager
    def kept_running(self) -> Iterator[None]:
        """Within the block, start the server again whenever it has died, and bound its log."""
        over = Event()
        thread = Thread(target=self._keep_running, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _keep_running(self, over: Event) -> None:
        while not over.wait(LOOK_EVERY):
            try:
                with locked(self._cluster.home / "start.lock"):
                    self._cluster.bound_log()
                    if self._cluster.is_gone():
                        logger.error("the embedded Postgres has died; starting it again")
                        self._cluster.ensure_running()
            except (EmbeddedPostgresError, OSError) as error:
                logger.error("the embedded Postgres does not start: %s", error)  # noqa: TRY400 - it says what to do

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def ephemeral_postgres(
    *, durable: bool = False, settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield the URL of a new server's superuser; the server goes afterwards, with all its data.

    It also goes when this process is killed. For speed it is not crash-safe and vacuums nothing by
    itself, unless `durable`. `settings` are server parameters that override all others.
    Raises `EmbeddedPostgresError`.
    """
    binaries = postgres_binaries()
    place = Path(tempfile.mkdtemp(prefix="chatkeep-", dir=_place_for_data(durable=durable)))
    try:
        binaries.give(place)
        cluster = _Cluster(binaries, place, place)
        with _watch([_AFTER_EPHEMERAL, "sh", binaries.folder / "pg_ctl"], place, binaries=binaries):
            cluster.create("data", *([] if durable else ["--no-sync"]))
            cluster.launch({} if durable else _FAST, settings or {})
            yield cluster.url("postgres", "postgres")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _place_for_data(*, durable: bool) -> Path:
    """Return a folder whose names leave room for a socket: in memory, where that is large enough.

    To make and drop databases takes a file system on disk several times as long.
    """
    if not durable and os.access(_IN_MEMORY, os.W_OK | os.X_OK):
        found = os.statvfs(_IN_MEMORY)
        if found.f_bavail * found.f_frsize >= ROOM_IN_MEMORY:
            return _IN_MEMORY
    place = Path(tempfile.gettempdir())
    return place if len(os.fsencode(place)) + 40 < MAX_SOCKET_PATH else Path("/tmp")  # noqa: S108 - a new name in it


def default_home() -> Path:
    """Return where the embedded data belongs: a system directory for root, else the user's own.

    Raises `EmbeddedPostgresError` for a user who has none.
    """
    refuse_windows()
    if os.geteuid() == 0:
        return ROOT_HOME
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    with suppress(RuntimeError):
        return (base if base.is_absolute() else Path.home() / ".local/share") / "chatkeep"
    raise EmbeddedPostgresError(
        "This user has no home directory to keep the embedded Postgres in: set XDG_DATA_HOME, "
        f"{OR_ANOTHER}."
    )


def secret(home: Path) -> str:
    """Return the signing secret kept in `home`, 64 characters, made the first time.

    Raises `EmbeddedPostgresError` when it cannot be read or written.
    """
    refuse_windows()
    with _explained(home), locked(own_directory(home) / "start.lock"):
        path = home / "secret"
        if not path.exists():
            fresh = home / "secret.new"
            fresh.unlink(missing_ok=True)
            with open(fresh, "x", opener=private) as file:
                file.write(secrets.token_urlsafe(48))
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(path)
        return path.read_text()


@dataclass(frozen=True, slots=True)
class _Cluster:
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
        text = ("-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
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
        if made_by != ours.partition(".")[0]:
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


@contextmanager
def _explained(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{home} cannot hold the embedded Postgres ({error}): make room for it, let this user "
            f"write there, {OR_ANOTHER}."
        ) from error


def _watch(
    script: list[str | Path],
    directory: Path,
    *,
    binaries: PostgresBinaries | None = None,
    env: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a shell that waits for this process to end, and then looks after the directory."""
    watchdog = subprocess.Popen(  # noqa: S603 - a script of ours
        ["/bin/sh", "-c", *script, directory],
        bufsize=0,
        cwd="/",
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **(binaries.account if binaries else {}),
    )
    if isinstance(watchdog.stdin, FileIO):
        hold(watchdog.stdin)
    return watchdog


def _import_path() -> list[str]:
    """Return where a new Python finds this package, and whatever ours was told of."""
    told = os.environ.get("PYTHONPATH")
    return [str(Path(__file__).resolve().parents[1]), *([told] if told else [])]


if __name__ == "__main__":  # run by the watchdog
    _abandoned = _Cluster.durable(Path(sys.argv[1]))
    _abandoned.leave(open_lock(_abandoned.home / "users.lock"))
