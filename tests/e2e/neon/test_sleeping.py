"""Nothing of ours keeps a serverless database awake, or wakes it, while nobody asks for it."""

import asyncio

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Timing
from tests.e2e.neon.servers import Suspendable
from tests.e2e.neon.service import ChatBackend, service
from tests.support import postgres
from tests.support.relay import Relay
from tests.support.waiting import until


async def poll(caller: ChatBackend) -> None:
    """Ask what load balancers and orchestrators ask, for a while."""
    for _ in range(10):
        assert await caller.is_live()
        assert await caller.is_ready()
        await asyncio.sleep(0.02)


async def use(caller: ChatBackend, relay: Relay) -> None:
    """Have several connections made."""
    await asyncio.gather(*(caller.list() for _ in range(20)))
    assert len(relay.open) > 1


async def test_an_idle_service_opens_no_connection_across_a_suspend_though_it_is_polled(
    suspendable: Suspendable, suspendable_url: str
) -> None:
    async with Relay(suspendable_url) as relay, service(relay.url()) as caller:
        await use(caller, relay)
        await suspendable.suspend()
        await until(lambda: not relay.open)
        before = relay.accepted

        await poll(caller)
        await suspendable.wake()
        await poll(caller)
        while_idle = relay.accepted - before
        answer = await caller.list()

    assert while_idle == 0
    assert answer.status_code == 200


async def test_connections_that_nobody_uses_are_closed_and_not_replaced(relay: Relay) -> None:
    async with service(relay.url(), Timing(idle=0.2)) as caller:
        await use(caller, relay)
        before = relay.accepted

        await until(lambda: not relay.open)
        await poll(caller)
        while_idle = relay.accepted - before, len(relay.open)
        answer = await caller.list()

    assert while_idle == (0, 0)
    assert answer.status_code == 200


async def test_an_idle_connection_sends_nothing(relay: Relay) -> None:
    async with service(relay.url()) as caller:
        await use(caller, relay)
        relay.requests.clear()

        await poll(caller)

        assert relay.requests == []


async def test_an_engine_connects_neither_when_it_is_made_nor_when_its_pool_is_closed(
    relay: Relay,
) -> None:
    engine = Engine(postgres.connect_args(relay.url()))
    assert relay.accepted == 0

    await engine.start_connection_pool()
    await until(engine.is_ready)
    await engine.close_connection_pool()
    await asyncio.sleep(0.1)

    assert relay.accepted == 1
    assert not relay.open
