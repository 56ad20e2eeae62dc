"""Messages put under their id and patched, over HTTP."""

import asyncio
import json
from typing import Any

import pytest

from chatkeep.domain.json_fields import MAX_DEPTH
from tests.api.builders import (
    TEXTS,
    an_id,
    answers,
    at,
    calls,
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


async def start(caller: Caller, count: int = 3) -> tuple[JsonObject, list[JsonObject]]:
    """Create a conversation of some messages; return both."""
    conversation = await started(caller, *numbered(count))
    return conversation, await listed(caller, at(conversation, "messages"))


async def hold(service: Service, alice: Caller, conversation: JsonObject) -> None:
    backend = service.key(acting_for=alice.user_id)
    assert (await backend.patch(at(conversation), json={"retain": True})).status_code == 200


async def test_a_message_is_put_at_the_end_and_then_replaced(alice: Caller) -> None:
    conversation, messages = await start(alice)
    before = (await alice.get(at(conversation))).json()
    path = at(conversation, "messages", an_id())

    first = await alice.put(path, json=says("so far", "assistant"))
    again = await alice.put(path, json=says("so far", "assistant"))
    edited = await alice.put(path, json=says("so far, and more", "assistant", name="bot"))

    assert (first.status_code, again.status_code, edited.status_code) == (201, 200, 200)
    assert again.json() == first.json()
    assert "edited_at" not in first.json()
    assert edited.json() == first.json() | {
        "content": "so far, and more",
        "name": "bot",
        "edited_at": edited.json()["edited_at"],
    }
    assert edited.json()["edited_at"] > first.json()["created_at"]
    assert await listed(alice, at(conversation, "messages")) == [*messages, edited.json()]
    assert (await alice.get(path)).json() == edited.json()
    after = (await alice.get(at(conversation))).json()
    assert after == before | {
        "message_count": 4,
        "revision": before["revision"] + 2,
        "updated_at": first.json()["created_at"],
    }
    assert [each.headers["etag"] for each in (first, again, edited)] == ['"2"', '"2"', '"3"']


@pytest.mark.parametrize(
    "message",
    [
        says(TEXTS["NUL"], metadata={"a": TEXTS["NUL"]}),
        calls("call_1", content="Looking."),
        answers("call_1"),
        says("x", tokens=5, starts_context=True, format="own", original={"a": [1.5]}),
    ],
    ids=["text", "calls", "answer", "original"],
)
async def test_a_message_is_replaced_with_all_its_fields(
    alice: Caller, message: JsonObject
) -> None:
    conversation, [first, *_] = await start(alice)
    path = at(conversation, "messages", first["id"])

    response = await alice.put(path, json=message)

    assert response.status_code == 200
    found = (await alice.get(path, params={"originals": True})).json()
    for field, value in message.items():
        assert found[field] == value
    assert response.json() == {key: found[key] for key in found if key != "original"}
    # What is left out is empty then.
    plain = (await alice.put(path, json=says("plain"))).json()
    assert plain == first | {"content": "plain", "edited_at": plain["edited_at"]}


async def test_the_id_in_the_body_is_that_in_the_path(alice: Caller) -> None:
    conversation, _ = await start(alice)
    message_id = an_id()
    path = at(conversation, "messages", message_id)

    problem = refused(await alice.put(path, json=says("a", id=an_id())), 422, "invalid-value", "id")
    assert reason(problem) == "is not the id in the path; leave it out"
    assert (await alice.put(path, json=says("a", id=message_id))).status_code == 201


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        ({"content": "a"}, "invalid-value", "role"),
        (says("a", "critic"), "invalid-value", "role"),
        (says(None), "invalid-value", "content"),
        (says("a", tool_calls=[]), "invalid-value", "tool_calls"),
        (says("a", edited_at="2026-01-01T00:00:00Z"), "invalid-value", "edited_at"),
        (says("a" * 1_001), "limit-exceeded", "content"),
        (says("a", metadata={"a": "x" * 16_384}), "limit-exceeded", "metadata"),
    ],
)
async def test_a_wrong_message_is_not_put(
    alice: Caller, body: JsonObject, kind: str, field: str
) -> None:
    conversation, messages = await start(alice)

    for message_id in (an_id(), messages[0]["id"]):
        path = at(conversation, "messages", message_id)
        refused(await alice.put(path, json=body), 422, kind, field)

    assert await listed(alice, at(conversation, "messages")) == messages


async def test_a_message_is_not_put_where_it_cannot_be(alice: Caller, bob: Caller) -> None:
    conversation, _ = await start(alice)
    _, [elsewhere, *_] = await start(alice)
    before = await exported(alice)

    path = at(conversation, "messages", elsewhere["id"])
    refused(await alice.put(path, json=says("message 0")), 409, "id-taken")
    nowhere = at({"id": an_id()}, "messages", an_id())
    refused(await alice.put(nowhere, json=says("a")), 404, "not-found")
    refused(await bob.put(path, json=says("a")), 404, "not-found")

    assert await exported(alice) == before


async def test_metadata_are_merged(alice: Caller) -> None:
    conversation, [first, *_] = await start(alice)
    path = at(conversation, "messages", first["id"])
    changed = first
    for patch, metadata in (
        ({"feedback": "up", "usage": {"in": 3}}, {"feedback": "up", "usage": {"in": 3}}),
        ({"usage": {"out": 1.5}}, {"feedback": "up", "usage": {"in": 3, "out": 1.5}}),
        ({"feedback": None, "usage": {"in": None}}, {"usage": {"out": 1.5}}),
        ({"usage": [None]}, {"usage": [None]}),
        ({}, {"usage": [None]}),
        (None, {}),
    ):
        response = await alice.patch(path, json={"metadata": patch})

        assert response.status_code == 200
        changed = changed | {"metadata": metadata}
        assert response.json() == changed
        assert (await alice.get(path)).json() == changed
    assert "edited_at" not in changed


async def test_tokens_are_noted_later(alice: Caller) -> None:
    conversation, [first, *_] = await start(alice)
    path = at(conversation, "messages", first["id"])

    for body, expected in (
        ({"tokens": 7}, first | {"tokens": 7}),
        ({"metadata": {"a": 1}}, first | {"tokens": 7, "metadata": {"a": 1}}),
        ({"tokens": None, "metadata": None}, first),
        ({}, first),
    ):
        assert (await alice.patch(path, json=body)).json() == expected


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        ({"metadata": []}, "invalid-value", "metadata"),
        ({"metadata": "a"}, "invalid-value", "metadata"),
        ({"tokens": -1}, "invalid-value", "tokens"),
        ({"tokens": 2**31}, "invalid-value", "tokens"),
        ({"tokens": "7"}, "invalid-value", "tokens"),
        ({"content": "other"}, "invalid-value", "content"),
        ({"role": "user"}, "invalid-value", "role"),
        ({"metadata": {"a": "x" * 16_384}}, "limit-exceeded", "metadata"),
        ({"metadata": {"b": "x" * 16_360}}, "limit-exceeded", "metadata"),
    ],
)
async def test_a_wrong_patch_names_the_field(
    alice: Caller, body: JsonObject, kind: str, field: str
) -> None:
    conversation = await started(alice, says("a", metadata={"a": "what is there"}))
    [message] = await listed(alice, at(conversation, "messages"))
    path = at(conversation, "messages", message["id"])

    refused(await alice.patch(path, json=body), 422, kind, field)

    assert (await alice.get(path)).json() == message


async def test_a_deep_patch_is_merged_and_a_deeper_one_refused(alice: Caller) -> None:
    conversation, [first, *_] = await start(alice)
    path = at(conversation, "messages", first["id"])

    def nested(depth: int, inner: str) -> bytes:
        text = '{"a":' * depth + inner + "}" * depth
        return f'{{"metadata":{text}}}'.encode()

    headers = {"Content-Type": "application/json"}
    for inner in ("1", '{"b":2}', "null"):
        depth = MAX_DEPTH - (inner == '{"b":2}')
        response = await alice.patch(path, content=nested(depth, inner), headers=headers)
        assert response.status_code == 200
        assert response.content.count(b'{"a":') == MAX_DEPTH - (inner == "null")
    answer = await alice.patch(path, content=nested(MAX_DEPTH + 1, "1"), headers=headers)
    refused(answer, 422, "invalid-value", "metadata")


async def test_patches_at_once_all_take_effect(alice: Caller) -> None:
    conversation, [first, *_] = await start(alice)
    path = at(conversation, "messages", first["id"])

    await asyncio.gather(
        *(alice.patch(path, json={"metadata": {f"label {n}": n}}) for n in range(10))
    )

    assert (await alice.get(path)).json()["metadata"] == {f"label {n}": n for n in range(10)}


async def test_what_is_on_hold_is_neither_replaced_nor_patched(
    service: Service, alice: Caller
) -> None:
    conversation, [first, *_] = await start(alice)
    await hold(service, alice, conversation)
    path = at(conversation, "messages", first["id"])
    before = await exported(alice)

    problem = refused(await alice.put(path, json=says("rewritten")), 409, "retained")
    assert "nothing in it may be deleted or rewritten" in problem["detail"]
    refused(await alice.patch(path, json={"metadata": {"a": 1}}), 409, "retained")
    refused(await alice.patch(path, json={"tokens": 1}), 409, "retained")
    assert (await alice.put(path, json=says("message 0"))).status_code == 200
    assert await exported(alice) == before

    new = at(conversation, "messages", an_id())
    assert (await alice.put(new, json=says("one more"))).status_code == 201


async def test_a_context_and_the_items_have_the_edited_text(alice: Caller) -> None:
    conversation, [first, *_] = await start(alice)
    edited: dict[str, Any] = says("edited", metadata={"why": "typo"})

    await alice.put(at(conversation, "messages", first["id"]), json=edited)

    context = (await alice.get(at(conversation, "context"))).json()
    assert context["messages"][0] == says("edited")
    items = await alice.get(
        f"/openai/v1/conversations/conv_{conversation['id'].replace('-', '')}/items?order=asc"
    )
    assert "edited" in json.dumps(items.json()["data"][0])


async def test_changes_are_made_only_in_the_revision_that_is_expected(alice: Caller) -> None:
    conversation, [first, second, third] = await start(alice)
    path = at(conversation, "messages")

    async def change(which: int, tag: str) -> Any:  # noqa: ANN401 - an answer
        headers = {"If-Match": tag}
        one = at(conversation, "messages", second["id"])
        if which == 0:
            return await alice.put(one, json=says("edited"), headers=headers)
        if which == 1:
            return await alice.patch(one, json={"tokens": 5}, headers=headers)
        if which == 2:
            body = {"after": second["id"], "expected": [third["id"]], "messages": []}
            return await alice.put(path, json=body, headers=headers)
        return await alice.delete(path, params={"after": first["id"]}, headers=headers)

    for which in range(4):
        before = await exported(alice)
        for stale in (f'"{which}"', f'"{which + 2}"'):
            answer = await change(which, stale)
            refused(answer, 412, "revision-conflict")
            assert answer.headers["etag"] == f'"{which + 1}"'
        assert await exported(alice) == before

        made = await change(which, f'"{which + 1}"')
        again = await change(which, f'"{which + 1}"')  # as if the answer had been lost

        assert (made.status_code, made.headers["etag"]) == (200, f'"{which + 2}"')
        assert (again.status_code, again.headers["etag"]) == (200, f'"{which + 2}"')
