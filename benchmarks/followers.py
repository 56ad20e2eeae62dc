"""Follows conversations over open streams, and writes drafts, and says how late each chunk came.

It runs in a separate process, on uvloop, with a file that `Followers.write` has written. Once all
streams are open it prints a line. Then it takes a line of its input for each of: begin to write;
stop, and print a report in JSON. It does so until its input ends.
"""

import asyncio
import json
import re
import sys
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import quantiles
from time import perf_counter, process_time
from typing import Final, cast
from uuid import uuid4

import uvloop

from benchmarks.programs import Call, Conversation, bearer

GRACE: Final = 60.0
"""Seconds for the last chunks to come."""

OPENED_AT_ONCE: Final = 50
_STAMPS: Final = re.compile(rb'"text":"((?:[0-9.]+ )+)"')
_END: Final = b"\n\n"


@dataclass(frozen=True, slots=True)
class Followers:
    """The conversations to follow, once for each stream, and those in which drafts are written.

    `rate` is the chunks a second, of all drafts.
    """

    port: int
    followed: list[tuple[str, str]]
    written: list[tuple[str, str]]
    rate: float

    @classmethod
    def of(
        cls,
        port: int,
        followed: Sequence[Conversation],
        written: Sequence[Conversation],
        rate: float,
    ) -> "Followers":
        return cls(port, _named(followed), _named(written), rate)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Followers":
        stored = json.loads(path.read_text())
        for name in ("followed", "written"):
            stored[name] = [(user, conversation) for user, conversation in stored[name]]
        return cls(**stored)


def _named(conversations: Sequence[Conversation]) -> list[tuple[str, str]]:
    return [(each.user_id, str(each.id)) for each in conversations]


class _Stream(asyncio.Protocol):
    """An open stream: it notes how late each chunk comes, by the time that the chunk has."""

    def __init__(self, call: Call, lags: list[float]) -> None:
        self._call = call
        self._lags = lags
        self._rest = b""
        self.opened = asyncio.get_running_loop().create_future()
        self.stamps: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._call.encode())

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        text, _, self._rest = (self._rest + data).rpartition(_END)
        if text and not self.opened.done():
            if b" 200 " not in text.partition(b"\r\n")[0]:
                self.opened.set_exception(OSError(f"a stream was refused: {data[:200]!r}"))
                return
            self.opened.set_result(None)
        for found in _STAMPS.finditer(text):
            stamps = found[1].split()
            self.stamps += stamps
            self._lags += [now - float(stamp) for stamp in stamps]

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(OSError(f"a stream was closed: {error}"))


class _Draft:
    """A draft, with its own connection. `stamps` are the chunks so far."""

    def __init__(self, conversation: tuple[str, str]) -> None:
        self._user, its_id = conversation
        self._path = f"/v1/conversations/{its_id}/drafts"
        self._id = str(uuid4())
        self.busy = asyncio.Lock()
        self.stamps: list[bytes] = []

    async def connect(self, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)

    async def start(self) -> None:
        body = {"id": self._id, "supersede": True, "lease": 600}
        await self._call(self._path, body)

    async def write(self) -> None:
        async with self.busy:
            stamp = f"{perf_counter():.6f} "
            self.stamps.append(stamp.encode().strip())
            body = {"epoch": 1, "seq": len(self.stamps), "chunks": [stamp]}
            await self._call(f"{self._path}/{self._id}/chunks", body)

    async def cancel(self) -> None:
        await self._call(f"{self._path}/{self._id}/cancel", {"keep": False})
        self._writer.close()

    async def _call(self, path: str, body: object) -> None:
        call = Call("POST", path, bearer(self._user), 1, json.dumps(body).encode())
        self._writer.write(call.encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answer = await self._reader.readexactly(size)
        if not head.startswith(b"HTTP/1.1 2"):
            raise OSError(f"{path}: {answer[:200]!r}")


class _Session:
    """The open streams and the drafts of some followers, and how late chunks came."""

    def __init__(self, followers: Followers) -> None:
        self._port = followers.port
        self._rate = followers.rate
        self._lags: list[float] = []
        self._drafts = [_Draft(each) for each in followers.written]
        self._streams = [
            _Stream(Call("GET", f"/v1/conversations/{its_id}/events", bearer(user), 1), self._lags)
            for user, its_id in followers.followed
        ]
        readers: dict[tuple[str, str], list[_Stream]] = {}
        for at, stream in zip(followers.followed, self._streams, strict=True):
            readers.setdefault(at, []).append(stream)
        self._readers = [readers[at] for at in followers.written]

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for start in range(0, len(self._streams), OPENED_AT_ONCE):
            some = self._streams[start : start + OPENED_AT_ONCE]
            for each in some:
                await loop.create_connection(partial(_itself, each), "127.0.0.1", self._port)
            await asyncio.gather(*(each.opened for each in some))
        await self.connect()
        await asyncio.gather(*(each.start() for each in self._drafts))

    async def connect(self) -> None:
        """Connect those who write anew: the service closes connections that are idle."""
        await asyncio.gather(*(each.connect(self._port) for each in self._drafts))

    async def measure(self, over: Awaitable[object]) -> dict[str, object]:
        """Write until it is over, and return a report once all chunks have come."""
        self._lags.clear()
        busy = process_time()
        writing = asyncio.create_task(self._write())
        await over
        writing.cancel()
        await asyncio.wait([writing])
        if not writing.cancelled():
            writing.result()
        async with asyncio.timeout(GRACE):
            while not all(map(self._is_read, range(len(self._drafts)))):  # noqa: ASYNC110 - whenever they come
                await asyncio.sleep(0.01)
        for draft, readers in zip(self._drafts, self._readers, strict=True):
            if any(reader.stamps != draft.stamps for reader in readers):
                return {"wrong": "chunks came twice or out of order"}
        cuts = quantiles(self._lags, n=100)
        return {
            "deliveries": len(self._lags),
            "p50": cuts[49] * 1000,
            "p99": cuts[98] * 1000,
            "busy": process_time() - busy,
        }

    async def close(self) -> None:
        for stream in self._streams:
            stream.transport.close()
        await self.connect()
        await asyncio.gather(*(each.cancel() for each in self._drafts))

    def _is_read(self, number: int) -> bool:
        draft = self._drafts[number]
        wanted = len(draft.stamps)
        return not draft.busy.locked() and all(
            len(reader.stamps) >= wanted for reader in self._readers[number]
        )

    async def _write(self) -> None:
        started, tasks = perf_counter(), deque[asyncio.Task[None]]()
        for number in count():
            draft = self._drafts[number % len(self._drafts)]
            tasks.append(asyncio.create_task(draft.write()))
            while tasks and tasks[0].done():
                tasks.popleft().result()
            await asyncio.sleep(max(0.0, started + (number + 1) / self._rate - perf_counter()))


def _itself(stream: _Stream) -> _Stream:
    return stream


async def run(followers: Followers) -> None:
    session = _Session(followers)
    await session.open()
    _say("open")
    while await _next_line():
        await session.connect()
        _say(json.dumps(await session.measure(_next_line())))
    await session.close()


async def _next_line() -> str:
    return await asyncio.to_thread(sys.stdin.readline)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(run(Followers.read(Path(sys.argv[1]))))
