"""A load generator in Python, for machines without wrk, and for loads at a given rate.

Connections stay open, and each waits for a response before it sends the next request. Every
response is checked; those of the warm-up are not measured. At a rate (in requests per second; 0
means as fast as responses arrive) latency is measured from the time when the request was due.

It runs in a separate process, on uvloop. For each line of its input it generates a load and prints
a line of JSON, as `wrk.lua` does:

    PORT PLAN CONNECTIONS WARM_UP SECONDS RATE
"""

import asyncio
import json
import sys
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from time import perf_counter, process_time
from typing import Final, cast

import uvloop

from benchmarks.plan import Plan

GRACE: Final = 15.0  # seconds for the last responses
MIN_RESPONSES: Final = 10
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length: "


class Generator:
    """The state that connections share: the next request, the time to stop, and the latencies."""

    def __init__(self, plan: Plan, since: float, until: float) -> None:
        self.requests = cycle(plan.requests)
        self.latencies: list[float] = []
        self.sent = 0
        self.since = since
        self.until = until
        self.wrong: str | None = None
        self._marker = plan.marker
        self._counts = plan.counts

    def should_continue(self, now: float) -> bool:
        """Return whether to send more: the time is not over, or too few responses were measured."""
        return now <= self.until or len(self.latencies) < MIN_RESPONSES

    def check(self, head: bytes, body: bytes) -> None:
        found = body.count(self._marker)
        if not head.startswith(b"HTTP/1.1 2") or found not in self._counts:
            status = head.partition(b"\r\n")[0].decode(errors="replace")
            self.wrong = f"{status} with {found} items: {body[:200].decode(errors='replace')}"


class Connection(asyncio.Protocol):
    """Sends requests one after another. `every` is the seconds between two of them, or 0."""

    def __init__(self, generator: Generator, due: float, every: float) -> None:
        self._generator = generator
        self._due = due
        self._every = every
        self._received = b""
        self._size = 0
        self.finished = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._size:
            end = self._received.find(_END)
            if end < 0:
                return
            head = self._received[:end].lower()
            at = head.find(_LENGTH)
            if at < 0:
                self._end("a response without Content-Length")
                return
            length = int(head[at + len(_LENGTH) :].partition(b"\r\n")[0])
            self._size = end + len(_END) + length
        if len(self._received) < self._size:
            return
        now = perf_counter()
        head, _, body = self._received.partition(_END)
        self._received = b""
        self._size = 0
        self._generator.check(head, body)
        if self._generator.wrong:
            self._end(self._generator.wrong)
        elif self._generator.should_continue(now):
            if now >= self._generator.since:
                self._generator.latencies.append(now - self._due)
            self._next()
        else:
            self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self._end(f"the connection was closed: {error}")

    def _next(self) -> None:
        now = perf_counter()
        if self._every:
            self._due += self._every
            if self._due > now:
                asyncio.get_running_loop().call_later(self._due - now, self._send)
                return
        else:
            self._due = now
        self._send()

    def _send(self) -> None:
        self._generator.sent += 1
        self._transport.write(next(self._generator.requests))

    def _end(self, wrong: str | None) -> None:
        self._generator.wrong = self._generator.wrong or wrong
        self.finished.set_result(None)
        self._transport.close()


@dataclass(frozen=True, slots=True)
class Pace:
    """The load to generate. Times are in seconds; the rate is in requests per second, or 0."""

    connections: int
    warm_up: float
    seconds: float
    rate: float


async def generate(port: int, plan: Plan, pace: Pace) -> Generator:
    """Generate a load, and return the generator. Its `wrong` describes the first error, if any."""
    loop = asyncio.get_running_loop()
    started = perf_counter()
    measured = started + pace.warm_up
    generator = Generator(plan, measured, measured + pace.seconds)
    every = pace.connections / pace.rate if pace.rate else 0.0
    opened = []
    for index in range(pace.connections):
        due = started + every * index / pace.connections - every
        new = partial(Connection, generator, due, every)
        opened.append((await loop.create_connection(new, "127.0.0.1", port))[1])
    async with asyncio.timeout(pace.warm_up + pace.seconds + GRACE):
        await asyncio.gather(*(connection.finished for connection in opened))
    return generator


def run_load(port: str, plan: str, connections: str, *times: str) -> dict[str, object]:
    pace = Pace(int(connections), *map(float, times))
    busy = process_time()
    generator = uvloop.run(generate(int(port), Plan.read(Path(plan)), pace))
    if generator.wrong:
        return {"wrong": generator.wrong}
    cuts = quantiles(generator.latencies, n=100)
    return {
        "requests": len(generator.latencies),
        "sent": generator.sent,
        "seconds": pace.seconds,
        "busy": process_time() - busy,
        "p50": cuts[49] * 1000,
        "p95": cuts[94] * 1000,
        "p99": cuts[98] * 1000,
    }


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run_load(*line.split())) + "\n")
        sys.stdout.flush()
