"""Merges the metrics of all worker processes of one service, in any of them.

Each process serves its metrics on a Unix socket in a directory that only they share. Before it
reports its counts it writes them to a file, so the counts of a process that ended or hangs are
still known, and no counter ever decreases. A new process continues the file of one that ended.
All this happens only at a scrape.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from chatkeep.domain.operations.metrics import MetricFamily
from chatkeep.domain.threads import run_in_thread
from chatkeep.entrypoints.http.metrics.metric_families import drop_gauges, merge_families
from chatkeep.entrypoints.http.snapshots import Snapshot

logger = logging.getLogger("chatkeep.http")

WORKER_TIMEOUT_SECONDS: Final = 1.0
"""Time allowed for another process to report its metrics."""

_FILE: Final = ".json"
_SOCKET: Final = ".sock"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[MetricFamily]).decode


class MultiprocessMetrics:
    """The process `pid`, one of those that share `directory`. `own` returns its own metrics."""

    def __init__(
        self, directory: Path, own: Callable[[], Iterable[MetricFamily]], pid: int | None = None
    ) -> None:
        self._directory = directory
        self._own = own
        self._inherited: list[MetricFamily] = []
        self._name = str(pid or os.getpid())
        self._server: asyncio.Server | None = None
        self._snapshot = Snapshot(self._report)

    async def start(self) -> None:
        """Continue the counts of a process that ended, if any, and serve those of this one."""
        self._inherit()
        self._server = await asyncio.start_unix_server(self._serve, self._path(_SOCKET))

    async def stop(self) -> None:
        """Stop serving, and leave the counts in a file for the other processes."""
        if self._server is not None:
            self._server.close()
            self._path(_SOCKET).unlink(missing_ok=True)
        self._write(list(self._own()))

    async def collect(self) -> list[MetricFamily]:
        """Return the merged metrics of all processes, those that ended included."""
        others = await asyncio.gather(*map(self._fetch, self._others()))
        own = _decode(await self._snapshot.get())
        return await run_in_thread(lambda: merge_families([own, *others]))

    def _others(self) -> list[str]:
        try:
            found = list(self._directory.iterdir())
        except OSError:
            return []
        names = {path.stem for path in found if path.suffix in {_FILE, _SOCKET}}
        return sorted(names - {self._name})

    async def _report(self) -> bytes:
        own = list(self._own())
        return await run_in_thread(lambda: self._write(own))

    def _write(self, own: list[MetricFamily]) -> bytes:
        """Return the counts of this process as JSON, after writing them to its file."""
        report = _encode(merge_families([own, self._inherited]))
        with contextlib.suppress(OSError):  # the directory is gone, or the disk is full
            path = self._path(_FILE)
            new = path.with_suffix(".new")
            new.write_bytes(report)
            new.replace(path)
        return report

    async def _serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(await self._snapshot.get())
            await writer.drain()
        writer.close()

    async def _fetch(self, name: str) -> list[MetricFamily]:
        """Return the metrics of another process; if it does not answer, the last it reported."""
        try:
            async with asyncio.timeout(WORKER_TIMEOUT_SECONDS):
                path = self._directory / f"{name}{_SOCKET}"
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    return _decode(await reader.read())
                finally:
                    writer.close()
        except (OSError, msgspec.DecodeError):  # a TimeoutError is an OSError
            return drop_gauges(self._read(name))

    def _read(self, name: str) -> list[MetricFamily]:
        try:
            return _decode((self._directory / f"{name}{_FILE}").read_bytes())
        except (OSError, msgspec.DecodeError):
            return []

    def _inherit(self) -> None:
        for path in self._directory.glob(f"*{_FILE}"):
            if path.stem != self._name and _is_alive(int(path.stem)):
                continue
            path.with_suffix(_SOCKET).unlink(missing_ok=True)
            try:
                path.replace(self._path(_FILE))
            except FileNotFoundError:
                continue  # another new process has taken it
            self._inherited = drop_gauges(self._read(self._name))
            return

    def _path(self, suffix: str) -> Path:
        return self._directory / f"{self._name}{suffix}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
