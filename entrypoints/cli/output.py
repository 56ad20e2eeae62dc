"""Writes long output: to stdout, or to a file that exists only when it is complete."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

STDOUT: Final = "-"
_private = partial(os.open, mode=0o600)


@contextmanager
def open_output(output: Path) -> Iterator[BinaryIO]:
    """Open for writing. A file gets its name when it is complete; only its owner may read it."""
    if str(output) == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = output.resolve()
    if target.exists() and not target.is_file():  # a pipe, a terminal
        with target.open("wb") as file:
            yield file
        return
    part = target.with_name(f"{target.name}.part")
    try:
        with open(part, "wb", opener=_private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
