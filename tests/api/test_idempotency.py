"""Idempotency-Key: the same request with the same key is stored once."""

import json
from typing import Any

import pytest

from tests.api.builders import CONVERSATIONS, an_id, at, listed, numbered, refused, says, started
from tests.support.application import Caller

KEY = {"Idempotency-Key": "8a1f"}


@pytest.mark.parametrize(
    "body",
    [{}, {"title": "x", "metadata": {"a": 1}}, {"messages": numbered(3)}, {"id": an_id()}],
)
async def test_a_create_is_one_conversation(alice: Caller, body: dict[str, Any]) -> None:
    first = await alice.post(CONVERSATIONS, KEY, json=body)
    again = await alice.post(CONVERSATIONS, KEY, json=body)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert len(await listed(alice, CONVERSATIONS)) == 1


async def test_an_append_is_stored_once(alice: Caller) -> None:
    conversation = await started(alice)
    path = at(conversation, "messages")
    for number, body in enumerate((says("a"), {"messages": numbered(3)}, says("b", name="Ann"))):
        key = {"Idempotency-Key": f"request {number}"}
        before = len(await listed(alice, path))

        first = await alice.post(path, key, json=body)
        again = await alice.post(path, key, json=body)

        assert again.status_code == 201
        assert (again.json(), again.headers["etag"]) == (first.json(), first.headers["etag"])
        assert len(await listed(alice, path)) == before + len(first.json()["messages"])


async def test_an_append_that_asks_for_a_context_is_stored_once(alice: Caller) -> None:
    conversation = await started(alice, *numbered(2))
    path = f"{at(conversation, 'messages')}?context=5&max_chars=100"

    first = await alice.post(path, KEY, json=says("a"))
    again = await alice.post(path, KEY, json=says("a"))

    assert again.json() == first.json()
    assert len(again.json()["context"]["messages"]) == 3


async def test_a_repeated_append_is_a_success_whatever_revision_it_expects(alice: Caller) -> None:
    conversation = await started(alice)
    headers = KEY | {"If-Match": '"1"'}

    answers = [
        await alice.post(at(conversation, "messages"), headers, json=says("a")) for _ in range(3)
    ]

    assert [each.status_code for each in answers] == [201] * 3
    assert {each.headers["etag"] for each in answers} == {'"2"'}
    assert len(await listed(alice, at(conversation, "messages"))) == 1


async def test_the_messages_that_are_left_are_returned(alice: Caller) -> None:
    conversation = await started(alice)
    path = at(conversation, "messages")
    first = (await alice.post(path, KEY, json={"messages": numbered(3)})).json()["messages"]
    await alice.delete(f"{path}/{first[1]['id']}")

    again = await alice.post(path, KEY, json={"messages": numbered(3)})

    assert again.json()["messages"] == [first[0], first[2]]
    assert await listed(alice, path) == [first[0], first[2]]


async def test_how_the_body_is_written_does_not_matter(alice: Caller) -> None:
    conversation = await started(alice)
    path = at(conversation, "messages")
    headers = KEY | {"Content-Type": "application/json"}
    texts = [
        '{"role": "user", "content": "\u00e9", "metadata": {"a": 1, "b": [1.5, null]}}',
        '{"metadata":{"b":[1.5,null],"a":1},"content":"\\u00e9","role":"user"}',
    ]

    answers = [await alice.post(path, headers, content=each.encode()) for each in texts]

    assert answers[0].json() == answers[1].json()
    assert len(await listed(alice, path)) == 1


async def test_another_request_with_the_same_key_is_refused(alice: Caller) -> None:
    conversation = await started(alice)
    path = at(conversation, "messages")
    await alice.post(path, KEY, json=says("a"))
    await alice.post(CONVERSATIONS, KEY, json={})

    for response in (
        await alice.post(path, KEY, json=says("b")),
        await alice.post(f"{path}?context=5", KEY, json=says("a")),
        await alice.post(CONVERSATIONS, KEY, json={"title": "x"}),
    ):
        problem = refused(response, 409, "id-taken")
        assert "idempotency key '8a1f'" in problem["detail"]
    assert len(await listed(alice, path)) == 1
    assert len(await listed(alice, CONVERSATIONS)) == 2


async def test_a_key_is_one_for_both_apis(alice: Caller) -> None:
    conversation = (await alice.post("/openai/v1/conversations", KEY, json={})).json()
    refused(await alice.post(CONVERSATIONS, KEY, json={}), 409, "id-taken")

    path = f"/openai/v1/conversations/{conversation['id']}/items"
    items = {"items": [{"type": "message", "role": "user", "content": "a"}]}
    await alice.post(path, {"Idempotency-Key": "two"}, json=items)
    [stored] = await listed(alice, CONVERSATIONS)
    native = await alice.post(at(stored, "messages"), {"Idempotency-Key": "two"}, json=says("a"))
    refused(native, 409, "id-taken")


async def test_two_users_may_have_the_same_key(alice: Caller, bob: Caller) -> None:
    hers = (await alice.post(CONVERSATIONS, KEY, json={})).json()
    his = (await bob.post(CONVERSATIONS, KEY, json={})).json()

    assert hers["id"] != his["id"]
    refused(await bob.post(at(hers, "messages"), KEY, json=says("a")), 404, "not-found")


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_that_cannot_be_stored_is_refused_by_name(alice: Caller, key: str) -> None:
    conversation = await started(alice)
    for path, body in ((CONVERSATIONS, {}), (at(conversation, "messages"), says("a"))):
        response = await alice.post(path, {"Idempotency-Key": key}, json=body)
        refused(response, 422, "invalid-value", "Idempotency-Key")
    assert await listed(alice, CONVERSATIONS) == [conversation]


@pytest.mark.parametrize(
    "key", ["x" * 255, " a  b ".strip(), "\u00e9".encode(), json.dumps({"a": 1})]
)
async def test_any_other_key_will_do(alice: Caller, key: str | bytes) -> None:
    for _ in range(2):
        made = await alice.post(CONVERSATIONS, [("Idempotency-Key", key)], json={})
        assert made.status_code == 201
    assert len(await listed(alice, CONVERSATIONS)) == 1
