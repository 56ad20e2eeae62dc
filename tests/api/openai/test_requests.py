"""OpenAI's API below /openai/v1 as it goes over the wire, beside the native one."""

from typing import Any

import httpx
import pytest

from tests.api.openai.wire import CONVERSATIONS, HELLO, Wire
from tests.support.application import SERVICE_KEY, Service, token


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
