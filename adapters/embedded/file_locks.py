"""File locks that the kernel releases when their holder ends, even if it is killed.

Neither programs that the holder executes nor children that it forks inherit a lock, unless a
program is given the file on purpose.
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

open_private: Final = partial(os.open, mode=0o600)
"""An `opener` for files that no other user may read or lock."""

_open_files: Final[WeakSet[FileIO]] = WeakSet()


def open_lock(path: Path) -> FileIO:
    """Open a file to lock; create it if needed. Closing the file releases the lock."""
    return close_in_children(FileIO(path, "a", opener=open_private))


def close_in_children(file: FileIO) -> FileIO:
    """Close the file in forked children, where close-on-exec does not apply."""
    _open_files.add(file)
    return file


def lock_shared(file: FileIO) -> None:
    """Wait until no other process holds an exclusive lock, and take a shared one."""
    fcntl.flock(file, fcntl.LOCK_SH)


def try_lock(file: FileIO) -> bool:
    """Take an exclusive lock if no other process holds one. A shared lock is lost either way."""
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Wait for an exclusive lock, and hold it within the block."""
    with open_lock(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Closing is not enough: a child forked meanwhile could still have the file open.
            fcntl.flock(file, fcntl.LOCK_UN)


def _close_open_files() -> None:
    for file in list(_open_files):
        file.close()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_close_open_files)
