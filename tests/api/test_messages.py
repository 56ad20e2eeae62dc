"""Messages over HTTP: appended, read back in pages, one by one, deleted."""

import asyncio
import json
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from tests.api.builders import (
    TEXTS,
    an_id,
    answers,
    appended,
    at,
    calls,
    listed,
    numbered,
    paged,
    refused,
    says,
    started,
)
from tests.support.application import Caller
from tests.support.json_schema import JsonObject


def contents(messages: list[JsonObject]) -> list[str]:
    return [each["content"] for each in messages]


async def test_a_message_is_appended_as_it_is(alice: Caller) -> None:
    conversation = await started(alice)

    response = await alice.post(at(conversation, "messages"), json=says("Hello"))

    assert response.status_code == 201
    [message] = response.json()["messages"]
    assert response.json() == {"messages": [message]}
    assert message == {
        "id": message["id"],
        "conversation_id": conversation["id"],
        "role": "user",
        "content": "Hello",
        "tool_calls": None,
        "tool_call_id": None,
        "name": None,
        "metadata": {},
        "created_at": message["created_at"],
    }
    assert UUID(message["id"]).version == 7
    changed = (await alice.get(at(conversation))).json()
    assert (changed["message_count"], changed["updated_at"]) == (1, message["created_at"])
    assert datetime.fromisoformat(changed["updated_at"]) > datetime.fromisoformat(
        conversation["updated_at"]
    )


@pytest.mark.parametrize(
    "message",
    [
        says("", "assistant"),
        says("Be kind.", "system"),
        says("Be kinder.", "developer"),
        says("Hi", name="Alice", metadata={"lang": "en"}),
        calls("call_1", "call_2"),
        calls("call_1", content="Looking."),
        {"role": "assistant", "tool_calls": []},
        answers("call_1"),
        says("Hi", tool_calls=None, tool_call_id=None, name=None, metadata=None, id=None),
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "c",
                    "type": "custom",
                    "custom": {"name": "sql", "input": "SELECT 1"},
                    "index": 0,
                }
            ],
        },
    ],
    ids=str,
)
async def test_every_kind_of_message_comes_back(alice: Caller, message: JsonObject) -> None:
    conversation = await started(alice)

    one = (await alice.post(at(conversation, "messages"), json=message)).json()["messages"]
    several = await appended(alice, conversation, message, message)

    found = await listed(alice, at(conversation, "messages"))
    assert found == one + several
    nothing = dict.fromkeys(("tool_calls", "tool_call_id", "name", "content"))
    expected = nothing | message | {"metadata": message.get("metadata") or {}}
    expected.pop("id", None)
    for each in found:
        assert each == each | expected
        assert (await alice.get(at(conversation, "messages", each["id"]))).json() == each


async def test_a_batch_keeps_its_order(alice: Caller) -> None:
    conversation = await started(alice, says("first"))
    batch = numbered(30)

    stored = await appended(alice, conversation, *batch)

    assert contents(stored) == contents(batch)
    assert contents(await listed(alice, at(conversation, "messages"))) == [
        "first",
        *contents(batch),
    ]


async def test_a_batch_is_stored_whole_or_not_at_all(alice: Caller) -> None:
    conversation = await started(alice)
    taken = says("taken", id=an_id())
    await appended(alice, conversation, taken)

    for bad in ({"role": "user"}, taken | {"content": "other"}):
        response = await alice.post(
            at(conversation, "messages"), json={"messages": [says("good"), bad]}
        )
        assert response.status_code in {409, 422}

    assert contents(await listed(alice, at(conversation, "messages"))) == ["taken"]


@pytest.mark.parametrize(
    "body",
    [
        says("Hello", id=an_id()),
        {"messages": [says("Hello", id=an_id())]},
        {"messages": [says("Hello", id=an_id()), calls("call_1"), answers("call_1")]},
        {"messages": [says("Hello"), says("there", metadata={"a": 1}, id=an_id())]},
    ],
    ids=["one", "a batch of one", "a batch", "a batch with one id"],
)
async def test_an_append_with_an_id_can_be_sent_again(alice: Caller, body: JsonObject) -> None:
    conversation = await started(alice)
    path = at(conversation, "messages")
    first = await alice.post(path, json=body)
    later = await alice.post(path, json=says("later"))

    again = await alice.post(path, json=body)

    assert (again.status_code, again.content) == (201, first.content)
    assert await listed(alice, path) == first.json()["messages"] + later.json()["messages"]


@pytest.mark.parametrize(
    "other",
    [
        {"content": "other"},
        {"role": "assistant"},
        {"name": "Alice"},
        {"metadata": {"a": 2}},
        {"metadata": None},
    ],
    ids=str,
)
async def test_the_same_id_with_another_body_is_a_conflict(
    alice: Caller, other: dict[str, Any]
) -> None:
    conversation = await started(alice)
    message = says("Hello", metadata={"a": 1}, id=an_id())
    [stored] = await appended(alice, conversation, message)

    response = await alice.post(at(conversation, "messages"), json=message | other)

    assert message["id"] in refused(response, 409, "id-taken")["detail"]
    assert await listed(alice, at(conversation, "messages")) == [stored]


async def test_an_id_of_another_conversation_is_a_conflict(alice: Caller) -> None:
    message = says("Hello", id=an_id())
    await started(alice, message)
    conversation = await started(alice)

    refused(await alice.post(at(conversation, "messages"), json=message), 409, "id-taken")


async def test_appends_at_once_are_all_there_once(alice: Caller) -> None:
    conversation = await started(alice)
    messages = [says(f"message {number}", id=an_id()) for number in range(12)]

    await asyncio.gather(*(appended(alice, conversation, each) for each in messages * 2))

    found = await listed(alice, at(conversation, "messages"))
    assert sorted(contents(found)) == sorted(contents(messages))


@pytest.mark.parametrize("order", [None, "asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 7, 8, 100])
async def test_the_pages_of_the_history_joined_are_the_messages(
    alice: Caller, order: str | None, limit: int
) -> None:
    conversation = await started(alice, *numbered(7))
    asked = {"limit": limit} | ({} if order is None else {"order": order})

    pages = await paged(alice, at(conversation, "messages"), **asked)

    expected = contents(numbered(7))
    joined = contents([each for page in pages for each in page])
    assert joined == (expected[::-1] if order == "desc" else expected)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)


@pytest.mark.parametrize("limit", [1, 2, 5])
@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"after": 2}, slice(3, 8)),
        ({"before": 5}, slice(0, 5)),
        ({"after": 1, "before": 6}, slice(2, 6)),
        ({"after": 7}, slice(8, 8)),
        ({"before": 0}, slice(0, 0)),
        ({"after": 4, "before": 5}, slice(0, 0)),
        ({"after": 5, "before": 2}, slice(0, 0)),
    ],
    ids=str,
)
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_the_history_can_start_beside_a_message(
    alice: Caller, order: str, bounds: dict[str, int], expected: slice, limit: int
) -> None:
    conversation = await started(alice)
    stored = await appended(alice, conversation, *numbered(8))
    ids = {name: stored[index]["id"] for name, index in bounds.items()}

    found = await listed(alice, at(conversation, "messages"), order=order, limit=limit, **ids)

    wanted = stored[expected]
    assert found == (wanted[::-1] if order == "desc" else wanted)


async def test_messages_that_come_in_between_disturb_no_page(alice: Caller) -> None:
    conversation = await started(alice, *numbered(4))
    path = at(conversation, "messages")
    up = (await alice.get(path, params={"limit": 3})).json()
    down = (await alice.get(path, params={"limit": 3, "order": "desc"})).json()
    await appended(alice, conversation, says("new"))

    further_up = (await alice.get(path, params={"cursor": up["next_cursor"]})).json()
    further_down = (await alice.get(path, params={"cursor": down["next_cursor"]})).json()

    assert contents(further_up["items"]) == ["message 3", "new"]
    assert contents(further_down["items"]) == ["message 0"]


async def test_a_cursor_outlives_the_message_it_stands_at(alice: Caller) -> None:
    conversation = await started(alice, *numbered(4))
    path = at(conversation, "messages")
    page = (await alice.get(path, params={"limit": 2})).json()
    await alice.delete(f"{path}/{page['items'][-1]['id']}")

    rest = await alice.get(path, params={"cursor": page["next_cursor"]})

    assert contents(rest.json()["items"]) == ["message 2", "message 3"]


async def test_the_history_of_nothing_is_empty(alice: Caller) -> None:
    response = await alice.get(at(await started(alice), "messages"))

    assert response.json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("bound", ["after", "before"])
async def test_a_bound_is_a_message_of_this_conversation(alice: Caller, bound: str) -> None:
    conversation = await started(alice, says("here"))
    [elsewhere] = await appended(alice, await started(alice), says("elsewhere"))

    for message_id in (elsewhere["id"], an_id()):
        response = await alice.get(at(conversation, "messages"), params={bound: message_id})
        assert message_id in refused(response, 404, "not-found")["detail"]


async def test_a_deleted_message_is_gone_and_the_others_stay(alice: Caller) -> None:
    conversation = await started(alice)
    first, second, third = await appended(alice, conversation, *numbered(3))
    before = (await alice.get(at(conversation))).json()

    response = await alice.delete(at(conversation, "messages", second["id"]))

    assert (response.status_code, response.content) == (204, b"")
    assert await listed(alice, at(conversation, "messages")) == [first, third]
    assert (await alice.get(at(conversation))).json() == before | {
        "message_count": 2,
        "revision": before["revision"] + 1,
    }
    for again in (alice.get, alice.delete):
        problem = refused(await again(at(conversation, "messages", second["id"])), 404, "not-found")
        assert second["id"] in problem["detail"]


async def test_a_message_is_found_only_under_its_conversation(alice: Caller) -> None:
    [message] = await appended(alice, await started(alice), says("here"))
    other = await started(alice)

    refused(await alice.get(at(other, "messages", message["id"])), 404, "not-found")
    refused(await alice.delete(at(other, "messages", message["id"])), 404, "not-found")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_text_comes_back_exactly(alice: Caller, text: str) -> None:
    conversation = await started(alice)
    call_id = text or "call_1"
    function = {"name": text or "f", "arguments": json.dumps([text]), "more": {text: text}}
    asks = says(text, "assistant", name=text)
    asks["tool_calls"] = [{"id": call_id, "type": "function", "function": function}]
    batch = [
        says(text, name=text, metadata={text: [text, {text: text}]}),
        asks,
        says(text, "tool", tool_call_id=call_id, name=text),
    ]

    stored = await appended(alice, conversation, *batch)

    assert await listed(alice, at(conversation, "messages")) == stored
    for given, found in zip(batch, stored, strict=True):
        assert found == found | given
    context = (await alice.get(at(conversation, "context"))).json()
    assert context["messages"][1]["tool_calls"] == asks["tool_calls"]
    assert [each["content"] for each in context["messages"]] == [text] * 3
