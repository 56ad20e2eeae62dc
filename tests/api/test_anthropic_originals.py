"""Messages of Anthropic's Messages API, sent alone as originals."""

from typing import Any

import pytest

from tests.api.builders import CONVERSATIONS, at, listed, reason, refused, started
from tests.support.application import Caller

USE = {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"q": "x"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "broken", "is_error": True}
THINKING = {"type": "thinking", "thinking": "hm", "signature": "s"}
ANSWER = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [THINKING, {"type": "text", "text": "looking"}, USE],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
QUESTION = {"role": "user", "content": "Find x."}


def sends(document: object, **fields: object) -> dict[str, Any]:
    return {"format": "anthropic", "original": document, **fields}


async def test_they_are_read_and_come_back_as_they_were(alice: Caller) -> None:
    documents = [QUESTION, ANSWER, {"role": "user", "content": [RESULT]}]
    conversation = await started(alice, *map(sends, documents))

    found = await listed(alice, at(conversation, "messages"), originals="true")
    context = (await alice.get(at(conversation, "context"), params={"format": "anthropic"})).json()

    assert [each["original"] for each in found] == documents
    assert [(each["role"], each["content"]) for each in found] == [
        ("user", "Find x."),
        ("assistant", "looking"),
        ("tool", "broken"),
    ]
    assert found[1]["tool_calls"][0]["function"]["name"] == "find"
    assert found[1]["metadata"] == {}
    assert context["messages"] == [
        QUESTION,
        {"role": "assistant", "content": [{"type": "text", "text": "looking"}, USE]},
        documents[2],
    ]


async def test_fields_that_are_given_go_before_those_of_the_document(alice: Caller) -> None:
    given = sends(ANSWER, content="seen", metadata={"a": 1}, id="m1")
    conversation = await started(alice, given)
    [found] = await listed(alice, at(conversation, "messages"))
    assert (found["id"], found["content"], found["metadata"]) == ("m1", "seen", {"a": 1})
    assert found["tool_calls"] is None


@pytest.mark.parametrize(
    ("document", "field", "why"),
    [
        ([QUESTION], "original", "must be an object"),
        ({"content": "a"}, "original.role", "is missing"),
        ({"role": "tool", "content": "a"}, "original.role", "not one of"),
        ({"role": "user", "content": 5}, "original.content", "must be a string or an array"),
        (
            {"role": "assistant", "content": [{"type": "tool_use", "name": "x"}]},
            "original.content[0].id",
            "is missing",
        ),
        (
            {"role": "user", "content": [RESULT, {"type": "text", "text": "and?"}]},
            "original.content",
            "is 2 messages",
        ),
        (
            {"role": "user", "content": [RESULT, RESULT | {"tool_use_id": "toolu_2"}]},
            "original.content",
            "separate original",
        ),
    ],
)
async def test_a_wrong_one_is_refused_by_the_field_in_it(
    alice: Caller, document: object, field: str, why: str
) -> None:
    created = await alice.post(CONVERSATIONS, json={"messages": [sends(document)]})
    assert why in reason(refused(created, 422, "invalid-value", f"messages[0].{field}"))
