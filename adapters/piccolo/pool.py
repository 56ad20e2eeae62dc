"""The connections of one process: handed out, taken back, replaced, and closed when idle.

asyncpg's own pool makes two futures, a task, a timer and a proxy for each statement, which is more
work than sending it. Here, a connection that is idle is popped off a list and put back.
"""

import asyncio
import contextlib
from asyncio import Future, Task
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import asyncpg

BROKEN: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresError,
)
"""What a connection that went dead may raise, whatever it is asked to do."""


class PoolClosedError(Exception):
    """There are no connections any more: the service is about to stop."""


class PooledConnection(asyncpg.Connection):  # type: ignore[misc] # asyncpg is untyped
    """A connection that remembers when it was taken back, and how old it is among the others.

    It closes without a word: nobody looks at the errors of those that are replaced, and those that
    went dead unnoticed do raise one.
    """

    __slots__ = ("generation", "idle_since")

    generation: int
    idle_since: float

    def is_reusable(self) -> bool:
        """Whether the next one may have it at once, with nothing left of whoever had it before."""
        return not (
            self.is_closed()
            or self._protocol._is_cancelling()  # noqa: SLF001 - as asyncpg's own pool does
            or self.is_in_transaction()
        )

    async def come_to_rest(self, timeout: float) -> None:  # noqa: ASYNC109 - asyncpg's way
        """Wait until the server has confirmed that it cancelled the last statement."""
        if not self.is_closed():
            await self._protocol._wait_for_cancellation(timeout)  # noqa: SLF001 - as asyncpg's own pool does

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncpg's
        try:
            await super().close(timeout=timeout)
        except BROKEN:
            self.terminate()


class Pool:
    """At most `max_size` connections, made by `connect` when they are needed.

    The one that came back last goes out first, so that under little load the others become idle.
    One that is idle for `idle` seconds is closed: none is kept, and a serverless database may go to
    sleep. `rest`: so many seconds may one take that was interrupted in the middle of a statement.

    Belongs to one event loop.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[PooledConnection]],
        *,
        max_size: int,
        idle: float,
        rest: float,
    ) -> None:
        self._connect = connect
        self._max_size = max_size
        self._idle_seconds = idle
        self._rest = rest
        self._loop = asyncio.get_running_loop()
        self._idle: list[PooledConnection] = []  # by when they came back
        self._in_use = set[PooledConnection]()
        self._connecting = 0
        self._waiting = deque[Future[PooledConnection | None]]()  # None: there is room for another
        self._generation = 0
        self._tasks = set[Task[None]]()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._emptied = asyncio.Event()

    def get_size(self) -> int:
        """Return how many connections there are."""
        return len(self._idle) + len(self._in_use)

    def get_idle_size(self) -> int:
        return len(self._idle)

    def get_max_size(self) -> int:
        return self._max_size

    def take(self) -> PooledConnection | None:
        """Return a connection that is idle, if there is one. It is to be given back."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                self._in_use.add(connection)
                return connection
        return None

    async def acquire(self, *, timeout: float) -> PooledConnection:  # noqa: ASYNC109 - asyncpg's way
        """Return a connection, to be given back: an idle one, a new one, or when one becomes free.

        Raises `TimeoutError` when none does in time, `PoolClosedError`, and what `connect` raises.
        """
        connection = self.take()
        if connection is not None:
            return connection
        async with asyncio.timeout(timeout):
            while not self._is_closing:
                if self.get_size() + self._connecting < self._max_size:
                    return await self._new()
                connection = await self._turn()
                if connection is not None:
                    return connection
        raise PoolClosedError

    def release(self, connection: PooledConnection) -> None:
        """Take a connection back. One that cannot be used again at once is seen to by a task."""
        if connection.generation == self._generation and connection.is_reusable():
            self._free(connection)
        else:
            self._start(self._settle(connection))

    def expire_connections(self) -> None:
        """Have all connections replaced: those in use when they come back."""
        self._generation += 1
        expired, self._idle = self._idle, []
        for connection in expired:
            self._in_use.add(connection)  # until it is closed it counts, on the server as well
            self._start(self._close(connection))

    async def close(self) -> None:
        """Close the connections as they come back. When this is cancelled: all of them, at once."""
        self._is_closing = True
        if self._timer is not None:
            self._timer.cancel()
        while self._wake(None):
            pass
        self.expire_connections()
        self._emptied.clear()
        try:
            if not self._is_empty():
                await self._emptied.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            for connection in self._in_use:
                connection.terminate()

    async def _new(self) -> PooledConnection:
        generation = self._generation
        self._connecting += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._connecting -= 1
            self._left()
            raise
        self._connecting -= 1
        connection.generation = generation
        self._in_use.add(connection)
        return connection

    async def _turn(self) -> PooledConnection | None:
        """Return a connection when it is this one's turn; None when there is room for another."""
        turn: Future[PooledConnection | None] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            elif (connection := turn.result()) is not None:
                self.release(connection)
            else:
                self._wake(None)
            raise

    def _wake(self, connection: PooledConnection | None) -> bool:
        """Give the one that waits for longest its turn; return whether anybody was waiting."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False

    def _free(self, connection: PooledConnection) -> None:
        if self._waiting and self._wake(connection):
            return
        self._in_use.discard(connection)
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(self._idle_seconds, self._close_idle)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, connection: PooledConnection) -> None:
        """Make it usable again, or else close it."""
        reusable = False
        try:
            with contextlib.suppress(*BROKEN):
                await connection.come_to_rest(self._rest)
            reusable = connection.generation == self._generation and connection.is_reusable()
        finally:
            if reusable:
                self._free(connection)
            else:
                await self._close(connection)

    async def _close(self, connection: PooledConnection) -> None:
        try:
            await connection.close(timeout=self._rest)
        finally:
            self._in_use.discard(connection)
            self._left()

    def _left(self) -> None:
        """Pass on the room of a connection that is gone, or could not be made."""
        self._wake(None)
        if self._is_empty():
            self._emptied.set()

    def _is_empty(self) -> bool:
        return not self._in_use and not self._connecting

    def _close_idle(self) -> None:
        """Close what nobody used for so long; look again when the next one is due."""
        now = self._loop.time()
        while self._idle and now - self._idle[0].idle_since >= self._idle_seconds:
            connection = self._idle.pop(0)
            self._in_use.add(connection)  # until it is closed it counts, on the server as well
            self._start(self._close(connection))
        self._timer = None
        if self._idle:
            due = self._idle[0].idle_since + self._idle_seconds
            self._timer = self._loop.call_at(due, self._close_idle)
