"""No user sees another's conversations: on every route there is, and on those to come."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from litestar.routes import HTTPRoute

from tests.api.builders import (
    CONVERSATIONS,
    an_id,
    answers,
    appended,
    at,
    calls,
    drafted,
    exported,
    listed,
    refused,
    says,
    started,
)
from tests.api.operations import call, native
from tests.support.application import Caller, Headers, Service
from tests.support.json_schema import JsonObject
from tests.support.openapi_contract import Operation

NAMES_A_CONVERSATION = "conversation_id"


@dataclass(frozen=True)
class Owned:
    """What Alice has stored, and all that she can read of it."""

    conversation: JsonObject
    messages: list[JsonObject]
    draft: JsonObject
    export: list[bytes]

    def ids(self, *, message: int) -> dict[str, str]:
        return {
            "conversation_id": self.conversation["id"],
            "message_id": self.messages[message]["id"],
            "draft_id": self.draft["id"],
            "number": "0",
        }


@pytest.fixture
async def owned(alice: Caller) -> AsyncIterator[Owned]:
    """Yield it, and hold it to be the same, byte for byte, when the test is over."""
    conversation = await started(alice, title="secret title", metadata={"secret": "metadata"})
    messages = await appended(
        alice,
        conversation,
        says("secret text"),
        calls("call_1"),
        answers("call_1"),
        says("secret answer", "assistant"),
    )
    await started(alice, says("secret, too"), title="another secret")
    draft = await drafted(alice, conversation, "secret draft")
    owned = Owned(conversation, messages, draft, await exported(alice))
    yield owned
    read = await alice.get(at(conversation, "drafts", draft["id"]))
    assert (read.json()["draft"], read.json()["text"]) == (draft, "secret draft")
    assert await exported(alice) == owned.export


def routes_of_a_conversation(service: Service) -> list[Operation]:
    """Return them as the application has them, whatever the documentation says."""
    documented = {(each.method, each.path): each for each in native(service.contract)}
    found = [
        documented[method, route.path_format]
        for route in service.app.routes
        if isinstance(route, HTTPRoute)
        and route.path.startswith("/v1/")
        and NAMES_A_CONVERSATION in route.path_parameters
        for method in sorted(route.methods - {"OPTIONS"})
    ]
    assert len(found) >= 9
    return found


async def test_what_is_somebody_elses_looks_like_what_is_not_there(
    service: Service, bob: Caller, owned: Owned
) -> None:
    for operation in routes_of_a_conversation(service):
        for message in range(len(owned.messages)):
            ids = owned.ids(message=message)
            elsewhere = {name: an_id() for name in ids} | {"number": ids["number"]}

            theirs = await call(operation, bob, ids)
            nobodys = await call(operation, bob, elsewhere)

            if operation.described["operationId"] == "getOrCreateConversation":
                # One of Bob's own, with the same id.
                assert theirs.status_code == nobodys.status_code == 201
                assert theirs.json()["message_count"] == 0
                await bob.delete(f"{CONVERSATIONS}/{ids['conversation_id']}")
                continue
            refused(theirs, 404, "not-found")
            text = nobodys.text
            for name, value in ids.items():
                text = text.replace(elsewhere[name], value)
            assert theirs.text == text
            assert "secret" not in theirs.text + str(theirs.headers)


async def test_openais_clients_find_nothing_of_others_either(
    service: Service, alice: Caller, bob: Caller
) -> None:
    """The same for the routes below /openai: whichever body one takes, it answers 404."""
    root = "/openai/v1/conversations"
    bodies: list[JsonObject] = [{"metadata": {}}, {"items": [says("mine")]}]
    made = (await alice.post(root, json=bodies[0] | {"items": [says("secret text")]})).json()
    [item] = (await alice.get(f"{root}/{made['id']}/items")).json()["data"]
    before = [(await alice.get(f"{root}/{made['id']}{end}")).content for end in ("", "/items")]
    routes = [
        (method, route.path_format)
        for route in service.app.routes
        if isinstance(route, HTTPRoute)
        and route.path.startswith(root)
        and NAMES_A_CONVERSATION in route.path_parameters
        for method in sorted(route.methods - {"OPTIONS"})
    ]
    assert len(routes) >= 7

    for method, template in routes:
        path = template.format(conversation_id=made["id"], item_id=item["id"])
        answered = [await bob.request(method, path, json=body) for body in bodies]
        statuses = {each.status_code for each in answered}
        assert 404 in statuses
        assert statuses <= {400, 404}
        assert not any("secret" in each.text for each in answered)

    after = [(await alice.get(f"{root}/{made['id']}{end}")).content for end in ("", "/items")]
    assert after == before


@pytest.mark.parametrize(
    "headers", [{"X-User-Id": "alice"}, [("x-user-id", "ALICE")]], ids=["named", "shouted"]
)
async def test_naming_somebody_else_helps_nobody(
    service: Service, bob: Caller, owned: Owned, headers: Headers
) -> None:
    for operation in routes_of_a_conversation(service):
        path = operation.path.format(**owned.ids(message=0))
        response = await bob.request(operation.method, path, headers, json={})
        refused(response, 403, "insufficient-scope")


async def test_a_service_that_acts_for_bob_sees_what_bob_sees(
    service: Service, bob: Caller, owned: Owned
) -> None:
    backend = service.key(acting_for=bob.user_id)

    for operation in routes_of_a_conversation(service):
        if operation.method != "PUT":
            response = await call(operation, backend, owned.ids(message=0))
            refused(response, 404, "not-found")


async def test_what_is_mine_does_not_open_what_is_theirs(bob: Caller, owned: Owned) -> None:
    """A conversation of Bob's own, with messages of Alice's, and the other way round."""
    mine = await started(bob, says("mine"))
    [message] = await listed(bob, at(mine, "messages"))
    theirs = owned.messages[0]["id"]

    for method in ("GET", "DELETE"):
        for path in (
            at(mine, "messages", theirs),
            at(owned.conversation, "messages", message["id"]),
        ):
            refused(await bob.request(method, path), 404, "not-found")
    for bound in ("after", "before"):
        response = await bob.get(at(mine, "messages"), params={bound: theirs})
        refused(response, 404, "not-found")


async def test_an_id_tells_nothing_about_others(bob: Caller, owned: Owned) -> None:
    """What would be a conflict if it were Bob's is none."""
    message = says("mine", id=owned.messages[0]["id"])

    made = await started(bob, message, id=owned.conversation["id"])

    assert (made["title"], made["message_count"]) == (None, 1)
    assert [each["content"] for each in await listed(bob, at(made, "messages"))] == ["mine"]


async def test_a_cursor_of_mine_leads_through_what_is_yours(
    alice: Caller, bob: Caller, owned: Owned
) -> None:
    await started(alice)
    page = (await alice.get(CONVERSATIONS, params={"limit": 1})).json()
    await alice.delete(at(page["items"][0]))

    found = await bob.get(CONVERSATIONS, params={"cursor": page["next_cursor"]})

    assert found.json() == {"items": [], "next_cursor": None}


async def test_lists_and_counts_are_of_mine_only(bob: Caller, owned: Owned) -> None:
    assert (await bob.get(CONVERSATIONS)).json()["items"] == []
    for status in ("active", "archived"):
        response = await bob.get(CONVERSATIONS, params={"status": status})
        assert response.json()["items"] == []
    assert (await bob.get("/v1/me")).json()["conversations"] == 0


async def test_erasing_oneself_erases_nobody_else(bob: Caller, owned: Owned) -> None:
    await started(bob, id=owned.conversation["id"])

    assert (await bob.delete("/v1/me")).status_code == 204
