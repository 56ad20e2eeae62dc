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

from chatkeep.adapters.piccolo.allowance import GIVE_WAY_FOR, IDLE, Allowance, CrowdedError
from chatkeep.adapters.piccolo.connection import BROKEN, PooledConnection

EXPIRED: Final = -1
"""The generation of a connection that is closed when it comes back."""


class PoolClosedError(Exception):
    """There are no connections any more: the service is about to stop."""


class Pool:
    """At most `max_size` connections, made by `connect` when they are needed.

    When `connect` raises `CrowdedError`, as many as there are is all there may be, and whoever asks
    waits for one of them. While somebody waits, it tries for another now and then.

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
        self._allowance = Allowance(max_size)
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
        self._again: asyncio.TimerHandle | None = None  # when to try for another connection
        self._is_growing = False
        self._is_closing = False
        self._emptied = asyncio.Event()

    def get_size(self) -> int:
        """Return how many connections there are."""
        return len(self._idle) + len(self._in_use)

    def get_idle_size(self) -> int:
        return len(self._idle)

    def get_max_size(self) -> int:
        return self._allowance.most

    def get_allowed_size(self) -> int:
        """Return how many connections the server lets us have, as far as that is known."""
        return self._allowance.size

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

        Raises `TimeoutError` when none does in time, `PoolClosedError`, and what `connect` raises:
        `CrowdedError` only when there is no connection at all.
        """
        connection = self.take()
        if connection is not None:
            return connection
        async with asyncio.timeout(timeout):
            while not self._is_closing:
                if self._count() < self._allowance.size:
                    try:
                        return await self._new(self._connect)
                    except CrowdedError:
                        if not self._count():
                            raise
                        connection = self.take()  # one that came back meanwhile
                if connection is None:
                    connection = await self._turn()
                if connection is not None:
                    return connection
        raise PoolClosedError

    async def add(self, connect: Callable[[], Awaitable[PooledConnection]]) -> PooledConnection:
        """Return a new connection, made by `connect` and to be given back.

        Raises `CrowdedError` when there may be no more, and what `connect` raises.
        """
        if self._count() >= self._allowance.most:
            raise CrowdedError
        return await self._new(connect)

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
        for timer in (self._timer, self._again):
            if timer is not None:
                timer.cancel()
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

    async def _new(self, connect: Callable[[], Awaitable[PooledConnection]]) -> PooledConnection:
        generation = self._generation
        self._connecting += 1
        try:
            connection = await connect()
        except BaseException as error:
            self._connecting -= 1
            if isinstance(error, CrowdedError) and self._count():
                self._refused(error)
            else:
                self._left()
            raise
        self._connecting -= 1
        connection.generation = generation
        self._in_use.add(connection)
        self._allowance.granted(self.get_size())
        return connection

    def _count(self) -> int:
        """Return how many connections there are, those that are being made included."""
        return self.get_size() + self._connecting

    def _refused(self, error: CrowdedError) -> None:
        """Make do with the connections that there are, and try for another in a while."""
        self._allowance.refused(self.get_size(), error)
        self._try_later()
        if self._timer is not None:
            self._timer.cancel()
            self._close_idle()

    def _try_later(self, pause: float | None = None) -> None:
        if pause is not None and self._again is not None:
            self._again.cancel()
            self._again = None
        if self._again is None and not self._is_closing:
            pause = self._allowance.pause() if pause is None else pause
            self._again = self._loop.call_later(pause, self._try_for_another)

    def _try_for_another(self) -> None:
        """Ask for another connection, if somebody waits for one; else when somebody does."""
        self._again = None
        if self._waiting and not self._is_growing and not self._is_closing:
            self._is_growing = True
            self._start(self._grow())

    async def _grow(self) -> None:
        """Make connections for those who wait until the server refuses one."""
        try:
            while self._waiting and self._count() < self._allowance.most:
                self.release(await self._new(self._connect))
        except CrowdedError:
            self._give_way()
        except Exception:  # noqa: BLE001, S110 - who needs one comes upon it in an attempt of its own
            pass
        finally:
            self._is_growing = False

    def _give_way(self) -> None:
        """Have one of several connections closed, if it is time to leave one to others."""
        current = (each for each in self._in_use if each.generation == self._generation)
        given = next(current, None)
        if given is not None and self._allowance.give_way(self.get_size(), self._loop.time()):
            given.generation = EXPIRED
            self._try_later(GIVE_WAY_FOR)

    async def _turn(self) -> PooledConnection | None:
        """Return a connection when it is this one's turn; None when there is room for another."""
        turn: Future[PooledConnection | None] = self._loop.create_future()
        self._waiting.append(turn)
        if self._allowance.is_less and self._again is None:
            self._try_for_another()
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
            self._timer = self._loop.call_later(self._look_after(), self._close_idle)

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
        if self._count() < self._allowance.size:
            self._wake(None)
        if self._is_empty():
            self._emptied.set()

    def _is_empty(self) -> bool:
        return not self._in_use and not self._connecting

    def _close_idle(self) -> None:
        """Close what nobody used for so long; look again when the next one is due."""
        now = self._loop.time()
        while self._idle and now - self._idle[0].idle_since >= self._idle_limit():
            connection = self._idle.pop(0)
            self._in_use.add(connection)  # until it is closed it counts, on the server as well
            self._start(self._close(connection))
        self._timer = None
        if self._idle:
            due = self._idle[0].idle_since + self._idle_limit() - now
            self._timer = self._loop.call_later(min(due, self._look_after()), self._close_idle)

    def _idle_limit(self) -> float:
        """Return for how many seconds the one that is idle for longest may be so.

        Where connections are few the last one stays: there may be no other for us.
        """
        return self._look_after() if len(self._idle) > 1 else self._idle_seconds

    def _look_after(self) -> float:
        return min(self._idle_seconds, IDLE) if self._allowance.is_less else self._idle_seconds
