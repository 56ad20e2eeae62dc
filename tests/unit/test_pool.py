"""Connections are handed out, waited for, replaced and closed; none is lost on the way."""

import asyncio
from contextlib import suppress
from typing import Any, cast

import pytest

from chatkeep.adapters.piccolo import allowance
from chatkeep.adapters.piccolo import pool as pool_module
from chatkeep.adapters.piccolo.allowance import CrowdedError
from chatkeep.adapters.piccolo.connection import PooledConnection
from chatkeep.adapters.piccolo.pool import Pool, PoolClosedError
from tests.support.virtual_time import in_virtual_time
from tests.support.waiting import until

SOON = 0.05  # seconds; what is to happen at once has happened by then


class FakeConnection:
    """`state` is what it was left in: ready, cancelling, stuck in cancelling, in a transaction."""

    generation: int
    idle_since: float

    def __init__(self) -> None:
        self.state = "ready"
        self.closed = False

    def is_closed(self) -> bool:
        return self.closed

    def is_reusable(self) -> bool:
        return self.state == "ready" and not self.closed

    async def wait_for_cancellation(self, timeout: float) -> None:  # noqa: ASYNC109 - as the real one
        await asyncio.sleep(timeout if self.state == "stuck" else 0)
        if self.state == "cancelling":
            self.state = "ready"

    async def close(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await asyncio.sleep(0)
        self.closed = True

    def terminate(self) -> None:
        self.closed = True


class FakeServer:
    """A server with `places` for connections, and a pool on it.

    The next attempts to connect fail with `failures`, the last one first.
    """

    def __init__(self, *, size: int = 2, places: int = 100, idle: float = 60.0) -> None:
        self.made: list[FakeConnection] = []
        self.failures: list[Exception] = []
        self.places = places
        self.refused = 0
        self.pool = Pool(self.connect, max_size=size, idle=idle, cancel_timeout=SOON)

    async def connect(self) -> PooledConnection:
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop()
        if self.open >= self.places:
            self.refused += 1
            raise CrowdedError
        self.made.append(FakeConnection())
        return cast("PooledConnection", self.made[-1])

    async def acquire(self, wait: float = 5.0) -> PooledConnection:
        return await self.pool.acquire(timeout=wait)

    async def waiting(self) -> "asyncio.Task[PooledConnection]":
        task = asyncio.create_task(self.acquire())
        await asyncio.sleep(0.001)
        assert not task.done()
        return task

    @property
    def open(self) -> int:
        return sum(not each.closed for each in self.made)


@in_virtual_time
async def test_the_connection_that_came_back_last_goes_out_first() -> None:
    server = FakeServer()
    first, second = await server.acquire(), await server.acquire()
    server.pool.release(second)
    server.pool.release(first)

    assert [server.pool.take(), server.pool.take(), server.pool.take()] == [first, second, None]


@in_virtual_time
async def test_who_waits_longest_gets_the_next_one_that_comes_back() -> None:
    server = FakeServer()
    first, second = await server.acquire(), await server.acquire()
    waiting = [await server.waiting() for _ in range(3)]
    server.pool.release(second)
    server.pool.release(first)

    assert await asyncio.gather(*waiting[:2]) == [second, first]
    assert not waiting[2].done()
    server.pool.release(first)
    assert await waiting[2] is first
    assert len(server.made) == 2


@in_virtual_time
async def test_nobody_waits_longer_than_told_and_who_gave_up_gets_none() -> None:
    server = FakeServer()
    first, _ = await server.acquire(), await server.acquire()
    with pytest.raises(TimeoutError):
        await server.acquire(0.01)
    gone, still = await server.waiting(), await server.waiting()
    gone.cancel()
    await asyncio.sleep(0)
    server.pool.release(first)

    assert await still is first


@in_virtual_time
async def test_a_connection_that_came_in_the_moment_of_giving_up_goes_to_the_next_one() -> None:
    server = FakeServer()
    first, _ = await server.acquire(), await server.acquire()
    gone, still = await server.waiting(), await server.waiting()
    server.pool.release(first)
    gone.cancel()

    assert await still is first
    with suppress(asyncio.CancelledError):
        await gone
    assert gone.cancelled()


@in_virtual_time
async def test_one_that_cannot_be_made_leaves_its_place_to_the_next_one() -> None:
    server = FakeServer()
    server.failures = [OSError("away")] * 2
    asked = [asyncio.create_task(server.acquire()) for _ in range(3)]

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert [type(each) for each in answers] == [OSError, OSError, FakeConnection]
    assert await server.acquire()


@pytest.mark.parametrize("state", ["in a transaction", "stuck"])
@in_virtual_time
async def test_one_that_is_not_as_it_was_is_closed_and_replaced(state: str) -> None:
    server = FakeServer()
    first, _ = await server.acquire(), await server.acquire()
    waiting = await server.waiting()
    server.made[0].state = state
    server.pool.release(first)

    replacement = await waiting
    assert replacement is not first
    assert [each.closed for each in server.made] == [True, False, False]


@in_virtual_time
async def test_one_that_is_being_cancelled_goes_out_when_it_has_come_to_rest() -> None:
    server = FakeServer()
    first = await server.acquire()
    server.made[0].state = "cancelling"
    server.pool.release(first)
    assert server.pool.take() is None
    await until(lambda: server.pool.get_idle_size() == 1)

    assert server.pool.take() is first


@in_virtual_time
async def test_one_that_was_closed_while_idle_is_not_handed_out() -> None:
    server = FakeServer()
    first = await server.acquire()
    server.pool.release(first)
    server.made[0].closed = True

    assert await server.acquire() is not first
    assert server.pool.get_size() == 1


@in_virtual_time
async def test_connections_that_nobody_uses_are_closed() -> None:
    server = FakeServer(idle=SOON)
    first, second = await server.acquire(), await server.acquire()
    server.pool.release(first)
    await asyncio.sleep(SOON / 2)
    server.pool.release(second)
    await until(lambda: server.made[0].closed)

    assert server.open == 1
    await until(lambda: server.open == 0)
    assert server.pool.get_size() == 0
    assert await server.acquire()


@in_virtual_time
async def test_a_connection_in_use_is_never_taken_for_idle() -> None:
    server = FakeServer(idle=SOON)
    first = await server.acquire()
    server.pool.release(first)
    server.pool.take()
    await asyncio.sleep(2 * SOON)

    assert server.open == 1


@in_virtual_time
async def test_expired_connections_are_replaced_those_in_use_when_they_come_back() -> None:
    server = FakeServer()
    first, second = await server.acquire(), await server.acquire()
    server.pool.release(second)
    server.pool.expire_connections()
    await until(lambda: server.made[1].closed)
    assert not server.made[0].closed
    server.pool.release(first)
    await until(lambda: server.made[0].closed)

    assert await server.acquire() not in {first, second}


@in_virtual_time
async def test_closing_waits_for_those_in_use_and_refuses_everybody_else() -> None:
    server = FakeServer()
    first, second = await server.acquire(), await server.acquire()
    waiting = await server.waiting()
    server.pool.release(second)
    assert await waiting is second
    still_waiting = await server.waiting()
    closing = asyncio.create_task(server.pool.close())
    with pytest.raises(PoolClosedError):
        await still_waiting
    with pytest.raises(PoolClosedError):
        await server.acquire()
    server.pool.release(second)
    await asyncio.sleep(SOON)
    assert not closing.done()
    server.pool.release(first)

    await closing
    assert server.open == 0


@in_virtual_time
async def test_closing_that_is_cancelled_ends_all_connections() -> None:
    server = FakeServer()
    await server.acquire()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SOON):
            await server.pool.close()

    assert server.open == 0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pools ask a server that refused a connection again almost at once."""
    monkeypatch.setattr(allowance, "MIN_PAUSE", SOON / 5)
    monkeypatch.setattr(allowance, "MAX_PAUSE", SOON / 5)
    monkeypatch.setattr(pool_module, "YIELD_FOR", SOON / 5)


@in_virtual_time
async def test_whoever_the_server_has_no_connection_for_waits_for_those_that_there_are() -> None:
    server = FakeServer(size=9, places=2)
    asked = [asyncio.create_task(server.acquire()) for _ in range(9)]
    served = 0
    for _ in range(9):
        [done, *_], _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        asked.remove(done)
        server.pool.release(await done)
        served += 1

    assert served == 9
    assert len(server.made) == server.pool.get_allowed_size() == 2
    assert server.refused <= 7 + 1  # once each, and nobody asks again at once


@pytest.mark.usefixtures("impatient")
@in_virtual_time
async def test_the_pool_grows_again_when_the_server_has_more_and_somebody_waits() -> None:
    server = FakeServer(size=4, places=1)
    first = await server.acquire()
    waiting = [await server.waiting() for _ in range(3)]
    await asyncio.sleep(SOON)
    assert server.refused > 1
    server.places = 3
    await until(lambda: sum(task.done() for task in waiting) == 2)
    assert len(server.made) == 3

    server.pool.release(first)
    await asyncio.gather(*waiting)


@pytest.mark.usefixtures("impatient")
@in_virtual_time
async def test_of_two_pools_on_a_crowded_server_each_gets_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "YIELD_FOR", 2 * SOON)
    rich, poor = FakeServer(size=4, places=3), FakeServer(size=4, places=0)
    over = asyncio.Event()

    async def use() -> None:
        while not over.is_set():
            connection = await rich.acquire()
            await asyncio.sleep(0.001)
            rich.pool.release(connection)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(use())
        await until(lambda: rich.open == 3)
        await until(lambda: rich.open == 2)
        poor.places, rich.places = 1, 2
        assert await poor.acquire()
        await asyncio.sleep(3 * SOON)
        assert rich.open == 2  # it has asked again, and gives up no more for now
        rich.places = 3
        await until(lambda: rich.open == 3)
        over.set()


@pytest.mark.usefixtures("impatient")
@in_virtual_time
async def test_nobody_asks_a_crowded_server_for_more_than_is_needed() -> None:
    server = FakeServer(size=4, places=1)
    first = await server.acquire()
    waiting = await server.waiting()
    server.pool.release(first)
    await waiting
    await asyncio.sleep(SOON)
    refused = server.refused
    await asyncio.sleep(2 * SOON)

    assert server.refused == refused


@in_virtual_time
async def test_where_there_is_no_connection_at_all_everybody_is_told() -> None:
    server = FakeServer(places=0)
    asked = [asyncio.create_task(server.acquire()) for _ in range(5)]
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert {type(each) for each in answers} == {CrowdedError}
    server.places = 1
    assert await server.acquire()


@in_virtual_time
async def test_on_a_crowded_server_idle_connections_but_the_last_are_closed_sooner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "IDLE", SOON)
    server = FakeServer(size=4, places=3)
    taken = [await server.acquire() for _ in range(3)]
    waiting = await server.waiting()
    for connection in taken:
        server.pool.release(connection)
    server.pool.release(await waiting)
    await until(lambda: server.open == 1)
    await asyncio.sleep(2 * SOON)

    assert server.open == server.pool.get_idle_size() == 1


@in_virtual_time
async def test_one_that_is_added_is_refused_when_there_may_be_no_more() -> None:
    server = FakeServer()
    first = await server.pool.add(server.connect)
    server.places = 1
    with pytest.raises(CrowdedError):
        await server.pool.add(server.connect)
    server.places = 2
    await server.pool.add(server.connect)
    with pytest.raises(CrowdedError):
        await server.pool.add(server.connect)
    server.pool.release(first)

    assert server.pool.take() is first
    assert len(server.made) == 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("places", [100, 3])
@in_virtual_time
async def test_however_callers_come_and_go_the_pool_stays_whole(places: int) -> None:
    server = FakeServer(size=5, places=places)

    async def use(number: int) -> None:
        connection: Any = await server.acquire()
        try:
            await asyncio.sleep(0.0005 * (number % 3))
        finally:
            if number % 7 == 0:
                connection.state = "cancelling"
            if number % 11 == 0:
                server.pool.expire_connections()
            server.pool.release(connection)

    tasks = [asyncio.create_task(use(number)) for number in range(300)]
    for number, task in enumerate(tasks):
        if number % 5 == 0:
            await asyncio.sleep(0)
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await until(lambda: server.open == server.pool.get_idle_size() == server.pool.get_size())

    assert server.pool.get_size() <= min(places, 5)
    assert await server.acquire()
