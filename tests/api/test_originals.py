"""Tokens, where contexts start, and the client's own document of a message."""

import json
from typing import Any

import pytest

from tests.api.builders import (
    CONVERSATIONS,
    an_id,
    appended,
    at,
    listed,
    reason,
    refused,
    says,
    started,
)
from tests.support.application import Caller, serving, settings

JSON = {"Content-Type": "application/json"}
FORMAT = {"format": "notes"}
TEXTS = {
    "spaces and order": '{ "b" : 1 ,\t"a":[ ] }',
    "line ends": '{"a":\r\n1\n}',
    "repeated keys": '{"a":1,"a":2}',
    "escapes": '{"\\u0061":"\\/\\u00e9é\\ud83e\\uddf5🧵\\u0000"}',
    "noncharacters": '"\ufdd0 \ufdd00 \uffff \u2028"',
    "numbers": f"[1.10,-0,1E5,1e999,{'9' * 4_000}]",
    "a string": '"hello"',
    "false": "false",
    "nested": "[" * 500 + "]" * 500,
}


def written(original: str, **fields: Any) -> str:  # noqa: ANN401 - of any kind
    """Return the body of an append, with this text as the message's original."""
    message = json.dumps(says("hello", **FORMAT, **fields))
    return f'{message[:-1]},"original": {original} }}'


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_an_original_is_returned_byte_for_byte(alice: Caller, text: str) -> None:
    path = at(await started(alice), "messages")
    stored = await alice.post(path, content=written(text).encode(), headers=JSON)
    assert stored.status_code == 201, stored.text
    [message] = stored.json()["messages"]

    page = await alice.get(f"{path}?originals=true")
    one = await alice.get(f"{path}/{message['id']}?originals=true")

    for response in (page, one):
        assert f'"format":"notes","original":{text}}}'.encode() in response.content
    line = json.loads((await alice.get("/v1/me/export")).text)
    assert [each["original"] for each in line["messages"]] == [text]


async def test_an_original_is_only_returned_if_it_is_requested(alice: Caller) -> None:
    first = says("a", **FORMAT, original={"a": 1}, id=an_id())
    conversation = await started(alice, first)
    created = await alice.post(CONVERSATIONS, json={"messages": [first | {"id": an_id()}]})
    path = at(conversation, "messages")
    answer = await alice.post(
        f"{path}?context=5", json=says("b", **FORMAT, original=[2], id=an_id())
    )

    quiet = [answer, created, await alice.get(path), await alice.get(f"{path}/{first['id']}")]
    quiet += [await alice.get(at(conversation, "context"))]

    assert all("original" not in response.text for response in quiet)
    assert [each["format"] for each in answer.json()["messages"]] == ["notes"]
    for order in ("asc", "desc"):
        found = (await alice.get(f"{path}?originals=true&order={order}&limit=1")).json()
        rest = await alice.get(f"{path}?originals=true&limit=1&cursor={found['next_cursor']}")
        originals = [each["original"] for each in found["items"] + rest.json()["items"]]
        assert originals == ([{"a": 1}, [2]] if order == "asc" else [[2], {"a": 1}])


async def test_fields_that_are_empty_are_not_in_answers(alice: Caller) -> None:
    conversation = await started(alice)
    full: dict[str, Any] = {"tokens": 0, "starts_context": True, **FORMAT}
    empty: dict[str, Any] = {
        "tokens": None,
        "starts_context": False,
        "format": None,
        "original": None,
    }

    [first, second] = await appended(alice, conversation, says("a", **full), says("b", **empty))
    one = await alice.post(at(conversation, "messages"), json=says("c", **full))

    assert first == first | full
    assert one.json()["messages"][0] == one.json()["messages"][0] | full
    assert not (full.keys() | {"edited_at", "original"}) & second.keys()
    assert await listed(alice, at(conversation, "messages")) == [
        first,
        second,
        *one.json()["messages"],
    ]


@pytest.mark.parametrize(
    ("fields", "field", "why"),
    [
        ({"tokens": -1}, "tokens", "is -1; at least 0, at most 2147483647"),
        ({"tokens": 2**31}, "tokens", "is 2147483648; at least 0, at most 2147483647"),
        ({"tokens": "7"}, "tokens", "must be an integer or null, not a string"),
        ({"tokens": 1.5}, "tokens", "must be an integer or null, not a number"),
        ({"starts_context": "yes"}, "starts_context", "must be a boolean, not a string"),
        ({"format": 7}, "format", "must be a string or null, not an integer"),
        ({"format": ""}, "format", "must be 1 to 64 ASCII characters without spaces"),
        ({"format": "a b"}, "format", "must be 1 to 64 ASCII characters without spaces"),
        ({"format": "f" * 65}, "format", "must be 1 to 64 ASCII characters without spaces"),
        ({"original": {}}, "format", "is missing: an original needs the name of its format"),
        ({"edited_at": "2026-01-01T00:00:00Z"}, "edited_at", "unknown field"),
        (
            {**FORMAT, "original": json.loads("[" * 501 + "]" * 501)},
            "original",
            "is nested more than 500 levels deep",
        ),
    ],
    ids=lambda given: str(given)[:60],
)
async def test_a_field_that_is_wrong_is_named(
    alice: Caller, fields: dict[str, Any], field: str, why: str
) -> None:
    path = at(await started(alice), "messages")

    alone = await alice.post(path, json=says("a", **fields))
    beside = await alice.post(path, json={"messages": [says("a"), says("b", **fields)]})

    assert reason(refused(alone, 422, "invalid-value", field)).startswith(why)
    assert reason(refused(beside, 422, "invalid-value", f"messages[1].{field}")).startswith(why)
    assert await listed(alice, path) == []


async def test_an_original_that_json_in_utf8_cannot_write_is_refused(alice: Caller) -> None:
    path = at(await started(alice), "messages")

    lone = await alice.post(path, content=written('{"a":["\\ud800"]}'), headers=JSON)
    assert reason(refused(lone, 422, "invalid-value", "original.a[0]")) == (
        "contains an unpaired surrogate"
    )
    for bad in (b'"\xff"', b'"\xed\xa0\x80"'):
        content = written("0").encode().replace(b"0 }", bad + b"}")
        refused(await alice.post(path, content=content, headers=JSON), 400, "malformed-body")
    for bad in (b"NaN", b"01", b"'a'", b"{a:1}", b"[1,]", b'"\x01"'):
        content = written("0").encode().replace(b"0 }", bad + b"}")
        refused(await alice.post(path, content=content, headers=JSON), 400, "malformed-body")
    assert await listed(alice, path) == []


async def test_an_append_sent_again_compares_the_original(alice: Caller) -> None:
    path = at(await started(alice), "messages")
    body = written('{"a": 1}', id=an_id(), tokens=3)
    [stored] = (await alice.post(path, content=body, headers=JSON)).json()["messages"]

    again = await alice.post(path, content=body, headers=JSON)
    other = await alice.post(path, content=body.replace('{"a": 1}', '{"a":1}'), headers=JSON)
    counted = await alice.post(path, content=body.replace('"tokens": 3', '"tokens": 4'))

    assert again.json()["messages"] == [stored]
    refused(other, 409, "id-taken")
    refused(counted, 409, "id-taken")


async def test_a_large_original_is_refused_with_the_limit_that_it_exceeds() -> None:
    async with serving(settings(max_item_bytes=1_000)) as service:
        alice = service.user()
        path = at(await started(alice), "messages")
        body = written(json.dumps("x" * 1_000))
        problem = refused(
            await alice.post(path, content=body, headers=JSON), 422, "limit-exceeded", "original"
        )
        assert "CHATKEEP_MAX_ITEM_BYTES" in problem["detail"]
        fits = await alice.post(path, content=written(json.dumps("x" * 998)), headers=JSON)
        assert fits.status_code == 201


async def test_a_page_with_large_originals_ends_early() -> None:
    async with serving(settings(max_answer_bytes=5_000)) as service:
        alice = service.user()
        large = says("a", **FORMAT, original="x" * 2_000)
        path = at(await started(alice, *[large] * 5), "messages")

        assert len((await alice.get(path)).json()["items"]) == 5
        page = (await alice.get(f"{path}?originals=true")).json()
        assert len(page["items"]) == 2
        rest = await alice.get(f"{path}?originals=true&cursor={page['next_cursor']}")
        assert [len(each["original"]) for each in rest.json()["items"]] == [2_000] * 2
