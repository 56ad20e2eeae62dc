"""Fields that are wrong: the answer names each by its path, says why, and nothing is stored."""

import json

import pytest

from tests.api.builders import (
    CONVERSATIONS,
    SOME_ID,
    an_id,
    at,
    calls,
    listed,
    reason,
    refused,
    says,
    started,
)
from tests.support.application import Caller
from tests.support.json_schema import JsonObject

JSON = {"Content-Type": "application/json"}
ROLES = "must be one of user, assistant, system, developer, tool"
UNKNOWN = "unknown field"
NOT_CONTENT = "must be a string, an array of parts or null, not {}"

[CALL] = calls("call_1")["tool_calls"]

WRONG_CREATES: list[tuple[object, str, str]] = [
    ([], "body", "must be an object, not an array"),
    (None, "body", "must be an object, not null"),
    (7, "body", "must be an object, not an integer"),
    ({"titel": "Order"}, "titel", UNKNOWN),
    ({"user_id": "bob"}, "user_id", UNKNOWN),
    ({"a`b\n": 1}, "a`b\n", UNKNOWN),
    ({"title": 7}, "title", "must be a string or null, not an integer"),
    ({"title": True}, "title", "must be a string or null, not a boolean"),
    ({"id": "\n"}, "id", "contains the control character U+000A"),
    ({"id": 7}, "id", "must be a string or null, not an integer"),
    ({"metadata": []}, "metadata", "must be an object or null, not an array"),
    ({"metadata": "{}"}, "metadata", "must be an object or null, not a string"),
    ({"messages": None}, "messages", "must be an array, not null"),
    ({"messages": {}}, "messages", "must be an array, not an object"),
    ({"messages": [None]}, "messages[0]", "must be an object, not null"),
    ({"messages": [says("a"), {}]}, "messages[1].role", "is missing"),
    ({"messages": [says("a"), says("b", tole="x")]}, "messages[1].tole", UNKNOWN),
    ({"messages": [says("a", created_at="now")]}, "messages[0].created_at", UNKNOWN),
    (
        {"messages": [says("a"), says("b"), says("c", metadata=7)]},
        "messages[2].metadata",
        "must be an object or null, not an integer",
    ),
    ({"messages": [says("a", id="")]}, "messages[0].id", "is empty; give 1 to 255 characters"),
]
WRONG_MESSAGES: list[tuple[JsonObject, str, str]] = [
    ({"role": "bot", "content": "a"}, "role", ROLES),
    ({"role": "User", "content": "a"}, "role", ROLES),
    ({"role": 7, "content": "a"}, "role", ROLES),
    ({"role": None, "content": "a"}, "role", ROLES),
    ({"role": "user", "content": 1.5}, "content", NOT_CONTENT.format("a number")),
    ({"role": "user", "content": {"type": "text"}}, "content", NOT_CONTENT.format("an object")),
    ({"role": "user", "content": True}, "content", NOT_CONTENT.format("a boolean")),
    ({"role": "user", "content": []}, "content", "is an empty array; give at least one part"),
    ({"role": "user", "content": ["a"]}, "content[0]", "must be an object with a type"),
    (
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text"}]},
        "content[1].text",
        "must be a string",
    ),
    (
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": 5}}]},
        "content[0].image_url.url",
        "must be a string that is not empty",
    ),
    ({"role": "user"}, "content", "may be null only with tool_calls; give a text"),
    (says(None), "content", "may be null only with tool_calls; give a text"),
    (says(None, "assistant"), "content", "may be null only with tool_calls; give a text"),
    (says("a", name=[]), "name", "must be a string or null, not an array"),
    (says("a", name="n" * 256), "name", "has 256 characters; at most 255"),
    (
        says("a", "tool", tool_call_id="c" * 256),
        "tool_call_id",
        "has 256 characters; at most 255",
    ),
    (
        says("a", "tool"),
        "tool_call_id",
        "a message with the role tool must name the call it answers",
    ),
    (
        says("a", "tool", tool_call_id=""),
        "tool_call_id",
        "a message with the role tool must name the call it answers",
    ),
    (
        says("a", tool_call_id="c"),
        "tool_call_id",
        "only a message with the role tool may have a tool_call_id",
    ),
    (
        calls("call_1") | {"role": "user"},
        "tool_calls",
        "only a message with the role assistant may have tool_calls",
    ),
    (
        says("a", "assistant", tool_calls={}),
        "tool_calls",
        "must be an array or null, not an object",
    ),
    (
        says("a", "assistant", tool_calls=[7]),
        "tool_calls[0]",
        "must be an object, not an integer",
    ),
    (
        says("a", "assistant", tool_calls=[{}]),
        "tool_calls[0].id",
        "must be a string that is not empty",
    ),
    (
        says("a", "assistant", tool_calls=[CALL, {"id": "d"}]),
        "tool_calls[1].type",
        "must be function or custom",
    ),
    (
        says("a", "assistant", tool_calls=[CALL | {"function": {}}]),
        "tool_calls[0].function.name",
        "must be a string that is not empty",
    ),
    (
        says("a", "assistant", tool_calls=[CALL | {"function": {"name": "f", "arguments": {}}}]),
        "tool_calls[0].function.arguments",
        "must be a string, with JSON encoded in it as models do",
    ),
]
WRONG_CHANGES: list[tuple[object, str, str]] = [
    ([], "body", "must be an object, not an array"),
    ({"status": "deleted"}, "status", "must be one of active, archived"),
    ({"status": None}, "status", "must be one of active, archived"),
    ({"title": {}}, "title", "must be a string or null, not an object"),
    ({"metadata": None}, "metadata", "must be an object, not null"),
    ({"id": SOME_ID}, "id", UNKNOWN),
    ({"message_count": 0}, "message_count", UNKNOWN),
    ({"messages": []}, "messages", UNKNOWN),
]


def named(wrong: object) -> str:
    return json.dumps(wrong)[:60]


@pytest.mark.parametrize(("body", "field", "why"), WRONG_CREATES, ids=named)
async def test_a_create_that_is_wrong_names_the_field(
    alice: Caller, body: object, field: str, why: str
) -> None:
    response = await alice.post(CONVERSATIONS, content=json.dumps(body), headers=JSON)

    assert reason(refused(response, 422, "invalid-value", field)) == why
    assert await listed(alice, CONVERSATIONS) == []


@pytest.mark.parametrize(("message", "field", "why"), WRONG_MESSAGES, ids=named)
async def test_a_message_that_is_wrong_names_the_field(
    alice: Caller, message: JsonObject, field: str, why: str
) -> None:
    path = at(await started(alice), "messages")

    alone = await alice.post(path, json=message)
    beside = await alice.post(path, json={"messages": [says("a"), message]})
    first = await alice.post(CONVERSATIONS, json={"messages": [says("a"), message]})

    assert reason(refused(alone, 422, "invalid-value", field)) == why
    for response in (beside, first):
        problem = refused(response, 422, "invalid-value", f"messages[1].{field}")
        assert reason(problem) == why
    assert await listed(alice, path) == []


@pytest.mark.parametrize(("body", "field", "why"), WRONG_CHANGES, ids=named)
async def test_a_change_that_is_wrong_names_the_field(
    alice: Caller, body: object, field: str, why: str
) -> None:
    conversation = await started(alice, title="Old")

    response = await alice.patch(at(conversation), json=body)

    assert reason(refused(response, 422, "invalid-value", field)) == why
    assert (await alice.get(at(conversation))).json() == conversation


@pytest.mark.parametrize(
    ("body", "field", "why"),
    [
        ({}, "role", "is missing: send one message, or `messages`"),
        ({"content": "a"}, "role", "is missing: send one message, or `messages`"),
        ({"messages": []}, "messages", "is empty; give at least one message"),
        (
            {"messages": [says("a")], "role": "user"},
            "role",
            "cannot be combined with `messages`",
        ),
        (
            {"messages": [says("a")], "metadata": None},
            "metadata",
            "cannot be combined with `messages`",
        ),
        ({"message": says("a")}, "message", UNKNOWN),
        ([says("a")], "body", "must be an object, not an array"),
    ],
    ids=named,
)
async def test_an_append_is_one_message_or_several(
    alice: Caller, body: object, field: str, why: str
) -> None:
    response = await alice.post(at(await started(alice), "messages"), json=body)

    assert reason(refused(response, 422, "invalid-value", field)) == why


async def test_an_id_stands_once_in_a_batch(alice: Caller) -> None:
    message = says("a", id=an_id())
    for path in (CONVERSATIONS, at(await started(alice), "messages")):
        response = await alice.post(path, json={"messages": [message, says("b"), message]})

        assert reason(refused(response, 422, "invalid-value", "messages[2].id")) == (
            "duplicate id in this batch"
        )


@pytest.mark.parametrize("body", [{"title": 7}, {"titel": "x"}, {"metadata": []}, {"messages": []}])
async def test_a_put_that_is_wrong_names_the_field(alice: Caller, body: JsonObject) -> None:
    response = await alice.put(f"{CONVERSATIONS}/{an_id()}", json=body)

    refused(response, 422, "invalid-value", *body)
