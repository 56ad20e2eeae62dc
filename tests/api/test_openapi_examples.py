"""The examples of the OpenAPI document: bodies that are accepted, problems as they are answered."""

import json
import re

import httpx

from chatkeep.domain.formats.table import Format
from tests.api.builders import CONVERSATIONS, an_id, at, drafted, says, started
from tests.api.operations import (
    body_of,
    call,
    messages_named_in,
    native,
    somebody_for,
    start_draft_for,
)
from tests.support.application import Caller, Service, serving, settings, token
from tests.support.json_schema import JsonObject, faults
from tests.support.openapi_contract import PARAMETER, PROBLEM_JSON


async def test_every_operation_does_as_documented_when_called_as_documented(
    service: Service, alice: Caller
) -> None:
    conversation = await started(alice, says("a"))
    messages = (await alice.get(at(conversation, "messages"))).json()["items"]
    ids = {
        "conversation_id": conversation["id"],
        "message_id": messages[0]["id"],
        "user_id": an_id(),
        "number": "1",
    }
    path = at(conversation, "messages")
    await alice.post(path, json=says("an alternative", after=None))
    await alice.post(path, json=says("b"), params={"branch": 0})
    order = ["POST", "GET", "PUT", "PATCH", "DELETE"]
    by_depth = sorted(
        native(service.contract),
        key=lambda each: (
            order.index(each.method),
            each.described["operationId"] != "truncateMessages",  # before its message is deleted
            -each.path.count("/"),
        ),
    )
    for operation in by_depth:
        caller = somebody_for(operation, service, alice.user_id)
        at_hand = ids
        if named := messages_named_in(body_of(operation).get("json", {})):
            other = await started(alice, *(says("a", id=each) for each in named))
            at_hand = ids | {"conversation_id": other["id"]}
        if "{draft_id}" in operation.path:
            draft = await start_draft_for(body_of(operation).get("json", {}), alice)
            at_hand = ids | draft
        response = await call(operation, caller, at_hand)
        assert response.is_success, response.text


def test_every_body_has_examples_that_fit_it(service: Service, document: JsonObject) -> None:
    for operation in native(service.contract):
        if "requestBody" not in operation.described:
            continue
        body = operation.described["requestBody"]
        assert body["required"] is (operation.described["operationId"] != "getOrCreateConversation")
        [(media_type, content)] = body["content"].items()
        assert media_type == "application/json"
        assert content["examples"]
        for name, example in content["examples"].items():
            found = list(faults(example["value"], content["schema"], document))
            assert not found, f"{operation.path} {name}: {found}"


async def test_every_example_of_a_body_is_accepted(service: Service, alice: Caller) -> None:
    for operation in native(service.contract):
        if "requestBody" not in operation.described:
            continue
        content = operation.described["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            named = messages_named_in(example["value"])
            conversation = await started(alice, *(says("a", id=each) for each in named))
            if "{message_id}" in operation.path:  # with a message of the conversation's id
                own = conversation["id"]
                await alice.post(at(conversation, "messages"), json=says("a", id=own))
            path = operation.path
            if "{draft_id}" in path:
                path = path.format_map(await start_draft_for(example["value"], alice))
            path = PARAMETER.sub(conversation["id"], path.replace("{number}", "0"))
            # A hold is for service keys only.
            held = "retain" in example["value"]
            caller = service.key(acting_for=alice.user_id) if held else alice
            response = await caller.request(operation.method, path, json=example["value"])
            assert response.is_success, response.text
            if named:  # the next example may name the same
                await alice.delete(at(conversation))


async def test_the_examples_of_appends_make_a_context(service: Service, alice: Caller) -> None:
    conversation = await started(alice)
    [append] = [
        each
        for each in native(service.contract)
        if each.described["operationId"] == "appendMessages"
    ]
    content = append.described["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        await alice.post(at(conversation, "messages"), json=example["value"])

    for form in Format:
        context = await alice.get(f"{at(conversation, 'context')}?format={form}")
        assert "find_order" in context.text


async def test_every_example_of_a_problem_is_a_real_answer() -> None:
    """One request for each kind: its answer is the example, but for the ids in it."""
    one_message = at({"id": an_id()}, "messages")
    async with (
        serving(settings()) as service,
        serving(settings(provision_users=False)) as members_only,
    ):
        alice, nobody = service.user("alice"), service.nobody()
        held = await started(service.key(acting_for="alice"), retain=True)
        conversation = await started(alice, says("a", id=(taken := an_id())))
        path = at(conversation, "messages")
        two = {"messages": [says("a"), {"content": "b"}]}
        real = [
            await alice.post(path, content=b"{}{}", headers={"Content-Type": "application/json"}),
            await service.key().get("/v1/me"),
            await nobody.get("/v1/me"),
            await nobody.get("/v1/me", {"Authorization": token(expires_in=-60)}),
            await alice.put("/v1/users/alice"),
            await alice.get(one_message),
            await alice.post(path, json=says("b", id=taken)),
            await alice.delete(at(held)),
            await alice.delete(at(conversation, "branches", "0")),
            await alice.put(path, json={"after": None, "expected": [], "messages": []}),
            await alice.delete(at(conversation), {"If-Match": '"0"'}),
            await alice.delete(at(conversation), {"If-Match": "0"}),
            await alice.post(
                path, content=b" " * 1_048_577, headers={"Content-Type": "application/json"}
            ),
            await alice.get((path + "/" + "x" * 9_000)[:9_000]),
            await alice.post(path, content=b"a", headers={"Content-Type": "text/plain"}),
            await alice.post(path, json=two),
            await alice.post(path, json=says("a" * 1_001)),
            *await draft_conflicts(alice, conversation),
        ]
        document = service.contract.document
        not_provisioned = await members_only.user("alice").post(CONVERSATIONS, json={})
    examples = {
        (each["value"]["status"], name): each["value"]
        for response in document["components"]["responses"].values()
        for name, each in response["content"][PROBLEM_JSON]["examples"].items()
    }

    for response in real:
        problem = response.json()
        kind = problem["type"].rpartition(":")[2]
        assert without_ids(problem) == without_ids(examples.pop((response.status_code, kind)))
    # How a store adds users is its own matter, so that the words differ.
    example = examples.pop((403, "user-not-provisioned"))
    assert not_provisioned.json() == example | {"detail": not_provisioned.json()["detail"]}
    # These have tests of their own, where what they tell of can be brought about.
    assert {kind for _, kind in examples} == {
        "changes-forgotten",
        "refused-by-database",
        "too-many-requests",
        "internal-error",
        "database-unavailable",
        "temporarily-unavailable",
        "overloaded",
        "not-ready",
        "too-slow",
    }


async def draft_conflicts(alice: Caller, conversation: JsonObject) -> list[httpx.Response]:
    """Return an answer of each kind of conflict about a draft."""
    drafts = at(conversation, "drafts")
    draft = await drafted(alice, conversation, *("a" * 16))
    own = f"{drafts}/{draft['id']}"
    write = {"epoch": 1, "seq": 18, "chunks": ["a"]}
    active = await alice.post(drafts, json={})
    gap = await alice.post(f"{own}/chunks", json=write)
    await alice.post(drafts, json={"id": draft["id"], "supersede": True})
    superseded = await alice.post(f"{own}/chunks", json=write)
    await alice.post(f"{own}/cancel", json={})
    ended = await alice.post(f"{own}/chunks", json=write | {"epoch": 2})
    return [active, gap, superseded, ended]


def without_ids(problem: JsonObject) -> str:
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", json.dumps(problem))


def test_every_example_of_a_problem_is_one(document: JsonObject) -> None:
    for response in document["components"]["responses"].values():
        [content] = response["content"].values()
        assert content["examples"]
        for name, example in content["examples"].items():
            problem = example["value"]
            assert not list(faults(problem, content["schema"], document))
            assert problem["type"] == f"urn:chatkeep:problem:{name}"
