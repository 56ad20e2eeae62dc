"""A database that is down, unreachable or asleep: the service stays up, says so, and comes back."""

import asyncio
import time
from uuid import UUID

import httpx
import pytest

from chatkeep.adapters.piccolo.retries import Timing
from tests.e2e.neon.service import ChatBackend, problem, service, timed
from tests.support.relay import Relay
from tests.support.waiting import PATIENCE

IMPATIENT = Timing(connect=0.5, outage=0.5, command=0.5)
GONE = pytest.mark.parametrize("gone", ["down", "unreachable"])


async def go(relay: Relay, gone: str) -> None:
    if gone == "down":
        await relay.refuse()
    else:
        relay.hold()
    relay.reset()


async def come_back(relay: Relay, gone: str) -> None:
    if gone == "down":
        await relay.accept()
    else:
        relay.go_on()


@GONE
async def test_the_service_starts_at_once_without_its_database_and_says_that_it_is_not_ready(
    relay: Relay, gone: str
) -> None:
    await go(relay, gone)
    started = time.perf_counter()

    async with service(relay.url(), Timing(connect=15, outage=15)) as caller:
        assert await caller.is_live()
        assert time.perf_counter() - started < 14
        answer = await caller.call("GET", "/health/ready")
        await come_back(relay, gone)

    assert problem(answer)["type"] == "urn:chatkeep:problem:not-ready"


@GONE
async def test_while_the_database_is_known_to_be_away_requests_are_refused_at_once(
    relay: Relay, gone: str
) -> None:
    await go(relay, gone)
    timing = Timing(connect=1.5, outage=1.5)

    started = time.perf_counter()
    async with service(relay.url(), timing) as caller:
        answers, first = await timed(caller.list(), caller.start_conversation())
        waited = time.perf_counter() - started
        later, second = await timed(caller.list(), caller.start_conversation())
        live = await caller.is_live()
        await come_back(relay, gone)

    assert {problem(each)["type"] for each in [*answers, *later]} == {
        "urn:chatkeep:problem:database-unavailable"
    }
    assert waited > timing.outage / 2  # since it was found away, which was before they came
    assert first < timing.outage + 10
    assert second < timing.outage
    assert live


@GONE
async def test_the_service_recovers_by_itself(relay: Relay, gone: str) -> None:
    async with service(relay.url(), IMPATIENT) as caller:
        await caller.until_ready()
        await go(relay, gone)
        assert (await caller.list()).status_code == 503
        assert not await caller.is_ready()

        await come_back(relay, gone)
        started = time.perf_counter()
        await caller.until_ready()
        seconds = time.perf_counter() - started
        answer = await caller.list()

    assert seconds < PATIENCE
    assert answer.status_code == 200


@pytest.mark.parametrize("seconds", [0.5, 3, 8])
@GONE
@pytest.mark.parametrize("warm", [False, True], ids=["a service that starts", "one that was idle"])
async def test_all_requests_during_a_cold_start_are_served(
    relay: Relay, gone: str, seconds: float, *, warm: bool, full: bool
) -> None:
    if not full and (seconds > 1 or warm == (gone == "unreachable")):
        pytest.skip("only with CHATKEEP_TEST_FULL=1: takes long")
    if not warm:
        await go(relay, gone)

    async with service(relay.url()) as caller:
        if warm:
            await caller.until_ready()
            await asyncio.gather(*(caller.list() for _ in range(20)))
            await go(relay, gone)
        requests = [asyncio.create_task(talk(caller)) for _ in range(20)]
        await asyncio.sleep(seconds)
        requests += [asyncio.create_task(talk(caller)) for _ in range(10)]
        await come_back(relay, gone)
        answers = [answer for each in requests for answer in await each]

    assert {answer.status_code for answer in answers} <= {200, 201}


async def test_a_database_that_wakes_up_is_met_by_one_connection_and_then_by_no_more_than_thirty(
    relay: Relay,
) -> None:
    relay.hold()

    async with service(relay.url()) as caller:
        requests = [asyncio.create_task(caller.list()) for _ in range(100)]
        await asyncio.sleep(0.5)
        while_it_sleeps = relay.accepted
        relay.go_on()
        answers = await asyncio.gather(*requests)
        most = relay.most

    assert while_it_sleeps == 1
    assert most <= 30
    assert {answer.status_code for answer in answers} == {200}


async def test_the_service_ends_in_time_while_its_database_is_unreachable(relay: Relay) -> None:
    async with service(relay.url(), Timing(close=0.5)) as caller:
        await caller.until_ready()
        request = asyncio.create_task(caller.list())
        await request
        relay.freeze()
        relay.hold()
        started = time.perf_counter()

    assert time.perf_counter() - started < 15


async def talk(caller: ChatBackend) -> list[httpx.Response]:
    """Do what a chat turn does: begin, say something, read it back."""
    created = await caller.start_conversation()
    if created.status_code != 201:
        return [created]
    conversation = UUID(created.json()["id"])
    said = await caller.say(conversation, "hello", query="?context=20")
    return [created, said, await caller.list()]
