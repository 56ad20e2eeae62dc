"""An embedded Postgres, used if DATABASE_URL is not set, and for tests.

Any process may be killed at any moment, so all state is in locks that the kernel releases. The home
of a durable server contains:

- `users.lock`: every process that uses the server holds a share of it. It is the reference count.
- `start.lock`: held while a process starts or stops the server or creates files.
- `server.lock`: inherited by every process of the server. While it is free, no server runs, even if
  there is a pid file; while it is held, the data directory is in use.

A watchdog, a shell that reads a pipe from this process, cleans up if this process is killed.
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
    find_binaries,
    make_private,
    refuse_windows,
)
from chatkeep.adapters.embedded.cluster import MAX_SOCKET_PATH, ROLE, Cluster
from chatkeep.adapters.embedded.file_locks import (
    close_in_children,
    lock,
    lock_shared,
    open_lock,
    open_private,
)

__all__ = [
    "DurablePostgres",
    "EmbeddedPostgresError",
    "default_home",
    "ephemeral_postgres",
    "secret",
]

logger = logging.getLogger("chatkeep.database")

MIN_FREE_MEMORY_BYTES: Final = 2**31  # needed for an ephemeral server in memory
CHECK_SECONDS: Final = 1.0

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory with a new name is created in it
_FAST: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}
# A line on the pipe means that there is nothing to clean up; its end, that the process has died.
_AFTER_DURABLE: Final = 'read -r _ || exec "$@"'
_AFTER_EPHEMERAL: Final = 'read -r _; "$1" -D "$2/data" -m immediate stop; rm -rf "$2"'


class DurablePostgres:
    """This process's share of a server that keeps its data in a home directory.

    Processes with the same home share the server. It stops when the last of them calls `stop` or
    dies; child processes do not count.
    """

    def __init__(self, cluster: "Cluster") -> None:
        self.url: Final = cluster.url(ROLE, ROLE)
        self._cluster = cluster
        self._users = open_lock(cluster.home / "users.lock")
        self._watchdog = _start_watchdog(
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
        """Start the server of `home`, or join it if it runs. Create its data the first time.

        On return it accepts connections to `url`, as the owner of the database.
        Raises `EmbeddedPostgresError`.
        """
        with _raise_embedded_error(home):
            self = cls(Cluster.in_home(home))
            try:
                with lock(self._cluster.home / "start.lock"):
                    lock_shared(self._users)
                    self._cluster.ensure_running()
            except BaseException:
                self.stop()
                raise
            return self

    def stop(self) -> None:
        """Release the share; the last process stops the server and waits. Can be called twice."""
        if self._users.closed:  # also in a forked child
            return
        self._cluster.leave(self._users)
        self._watchdog.communicate(b"\n")

    @contextmanager
    def supervise(self) -> Iterator[None]:
        """Within the block, restart the server whenever it has died, and rotate its log."""
        over = Event()
        thread = Thread(target=self._keep_running, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _keep_running(self, over: Event) -> None:
        while not over.wait(CHECK_SECONDS):
            try:
                with lock(self._cluster.home / "start.lock"):
                    self._cluster.rotate_log()
                    if self._cluster.is_gone():
                        logger.error("the embedded Postgres has died; starting it again")
                        self._cluster.ensure_running()
            except (EmbeddedPostgresError, OSError) as error:
                logger.error("the embedded Postgres does not start: %s", error)  # noqa: TRY400 - its message is enough

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
    """Yield the superuser's URL of a new server. Afterwards remove the server and all its data.

    They are also removed if this process is killed. For speed it is not crash-safe and does not
    vacuum, unless `durable`. `settings` are server parameters that override all others. `binaries`
    are the programs of another Postgres than the embedded one. Raises `EmbeddedPostgresError`.
    """
    binaries = binaries or find_binaries()
    directory = Path(tempfile.mkdtemp(prefix="chatkeep-", dir=_choose_parent(durable=durable)))
    try:
        binaries.take_ownership(directory)
        cluster = Cluster(binaries, directory, directory)
        script: list[str | Path] = [_AFTER_EPHEMERAL, "sh", binaries.folder / "pg_ctl"]
        with _start_watchdog(script, directory, binaries=binaries):
            cluster.create("data", *([] if durable else ["--no-sync"]))
            cluster.launch({} if durable else _FAST, settings or {})
            yield cluster.url("postgres", "postgres")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _choose_parent(*, durable: bool) -> Path:
    """Return a directory with a path short enough for a socket: in memory if there is room.

    Creating and dropping databases takes several times as long on disk.
    """
    if not durable and os.access(_IN_MEMORY, os.W_OK | os.X_OK):
        found = os.statvfs(_IN_MEMORY)
        if found.f_bavail * found.f_frsize >= MIN_FREE_MEMORY_BYTES:
            return _IN_MEMORY
    parent = Path(tempfile.gettempdir())
    return parent if len(os.fsencode(parent)) + 40 < MAX_SOCKET_PATH else Path("/tmp")  # noqa: S108 - a new name in it


def default_home() -> Path:
    """Return the default home: a system directory for root, otherwise one in the user's home.

    Raises `EmbeddedPostgresError` if the user has no home directory.
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
    """Return the signing secret in `home`, 64 characters; create it the first time.

    Raises `EmbeddedPostgresError` if it cannot be read or written.
    """
    refuse_windows()
    with _raise_embedded_error(home), lock(make_private(home) / "start.lock"):
        path = home / "secret"
        if not path.exists():
            fresh = home / "secret.new"
            fresh.unlink(missing_ok=True)
            with open(fresh, "x", opener=open_private) as file:
                file.write(secrets.token_urlsafe(48))
                file.flush()
                os.fsync(file.fileno())
            fresh.rename(path)
        return path.read_text()


@contextmanager
def _raise_embedded_error(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{home} cannot hold the embedded Postgres ({error}): free some space, let this user "
            f"write there, {OR_ANOTHER}."
        ) from error


def _start_watchdog(
    script: list[str | Path],
    directory: Path,
    *,
    binaries: PostgresBinaries | None = None,
    env: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a shell that waits for this process to end, and then cleans up the directory."""
    watchdog = subprocess.Popen(  # noqa: S603 - a script from this module
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
        close_in_children(watchdog.stdin)
    return watchdog


def _import_path() -> list[str]:
    """Return the folders from which a new Python can import this package, and our PYTHONPATH."""
    inherited = os.environ.get("PYTHONPATH")
    return [str(Path(chatkeep.__file__).resolve().parents[1]), *([inherited] if inherited else [])]


if __name__ == "__main__":  # run by the watchdog
    _abandoned = Cluster.in_home(Path(sys.argv[1]))
    _abandoned.leave(open_lock(_abandoned.home / "users.lock"))
