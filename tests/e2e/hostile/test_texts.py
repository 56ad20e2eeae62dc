"""Every text that is valid Unicode comes back exactly, wherever a caller may put one."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.e2e.hostile.corpus import TEXTS
from tests.support.service_process import ServiceProcess, as_service, as_user

Json = dict[str, Any]


def message_with(text: str) -> tuple[Json, Json]:
    """Return two messages with the text wherever there may be one, a call and its result."""
    short = text[:255]
    call = {
        "id": short,
        "type": "function",
        "function": {"name": short, "arguments": text, text: text},
        text + " more": [text, {text: text}],
    }
    metadata = {text: text, "in": {text: [text, {"deeper": text}]}}
    assistant = {
        "role": "assistant",
        "content": text,
        "name": short,
        "tool_calls": [call],
        "metadata": metadata,
    }
    tool = {"role": "tool", "tool_call_id": short, "content": text, "name": short}
    return assistant, tool


@pytest.mark.parametrize(
    "written",
    [
        lambda value: json.dumps(value, ensure_ascii=False).encode(),
        lambda value: json.dumps(value, ensure_ascii=True).encode(),
    ],
    ids=["as UTF-8", "with escapes"],
)
async def test_messages_and_titles_come_back_as_they_were_sent(
    service: ServiceProcess, alice: str, written: Callable[[Any], bytes]
) -> None:
    headers = as_user(alice) | {"Content-Type": "application/json"}
    for start in range(0, len(TEXTS), 25):
        texts = TEXTS[start : start + 25]
        messages = [message for text in texts for message in message_with(text)]
        title = texts[0][:200]
        created = await service.http.post(
            "/v1/conversations",
            content=written({"title": title, "metadata": {title: title}}),
            headers=headers,
        )
        assert created.status_code == 201, created.text
        path = f"/v1/conversations/{created.json()['id']}"

        appended = await service.http.post(
            f"{path}/messages?context=100", content=written({"messages": messages}), headers=headers
        )

        assert appended.status_code == 201, appended.text[:500]
        history = await service.call("GET", f"{path}/messages?limit=100", headers=headers)
        for answered in (appended.json()["messages"], history["items"]):
            found = [
                {key: each[key] for key in given}
                for given, each in zip(messages, answered, strict=True)
            ]
            assert found == messages
        context = await service.call("GET", f"{path}/context?limit=100", headers=headers)
        assert context["messages"] == appended.json()["context"]["messages"]
        found = [each["content"] for each in context["messages"]]
        assert found == [each["content"] for each in messages]
        conversation = await service.call("GET", path, headers=headers)
        assert (conversation["title"], conversation["metadata"]) == (title, {title: title})


async def test_a_conversation_is_renamed_to_any_text(service: ServiceProcess, alice: str) -> None:
    headers = as_user(alice)
    path = f"/v1/conversations/{uuid4()}"
    await service.call("PUT", path, headers=headers)
    for text in TEXTS:
        title = text[:200]
        changed = await service.call(
            "PATCH", path, {"title": title, "metadata": {text: title}}, headers=headers
        )
        assert (changed["title"], changed["metadata"]) == (title, {text: title})


async def test_a_user_may_have_any_id_but_one_with_nul(service: ServiceProcess) -> None:
    for text in TEXTS:
        user_id = text[:255]
        path = f"/v1/users/{quote(user_id, safe='')}"
        if "\x00" in user_id:
            problem = await service.call("PUT", path, headers=as_service(), status=422)
            assert [each["field"] for each in problem["errors"]] == ["user_id"]
            continue
        await service.http.delete(path, headers=as_service())  # other tests may have left one
        added = await service.call("PUT", path, headers=as_service(), status=201)
        assert added == {"id": user_id}
        usage = await service.call("GET", "/v1/me", headers=as_user(user_id))
        assert usage["user_id"] == user_id
        await service.call("DELETE", path, headers=as_service(), status=204)


@pytest.mark.parametrize("written", [r"\ud800", r"\udfff", r"a\udc00b", r"\udbff\ud800"])
async def test_half_of_a_surrogate_pair_is_refused_by_its_field(
    service: ServiceProcess, alice: str, written: str
) -> None:
    half = json.loads(f'"{written}"')
    headers = as_user(alice) | {"Content-Type": "application/json"}
    path = f"/v1/conversations/{uuid4()}"
    await service.call("PUT", path, headers=headers)
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": half}}
    for body, field in (
        ({"role": "user", "content": half}, "content"),
        ({"role": "user", "content": "x", "name": half}, "name"),
        ({"role": "tool", "content": "x", "tool_call_id": half}, "tool_call_id"),
        ({"role": "user", "content": "x", "metadata": {"a": [half]}}, "metadata.a[0]"),
        ({"role": "user", "content": "x", "metadata": {half: 1}}, "metadata"),
        ({"role": "assistant", "tool_calls": [call]}, "tool_calls[0].function.arguments"),
        ({"messages": [{"role": "user", "content": half}]}, "messages[0].content"),
    ):
        refused = await service.http.post(
            f"{path}/messages", content=json.dumps(body), headers=headers
        )
        assert refused.status_code == 422, refused.text
        assert [each["field"] for each in refused.json()["errors"]] == [field]
    assert (await service.call("GET", path, headers=headers))["message_count"] == 0
