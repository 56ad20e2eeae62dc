"""OpenAI's API below /openai/v1, as it goes over the wire, beside the native one."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.application import SERVICE_KEY, Service, serving, settings, token

HELLO = {"role": "user", "content": "Hello"}
CONVERSATIONS = "/openai/v1/conversations"


class Wire:
    """A caller of the service; what is wrong has OpenAI's shape, always."""

    def __init__(self, service: Service, user_id: str) -> None:
        self.http = service.http
        self.contract = service.contract
        self.headers = {"Authorization": token(user_id)}

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the body of an answer that must be 200."""
        answer = await self.try_to(method, path, body, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def try_to(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answer = await self.http.request(
            method,
            path,
            content=content,
            headers={"Content-Type": "application/json", **self.headers, **named},
        )
        self.contract.check(answer)
        assert answer.headers["content-type"] == "application/json", answer.text
        assert answer.headers["cache-control"] == "no-store"
        if answer.is_error:
            error = answer.json()["error"]
            assert set(error) == {"message", "type", "param", "code"}
            assert "urn:" not in answer.text
        return answer

    async def refused(
        self, status: int, method: str, path: str, body: object = None, **headers: str
    ) -> dict[str, Any]:
        answer = await self.try_to(method, path, body, **headers)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()["error"]
        return error

    async def started(self, *items: object) -> str:
        made = await self.call("POST", CONVERSATIONS, {"items": items})
        return f"{CONVERSATIONS}/{made['id']}"


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[Service]:
    async with serving(settings(openai_max_body_bytes=200_000, max_item_bytes=100_000)) as service:
        yield service


@pytest.fixture
def alice(service: Service, request: pytest.FixtureRequest) -> Wire:
    return Wire(service, f"alice of {request.node.name}")


async def test_a_conversation_of_one_api_is_one_of_the_other(alice: Wire) -> None:
    made = await alice.call("POST", CONVERSATIONS, {"metadata": {"a": "b"}, "items": [HELLO]})

    native = f"/v1/conversations/{made['id'].removeprefix('conv_')}"
    [message] = (await alice.call("GET", f"{native}/messages"))["items"]
    assert (message["role"], message["content"]) == ("user", "Hello")
    assert (await alice.call("GET", native))["metadata"] == {"a": "b"}

    answer = await alice.http.post(
        f"{native}/messages",
        json={"role": "assistant", "content": "Hi"},
        headers=alice.headers,
    )
    assert answer.status_code == 201
    page = await alice.call("GET", f"{CONVERSATIONS}/{made['id']}/items?order=asc")
    assert [item["content"][0]["text"] for item in page["data"]] == ["Hello", "Hi"]


async def test_calls_sent_as_items_are_a_valid_context(alice: Wire) -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "output": "1"}
    path = await alice.started(
        HELLO,
        {"type": "reasoning", "id": "rs_1", "summary": []},
        *({**call, "call_id": call_id} for call_id in "ab"),
        *({**output, "call_id": call_id} for call_id in "ab"),
    )

    native = path.replace("/openai/v1", "/v1").replace("conv_", "")
    messages = (await alice.call("GET", f"{native}/context"))["messages"]

    assert [each["role"] for each in messages] == ["user", "assistant", "tool", "tool"]
    assert [each["id"] for each in messages[1]["tool_calls"]] == ["a", "b"]


@pytest.mark.parametrize("texts", [["f1", "say", "f2"], ["f1", "f2", "say"], ["f1", "say"]])
async def test_a_text_between_a_call_and_its_result_is_a_valid_context(
    alice: Wire, texts: list[str]
) -> None:
    called = [each for each in texts if each != "say"]
    kinds: dict[str, object] = {
        name: {"type": "function_call", "call_id": name, "name": "look", "arguments": "{}"}
        for name in called
    }
    kinds["say"] = {"role": "assistant", "content": "One moment"}
    path = await alice.started(
        HELLO,
        *(kinds[each] for each in texts),
        *({"type": "function_call_output", "call_id": each, "output": each} for each in called),
        {"role": "assistant", "content": "There"},
    )

    native = path.replace("/openai/v1", "/v1").replace("conv_", "")
    _, asking, *results, last = (await alice.call("GET", f"{native}/context"))["messages"]

    assert asking["content"] == "One moment"
    assert [each["id"] for each in asking["tool_calls"]] == called
    assert [(each["role"], each["content"]) for each in results] == [
        ("tool", each) for each in called
    ]
    assert last["content"] == "There"


async def test_created_at_is_in_seconds(alice: Wire) -> None:
    made = await alice.call("POST", CONVERSATIONS, {})

    assert isinstance(made["created_at"], int)
    assert set(made) == {"id", "object", "created_at", "metadata"}


async def test_a_create_needs_no_body(alice: Wire) -> None:
    made = await alice.call("POST", CONVERSATIONS)

    assert made["metadata"] == {}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"items": 5}',
        b'{"items": [{"type": "later", "a": "\\ud800"}]}',
        b'{"items": [{"type": "later", "a": "\xff"}]}',
        b'{"items": [{"type": "later", "a": NaN}]}',
        b'{"itmes": []}',
        b"{}",
        b'{"items": null}',
        b'{"items": [' + b"[" * 5_000 + b"]" * 5_000 + b"]}",
        b'{"items": [{"type": "later", "a": ' + b"[" * 990 + b"]" * 990 + b"}, 5]}",
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_a_body_that_makes_no_sense_is_a_bad_request(alice: Wire, body: bytes) -> None:
    path = await alice.started(HELLO)

    error = await alice.refused(400, "POST", f"{path}/items", body)

    assert error["type"] == "invalid_request_error"
    assert len((await alice.call("GET", f"{path}/items"))["data"]) == 1


async def test_an_error_names_the_parameter(alice: Wire) -> None:
    path = await alice.started()

    error = await alice.refused(400, "POST", f"{path}/items", {"items": [HELLO, {"role": "user"}]})

    assert error["param"] == "items[1].content"
    assert error["code"] == "invalid_value"


@pytest.mark.parametrize(
    "metadata",
    [
        {str(n): "" for n in range(17)},
        {"k" * 65: ""},
        {"k": "v" * 513},
        {"k": 5},
        {"k": None},
        [],
    ],
)
async def test_metadata_has_openais_limits(alice: Wire, metadata: object) -> None:
    path = await alice.started()

    for where in (CONVERSATIONS, path):
        error = await alice.refused(400, "POST", where, {"metadata": metadata})
        assert error["param"].startswith("metadata")
    most = {f"{n:064}": "v" * 512 for n in range(16)}
    assert (await alice.call("POST", path, {"metadata": most}))["metadata"] == most


async def test_an_update_says_what_it_updates(alice: Wire) -> None:
    path = await alice.started()

    assert (await alice.refused(400, "POST", path, {}))["param"] == "metadata"


async def test_items_and_bodies_have_limits_of_their_own(alice: Wire) -> None:
    path = await alice.started()
    long = {"role": "user", "content": "x" * 90_000}
    await alice.call("POST", f"{path}/items", {"items": [long]})

    error = await alice.refused(
        400, "POST", f"{path}/items", {"items": [HELLO, {**long, "content": "é" * 20_000}]}
    )
    assert error["param"] == "items[1]"
    assert "CHATKEEP_MAX_ITEM_BYTES" in error["message"]
    error = await alice.refused(413, "POST", f"{path}/items", {"items": [long] * 3})
    assert "CHATKEEP_OPENAI_MAX_BODY_BYTES" in error["message"]
    assert len((await alice.call("GET", f"{path}/items"))["data"]) == 1


@pytest.mark.parametrize("limit", ["-1", "0", "1"])
async def test_a_small_limit_is_one(alice: Wire, limit: str) -> None:
    path = await alice.started(HELLO, HELLO)

    page = await alice.call("GET", f"{path}/items?limit={limit}")

    assert (len(page["data"]), page["has_more"]) == (1, True)
    assert page["first_id"] == page["last_id"] == page["data"][0]["id"]


async def test_a_large_limit_is_a_hundred(alice: Wire) -> None:
    path = await alice.started(*[HELLO] * 101)

    page = await alice.call("GET", f"{path}/items?limit=1000000")

    assert (len(page["data"]), page["has_more"]) == (100, True)


async def test_an_empty_page_has_no_ids(alice: Wire) -> None:
    path = await alice.started()

    query = "include[]=a&include[]=b&unknown=c"
    page = (await alice.http.get(f"{path}/items?{query}", headers=alice.headers)).json()

    assert page == {"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}


@pytest.mark.parametrize("query", ["limit=many", "order=up"])
async def test_a_parameter_that_makes_no_sense_is_a_bad_request(alice: Wire, query: str) -> None:
    path = await alice.started()

    error = await alice.refused(400, "GET", f"{path}/items?{query}")

    assert error["param"] == query.partition("=")[0]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/openai", 404),
        ("GET", "/openai/v1/responses", 404),
        ("POST", "/openai/v1/conversations/conv_1/items/a", 405),
        ("PUT", CONVERSATIONS, 405),
        ("GET", f"{CONVERSATIONS}/018f4e9e-9c1a-7cc3-b1f0-3a1c2d4e5f60", 404),
        ("GET", f"{CONVERSATIONS}/conv_{'0' * 32}/items", 404),
        ("GET", f"{CONVERSATIONS}?after=conv_{'0' * 32}", 404),
    ],
)
async def test_what_is_not_there_says_so_in_openais_words(
    service: Service, method: str, path: str, status: int
) -> None:
    answer = await service.http.request(method, path, headers={"Authorization": token()})

    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_without_a_token_nothing_is_told(service: Service) -> None:
    answer = await service.http.get(f"{CONVERSATIONS}/conv_{'0' * 32}")

    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_service_that_acts_for_nobody_is_a_bad_request(service: Service) -> None:
    answer = await service.http.post(
        CONVERSATIONS, headers={"Authorization": f"Bearer {SERVICE_KEY}"}
    )

    assert answer.status_code == 400
    assert "X-User-Id" in answer.json()["error"]["message"]


async def test_an_item_of_any_id_has_a_path(alice: Wire) -> None:
    path = await alice.started({"type": "later", "id": "a/b c%20?d=\U0001f9f5"})

    quoted = "a%2Fb%20c%2520%3Fd%3D%F0%9F%A7%B5"
    item = await alice.call("GET", f"{path}/items/{quoted}")

    assert item == {"type": "later", "id": "a/b c%20?d=\U0001f9f5"}
    await alice.call("DELETE", f"{path}/items/{quoted}")
    await alice.refused(404, "GET", f"{path}/items/{quoted}")
    await alice.refused(400, "GET", f"{path}/items/%FF")


async def test_a_doubled_id_is_a_bad_request_and_no_conflict(alice: Wire) -> None:
    path = await alice.started({"type": "later", "id": "a"})

    error = await alice.refused(
        400, "POST", f"{path}/items", {"items": [{"type": "reasoning", "id": "a"}]}
    )

    assert "'a'" in error["message"]


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


async def test_the_paths_and_the_header_of_azure_are_served(alice: Wire, service: Service) -> None:
    path = await alice.started({"type": "later", "id": "a/b"}, HELLO)
    token_alone = alice.headers["Authorization"].removeprefix("Bearer ")
    azure = {"api-key": token_alone}
    theirs = path.replace("/openai/v1/", "/openai/")

    async def answer(where: str, **headers: str) -> httpx.Response:
        return await service.http.get(f"{where}?api-version=2025-04-01", headers=headers)

    for suffix in ("", "/items", "/items/a%2Fb"):
        expected = await alice.call("GET", f"{path}{suffix}")
        assert (await answer(f"{theirs}{suffix}", **azure)).json() == expected
        assert (await answer(f"{path}{suffix}", **azure)).json() == expected
    listed = await answer("/openai/conversations", **azure)
    assert listed.json() == await alice.call("GET", CONVERSATIONS)
    assert (await answer("/openai/conversations", **{"api-key": "nobody"})).status_code == 401
    both = {"api-key": token_alone, "Authorization": "Bearer nobody"}
    assert (await answer("/openai/conversations", **both)).status_code == 401
    assert (await answer("/openai/conversationsx", **azure)).status_code == 404
    assert (await answer("/v1/conversations", **azure)).status_code == 401  # only below /openai
    service_key = {"api-key": SERVICE_KEY, "X-User-Id": "somebody"}
    assert (await answer("/openai/conversations", **service_key)).status_code == 200


async def test_an_append_of_nothing_answers_an_empty_list(alice: Wire) -> None:
    path = await alice.started(HELLO)

    assert (await alice.call("POST", f"{path}/items", {"items": []}))["data"] == []
    await alice.refused(404, "POST", f"{CONVERSATIONS}/conv_0/items", {"items": []})


async def test_conversations_are_listed_in_pages(alice: Wire) -> None:
    made = [(await alice.call("POST", CONVERSATIONS, {}))["id"] for _ in range(5)]
    found: list[str] = []
    page: dict[str, Any] = {"has_more": True, "last_id": ""}
    while page["has_more"]:
        page = await alice.call("GET", f"{CONVERSATIONS}?limit=2&after={page['last_id']}")
        found += [each["id"] for each in page["data"]]

    assert found == made[::-1]


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


async def test_errors_name_conversations_as_this_api_does(
    alice: Wire, request: pytest.FixtureRequest
) -> None:
    path = await alice.started(HELLO)
    conversation_id = path.rpartition("/")[2]
    native = f"/v1/conversations/{conversation_id.removeprefix('conv_')}"
    user_id = f"alice of {request.node.name}"
    acting = {"Authorization": f"Bearer {SERVICE_KEY}", "X-User-Id": user_id}
    held = await alice.http.patch(native, json={"retain": True}, headers=acting)
    assert held.status_code == 200

    error = await alice.refused(409, "DELETE", path)
    assert error["message"].startswith(f"Conversation {conversation_id} is on hold")
    unknown = f"conv_{'0' * 31}1"
    for method, below in (("GET", ""), ("GET", "/items"), ("DELETE", ""), ("POST", "")):
        body: object = {"metadata": {}} if method == "POST" else None
        error = await alice.refused(404, method, f"{CONVERSATIONS}/{unknown}{below}", body)
        assert unknown in error["message"]
        assert "0000-" not in error["message"]
