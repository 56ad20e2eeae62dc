"""Holds over HTTP: service keys set and lift them; while they are on, nothing is deleted."""

from typing import Any

import pytest

from tests.api.builders import (
    CONVERSATIONS,
    an_id,
    appended,
    at,
    exported,
    listed,
    numbered,
    refused,
    says,
    started,
)
from tests.support.application import Caller, Service
from tests.support.json_schema import JsonObject

HOLD, LIFT = {"retain": True}, {"retain": False}


@pytest.fixture
def backend(service: Service, alice: Caller) -> Caller:
    """Return the service key, acting for Alice."""
    return service.key(acting_for=alice.user_id)


async def held(alice: Caller, backend: Caller) -> JsonObject:
    """Return a conversation of Alice's that is on hold."""
    conversation = await started(alice, *numbered(2))
    response = await backend.patch(at(conversation), json=HOLD)
    assert response.status_code == 200, response.text
    found: JsonObject = response.json()
    return found


def in_openai(conversation: JsonObject) -> str:
    return f"/openai/v1/conversations/conv_{conversation['id'].replace('-', '')}"


async def test_a_service_sets_and_lifts_a_hold_which_is_no_activity(
    alice: Caller, backend: Caller
) -> None:
    made = await started(alice, *numbered(2))
    made = (await alice.get(at(made))).json()
    assert made["retain"] is False

    for change, revision in ((HOLD, 2), (LIFT, 3)):
        response = await backend.patch(at(made), json=change)

        changed = made | change | {"revision": revision}
        assert (response.status_code, response.json()) == (200, changed)
        assert (await alice.get(at(made))).json() == changed
        assert await listed(alice, CONVERSATIONS) == [changed]


async def test_a_hold_is_changed_together_with_the_rest(alice: Caller, backend: Caller) -> None:
    made = await started(alice, title="Old")

    response = await backend.patch(at(made), json=HOLD | {"title": "New", "status": "archived"})

    changed = {"title": "New", "status": "archived", "revision": 2}
    assert response.json() == made | HOLD | changed


async def test_a_conversation_is_on_hold_from_the_start_when_a_service_says_so(
    alice: Caller, backend: Caller
) -> None:
    path = f"{CONVERSATIONS}/{an_id()}"

    posted = await backend.post(CONVERSATIONS, json=HOLD | {"messages": [says("Hello")]})
    put = await backend.put(path, json=HOLD)

    assert (posted.status_code, posted.json()["retain"]) == (201, True)
    assert (put.status_code, put.json()["retain"]) == (201, True)
    for each in (posted, put):
        refused(await alice.delete(at(each.json())), 409, "retained")


async def test_a_create_with_a_hold_can_be_sent_again_unless_the_hold_was_lifted(
    backend: Caller,
) -> None:
    body = HOLD | {"id": an_id()}
    first = await backend.post(CONVERSATIONS, json=body)

    again = await backend.post(CONVERSATIONS, json=body)
    assert (again.status_code, again.content) == (201, first.content)

    await backend.patch(at(first.json()), json=LIFT)
    refused(await backend.post(CONVERSATIONS, json=body), 409, "id-taken")


async def test_put_neither_sets_nor_lifts_the_hold_of_what_is_there(
    alice: Caller, backend: Caller
) -> None:
    conversation = await held(alice, backend)
    other = await started(alice)

    assert (await backend.put(at(conversation), json=LIFT)).json()["retain"] is True
    assert (await backend.put(at(other), json=HOLD)).json()["retain"] is False


@pytest.mark.parametrize("retain", [True, False])
async def test_a_user_neither_sets_nor_lifts_a_hold(
    alice: Caller, backend: Caller, *, retain: bool
) -> None:
    conversation = await held(alice, backend)
    before = await exported(alice)
    body = {"retain": retain}

    answers = [
        await alice.patch(at(conversation), json=body | {"title": "New"}),
        await alice.put(at(conversation), json=body),
        await alice.put(f"{CONVERSATIONS}/{an_id()}", json=body),
        await alice.post(CONVERSATIONS, json=body),
        await alice.patch(f"{CONVERSATIONS}/{an_id()}", json=body),
    ]

    for answer in answers:
        problem = refused(answer, 403, "insufficient-scope")
        assert "Only a service key may set or lift a hold" in problem["detail"]
    assert await exported(alice) == before


@pytest.mark.parametrize("value", [None, 1, 0, "true", [], {}])
async def test_a_hold_is_on_or_off(backend: Caller, value: object) -> None:
    made = await started(backend)

    answers = [
        await backend.patch(at(made), json={"retain": value}),
        await backend.put(at(made), json={"retain": value}),
        await backend.post(CONVERSATIONS, json={"retain": value}),
    ]

    for answer in answers:
        refused(answer, 422, "invalid-value", "retain")
    assert (await backend.get(at(made))).json() == made


async def test_nothing_of_a_conversation_on_hold_is_deleted_by_anybody(
    alice: Caller, backend: Caller
) -> None:
    conversation = await held(alice, backend)
    [message, _] = await listed(alice, at(conversation, "messages"))
    before = await exported(alice)
    openai = in_openai(conversation)
    [item, *_] = (await alice.get(f"{openai}/items")).json()["data"]

    for caller in (alice, backend):
        for path in (at(conversation), at(conversation, "messages", message["id"])):
            problem = refused(await caller.delete(path), 409, "retained")
            assert conversation["id"] in problem["detail"]
            assert "A service key lifts the hold first" in problem["detail"]
        for path in (openai, f"{openai}/items/{item['id']}"):
            answer = await caller.delete(path)
            assert answer.status_code == 409
            assert answer.headers["x-should-retry"] == "false"
            error = answer.json()["error"]
            assert (error["type"], error["code"]) == ("invalid_request_error", "retained")
            assert conversation["id"] in error["message"]
    assert await exported(alice) == before

    await backend.patch(at(conversation), json=LIFT)
    assert (await alice.delete(at(conversation, "messages", message["id"]))).status_code == 204
    assert (await alice.delete(openai)).status_code == 200
    refused(await alice.get(at(conversation)), 404, "not-found")


async def test_a_conversation_on_hold_goes_on(alice: Caller, backend: Caller) -> None:
    conversation = await held(alice, backend)

    await appended(alice, conversation, says("and on"))
    items: Any = {"items": [{"role": "user", "content": "and on"}]}
    assert (await alice.post(f"{in_openai(conversation)}/items", json=items)).status_code == 200
    changed = await alice.patch(at(conversation), json={"title": "New", "status": "archived"})

    assert changed.status_code == 200
    assert (changed.json()["retain"], changed.json()["message_count"]) == (True, 4)


async def test_what_is_not_there_is_not_found_though_there_is_a_hold(
    alice: Caller, bob: Caller, backend: Caller
) -> None:
    conversation = await held(alice, backend)

    refused(await alice.delete(at(conversation, "messages", an_id())), 404, "not-found")
    refused(await bob.delete(at(conversation)), 404, "not-found")


async def test_a_user_is_not_erased_while_a_conversation_is_on_hold(
    service: Service, alice: Caller, backend: Caller
) -> None:
    await started(alice, says("free to go"))
    first, second = [await held(alice, backend) for _ in range(2)]
    before = await exported(alice)
    path = f"/v1/users/{alice.user_id.replace(' ', '%20')}"

    for answer in (
        await alice.delete("/v1/me"),
        await backend.delete("/v1/me"),
        await service.key().delete(path),
    ):
        problem = refused(answer, 409, "retained")
        assert "2 conversations are on hold, so nothing was deleted" in problem["detail"]
        assert "A service key lifts each hold first" in problem["detail"]
        assert all(each["id"] in problem["detail"] for each in (first, second))
    assert await exported(alice) == before
    usage = (await alice.get("/v1/me")).json()
    assert (usage["conversations"], usage["retained"]) == (3, 2)

    await backend.patch(at(first), json=LIFT)
    refused(await alice.delete("/v1/me"), 409, "retained")
    await backend.patch(at(second), json=LIFT)
    assert (await alice.delete("/v1/me")).status_code == 204
    assert await listed(alice, CONVERSATIONS) == []
