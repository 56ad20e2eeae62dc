"""What the processes of one service have counted, whichever of them is asked.

Each of them answers on a socket in a directory that only they know. Before it tells anybody its
counts it writes them to a file: of a process that ended, or does not answer, nothing is forgotten
that was ever seen, so that no counter goes back. A new process goes on from the file of one that
ended. Nothing of this happens while nobody asks.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from chatkeep.domain.threads import run_in_thread
from chatkeep.entrypoints.http.metrics.metric_families import Family, combined, lasting
from chatkeep.entrypoints.http.snapshots import Snapshot

logger = logging.getLogger("chatkeep.http")

PATIENCE: Final = 1.0
"""So many seconds may another process take to answer."""

_FILE: Final = ".json"
_SOCKET: Final = ".sock"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Family]).decode


class Workers:
    """One process, `pid`, among those that share `directory`.

    `own` gives what it has counted itself.
    """

    def __init__(
        self, directory: Path, own: Callable[[], Iterable[Family]], pid: int | None = None
    ) -> None:
        self._directory = directory
        self._own = own
        self._inherited: list[Family] = []
        self._name = str(pid or os.getpid())
        self._server: asyncio.Server | None = None
        self._told = Snapshot(self._tell)

    async def start(self) -> None:
        """Go on from one that ended, if there is any, and answer the others from now on."""
        self._inherit()
        self._server = await asyncio.start_unix_server(self._answer, self._path(_SOCKET))

    async def stop(self) -> None:
        """Leave what was counted to the others."""
        if self._server is not None:
            self._server.close()
            self._path(_SOCKET).unlink(missing_ok=True)
        self._write(list(self._own()))

    async def families(self) -> list[Family]:
        """Return what all of them have counted, those that ended included."""
        others = await asyncio.gather(*map(self._asked, self._others()))
        own = _decode(await self._told.get())
        return await run_in_thread(lambda: combined([own, *others]))

    def _others(self) -> list[str]:
        try:
            found = list(self._directory.iterdir())
        except OSError:
            return []
        names = {path.stem for path in found if path.suffix in {_FILE, _SOCKET}}
        return sorted(names - {self._name})

    async def _tell(self) -> bytes:
        own = list(self._own())
        return await run_in_thread(lambda: self._write(own))

    def _write(self, own: list[Family]) -> bytes:
        """Return what this one has counted, after it was written down."""
        told = _encode(combined([own, self._inherited]))
        with contextlib.suppress(OSError):  # the directory is gone, or full: nothing to keep it in
            path = self._path(_FILE)
            new = path.with_suffix(".new")
            new.write_bytes(told)
            new.replace(path)
        return told

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(await self._told.get())
            await writer.drain()
        writer.close()

    async def _asked(self, name: str) -> list[Family]:
        """Return what the other one says; if it does not, what it last told anybody."""
        try:
            async with asyncio.timeout(PATIENCE):
                path = self._directory / f"{name}{_SOCKET}"
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    return _decode(await reader.read())
                finally:
                    writer.close()
        except (OSError, msgspec.DecodeError):  # a TimeoutError is an OSError
            return lasting(self._read(name))

    def _read(self, name: str) -> list[Family]:
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
                continue  # another new one has taken it
            self._inherited = lasting(self._read(self._name))
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
