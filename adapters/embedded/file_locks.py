"""Locks on files that the kernel takes back when their holder ends, however it ends.

Neither programs that the holder executes nor children that it forks share a lock, unless a program
is given the file on purpose.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Final
from weakref import WeakSet

if sys.platform != "win32":
    import fcntl

private: Final = partial(os.open, mode=0o600)
"""An `opener` for files that nobody else may read, or lock."""

_held: Final[WeakSet[FileIO]] = WeakSet()


def open_lock(path: Path) -> FileIO:
    """Open a file to lock, making it if need be. Closing it lets go."""
    return hold(FileIO(path, "a", opener=private))


def hold(file: FileIO) -> FileIO:
    """Keep a file from forked children, where close-on-exec does not help."""
    _held.add(file)
    return file


def share(file: FileIO) -> None:
    """Wait until nobody holds it alone, and hold it together with others."""
    fcntl.flock(file, fcntl.LOCK_SH)


def try_lock(file: FileIO) -> bool:
    """Take it alone if nobody else holds it. A share is lost either way."""
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until nobody else holds it, and hold it alone."""
    with open_lock(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Not by closing it alone: a child forked meanwhile could still have it open.
            fcntl.flock(file, fcntl.LOCK_UN)


def _close_held() -> None:
    for file in list(_held):
        file.close()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_close_held)
