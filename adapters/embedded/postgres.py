"""A Postgres of our own: for when no DATABASE_URL is set, and for tests.

Any process may be killed at any moment, so what counts is held by the kernel. In the home of a
durable server:

- `users.lock`: whoever uses the server shares it. It is the reference count.
- `start.lock`: starting, stopping and making things happens under it, one at a time.
- `server.lock`: every process of the server inherits it. While it is free no server runs, whatever
  a pid file says; while it is taken the data directory is in use, whoever has died.

A watchdog, a shell that reads a pipe from the process, cleans up after one that was killed.
"""

import logging
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from threading import Event, Thread
from typing import Final, Self

import chatkeep
from chatkeep.adapters.embedded.binaries import (
    OR_ANOTHER,
    ROOT_HOME,
    EmbeddedPostgresError,
    PostgresBinaries,
    own_directory,
    postgres_binaries,
    refuse_windows,
)
from chatkeep.adapters.embedded.cluster import MAX_SOCKET_PATH, ROLE, Cluster
from chatkeep.adapters.embedded.file_locks import hold, locked, open_lock, private, share

__all__ = [
    "DurablePostgres",
    "EmbeddedPostgresError",
    "default_home",
    "ephemeral_postgres",
    "secret",
]

logger = logging.getLogger("chatkeep.database")

ROOM_IN_MEMORY: Final = 2**31  # bytes that must be free, for an ephemeral server to live there
LOOK_EVERY: Final = 1.0  # seconds

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of a new name is made in it
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

    def __init__(self, cluster: "Cluster") -> None:
        self.url: Final = cluster.url(ROLE, ROLE)
        self._cluster = cluster
        self._users = open_lock(cluster.home / "users.lock")
        self._watchdog = _watch(
            [
                _AFTER_DURABLE,
                "sh",
                sys.executable,
                "-P",
                "-m",
                "chatkeep.adapters.embedded.postgres",
            ],
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
            self = cls(Cluster.durable(home))
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
    *,
    durable: bool = False,
    settings: Mapping[str, str] | None = None,
    binaries: PostgresBinaries | None = None,
) -> Iterator[str]:
    """Yield the URL of a new server's superuser; the server goes afterwards, with all its data.

    It also goes when this process is killed. For speed it is not crash-safe and vacuums nothing by
    itself, unless `durable`. `settings` are server parameters that override all others, `binaries`
    the programs of another Postgres than the embedded one. Raises `EmbeddedPostgresError`.
    """
    binaries = binaries or postgres_binaries()
    place = Path(tempfile.mkdtemp(prefix="chatkeep-", dir=_place_for_data(durable=durable)))
    try:
        binaries.give(place)
        cluster = Cluster(binaries, place, place)
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
    return [str(Path(chatkeep.__file__).resolve().parents[1]), *([told] if told else [])]


if __name__ == "__main__":  # run by the watchdog
    _abandoned = Cluster.durable(Path(sys.argv[1]))
    _abandoned.leave(open_lock(_abandoned.home / "users.lock"))
