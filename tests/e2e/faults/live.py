"""Answers that are followed while everything around them fails: each reader gets all of it, once.

`python -m tests.e2e.faults.live direct` runs the whole, and with `pooled` behind PgBouncer; the
test in `test_live.py` runs a small part of it.
"""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import uuid4

import httpx

from tests.e2e.faults.load import workers
from tests.e2e.neon.servers import Suspendable, pgbouncer
from tests.support import postgres
from tests.support.following import Reader
from tests.support.processes import SECRET
from tests.support.relay import Relay
from tests.support.service_process import ServiceProcess, as_user, running
from tests.support.waiting import until

FAULTS: Final = ("connections reset",) * 6 + ("workers killed",) * 3 + ("restarts",) * 2
"""What breaks, as often as it does, compared with the others."""

LAST: Final = "the last"
PATIENCE: Final = 600.0
"""Seconds for one conversation and its readers, among all those that go on at once."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is written, how many read each answer, and how often something is broken.

    The last one of the readers uses long polls.
    """

    drafts: int
    at_once: int
    readers: int
    chunks: int
    faults: int


WHOLE: Final = Size(drafts=200, at_once=20, readers=5, chunks=30, faults=10_000)
SMALL: Final = Size(drafts=6, at_once=6, readers=3, chunks=10, faults=5)


@dataclass
class Heard:
    """What one reader got, in the order in which it came."""

    messages: list[str] = field(default_factory=list)
    chunks: list[str] = field(default_factory=list)
    starts: int = 0
    ends: list[str] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return LAST in self.messages and bool(self.ends)

    def note(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "message.created":
                self.messages.append(event["message"]["content"])
            case "draft.started":
                self.starts += 1
            case "draft.delta":
                self.chunks += event["text"].split()
            case "draft.finished" | "draft.interrupted":
                self.ends.append(event["type"])
            case other:
                raise AssertionError(other)


class Run:
    """The services, what is broken around them, and how often what happened."""

    def __init__(
        self,
        size: Size,
        services: list[ServiceProcess],
        relay: Relay,
        database: Suspendable,
        seed: int,
    ) -> None:
        self._size = size
        self._services = services
        self._relay = relay
        self._database = database
        self._dice = Random(seed)
        self._tried = asyncio.Event()
        self.counts: Counter[str] = Counter()

    async def all(self) -> None:
        """Write and follow everything, among faults; fail if a reader misses something."""
        failing = asyncio.create_task(self._fail())
        places = asyncio.Semaphore(self._size.at_once)

        async def one(number: int) -> None:
            async with places, asyncio.timeout(PATIENCE):
                await self._converse(number)

        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._size.drafts):
                    group.create_task(one(number))
        finally:
            failing.cancel()
            await asyncio.wait([failing])
        if not failing.cancelled():
            failing.result()

    async def _fail(self) -> None:
        """Break something again and again; each kind comes once before any comes again."""
        first = self._dice.sample(sorted(set(FAULTS)), k=len(set(FAULTS)))
        for _ in range(self._size.faults):
            await asyncio.sleep(self._dice.uniform(0.5, 3))
            kind = first.pop() if first else self._dice.choice(FAULTS)
            if kind == "connections reset":
                self.counts[kind] += len(self._relay.open)
                self._relay.reset()
            elif kind == "restarts":
                await self._database.restart(self._dice.choice(("fast", "immediate")))
                self.counts[kind] += 1
            else:
                await self._kill(self._dice.choice(self._services))
            if not first:
                self._tried.set()

    async def _kill(self, service: ServiceProcess) -> None:
        await until(lambda: len(workers(service)) > 1, every=0.05)
        os.kill(self._dice.choice(sorted(workers(service))), signal.SIGKILL)
        self.counts["workers killed"] += 1

    async def _converse(self, number: int) -> None:
        """Have one answer written, and followed from before its start to after its end."""
        user, path = f"user {number}", f"/v1/conversations/{uuid4()}"
        await self._call(user, "PUT", path)
        chunks = [f"{number}.{seq}" for seq in range(1, self._size.chunks + 1)]
        async with asyncio.TaskGroup() as group:
            readers = [
                group.create_task(self._follow(user, path, reader))
                for reader in range(self._size.readers)
            ]
            await self._say(user, path, "the question")
            await self._write(user, f"{path}/drafts", chunks)
            await self._say(user, path, LAST)
        page = await self._call(user, "GET", f"{path}/messages")
        answer = "".join(f"{chunk} " for chunk in chunks)
        stored = [each["content"] for each in page["items"]]
        assert stored == ["the question", answer, LAST], stored
        for heard in (reader.result() for reader in readers):
            assert heard.chunks == chunks, (user, heard.chunks)
            assert heard.starts == 1, user
            assert heard.ends == ["draft.finished"], user
            assert heard.messages == stored, (user, heard.messages)
            self.counts["chunks read"] += len(heard.chunks)

    async def _write(self, user: str, path: str, chunks: list[str]) -> None:
        draft = str(uuid4())
        await self._call(user, "POST", path, {"id": draft, "lease": 600})
        for seq, chunk in enumerate(chunks, 1):
            await asyncio.sleep(self._dice.uniform(0, 0.2))
            if seq == len(chunks):
                await self._tried.wait()
            body = {"epoch": 1, "seq": seq, "chunks": [f"{chunk} "]}
            await self._call(user, "POST", f"{path}/{draft}/chunks", body)
        await self._call(user, "POST", f"{path}/{draft}/finish", {"epoch": 1})

    async def _say(self, user: str, path: str, content: str) -> None:
        body = {"id": str(uuid4()), "role": "user", "content": content}
        await self._call(user, "POST", f"{path}/messages", body)

    async def _call(self, user: str, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Call one of the services, and again until one succeeds; nothing but a 503 is refused."""
        while True:
            service = self._dice.choice(self._services)
            try:
                answer = await service.http.request(method, path, json=body, headers=as_user(user))
            except httpx.TransportError:
                self.counts["calls sent again"] += 1
            else:
                if answer.is_success:
                    return answer.json()
                assert answer.status_code == 503, (method, path, answer.text)
                self.counts["calls sent again"] += 1
            await asyncio.sleep(0.05)

    async def _follow(self, user: str, path: str, reader: int) -> Heard:
        """Follow, and go on at another service after each break, also after those of its own."""
        heard, at, turn = Heard(), "start", reader
        take = self._poll if reader == self._size.readers - 1 else self._stream
        while not heard.is_done:
            turn += 1
            service = self._services[turn % len(self._services)]
            at = await take(service, user, f"{path}/events", at, heard)
        return heard

    async def _stream(
        self, service: ServiceProcess, user: str, path: str, at: str, heard: Heard
    ) -> str:
        """Read some of a stream, and return where to go on."""
        reader, leave = Reader(), self._dice.randint(1, 12)
        try:
            async with service.http.stream(
                "GET", path, params={"after": at}, headers=as_user(user)
            ) as answer:
                if answer.status_code != 200:
                    assert answer.status_code == 503, await answer.aread()
                    await asyncio.sleep(0.05)
                    return at
                async for text in answer.aiter_text():
                    for sent in reader.feed(text):
                        heard.note(sent.data)
                    leave -= 1
                    if leave == 0 or heard.is_done:
                        self.counts["streams left"] += 1
                        break
        except httpx.TransportError:
            self.counts["streams broken"] += 1
        return reader.last_id or at

    async def _poll(
        self, service: ServiceProcess, user: str, path: str, at: str, heard: Heard
    ) -> str:
        """Read the next events by a long poll, and return where to go on."""
        query: dict[str, Any] = {"after": at, "wait": 5}
        try:
            answer = await service.http.get(path, params=query, headers=as_user(user))
        except httpx.TransportError:
            self.counts["long polls broken"] += 1
            return at
        if answer.status_code != 200:
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.05)
            return at
        page = answer.json()
        for event in page["items"]:
            heard.note(event)
        return str(page["next_cursor"])


@asynccontextmanager
async def prepared(
    size: Size, server: postgres.Server, *, pooled: bool, seed: int = 1
) -> AsyncIterator[Run]:
    """Yield a run on a new database of a server that survives crashes, with two services."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(server.database())
        if pooled:
            url = await stack.enter_async_context(pgbouncer(url, connections=20))
        relay = await stack.enter_async_context(Relay(url))
        params = "sslmode=disable&pgbouncer=true" if pooled else "sslmode=disable"
        settings = {"DATABASE_URL": relay.url(params=params), "CHATKEEP_JWT_SECRET": SECRET}
        services = await asyncio.gather(
            *(stack.enter_async_context(running("--workers", "2", **settings)) for _ in range(2))
        )
        yield Run(size, [*services], relay, await Suspendable.of(server), seed)


async def run(size: Size, server: postgres.Server, *, pooled: bool) -> Counter[str]:
    """Run everything, and return how often what happened."""
    async with prepared(size, server, pooled=pooled) as made:
        await made.all()
        return made.counts


def main() -> None:
    with postgres.server(durable=True) as server:
        for name in sys.argv[1:]:
            started = time.monotonic()
            counts = asyncio.run(run(WHOLE, server, pooled=name == "pooled"))
            seconds = time.monotonic() - started
            sys.stdout.write(f"{name}: {seconds:.0f} s, {dict(sorted(counts.items()))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
