"""A change with `If-Match` is made once, although the answer of the database is lost."""

from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.neon.service import ChatBackend, service
from tests.support.relay import Relay, once

OWN, KEYED = str(uuid4()), {"Idempotency-Key": "8a1f"}
APPENDS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "one": ({"role": "user", "content": "the lost one"}, {}),
    "with an id": ({"role": "user", "content": "the lost one", "id": OWN}, {}),
    "several": ({"messages": [{"role": "user", "content": "the lost one"}] * 3}, {}),
    "with a key": ({"role": "user", "content": "the lost one"}, KEYED),
}


async def revision_of(caller: ChatBackend, path: str) -> int:
    revision: int = (await caller.call("GET", path)).json()["revision"]
    return revision


@pytest.mark.parametrize("which", APPENDS)
async def test_an_append_is_stored_once(relay: Relay, which: str) -> None:
    body, headers = APPENDS[which]
    headers = headers | {"If-Match": '"1"'}
    async with service(relay.url()) as caller:
        path = f"/v1/conversations/{await caller.start()}"
        relay.cut_when(once(lambda request: b"the lost one" in request))

        answer = await caller.http.post(f"{path}/messages", json=body, headers=headers)
        history = (await caller.call("GET", f"{path}/messages")).json()["items"]

        assert (answer.status_code, answer.headers["etag"]) == (201, '"2"')
        assert [each["id"] for each in history] == [
            each["id"] for each in answer.json()["messages"]
        ]
        assert await revision_of(caller, path) == 2

        if which in {"with an id", "with a key"}:  # the client may send it again as well
            again = await caller.http.post(f"{path}/messages", json=body, headers=headers)
            assert (again.status_code, again.json()) == (201, answer.json())


async def test_a_change_is_made_once(relay: Relay) -> None:
    async with service(relay.url()) as caller:
        path = f"/v1/conversations/{await caller.start()}"
        relay.cut_when(once(lambda request: b"the lost title" in request))

        answer = await caller.http.patch(
            path, json={"title": "the lost title"}, headers={"If-Match": '"1"'}
        )

        assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
        assert answer.json()["title"] == "the lost title"
        assert await revision_of(caller, path) == 2


async def test_a_deletion_is_a_success(relay: Relay) -> None:
    async with service(relay.url()) as caller:
        conversation, message = await caller.start(), uuid4()
        await caller.say(conversation, "hello", message=message)
        path = f"/v1/conversations/{conversation}"
        for target, expected in ((f"{path}/messages/{message}", '"2"'), (path, '"3"')):
            relay.cut_when(once(lambda request: request[:1] == b"B"))

            answer = await caller.http.delete(target, headers={"If-Match": expected})

            assert answer.status_code == 204, answer.text
        assert (await caller.list()).json()["items"] == []


async def test_a_create_with_a_key_is_one_conversation(relay: Relay) -> None:
    async with service(relay.url()) as caller:
        relay.cut_when(once(lambda request: b"Lunch" in request))

        answers = [
            await caller.http.post("/v1/conversations", json={"title": "Lunch"}, headers=KEYED)
            for _ in range(2)
        ]
        listed = (await caller.list()).json()["items"]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert len(listed) == 1
