"""What a request costs when the database is far away: one round trip, two through a pooler."""

import time

import pytest

from tests.e2e.neon.service import ChatBackend, service
from tests.support.relay import Relay

ONE_WAY = 0.02

REQUESTS = {
    "append": ("POST", "/messages", {"role": "user", "content": "again"}),
    "append with context": ("POST", "/messages?context=20", {"role": "user", "content": "again"}),
    "append a batch": (
        "POST",
        "/messages",
        {"messages": [{"role": "user", "content": str(number)} for number in range(10)]},
    ),
    "history": ("GET", "/messages", None),
    "history, from the latest": ("GET", "/messages?order=desc&limit=5", None),
    "context": ("GET", "/context", None),
    "conversation": ("GET", "", None),
    "rename": ("PATCH", "", {"title": "Lunch"}),
}


@pytest.mark.parametrize(
    ("params", "round_trips"), [("sslmode=disable", 1), ("sslmode=disable&pgbouncer=true", 2)]
)
async def test_each_request_costs_one_round_trip_and_two_when_pooled(
    relay: Relay, params: str, round_trips: int
) -> None:
    async with service(relay.url(params=params)) as caller:
        conversation = f"/v1/conversations/{await caller.start()}"
        calls = {name: (method, conversation + p, b) for name, (method, p, b) in REQUESTS.items()}
        calls["list"] = ("GET", "/v1/conversations", None)
        calls["create"] = ("POST", "/v1/conversations", {"title": "Dinner"})
        calls["get or create"] = ("PUT", conversation, None)
        for call in calls.values():
            await caller.call(*call)

        relay.delay = ONE_WAY
        costs = {name: await _cost(caller, relay, call) for name, call in calls.items()}

    assert {name: sent for name, (sent, _) in costs.items()} == dict.fromkeys(calls, round_trips)
    slowest = max(seconds for _, seconds in costs.values())
    assert slowest < 2 * ONE_WAY * round_trips + 0.2, costs


async def test_a_new_connection_costs_a_request_no_more_than_the_preparation_of_its_statement(
    relay: Relay,
) -> None:
    async with service(relay.url()) as caller:
        conversation = await caller.start()
        relay.reset()
        relay.requests.clear()

        answer = await caller.say(conversation, "hello")

        assert answer.status_code == 201
        assert len(relay.requests) == 2


async def _cost(
    caller: ChatBackend, relay: Relay, call: tuple[str, str, object]
) -> tuple[int, float]:
    relay.requests.clear()
    started = time.perf_counter()
    answer = await caller.call(*call)
    assert answer.is_success, answer.text
    return len(relay.requests), time.perf_counter() - started
