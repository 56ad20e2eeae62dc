"""What the unmodified `openai` package gets from the service, by its sync and its async client."""

import json
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import openai

from checks import ALICE, API, BOB, SERVICE_KEY, URL, USER, equal, every, now, refused, run

# What the package sends its requests with.
httpx: Any = import_module("httpx2" if find_spec("httpx2") else "httpx")

ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "Hi \x00 \U0001f9f5 \ufdd0 é"},
    {"role": "system", "content": [{"type": "input_text", "text": "Be kind."}]},
    {
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "phase": "final_answer",
        "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
    },
    {"type": "message", "id": "msg_own", "role": "assistant", "content": "Yes?"},
    {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"x": 1.10}'},
    {"type": "function_call_output", "call_id": "a", "output": "1"},
    {
        "type": "function_call_output",
        "call_id": "a",
        "status": "incomplete",
        "output": [
            {"type": "input_text", "text": "2"},
            {"type": "input_image", "image_url": "data:", "detail": "auto"},
        ],
    },
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}},
    {"type": "mcp_call", "id": "mcp_1", "name": "n", "arguments": "{}", "server_label": "s"},
    {"type": "custom_tool_call", "call_id": "c", "name": "g", "input": "text"},
    {"type": "of a later day", "id": "later 1/2", "z": None, "a": [1.10, {"é": 10**30}]},
]


def normalised(item: dict[str, Any], item_id: str) -> dict[str, Any]:
    """Return what is to come back: what OpenAI fills in, and nothing else."""
    found = {"type": "message", **item} if "type" not in item else dict(item)
    if "id" not in found:
        found = {"id": item_id, **found}
    if found["type"] in {"message", "function_call", "function_call_output"}:
        found.setdefault("status", "completed")
    if found["type"] == "message" and isinstance(found["content"], str):
        part: dict[str, Any] = {"type": "input_text", "text": found["content"]}
        if found["role"] == "assistant":
            part |= {"type": "output_text", "annotations": [], "logprobs": []}
        found["content"] = [part]
    return found


async def listed(client: Any, conversation: Any, **query: Any) -> Any:
    """Return the body of a page as it came."""
    raw = client.conversations.items.with_raw_response.list(conversation.id, **query)
    return json.loads((await now(raw)).http_response.text)


async def check_every_call(client: Any) -> None:
    conversations = client.conversations
    empty = await now(conversations.create())
    assert (empty.object, empty.metadata, empty.id[:5]) == ("conversation", {}, "conv_"), empty
    made = await now(conversations.create(items=ITEMS[:3], metadata={"topic": "lunch"}))
    assert made.metadata == {"topic": "lunch"}
    assert await now(conversations.retrieve(made.id)) == made
    changed = await now(conversations.update(made.id, metadata={"topic": "dinner"}))
    assert changed.metadata == {"topic": "dinner"}
    assert (await now(conversations.update(made.id, metadata=None))).metadata == {}

    added = await now(conversations.items.create(made.id, items=ITEMS[3:]))
    assert added.object == "list"
    assert (added.first_id, added.last_id) == ("msg_own", "later 1/2")
    assert not added.has_more
    for item in added.data:
        again = await now(conversations.items.retrieve(item.id, conversation_id=made.id))
        assert again == item
    parent = await now(conversations.items.delete("later 1/2", conversation_id=made.id))
    assert (parent.id, parent.object) == (made.id, "conversation")
    assert len(await every(conversations.items.list(made.id))) == len(ITEMS) - 1

    gone = await now(conversations.delete(made.id))
    assert (gone.id, gone.object, gone.deleted) == (made.id, "conversation.deleted", True)
    await refused(lambda: conversations.retrieve(made.id), openai.NotFoundError)
    await now(conversations.delete(empty.id))


async def check_what_is_sent_comes_back(client: Any) -> None:
    conversation = await now(client.conversations.create())
    await now(client.conversations.items.create(conversation.id, items=ITEMS))
    page = await listed(client, conversation, order="asc", limit=100)
    expected = [
        normalised(item, stored["id"]) for item, stored in zip(ITEMS, page["data"], strict=True)
    ]
    equal(page["data"], expected)
    equal((await listed(client, conversation))["data"], expected[::-1])


async def check_pages_follow_each_other(client: Any) -> None:
    items = [{"role": "user", "content": str(n)} for n in range(45)]
    conversation = await now(client.conversations.create(items=items))
    for order in ("asc", "desc"):
        expected = [item["content"] for item in items][:: 1 if order == "asc" else -1]
        for limit in (1, 7, 20, 45, 100, 1000):
            pages = client.conversations.items.list(conversation.id, limit=limit, order=order)
            found = [item.content[0].text for item in await every(pages)]
            assert found == expected, (order, limit, found)
    page = await listed(client, conversation)
    assert len(page["data"]) == 20
    assert page["has_more"]
    rest = await listed(client, conversation, after=page["last_id"], limit=25)
    assert not rest["has_more"]
    assert len((await listed(client, conversation, limit=0))["data"]) == 1


async def check_an_empty_conversation_is_an_empty_page(client: Any) -> None:
    conversation = await now(client.conversations.create(items=[]))
    assert await every(client.conversations.items.list(conversation.id)) == []


async def check_include_is_accepted(client: Any) -> None:
    include = ["reasoning.encrypted_content", "file_search_call.results"]
    conversation = await now(client.conversations.create())
    items = client.conversations.items
    await now(items.create(conversation.id, items=ITEMS, include=include))
    assert len(await every(items.list(conversation.id, include=include, limit=5))) == len(ITEMS)
    await now(items.retrieve("rs_1", conversation_id=conversation.id, include=include))


async def check_a_long_output_comes_back(client: Any) -> None:
    output = "\x00\U0001f9f5é\n" * 200_000
    item = {"type": "function_call_output", "call_id": "c", "output": output}
    conversation = await now(client.conversations.create())
    await now(client.conversations.items.create(conversation.id, items=[item]))
    [stored] = (await listed(client, conversation))["data"]
    assert stored["output"] == output


async def check_errors_are_of_the_right_classes(client: Any) -> None:
    conversations = client.conversations
    made = await now(conversations.create(items=ITEMS))
    items = conversations.items

    error = await refused(lambda: conversations.retrieve("conv_0"), openai.NotFoundError)
    assert error.body["type"] == "invalid_request_error", error.body
    await refused(lambda: items.list("conv_" + "0" * 32), openai.NotFoundError)
    await refused(lambda: items.retrieve("msg_none", conversation_id=made.id), openai.NotFoundError)
    await refused(lambda: items.list(made.id, after="msg_none"), openai.NotFoundError)
    await refused(lambda: client.get("/nothing", cast_to=object), openai.NotFoundError)

    error = await refused(
        lambda: items.create(made.id, items=[{"type": "function_call", "name": "f"}]),
        openai.BadRequestError,
    )
    assert error.param == "items[0].call_id", error.body
    assert error.code == "invalid_value", error.body
    await refused(lambda: items.create(made.id, items=ITEMS[7:8]), openai.BadRequestError)
    await refused(lambda: items.list(made.id, order="up"), openai.BadRequestError)
    await refused(
        lambda: conversations.update(made.id, metadata={"k": "v" * 513}), openai.BadRequestError
    )
    await refused(
        lambda: conversations.create(metadata={str(n): "v" for n in range(17)}),
        openai.BadRequestError,
    )

    stranger = client.with_options(api_key="nobody")
    error = await refused(stranger.conversations.create, openai.AuthenticationError)
    assert error.code == "invalid_api_key", error.body
    pretending = client.with_options(default_headers={"X-User-Id": "bob"})
    await refused(pretending.conversations.create, openai.PermissionDeniedError)

    huge = [{"type": "reasoning", "summary": [], "content": "x" * 10_485_760}]
    error = await refused(lambda: items.create(made.id, items=huge), openai.BadRequestError)
    assert "CHATKEEP_MAX_ITEM_BYTES" in str(error)
    error = await refused(lambda: items.create(made.id, items=huge * 4), openai.APIStatusError)
    assert error.status_code == 413


async def check_nobody_sees_anothers(client: Any) -> None:
    made = await now(client.conversations.create(items=ITEMS))
    bobs = client.with_options(api_key=BOB)
    for call in (
        lambda: bobs.conversations.retrieve(made.id),
        lambda: bobs.conversations.delete(made.id),
        lambda: bobs.conversations.update(made.id, metadata={}),
        lambda: bobs.conversations.items.list(made.id),
        lambda: bobs.conversations.items.create(made.id, items=ITEMS[:1]),
        lambda: bobs.conversations.items.retrieve("rs_1", conversation_id=made.id),
        lambda: bobs.conversations.items.delete("rs_1", conversation_id=made.id),
    ):
        await refused(call, openai.NotFoundError)
    assert len(await every(client.conversations.items.list(made.id))) == len(ITEMS)


async def check_a_service_acts_for_a_user(client: Any) -> None:
    made = await now(client.conversations.create())
    service = client.with_options(api_key=SERVICE_KEY, default_headers={"X-User-Id": USER})
    assert await now(service.conversations.retrieve(made.id)) == made


async def check_a_key_makes_a_request_safe_to_send_again(client: Any) -> None:
    key = {"Idempotency-Key": f"key of {id(client)}"}
    create = client.conversations.create
    made = await now(create(items=ITEMS[:2], metadata={"a": "b"}, extra_headers=key))
    assert await now(create(items=ITEMS[:2], metadata={"a": "b"}, extra_headers=key)) == made
    await refused(
        lambda: create(items=ITEMS[:1], metadata={"a": "b"}, extra_headers=key),
        openai.ConflictError,
    )
    append = client.conversations.items.create
    first = await now(
        append(made.id, items=ITEMS[4:], extra_headers=key | {"Idempotency-Key": "2"})
    )
    again = await now(
        append(made.id, items=ITEMS[4:], extra_headers=key | {"Idempotency-Key": "2"})
    )
    assert [each.id for each in first.data] == [each.id for each in again.data]
    assert len(await every(client.conversations.items.list(made.id))) == len(ITEMS) - 2


async def check_a_retry_without_a_key_is_an_append(client: Any) -> None:
    made = await now(client.conversations.create())
    append = client.conversations.items.create
    first = await now(append(made.id, items=ITEMS[:1]))
    retried = {"x-stainless-retry-count": "1"}
    again = await now(append(made.id, items=ITEMS[:1], extra_headers=retried))
    assert first.data[0].id != again.data[0].id
    assert len(await every(client.conversations.items.list(made.id))) == 2


class Losing(httpx.HTTPTransport):
    """Loses the first answer, after the service has stored what was sent."""

    lost = False

    def handle_request(self, request: Any) -> Any:
        response = super().handle_request(request)
        if not self.lost:
            self.lost = True
            response.close()
            raise httpx.ReadError("lost", request=request)
        return response


class AsyncLosing(httpx.AsyncHTTPTransport):
    lost = False

    async def handle_async_request(self, request: Any) -> Any:
        response = await super().handle_async_request(request)
        if not self.lost:
            self.lost = True
            await response.aclose()
            raise httpx.ReadError("lost", request=request)
        return response


def unlucky(client: Any) -> Any:
    """Return a client whose first answer is lost, and which then sends the request again."""
    is_async = isinstance(client, openai.AsyncOpenAI)
    return client.with_options(
        http_client=httpx.AsyncClient(transport=AsyncLosing())
        if is_async
        else httpx.Client(transport=Losing()),
        max_retries=2,
    )


async def check_with_keys_what_loses_its_answer_is_stored_once(client: Any) -> None:
    """One line of docs/openai.md has the package send a key with each request, as is."""
    before = {each["id"] for each in (await conversations_of(client))["data"]}
    once = unlucky(client)
    once._idempotency_header = "Idempotency-Key"  # noqa: SLF001 - how the package is told
    made = await now(once.conversations.create(items=ITEMS[:1]))
    after = {each["id"] for each in (await conversations_of(client))["data"]}
    assert after - before == {made.id}
    await now(once.close())

    once = unlucky(client)
    once._idempotency_header = "Idempotency-Key"  # noqa: SLF001
    answer = await now(once.conversations.items.create(made.id, items=ITEMS))
    other = await now(once.conversations.items.create(made.id, items=ITEMS[:1]))
    found = await every(client.conversations.items.list(made.id, order="asc"))
    expected = [each.id for each in (*answer.data, *other.data)]
    assert [each.id for each in found[1:]] == expected
    await now(once.close())


async def check_without_a_key_a_lost_answer_doubles_and_loses_nothing(client: Any) -> None:
    made = await now(client.conversations.create())
    losing = unlucky(client)
    answer = await now(losing.conversations.items.create(made.id, items=ITEMS[:2]))
    found = await every(client.conversations.items.list(made.id, order="asc"))
    assert len(found) == 4
    assert [each.id for each in found[2:]] == [each.id for each in answer.data]
    await now(losing.close())


async def check_with_ids_what_loses_its_answer_is_stored_once(client: Any) -> None:
    made = await now(client.conversations.create(items=ITEMS[:2]))
    losing = unlucky(client)
    answer = await now(losing.conversations.items.create(made.id, items=ITEMS))
    found = await every(client.conversations.items.list(made.id, order="asc"))
    assert [each.id for each in found[2:]] == [each.id for each in answer.data]
    await now(losing.close())


async def check_a_deletion_whose_answer_is_lost_succeeds(client: Any) -> None:
    made = await now(client.conversations.create(items=ITEMS[:2]))
    item, _ = await every(client.conversations.items.list(made.id))
    losing = unlucky(client)
    parent = await now(losing.conversations.items.delete(item.id, conversation_id=made.id))
    assert parent.id == made.id
    assert len(await every(client.conversations.items.list(made.id))) == 1
    await now(losing.close())
    losing = unlucky(client)
    assert (await now(losing.conversations.delete(made.id))).deleted
    await now(losing.close())
    await refused(lambda: client.conversations.retrieve(made.id), openai.NotFoundError)


async def check_the_client_for_azure_is_served_as_well(client: Any) -> None:
    """Its requests have the token as `api-key`, and no /v1 in their paths."""
    is_async = isinstance(client, openai.AsyncOpenAI)
    azure = openai.AsyncAzureOpenAI if is_async else openai.AzureOpenAI
    made = await now(client.conversations.create(items=ITEMS[:1]))
    for options in ({}, {"azure_deployment": "gpt"}):
        theirs = azure(azure_endpoint=URL, api_key=ALICE, api_version="2025-04-01", **options)
        assert await now(theirs.conversations.retrieve(made.id)) == made
        added = await now(theirs.conversations.items.create(made.id, items=[ITEMS[-1]]))
        [item] = added.data
        await now(theirs.conversations.items.retrieve(item.id, conversation_id=made.id))
        await now(theirs.conversations.items.delete("later 1/2", conversation_id=made.id))
        assert len(await every(theirs.conversations.items.list(made.id))) == 1
        own = await now(theirs.conversations.create(metadata={"a": "b"}))
        assert (await now(theirs.conversations.update(own.id, metadata={}))).metadata == {}
        await now(theirs.conversations.delete(own.id))
        await now(theirs.close())
    stranger = azure(azure_endpoint=URL, api_key="nobody", api_version="2025-04-01", max_retries=0)
    await refused(stranger.conversations.create, openai.AuthenticationError)
    await now(stranger.close())


async def check_a_token_may_be_made_for_each_request(client: Any) -> None:
    is_async = isinstance(client, openai.AsyncOpenAI)

    async def token() -> str:
        return ALICE

    per_user = client.with_options(api_key=token if is_async else lambda: ALICE)
    await now(per_user.conversations.create())


async def check_more_than_twenty_items_are_taken_at_once(client: Any) -> None:
    items = [{"role": "user", "content": str(n)} for n in range(250)]
    made = await now(client.conversations.create())
    added = await now(client.conversations.items.create(made.id, items=items))
    assert len(added.data) == 250


async def conversations_of(client: Any) -> Any:
    return await now(client.get("/conversations?limit=100", cast_to=object))


async def check_my_conversations_are_listed_by_activity(client: Any) -> None:
    made = [await now(client.conversations.create()) for _ in range(3)]
    await now(client.conversations.items.create(made[0].id, items=ITEMS[:1]))
    expected = [made[0].id, made[2].id, made[1].id]
    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while len(found) < 3:
        page = await now(client.get("/conversations", cast_to=object, options={"params": query}))
        assert page["object"] == "list"
        found += [each["id"] for each in page["data"]]
        query["after"] = page["last_id"]
    assert found[:3] == expected


if __name__ == "__main__":
    options: dict[str, Any] = {"base_url": API, "api_key": ALICE, "max_retries": 0}
    run(
        globals(),
        {"sync": (openai.OpenAI(**options),), "async": (openai.AsyncOpenAI(**options),)},
    )
