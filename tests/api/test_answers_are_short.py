"""Whatever a request holds, what is said of its errors is short: answers and their headers."""

from urllib.parse import quote

import httpx
import pytest

from tests.api.builders import CONVERSATIONS, refused
from tests.support.application import Caller, Service

LONG = "x" * 50_000
ITEMS = f"/openai/v1/conversations/conv_{'0' * 32}/items"


def check_short(response: httpx.Response) -> None:
    assert 400 <= response.status_code < 500
    assert len(response.content) < 6_000
    assert all(len(value) < 1_100 for value in response.headers.values())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/{LONG}"),
        ("BREW", f"/v1/me/{LONG}"),
        ("GET", f"/v1/conversations/{LONG}"),
        ("GET", f"/v1/conversations?cursor={LONG[:16_000]}"),
        ("GET", f"/v1/conversations?{LONG}"),
        ("GET", f"/v1/conversations?{LONG[:16_000]}"),
        ("GET", f"/v1/conversations?limit={'9' * 10_000}"),
        ("GET", "/v1/conversations?" + "&".join(f"unknown{n}" for n in range(100))),
        ("GET", "/v1/conversations?" + "&".join(f"u{n}" for n in range(10_000))),
        ("GET", f"/openai/{LONG}"),
        ("GET", f"/openai/v1/conversations/{LONG}"),
        ("GET", f"/openai/v1/conversations?after={LONG[:16_000]}"),
        ("GET", "/openai/v1/conversations?" + "a&" * 10_000),
        ("GET", f"{ITEMS}/{LONG}"),
        ("DELETE", f"{ITEMS}/{quote(chr(0x1F9F5) * 5_000)}"),
        ("DELETE", f"/v1/users/{LONG}"),
    ],
    ids=lambda given: given[:60],
)
async def test_of_a_long_path_or_query(
    service: Service, alice: Caller, method: str, path: str
) -> None:
    caller = service.key() if "users" in path else alice
    check_short(await caller.request(method, path))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CONVERSATIONS, {LONG: 1}),
        (CONVERSATIONS, {"title": LONG}),
        (CONVERSATIONS, {"id": LONG}),
        (CONVERSATIONS, {"messages": [{"role": LONG}]}),
        (CONVERSATIONS, {"messages": [{LONG: 1}]}),
        (CONVERSATIONS, {"metadata": {LONG: LONG}}),
        (CONVERSATIONS, {"messages": [{"role": "assistant", "tool_calls": [{LONG: LONG}]}]}),
        ("/openai/v1/conversations", {LONG: 1}),
        ("/openai/v1/conversations", {"metadata": {LONG: "a"}}),
        ("/openai/v1/conversations", {"metadata": {"a": LONG}}),
        ("/openai/v1/conversations", {"metadata": {LONG: 1}}),
        (ITEMS, {"items": [{"role": LONG, "content": LONG}]}),
        (ITEMS, {"items": [{"role": "user", "content": "a", "id": LONG}]}),
        (ITEMS, {"items": [{"type": LONG}]}),
    ],
    ids=lambda given: str(given)[:60],
)
async def test_of_long_names_and_values_in_a_body(alice: Caller, path: str, body: object) -> None:
    check_short(await alice.post(path, json=body))


@pytest.mark.parametrize(
    "name",
    ["Content-Type", "Content-Encoding", "Authorization", "X-User-Id", "Idempotency-Key"],
)
@pytest.mark.parametrize("path", [CONVERSATIONS, "/openai/v1/conversations"])
async def test_of_long_headers(alice: Caller, name: str, path: str) -> None:
    if name == "Idempotency-Key" and path == CONVERSATIONS:
        return
    check_short(await alice.post(path, json={}, headers={name: LONG}))


async def test_lone_surrogates_in_long_names_are_named_shortly(alice: Caller) -> None:
    deep = "".join(f'{{"{LONG[:900]}":' for _ in range(50)) + '"\\ud800"' + "}" * 50
    response = await alice.post(
        CONVERSATIONS, content=f'{{"metadata":{deep}}}', headers={"Content-Type": "text/json+json"}
    )
    check_short(response)


async def test_of_many_wrong_fields_the_first_are_named_and_the_others_counted(
    alice: Caller,
) -> None:
    names = [f"unknown{number}" for number in range(99)]
    response = await alice.get(f"{CONVERSATIONS}?{'&'.join(names)}")

    problem = refused(response, 422, "invalid-value", *names[:10])
    assert problem["detail"].endswith("; and 89 more")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("a&" * 150, "has 151 parameters; the limit is 100"),
        (f"limit={'1' * 20_000}", "has 20006 bytes; the limit is 16384"),
    ],
    ids=["many", "long"],
)
@pytest.mark.parametrize("path", [CONVERSATIONS, "/openai/v1/conversations"])
async def test_a_query_that_no_route_could_want_is_not_parsed(
    alice: Caller, path: str, query: str, why: str
) -> None:
    response = await alice.get(f"{path}?{query}")

    assert response.status_code in {400, 422}
    assert f"query: {why}" in response.text
