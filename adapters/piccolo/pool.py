"""The connection pool of one process.

asyncpg's own pool creates two futures, a task, a timer and a proxy for each statement. That is more
work than sending it. Here, an idle connection is popped off a list and put back.
"""

import asyncio
import contextlib
from asyncio import Future, Task
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from chatkeep.adapters.piccolo.allowance import IDLE, YIELD_FOR, Allowance, CrowdedError
from chatkeep.adapters.piccolo.connection import BROKEN, PooledConnection

EXPIRED: Final = -1
"""The generation of a connection that is to be closed on release."""


class PoolClosedError(Exception):
    """The pool is closed or closing."""


class Pool:
    """At most `max_size` connections, opened by `connect` when they are needed.

    If `connect` raises `CrowdedError`, the pool makes do with the connections that it has, and
    callers wait for one of them. While callers wait, it tries to open another from time to time.

    The connection released last is handed out first, so that under low load the others become idle.
    A connection is closed after `idle` seconds without use. No minimum is kept open, so that a
    serverless database can suspend. `cancel_timeout` is the time in seconds for an interrupted
    statement to be cancelled, and for a connection to close.

    Belongs to one event loop.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[PooledConnection]],
        *,
        max_size: int,
        idle: float,
        cancel_timeout: float,
    ) -> None:
        self._connect = connect
        self._allowance = Allowance(max_size)
        self._idle_seconds = idle
        self._cancel_timeout = cancel_timeout
        self._loop = asyncio.get_running_loop()
        self._idle: list[PooledConnection] = []  # in order of release
        self._in_use = set[PooledConnection]()
        self._connecting = 0
        self._waiting = deque[Future[PooledConnection | None]]()  # None: there is room for another
        self._generation = 0
        self._tasks = set[Task[None]]()
        self._timer: asyncio.TimerHandle | None = None
        self._retry_timer: asyncio.TimerHandle | None = None  # for another connection
        self._is_growing = False
        self._is_closing = False
        self._emptied = asyncio.Event()

    def get_size(self) -> int:
        """Return the number of open connections."""
        return len(self._idle) + len(self._in_use)

    def get_idle_size(self) -> int:
        return len(self._idle)

    def get_max_size(self) -> int:
        return self._allowance.most

    def get_allowed_size(self) -> int:
        """Return how many connections the server allows this process, as far as that is known."""
        return self._allowance.size

    def take(self) -> PooledConnection | None:
        """Return an idle connection, if there is one. The caller must release it."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                self._in_use.add(connection)
                return connection
        return None

    async def acquire(self, *, timeout: float) -> PooledConnection:  # noqa: ASYNC109 - asyncpg's way
        """Return a connection: idle, new, or the next that is released. The caller must release it.

        Raises `TimeoutError` if none becomes free within `timeout` seconds, `PoolClosedError`, and
        the errors of `connect`, but `CrowdedError` only if the pool has no connection at all.
        """
        connection = self.take()
        if connection is not None:
            return connection
        async with asyncio.timeout(timeout):
            while not self._is_closing:
                if self._count() < self._allowance.size:
                    try:
                        return await self._open(self._connect)
                    except CrowdedError:
                        if not self._count():
                            raise
                        connection = self.take()  # one may have been released meanwhile
                if connection is None:
                    connection = await self._wait_for_turn()
                if connection is not None:
                    return connection
        raise PoolClosedError

    async def add(self, connect: Callable[[], Awaitable[PooledConnection]]) -> PooledConnection:
        """Return a new connection from `connect`. The caller must release it.

        Raises `CrowdedError` if the pool is full, and the errors of `connect`.
        """
        if self._count() >= self._allowance.most:
            raise CrowdedError
        return await self._open(connect)

    def release(self, connection: PooledConnection) -> None:
        """Take a connection back.

        A connection that is not immediately reusable is reset or replaced in the background.
        """
        if connection.generation == self._generation and connection.is_reusable():
            self._hand_on(connection)
        else:
            self._start(self._reset(connection))

    def expire_connections(self) -> None:
        """Replace all connections: idle ones now, those in use on their release."""
        self._generation += 1
        expired, self._idle = self._idle, []
        for connection in expired:
            self._in_use.add(connection)  # until it is closed, it counts on the server too
            self._start(self._close(connection))

    async def close(self) -> None:
        """Close the connections on their release; if this is cancelled, terminate them at once."""
        self._is_closing = True
        for timer in (self._timer, self._retry_timer):
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

    async def _open(self, connect: Callable[[], Awaitable[PooledConnection]]) -> PooledConnection:
        generation = self._generation
        self._connecting += 1
        try:
            connection = await connect()
        except BaseException as error:
            self._connecting -= 1
            if isinstance(error, CrowdedError) and self._count():
                self._shrink(error)
            else:
                self._release_slot()
            raise
        self._connecting -= 1
        connection.generation = generation
        self._in_use.add(connection)
        self._allowance.record_success(self.get_size())
        return connection

    def _count(self) -> int:
        """Return the number of connections, including those being opened."""
        return self.get_size() + self._connecting

    def _shrink(self, error: CrowdedError) -> None:
        """Limit the pool to the connections that it has, and try to open another later."""
        self._allowance.record_refusal(self.get_size(), error)
        self._try_later()
        if self._timer is not None:
            self._timer.cancel()
            self._close_idle()

    def _try_later(self, pause: float | None = None) -> None:
        if pause is not None and self._retry_timer is not None:
            self._retry_timer.cancel()
            self._retry_timer = None
        if self._retry_timer is None and not self._is_closing:
            pause = self._allowance.next_pause() if pause is None else pause
            self._retry_timer = self._loop.call_later(pause, self._try_for_another)

    def _try_for_another(self) -> None:
        """Open another connection if a caller waits for one."""
        self._retry_timer = None
        if self._waiting and not self._is_growing and not self._is_closing:
            self._is_growing = True
            self._start(self._grow())

    async def _grow(self) -> None:
        """Open connections for the waiting callers until the server refuses one."""
        try:
            while self._waiting and self._count() < self._allowance.most:
                self.release(await self._open(self._connect))
        except CrowdedError:
            self._yield_one()
        except Exception:  # noqa: BLE001, S110 - a caller that opens one gets the same error
            pass
        finally:
            self._is_growing = False

    def _yield_one(self) -> None:
        """Close one of several connections if it is time to leave one to other processes."""
        current = (each for each in self._in_use if each.generation == self._generation)
        surplus = next(current, None)
        if surplus is not None and self._allowance.yield_one(self.get_size(), self._loop.time()):
            surplus.generation = EXPIRED
            self._try_later(YIELD_FOR)

    async def _wait_for_turn(self) -> PooledConnection | None:
        """Wait in the queue. Return a connection, or None if the caller may open one."""
        turn: Future[PooledConnection | None] = self._loop.create_future()
        self._waiting.append(turn)
        if self._allowance.is_reduced and self._retry_timer is None:
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
        """Pass `connection` to the caller that has waited longest. Return False if none waits."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False

    def _hand_on(self, connection: PooledConnection) -> None:
        if self._waiting and self._wake(connection):
            return
        self._in_use.discard(connection)
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(self._check_interval(), self._close_idle)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reset(self, connection: PooledConnection) -> None:
        """Wait until the connection is reusable, or else close it."""
        reusable = False
        try:
            with contextlib.suppress(*BROKEN):
                await connection.wait_for_cancellation(self._cancel_timeout)
            reusable = connection.generation == self._generation and connection.is_reusable()
        finally:
            if reusable:
                self._hand_on(connection)
            else:
                await self._close(connection)

    async def _close(self, connection: PooledConnection) -> None:
        try:
            await connection.close(timeout=self._cancel_timeout)
        finally:
            self._in_use.discard(connection)
            self._release_slot()

    def _release_slot(self) -> None:
        """Let a waiting caller open a connection in place of one that closed or failed to open."""
        if self._count() < self._allowance.size:
            self._wake(None)
        if self._is_empty():
            self._emptied.set()

    def _is_empty(self) -> bool:
        return not self._in_use and not self._connecting

    def _close_idle(self) -> None:
        """Close the connections that were idle for too long; check again when the next is due."""
        now = self._loop.time()
        while self._idle and now - self._idle[0].idle_since >= self._idle_limit():
            connection = self._idle.pop(0)
            self._in_use.add(connection)  # until it is closed, it counts on the server too
            self._start(self._close(connection))
        self._timer = None
        if self._idle:
            due = self._idle[0].idle_since + self._idle_limit() - now
            self._timer = self._loop.call_later(min(due, self._check_interval()), self._close_idle)

    def _idle_limit(self) -> float:
        """Return how many seconds the connection that was released first may stay idle.

        If the server allows few connections, the last one stays longer: it may be hard to get back.
        """
        return self._check_interval() if len(self._idle) > 1 else self._idle_seconds

    def _check_interval(self) -> float:
        return min(self._idle_seconds, IDLE) if self._allowance.is_reduced else self._idle_seconds
