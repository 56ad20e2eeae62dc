"""The end of a conversation over HTTP: deleted, or replaced by other messages."""

from typing import Any

import pytest

from tests.api.builders import (
    SOME_ID,
    TEXTS,
    an_id,
    appended,
    at,
    exported,
    listed,
    numbered,
    reason,
    refused,
    says,
    started,
)
from tests.support.application import Caller, Service
from tests.support.json_schema import JsonObject


def ids(messages: list[JsonObject]) -> list[str]:
    return [each["id"] for each in messages]


async def start(caller: Caller, count: int = 4) -> tuple[JsonObject, list[JsonObject]]:
    """Create a conversation of some messages; return both."""
    conversation = await started(caller, *numbered(count))
    return conversation, await listed(caller, at(conversation, "messages"))


async def hold(service: Service, alice: Caller, conversation: JsonObject) -> None:
    backend = service.key(acting_for=alice.user_id)
    assert (await backend.patch(at(conversation), json={"retain": True})).status_code == 200


@pytest.mark.parametrize(("edge", "left"), [("after", 2), ("from", 1)])
async def test_the_end_of_a_conversation_is_deleted(alice: Caller, edge: str, left: int) -> None:
    conversation, messages = await start(alice)
    before = (await alice.get(at(conversation))).json()

    response = await alice.delete(at(conversation, "messages"), params={edge: messages[1]["id"]})

    assert response.status_code == 200
    assert response.json() == {"deleted": 4 - left, "message_count": left}
    assert await listed(alice, at(conversation, "messages")) == messages[:left]
    assert (await alice.get(at(conversation))).json() == before | {
        "message_count": left,
        "revision": 2,
    }


async def test_a_truncation_after_a_message_can_be_sent_again(alice: Caller) -> None:
    conversation, messages = await start(alice)
    path = at(conversation, "messages")

    answers = [await alice.delete(path, params={"after": messages[0]["id"]}) for _ in range(2)]

    assert [each.json()["deleted"] for each in answers] == [3, 0]
    gone = {"from": messages[1]["id"]}
    refused(await alice.delete(path, params=gone), 404, "not-found")


async def test_a_truncation_says_where_it_begins_exactly_once(alice: Caller) -> None:
    conversation, messages = await start(alice)
    before = await exported(alice)
    path, first = at(conversation, "messages"), messages[0]["id"]

    for parameters in ({}, {"after": first, "from": first}):
        problem = refused(
            await alice.delete(path, params=parameters), 422, "invalid-value", "after"
        )
        assert reason(problem) == "give either `after` or `from`, with a message's id"
    for name in ("after", "from"):
        problem = refused(await alice.delete(path, params={name: ".."}), 422, "invalid-value", name)
        assert reason(problem) == "is . or .., which clients remove from paths"
        refused(await alice.delete(path, params={name: an_id()}), 404, "not-found")
    refused(await alice.delete(path, params={"before": first}), 422, "invalid-value", "before")

    assert await exported(alice) == before


async def test_the_end_of_a_conversation_is_replaced(alice: Caller) -> None:
    conversation, messages = await start(alice)
    answer = says(TEXTS["NUL"], "assistant", id=an_id(), metadata={"model": "large"})
    body = {
        "after": messages[1]["id"],
        "expected": ids(messages[2:]),
        "messages": [says("edited"), answer],
    }

    response = await alice.put(at(conversation, "messages"), json=body)
    assert response.status_code == 200
    replaced = response.json()
    again = await alice.put(at(conversation, "messages"), json=body)

    stored = await listed(alice, at(conversation, "messages"))
    assert replaced == {"messages": stored[2:], "deleted": 2, "message_count": 4}
    assert stored[:2] == messages[:2]
    assert [each["content"] for each in stored[2:]] == ["edited", TEXTS["NUL"]]
    assert again.json() == replaced | {"deleted": 0}


async def test_everything_is_replaced_by_a_summary(alice: Caller) -> None:
    conversation, messages = await start(alice)
    body = {"after": None, "expected": ids(messages), "messages": [says("In short", "system")]}

    response = await alice.put(at(conversation, "messages"), json=body)

    assert response.json()["deleted"] == 4
    assert await listed(alice, at(conversation, "messages")) == response.json()["messages"]


async def test_another_end_than_the_expected_one_stays_and_is_named(alice: Caller) -> None:
    conversation, messages = await start(alice)
    [unseen] = await appended(alice, conversation, says("from another tab"))
    before = await exported(alice)
    body = {
        "after": messages[1]["id"],
        "expected": ids(messages[2:]),
        "messages": [says("edited")],
    }

    problem = refused(
        await alice.put(at(conversation, "messages"), json=body), 409, "suffix-differs"
    )

    assert problem["found"] == ids([*messages[2:], unseen])
    assert await exported(alice) == before


async def test_what_is_on_hold_is_neither_truncated_nor_replaced(
    service: Service, alice: Caller
) -> None:
    conversation, messages = await start(alice)
    await hold(service, alice, conversation)
    path = at(conversation, "messages")
    before = await exported(alice)

    refused(await alice.delete(path, params={"after": messages[1]["id"]}), 409, "retained")
    body = {
        "after": messages[1]["id"],
        "expected": ids(messages[2:]),
        "messages": [says("edited")],
    }
    refused(await alice.put(path, json=body), 409, "retained")
    assert await exported(alice) == before

    appending = {"after": messages[3]["id"], "expected": [], "messages": [says("one more")]}
    assert (await alice.put(path, json=appending)).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"after": ""}, "after"),
        ({"expected": None}, "expected"),
        ({"expected": ["x" * 256]}, "expected[0]"),
        ({"messages": None}, "messages"),
        ({"messages": [says("a"), {"content": "b"}]}, "messages[1].role"),
        ({"messages": [says("a"), says(None)]}, "messages[1].content"),
        ({"messages": [says("a", id=SOME_ID), says("b", id=SOME_ID)]}, "messages[1].id"),
        ({"before": None}, "before"),
    ],
)
async def test_a_wrong_replacement_names_the_field(
    alice: Caller, change: dict[str, Any], field: str
) -> None:
    conversation, messages = await start(alice)
    body = {"after": messages[1]["id"], "expected": ids(messages[2:]), "messages": []}
    path = at(conversation, "messages")

    refused(await alice.put(path, json=body | change), 422, "invalid-value", field)

    for name in body:
        some = {key: value for key, value in body.items() if key != name}
        problem = refused(await alice.put(path, json=some), 422, "invalid-value", name)
        assert reason(problem) == "is missing"
    assert await listed(alice, path) == messages


async def test_a_replacement_has_the_limits_of_an_append(alice: Caller) -> None:
    conversation, messages = await start(alice)
    body = {"after": messages[3]["id"], "expected": []}
    path = at(conversation, "messages")

    for new, field in (
        ([*numbered(101)], "messages"),
        ([says("fine"), says("x" * 1_001)], "messages[1].content"),
    ):
        answer = await alice.put(path, json=body | {"messages": new})
        refused(answer, 422, "limit-exceeded", field)

    assert await listed(alice, path) == messages


async def test_a_replacement_is_made_once_under_its_key(alice: Caller) -> None:
    conversation, messages = await start(alice)
    path = at(conversation, "messages")
    body = {"after": messages[1]["id"], "expected": ids(messages[2:]), "messages": [says("edited")]}
    key = {"Idempotency-Key": "turn 7"}

    first = await alice.put(path, json=body, headers=key)
    await appended(alice, conversation, says("more"))
    again = await alice.put(path, json=body, headers=key)
    other = await alice.put(path, json=body | {"messages": []}, headers=key)

    assert again.json() == first.json() | {"deleted": 0, "message_count": 4}
    refused(other, 409, "id-taken")
    stored = await listed(alice, path)
    assert [each["content"] for each in stored[2:]] == ["edited", "more"]
