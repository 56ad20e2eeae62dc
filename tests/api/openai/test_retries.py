"""Requests that are sent again, with and without an idempotency key, as OpenAI's SDKs do."""

import json
from typing import Any

import pytest

from tests.api.openai.wire import CONVERSATIONS, HELLO, Wire


async def test_a_key_of_another_request_is_a_conflict_not_worth_a_retry(alice: Wire) -> None:
    path = await alice.started()
    await alice.call("POST", f"{path}/items", {"items": [HELLO]}, Idempotency_Key="k")

    answer = await alice.try_to(
        "POST", f"{path}/items", {"items": [HELLO, HELLO]}, Idempotency_Key="k"
    )

    assert answer.status_code == 409
    assert answer.headers["x-should-retry"] == "false"
    await alice.refused(400, "POST", f"{path}/items", {"items": [HELLO]}, Idempotency_Key="k" * 256)


async def test_a_key_may_come_with_other_spaces_and_another_order_of_bodies(alice: Wire) -> None:
    path = await alice.started()
    body = json.dumps({"items": [HELLO]}, indent=1).encode()
    first = await alice.call("POST", f"{path}/items", {"items": [HELLO]}, Idempotency_Key="k")

    assert await alice.call("POST", f"{path}/items", body, Idempotency_Key="k") == first


@pytest.mark.parametrize("count", ["0", "1", "2", "-1", "", "many", "1e3", "9" * 5_000])
async def test_every_append_without_a_key_is_stored(alice: Wire, count: str) -> None:
    """Whatever a retry says: that an equal append is its lost first attempt is only a guess."""
    path = await alice.started()
    yes = {"items": [{"role": "user", "content": "yes"}]}
    await alice.call("POST", f"{path}/items", yes)

    answer = await alice.http.post(
        f"{path}/items",
        json=yes,
        headers={**alice.headers, "x-stainless-retry-count": count},
    )

    assert answer.status_code == 200
    found = (await alice.call("GET", f"{path}/items"))["data"]
    assert len({item["id"] for item in found}) == len(found) == 2
    assert found[0]["id"] == answer.json()["last_id"]


OWN = {"type": "reasoning", "id": "rs_1", "summary": []}


@pytest.mark.parametrize(
    "items",
    [[OWN], [HELLO, OWN], [OWN, HELLO], [HELLO, HELLO, OWN, {**OWN, "id": "rs_2"}, HELLO]],
)
async def test_a_retry_with_an_id_answers_what_is_stored(
    alice: Wire, items: list[dict[str, Any]]
) -> None:
    """Also when more was appended since: an id comes once, so there is nothing to guess."""
    path = await alice.started(HELLO, HELLO)
    body = {"items": items}
    retry = {"x_stainless_retry_count": "1"}
    first = await alice.call("POST", f"{path}/items", body)
    await alice.call("POST", f"{path}/items", {"items": [HELLO]})

    assert await alice.call("POST", f"{path}/items", body, **retry) == first
    await alice.refused(400, "POST", f"{path}/items", body)
    await alice.refused(400, "POST", f"{path}/items", body, x_stainless_retry_count="0")
    stored = (await alice.call("GET", f"{path}/items?limit=100"))["data"]
    assert len(stored) == 3 + len(items)


@pytest.mark.parametrize(
    "other",
    [
        [{**OWN, "summary": [1]}],
        [OWN, HELLO],
        [HELLO, OWN],
        [HELLO, OWN, HELLO, HELLO],
        [HELLO, HELLO, OWN, HELLO],
        [{**HELLO, "content": "Hi"}, OWN, HELLO],
        [HELLO, OWN, {**OWN, "id": "rs_2"}],
        [HELLO, OWN, HELLO, {**OWN, "id": "rs_0"}],
    ],
)
async def test_a_retry_of_anything_else_with_that_id_is_refused(
    alice: Wire, other: list[dict[str, Any]]
) -> None:
    path = await alice.started({**OWN, "id": "rs_0"}, HELLO)
    await alice.call("POST", f"{path}/items", {"items": [HELLO, OWN, HELLO]})
    await alice.call("POST", f"{path}/items", {"items": [HELLO]})
    before = await alice.call("GET", f"{path}/items?limit=100")

    retry = {"x_stainless_retry_count": "1"}
    await alice.refused(400, "POST", f"{path}/items", {"items": other}, **retry)

    assert await alice.call("GET", f"{path}/items?limit=100") == before


async def test_a_retry_of_what_was_deleted_in_part_is_refused(alice: Wire) -> None:
    path = await alice.started()
    body = {"items": [HELLO, OWN, HELLO]}
    first = await alice.call("POST", f"{path}/items", body)
    await alice.call("DELETE", f"{path}/items/{first['first_id']}")

    await alice.refused(400, "POST", f"{path}/items", body, x_stainless_retry_count="1")
    await alice.call("DELETE", f"{path}/items/rs_1")
    again = await alice.call("POST", f"{path}/items", body, x_stainless_retry_count="1")
    assert len(again["data"]) == 3


@pytest.mark.parametrize("count", ["1", "2", "10"])
async def test_deleting_again_what_is_gone_succeeds_when_it_is_a_retry(
    alice: Wire, count: str
) -> None:
    path = await alice.started(HELLO, HELLO)
    gone, stays = (item["id"] for item in (await alice.call("GET", f"{path}/items"))["data"])
    retry = {"x_stainless_retry_count": count}
    parent = await alice.call("DELETE", f"{path}/items/{gone}")

    assert await alice.call("DELETE", f"{path}/items/{gone}", **retry) == parent
    await alice.refused(404, "DELETE", f"{path}/items/{gone}")
    [left] = (await alice.call("GET", f"{path}/items"))["data"]
    assert left["id"] == stays

    deleted = await alice.call("DELETE", path)
    assert await alice.call("DELETE", path, **retry) == deleted
    await alice.refused(404, "DELETE", path)
    await alice.refused(404, "DELETE", f"{path}/items/{stays}", **retry)


@pytest.mark.parametrize("count", ["0", "-1", "many", "1.5", "+1"])
async def test_what_is_no_retry_finds_nothing_to_delete(alice: Wire, count: str) -> None:
    path = await alice.started()
    no_retry = {"x_stainless_retry_count": count}

    await alice.refused(404, "DELETE", f"{path}/items/msg_none", **no_retry)
    await alice.refused(404, "DELETE", f"{CONVERSATIONS}/conv_{'0' * 32}", **no_retry)


async def test_a_retried_deletion_deletes_what_is_there(alice: Wire) -> None:
    path = await alice.started(HELLO)
    [item] = (await alice.call("GET", f"{path}/items"))["data"]
    retry = {"x_stainless_retry_count": "1"}

    await alice.call("DELETE", f"{path}/items/{item['id']}", **retry)
    assert (await alice.call("GET", f"{path}/items"))["data"] == []
    await alice.call("DELETE", path, **retry)
    await alice.refused(404, "GET", path)


async def test_a_keyed_create_after_an_import_is_a_conflict(alice: Wire) -> None:
    """The id follows from user and key; what has it otherwise was not created with the key."""
    key = {"Idempotency_Key": "lunch"}
    made = await alice.call("POST", CONVERSATIONS, {"items": [HELLO]}, **key)
    await alice.call("DELETE", f"{CONVERSATIONS}/{made['id']}")
    native = f"/v1/conversations/{made['id'].removeprefix('conv_')}"
    assert (await alice.http.put(native, headers=alice.headers)).status_code == 201

    error = await alice.refused(409, "POST", CONVERSATIONS, {"items": [HELLO]}, **key)

    assert "lunch" in error["message"]
    assert (await alice.call("GET", f"{CONVERSATIONS}/{made['id']}/items"))["data"] == []
