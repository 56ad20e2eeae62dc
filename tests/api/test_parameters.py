"""Query parameters and cursors that are refused, each by its name."""

import base64
import json
from typing import Any

import pytest

from tests.api.builders import (
    CONVERSATIONS,
    an_id,
    at,
    listed,
    numbered,
    reason,
    refused,
    says,
    started,
)
from tests.support.application import Caller, Service


@pytest.mark.parametrize(
    ("query", "field", "why"),
    [
        ("limit=0", "limit", "must be at least 1"),
        ("limit=-5", "limit", "must be at least 1"),
        ("limit=many", "limit", "must be an integer"),
        ("limit=", "limit", "must be an integer"),
        ("limit", "limit", "must be an integer"),
        ("limit=1.5", "limit", "must be an integer"),
        (f"limit={2**31}", "limit", f"must be at most {2**31 - 1}"),
        ("limit=" + "9" * 5_000, "limit", "contains a number that is out of range"),
        ("limit=5&limit=5", "limit", "is given 2 times; give it once"),
        ("limit=null", "limit", "is null; leave it out instead"),
        ("cursor=null", "cursor", "is null; leave it out instead"),
    ],
)
@pytest.mark.parametrize("path", [CONVERSATIONS, "messages", "context"])
async def test_a_parameter_that_is_wrong_is_named(
    alice: Caller, path: str, query: str, field: str, why: str
) -> None:
    if path == "context" and "cursor" in query:
        return
    where = path if path == CONVERSATIONS else at(await started(alice), path)

    response = await alice.get(f"{where}?{query}")

    assert reason(refused(response, 422, "invalid-value", field)) == why


@pytest.mark.parametrize(
    ("path", "query", "field", "why"),
    [
        ("", "status=deleted", "status", "must be one of active, archived"),
        ("", "status=", "status", "must be one of active, archived"),
        ("", "status=null", "status", "is null; leave it out instead"),
        ("messages", "order=up", "order", "must be one of asc, desc"),
        ("messages", "after=%00", "after", "contains the control character U+0000"),
        ("messages", "before=", "before", "is empty; give 1 to 255 characters"),
        ("messages", "after=..", "after", "is . or .., which clients remove from paths"),
        ("context", "format=gemini", "format", "must be one of openai, anthropic, ai-sdk"),
        ("context", "max_chars=0", "max_chars", "must be at least 1"),
        ("context", "max_chars=x", "max_chars", "must be an integer"),
        ("context", "max_tokens=0", "max_tokens", "must be at least 1"),
        ("context", "max_tokens=1.5", "max_tokens", "must be an integer"),
        ("append", "max_tokens=0", "max_tokens", "must be at least 1"),
        ("messages", "originals=yes", "originals", "must be a boolean"),
        ("append", "context=0", "context", "must be at least 1"),
        ("append", "context=x", "context", "must be an integer"),
        ("append", "max_chars=0", "max_chars", "must be at least 1"),
        ("append", "format=", "format", "must be one of openai, anthropic, ai-sdk"),
    ],
)
async def test_a_parameter_of_one_route_is_named(
    alice: Caller, path: str, query: str, field: str, why: str
) -> None:
    conversation = await started(alice)
    if path == "append":
        response = await alice.post(f"{at(conversation, 'messages')}?{query}", json=says("a"))
    else:
        where = at(conversation, path) if path else CONVERSATIONS
        response = await alice.get(f"{where}?{query}")

    assert reason(refused(response, 422, "invalid-value", field)) == why
    assert (await alice.get(at(conversation))).json()["message_count"] == 0


async def test_every_route_refuses_parameters_it_does_not_have(
    service: Service, alice: Caller
) -> None:
    conversation = await started(alice, says("Hello"))
    [message] = await listed(alice, at(conversation, "messages"))
    for operation in service.contract.operations:
        if not operation.path.startswith("/v1/"):
            continue
        path = operation.path.replace("{conversation_id}", conversation["id"])
        path = path.replace("{message_id}", message["id"]).replace("{user_id}", "grace")
        path = path.replace("{number}", "0")
        caller = service.key() if "users" in path else alice
        response = await caller.request(operation.method, f"{path}?limt=5&x=", json={})

        problem = refused(response, 422, "invalid-value", "limt", "x")
        there_are = [
            each["name"]
            for each in operation.described.get("parameters", [])
            if each["in"] == "query"
        ]
        expected = f"unknown parameter; known here: {', '.join(there_are) or 'none'}"
        assert problem["errors"][0]["detail"] == expected
    assert (await alice.get(at(conversation))).json()["message_count"] == 1


@pytest.mark.parametrize("query", ["", "?", "?&", "?&&"])
async def test_no_parameter_is_no_wrong_one(alice: Caller, query: str) -> None:
    assert (await alice.get(f"{CONVERSATIONS}{query}")).status_code == 200


def cursor(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()


A_TIME = "2026-01-01T00:00:00Z"
BAD_CURSORS = {
    "empty": "",
    "garbage": "abc",
    "no base64": "!!!",
    "base64 and more": f"{cursor(None, A_TIME, an_id())}!!!!",
    "not ASCII": "é",
    "no UTF-8": base64.urlsafe_b64encode(b'["\xff"]').decode(),
    "no JSON": base64.urlsafe_b64encode(b"[").decode(),
    "no list": base64.urlsafe_b64encode(b"{}").decode(),
    "an empty list": cursor(),
    "nested": base64.urlsafe_b64encode(b"[" * 5_000).decode(),
    "no time zone": cursor(None, "2026-01-01T00:00:00", an_id()),
    "another time zone": cursor(None, "0001-01-01T00:00:00+14:00", an_id()),
    "no time": cursor(None, 7, an_id()),
    "no id": cursor(None, A_TIME, "x"),
    "no status": cursor("deleted", A_TIME, an_id()),
    "no order": cursor("up", 1, None),
    "a position before all": cursor("asc", -1, None),
    "a position beyond all": cursor("asc", 2**63, None),
    "a position that is none": cursor("asc", "1", None),
    "a bound that is none": cursor("asc", 1, "\0"),
}


@pytest.mark.parametrize("text", BAD_CURSORS.values(), ids=BAD_CURSORS)
async def test_a_cursor_of_ones_own_is_refused(alice: Caller, text: str) -> None:
    conversation = await started(alice, says("Hello"))

    for path in (CONVERSATIONS, at(conversation, "messages")):
        response = await alice.get(path, params={"cursor": text})
        why = reason(refused(response, 422, "invalid-value", "cursor"))
        assert why == "is not a cursor of this list; use a page's next_cursor"


async def test_a_cursor_is_one_of_its_list(alice: Caller) -> None:
    conversations = [await started(alice, *numbered(2)) for _ in range(2)]
    history = at(conversations[0], "messages")
    of_list = (await alice.get(CONVERSATIONS, params={"limit": 1})).json()["next_cursor"]
    of_history = (await alice.get(history, params={"limit": 1})).json()["next_cursor"]

    for path, text in ((CONVERSATIONS, of_history), (history, of_list)):
        refused(await alice.get(path, params={"cursor": text}), 422, "invalid-value", "cursor")


@pytest.mark.parametrize(
    ("path", "asked", "repeated"),
    [
        (CONVERSATIONS, {"status": "active"}, {"status": "archived"}),
        (CONVERSATIONS, {}, {"status": "active"}),
        ("messages", {"order": "asc"}, {"order": "desc"}),
        ("messages", {"order": "desc"}, {"order": "asc"}),
        ("messages", {}, {"order": "desc"}),
    ],
    ids=str,
)
async def test_a_parameter_does_not_contradict_the_cursor(
    alice: Caller, path: str, asked: dict[str, Any], repeated: dict[str, Any]
) -> None:
    conversations = [await started(alice, *numbered(2)) for _ in range(2)]
    where = path if path == CONVERSATIONS else at(conversations[0], path)
    text = (await alice.get(where, params={"limit": 1} | asked)).json()["next_cursor"]

    response = await alice.get(where, params={"cursor": text} | repeated)

    assert "cursor" in reason(refused(response, 422, "invalid-value", *repeated))
    assert (await alice.get(where, params={"cursor": text} | asked)).status_code == 200
