"""Content as a list of parts: kept as it was sent, and translated for models."""

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
from tests.support.json_schema import JsonObject

JSON = {"Content-Type": "application/json"}
TEXT: JsonObject = {"type": "text", "text": "What is this?"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
FILE = {"type": "file", "file": {"file_id": "file-1"}}
REFUSAL = {"type": "refusal", "refusal": "I will not."}
UNKNOWN = {"type": "of_tomorrow", "shape": {"b": 1, "a": [True, None]}}
ALL: list[JsonObject] = [TEXT, IMAGE, AUDIO, FILE, REFUSAL, UNKNOWN]


def shown(*parts: JsonObject, role: str = "user", **fields: Any) -> JsonObject:  # noqa: ANN401
    return {"role": role, "content": [*parts], **fields}


async def test_parts_come_back_as_they_were_sent(alice: Caller) -> None:
    conversation = await started(alice, shown(*ALL))

    [alone] = await appended(alice, conversation, shown(TEXT, IMAGE))
    await appended(alice, conversation, shown(IMAGE), says("plain"))

    history = await listed(alice, at(conversation, "messages"))
    assert [each["content"] for each in history] == [ALL, [TEXT, IMAGE], [IMAGE], "plain"]
    assert alone == history[1]
    one = await alice.get(at(conversation, "messages", alone["id"]))
    assert one.json() == alone


async def test_the_order_of_keys_and_the_digits_of_numbers_stay(alice: Caller) -> None:
    path = at(await started(alice), "messages")
    parts = '[{"z":1.10,"type":"a","y":[1e3,-0,12345678901234567890123],"\\u0000":"\\u0000 🧵"}]'
    spaced = parts.replace(",", " ,\n ").replace(":", ": ").replace("🧵", "\\ud83e\\uddf5")
    body = f'{{"role": "user", "content": {spaced}}}'

    sent = await alice.post(path, content=body.encode(), headers=JSON)

    assert sent.status_code == 201, sent.text
    for response in (sent, await alice.get(path)):
        assert f'"content":{parts},'.encode() in response.content
    exported = await alice.get("/v1/me/export")
    assert json.loads(exported.text)["messages"][0]["parts"] == parts


async def test_parts_can_be_sent_again(alice: Caller) -> None:
    conversation = await started(alice)
    message = shown(TEXT, IMAGE, id=an_id())

    first = await appended(alice, conversation, message)

    assert await appended(alice, conversation, message) == first
    changed = await alice.post(
        at(conversation, "messages"), json=message | {"content": [TEXT, FILE]}
    )
    refused(changed, 409, "id-taken")


async def test_a_wrong_part_is_named_by_its_path(alice: Caller) -> None:
    wrong = {"type": "image_url", "image_url": {"url": None}}
    messages = [says("a"), says("b"), says("c"), shown(TEXT, wrong)]

    response = await alice.post(CONVERSATIONS, json={"messages": messages})

    problem = refused(response, 422, "invalid-value", "messages[3].content[1].image_url.url")
    assert reason(problem) == "must be a string that is not empty"
    assert (await alice.get(CONVERSATIONS)).json()["items"] == []


async def test_limits_count_the_text_of_all_parts(alice: Caller) -> None:
    path = at(await started(alice), "messages")
    half = {"type": "text", "text": "x" * 500}

    response = await alice.post(path, json=shown(half, IMAGE, half))

    problem = refused(response, 422, "limit-exceeded", "content")
    assert "has 1002 characters; the limit is 1000" in reason(problem)
    large = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'A' * 40_000}"}}
    assert (await alice.post(path, json=shown({**half, "text": "x" * 1_000}, large))).is_success


async def test_limits_count_the_bytes_of_the_list_apart() -> None:
    async with serving(settings(max_item_bytes=2_000)) as service:
        caller = service.user("carol")
        path = at(await started(caller), "messages")
        url = f"data:image/png;base64,{'A' * 2_000}"

        response = await caller.post(path, json=shown({**IMAGE, "image_url": {"url": url}}))

        problem = refused(response, 422, "limit-exceeded", "content")
        assert "bytes; the limit is 2000" in reason(problem)


async def test_parts_can_be_replaced(alice: Caller) -> None:
    conversation = await started(alice)
    path = at(conversation, "messages", an_id())

    for content in ([TEXT, IMAGE], [IMAGE], "plain", [UNKNOWN]):
        put = await alice.put(path, json={"role": "user", "content": content})
        assert put.is_success, put.text
        assert put.json()["content"] == content
        assert (await alice.get(path)).json()["content"] == content
    patched = await alice.patch(path, json={"metadata": {"a": 1}})
    assert patched.json()["content"] == [UNKNOWN]


@pytest.mark.parametrize("kind", ["text", "refusal", "image_url", "input_audio", "file", "type"])
@pytest.mark.parametrize("wrong", [None, True, 5, 1.5, "", "x", [], {}, [{}], {"url": []}], ids=str)
async def test_a_member_of_a_wrong_type_is_refused_by_its_name(
    alice: Caller, kind: str, wrong: object
) -> None:
    path = at(await started(alice), "messages")
    part = {"type": wrong} if kind == "type" else {"type": kind, kind: wrong}

    response = await alice.post(path, json=shown(TEXT, part))

    if (kind in {"text", "refusal"} and isinstance(wrong, str)) or (kind, wrong) == ("type", "x"):
        assert response.status_code == 201, response.text
    else:
        problem = response.json()
        assert response.status_code == 422, response.text
        assert problem["errors"][0]["field"].startswith(f"content[1].{kind}")


HOSTILE = {
    "deep nesting": ('[{"type":"a","n":' + "[" * 600 + "]" * 600 + "}]", 422, "is nested more"),
    "nesting without end": ('[{"type":"a","n":' + "[" * 200_000 + "]" * 200_000 + "}]", 422, ""),
    "repeated keys": ('[{"type":"text","text":"a","text":"b"}]', 422, "the key 'text' twice"),
    "thousands of parts": (json.dumps([TEXT] * 5_000), 422, "has 5000 parts; at most 1000"),
    "thousands of values": (json.dumps([{**UNKNOWN, "n": [0] * 200_000}]), 422, "values"),
    "a number out of range": ('[{"type":"a","n":1e999}]', 422, "out of range"),
    "an unpaired surrogate": ('[{"type":"text","text":"\\ud800"}]', 422, "unpaired surrogate"),
    "an unpaired surrogate as key": ('[{"type":"a","\\udc00":1}]', 422, "unpaired surrogate"),
    "not a number": ('[{"type":"a","n":NaN}]', 400, "not JSON"),
    "an end too early": ('[{"type":"text"', 400, "not JSON"),
}


@pytest.mark.parametrize(("content", "status", "why"), HOSTILE.values(), ids=HOSTILE)
async def test_hostile_parts_are_refused(
    alice: Caller, content: str, status: int, why: str
) -> None:
    path = at(await started(alice), "messages")

    response = await alice.post(
        path, content=f'{{"role":"user","content":{content}}}'.encode(), headers=JSON
    )

    assert response.status_code == status, response.text
    assert why in response.text
    assert (await alice.get(path)).json()["items"] == []


async def test_a_data_url_of_nearly_a_mebibyte_is_kept(alice: Caller) -> None:
    conversation = await started(alice)
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'iVBO' * 250_000}"}}

    [message] = await appended(alice, conversation, shown(TEXT, image))

    assert message["content"] == [TEXT, image]
    [found] = await listed(alice, at(conversation, "messages"))
    assert (found == message) is True
    context = (await alice.get(at(conversation, "context") + "?format=anthropic")).json()
    assert context["messages"][0]["content"][1]["source"]["media_type"] == "image/png"


async def test_a_context_has_the_parts_and_names_what_it_leaves_out(alice: Caller) -> None:
    conversation = await started(alice, says("Be kind.", "system"), shown(*ALL))
    [_, message] = await listed(alice, at(conversation, "messages"))

    for_openai = (await alice.get(at(conversation, "context"))).json()
    for_anthropic = (await alice.get(at(conversation, "context") + "?format=anthropic")).json()

    refusal = {"type": "text", "text": "I will not."}
    assert for_openai["messages"][1]["content"] == [TEXT, IMAGE, AUDIO, FILE, refusal]
    assert for_openai["omitted"] == [
        {
            "message_id": message["id"],
            "part": 5,
            "type": "of_tomorrow",
            "reason": "OpenAI's chat API has no part of the type of_tomorrow",
        }
    ]
    source = {"type": "url", "url": "https://example.com/a.png"}
    assert for_anthropic["messages"][0]["content"] == [
        TEXT,
        {"type": "image", "source": source},
        refusal,
    ]
    assert [each["part"] for each in for_anthropic["omitted"]] == [2, 3, 5]


async def test_an_append_may_return_a_context_with_parts(alice: Caller) -> None:
    conversation = await started(alice)

    response = await alice.post(at(conversation, "messages") + "?context=5", json=shown(IMAGE))

    assert response.json()["context"] == {
        "format": "openai",
        "messages": [shown(IMAGE)],
        "truncated": False,
    }


async def test_a_message_of_parts_is_one_of_items(alice: Caller) -> None:
    conversation = await started(alice, shown(TEXT, IMAGE))
    conversation_id = conversation["id"].replace("-", "")

    response = await alice.get(f"/openai/v1/conversations/conv_{conversation_id}/items")

    [item] = response.json()["data"]
    assert item["content"] == [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "detail": "low", "image_url": "https://example.com/a.png"},
    ]
