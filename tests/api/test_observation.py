"""What every answer carries, what the log says of it, and what is counted."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from io import StringIO

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chatkeep.entrypoints.logs import JsonFormatter
from tests.api.builders import (
    CONVERSATIONS,
    an_id,
    appended,
    at,
    listed,
    numbered,
    says,
    started,
)
from tests.support.application import Caller, Service, failing, serving, settings

REQUEST_ID = "X-Request-ID"
ACCESS_LOG = "chatkeep.access"


@pytest.fixture
async def fresh() -> AsyncIterator[Service]:
    """Yield a service that nobody has called yet."""
    async with serving(settings()) as service:
        yield service


@pytest.mark.parametrize("request_id", ["a", "7f3c-9", "x" * 128, "!~:/?#[]@", "trace=1;span=2"])
async def test_a_request_keeps_its_id(alice: Caller, request_id: str) -> None:
    for path in ("/v1/me", "/health/live", "/nowhere", "/metrics"):
        response = await alice.get(path, {REQUEST_ID: request_id})
        assert response.headers.get_list(REQUEST_ID) == [request_id]


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129, "caf\u00e9", "a\tb", "\x01"])
async def test_an_id_that_could_harm_a_log_is_replaced(alice: Caller, request_id: str) -> None:
    response = await alice.get("/v1/me", {REQUEST_ID: request_id})

    [made] = response.headers.get_list(REQUEST_ID)
    assert re.fullmatch("[0-9a-f]{32}", made)


async def test_every_request_without_an_id_gets_its_own(alice: Caller) -> None:
    made = {(await alice.get("/v1/me")).headers[REQUEST_ID] for _ in range(5)}

    assert len(made) == 5


async def test_only_what_is_known_as_public_may_be_stored_on_the_way(alice: Caller) -> None:
    somebodys = ("/v1/me", CONVERSATIONS, f"{CONVERSATIONS}/{an_id()}", "/v1/nowhere")
    spellings = ("//v1/me", "/v1//me", "/%76%31/me", "/v1/me/")
    for path in (*somebodys, *spellings, "/health/live", "/metrics", "/nowhere"):
        assert (await alice.get(path)).headers.get_list("cache-control") == ["no-store"]
    for path in ("/docs", "/docs/openapi.json"):
        assert "cache-control" not in (await alice.get(path)).headers
    asset = await alice.get("/docs-assets/swagger-ui.css")
    assert asset.headers["cache-control"] == "public, max-age=86400"


async def test_the_log_has_a_line_for_a_request_and_nothing_of_its_matter(
    alice: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, ACCESS_LOG)
    conversation = await started(alice, says("secret words"), title="secret title")
    await alice.get(f"{at(conversation, 'messages')}?limit=5", {REQUEST_ID: "trace-7"})
    await alice.get(f"{CONVERSATIONS}/{an_id()}")
    await alice.get("/nowhere/secret")
    await alice.request("BREW", CONVERSATIONS)

    lines = [each.getMessage() for each in caplog.records if each.name == ACCESS_LOG]

    shape = re.compile(r"(\S+) ([A-Z]+|-) (\S+) (\d{3}) \d+\.\dms queries=0 user=([0-9a-f]{12}|-)")
    found = [match.groups() for line in lines if (match := shape.fullmatch(line))]
    who = found[0][4]
    assert [each[4] for each in found] == [who, who, who, "-", "-"]
    assert [each[1:4] for each in found] == [
        ("POST", CONVERSATIONS, "201"),
        ("GET", CONVERSATIONS + "/{conversation_id}/messages", "200"),
        ("GET", CONVERSATIONS + "/{conversation_id}", "404"),
        ("GET", "-", "404"),
        ("-", "-", "405"),
    ]
    assert found[1][0] == "trace-7"
    for private in ("secret", conversation["id"], alice.user_id, "Bearer", "limit"):
        assert private not in "\n".join(lines)


async def test_metrics_count_requests_by_route_and_hold_no_ids(fresh: Service) -> None:
    alice = fresh.user("alice-the-user")
    conversation = await started(alice, says("secret words"))
    path = at(conversation, "messages")
    [message] = await listed(alice, path)
    for _ in range(3):
        await alice.get(at(conversation, "messages", message["id"]))
    await alice.get(at(conversation, "messages", an_id()))
    await fresh.nobody().get("/v1/me")
    await alice.get("/nowhere")
    await alice.request("BREW", "/nowhere")

    response = await fresh.nobody().get("/metrics")

    assert response.headers["content-type"].startswith("text/plain; version=")
    families = {each.name: each for each in text_string_to_metric_families(response.text)}
    counted = {
        (each.labels["method"], each.labels["route"], each.labels["status"]): each.value
        for each in families["chatkeep_request_duration_seconds"].samples
        if each.name.endswith("_count")
    }
    route = CONVERSATIONS + "/{conversation_id}/messages"
    # The documentation is what the tests themselves have read.
    assert counted == {
        ("GET", "/docs/openapi.json", "200"): 1,
        ("POST", CONVERSATIONS, "201"): 1,
        ("GET", route, "200"): 1,
        ("GET", route + "/{message_id}", "200"): 3,
        ("GET", route + "/{message_id}", "404"): 1,
        ("GET", "/v1/me", "401"): 1,
        ("GET", "-", "404"): 1,
        ("-", "-", "404"): 1,
    }
    for private in ("secret", conversation["id"], message["id"], "alice-the-user"):
        assert private not in response.text


async def test_metrics_count_appended_messages(fresh: Service) -> None:
    alice = fresh.user("alice")
    conversation = await started(alice)
    await appended(alice, conversation, *numbered(3))
    await appended(alice, conversation, says("one more"))
    await alice.post(at(conversation, "messages"), json={"role": "user"})

    text = (await fresh.nobody().get("/metrics")).text

    assert "chatkeep_appended_messages_total 4.0" in text
    assert "chatkeep_soft_limit_warnings_total 0.0" in text


async def test_metrics_count_what_is_appended_through_openai_s_api(fresh: Service) -> None:
    alice = fresh.user("alice")
    item = {"type": "message", "role": "user", "content": "Hello"}
    created = await alice.post("/openai/v1/conversations", json={})
    path = f"/openai/v1/conversations/{created.json()['id']}/items"
    await alice.post(path, json={"items": [item, item]})
    await alice.post(path, json={"items": []})

    text = (await fresh.nobody().get("/metrics")).text

    assert "chatkeep_appended_messages_total 2.0" in text


async def test_an_unexpected_error_is_logged_with_the_id_of_its_request() -> None:
    lines = StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("chatkeep.http")
    logger.addHandler(handler)
    try:
        async with serving(settings(), failing(RuntimeError("a fault"))) as service:
            alice = service.user(may_fail=True)
            for request_id in ("trace-7", "trace-8"):
                response = await alice.get("/v1/me", {REQUEST_ID: request_id})
                assert response.status_code == 500
    finally:
        logger.removeHandler(handler)

    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["request_id"] for line in found] == ["trace-7", "trace-8"]
    assert all(line["error"].endswith("RuntimeError: a fault") for line in found)


async def test_what_flood_protection_refuses_is_counted_and_its_bounds_are_for_all_paths() -> None:
    async with serving(settings(requests_per_minute=2)) as service:
        alice = service.user(may_fail=True)
        paths = ("/v1/me", "/openai/v1/conversations", "/v1/me", "/openai/v1/conversations")
        answers = [(await alice.get(path)).status_code for path in paths]
        text = (await service.nobody().get("/metrics")).text
    assert answers == [200, 200, 429, 429]
    assert 'chatkeep_refused_requests_total{reason="user_rate"} 2.0' in text
    assert 'chatkeep_refused_requests_total{reason="overloaded"} 0.0' in text


@pytest.mark.parametrize(
    ("bound", "reason"),
    [("max_requests_at_once", "overloaded"), ("max_requests_at_once_per_user", "user_at_once")],
)
async def test_requests_beyond_those_served_at_once_are_counted(bound: str, reason: str) -> None:
    async with serving(settings(**{bound: 1})) as service:
        alice = service.user(may_fail=True)
        under_way = asyncio.Event()

        async def slow_body() -> AsyncIterator[bytes]:
            yield b'{"title":'
            under_way.set()
            await asyncio.sleep(0.05)
            yield b'"x"}'

        first = asyncio.create_task(
            alice.post(CONVERSATIONS, {"Content-Type": "application/json"}, content=slow_body())
        )
        await under_way.wait()
        assert (await alice.get("/v1/me")).status_code in {429, 503}
        assert (await first).status_code == 201
        text = (await service.nobody().get("/metrics")).text
    assert f'chatkeep_refused_requests_total{{reason="{reason}"}} 1.0' in text
