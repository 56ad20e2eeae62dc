"""How the engine keeps its connections: as many as agreed, and none of them for ever."""

import asyncio
from typing import Any

import pytest

from chatkeep.adapters.piccolo import engine as engine_module
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Timing

NOWHERE = {"host": "127.0.0.1", "port": 1, "user": "u", "password": "secret", "database": "d"}


class FakePool:
    """A pool that only counts how often its connections were replaced."""

    def __init__(self) -> None:
        self.expired = 0

    def expire_connections(self) -> None:
        self.expired += 1

    async def close(self) -> None: ...


@pytest.fixture
async def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the arguments that the next pool is made with; it is a fake one."""
    given: dict[str, Any] = {}

    def make(connect: object, **kwargs: Any) -> FakePool:  # noqa: ANN401 - the pool's
        given.update(kwargs, connect=connect, pool=FakePool())
        pool: FakePool = given["pool"]
        return pool

    monkeypatch.setattr(engine_module, "Pool", make)
    return given


async def test_the_pool_has_at_most_thirty_connections_and_keeps_none(made: dict[str, Any]) -> None:
    engine = Engine(NOWHERE)
    await engine.start_connection_pool()
    await engine.close_connection_pool()

    assert made["max_size"] == 30
    assert 0 < made["idle"] < 300  # what Neon suspends after
    assert Timing().command == 10
    assert Timing().acquire == 30


async def test_connections_are_replaced_about_every_hour_and_not_by_all_processes_at_once(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if len(slept) == 20:
            enough.set()
            await asyncio.Event().wait()
        slept.append(seconds)

    monkeypatch.setattr(engine_module, "sleep", sleep)
    engine = Engine(NOWHERE)
    await engine.start_connection_pool()
    async with asyncio.timeout(5):
        await enough.wait()
    expired = made["pool"].expired
    await engine.close_connection_pool()

    assert expired == len(slept) == 20
    assert all(3240 <= seconds <= 3960 for seconds in slept)
    assert len(set(slept)) == 20


async def test_nothing_goes_on_after_the_pool_is_closed(made: dict[str, Any]) -> None:
    before = asyncio.all_tasks()
    engine = Engine(NOWHERE)
    await engine.start_connection_pool()
    await engine.close_connection_pool()
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before
    assert not engine.is_ready()


def test_an_engine_does_not_show_its_password() -> None:
    assert "secret" not in repr(Engine(NOWHERE))
