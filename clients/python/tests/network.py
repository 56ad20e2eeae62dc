"""A network that breaks connections."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress


class Network:
    """Passes on to the service, and breaks a part of the connections with a request in flight.

    `count` is the number of connections so far.
    """

    def __init__(self, port: Callable[[], int]) -> None:
        self._port = port
        self._random = random.Random(59)
        self.lost: Counter[str] = Counter()
        self.broken = 0.0
        self.count = 0
        self.url = ""
        self._connections: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._port())
        except OSError:
            writer.transport.abort()
            return
        self.count += 1
        self._connections.add(task := asyncio.current_task())
        try:
            with suppress(OSError, asyncio.CancelledError):  # `close` cancels
                await asyncio.gather(
                    self._pass_on(reader, upstream[1], writer, "request"),
                    self._pass_on(upstream[0], writer, upstream[1], "answer"),
                )
        finally:
            for each in (writer, upstream[1]):
                each.transport.abort()
            self._connections.discard(task)

    async def close(self) -> None:
        """End the connections that are still open, which their callers keep for later requests."""
        left = [task for task in self._connections if task is not None]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket a moment later

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
        what: str,
    ) -> None:
        while chunk := await reader.read(65_536):
            if self._random.random() < self.broken:
                self.lost[what] += 1
                break
            writer.write(chunk)
            await writer.drain()
        for each in (writer, other):
            each.transport.abort()


@asynccontextmanager
async def network_of(port: Callable[[], int]) -> AsyncIterator[Network]:
    network = Network(port)
    server = await asyncio.start_server(network.serve, "127.0.0.1", 0)
    network.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with server:
            yield network
    finally:
        await network.close()
