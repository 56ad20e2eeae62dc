"""What to hand to the model next, over HTTP: beside an append, or asked for."""

import pytest

from tests.api.builders import (
    an_id,
    answers,
    appended,
    at,
    calls,
    numbered,
    refused,
    says,
    started,
)
from tests.support.application import Caller
from tests.support.json_schema import JsonObject

A_TURN_WITH_A_TOOL = [
    says("Be kind.", "system"),
    says("Where is it?", name="Alice"),
    calls("call_1", content="Looking.", arguments='{"number": 7}'),
    answers("call_1", "shipped"),
    says("It is shipped.", "assistant"),
]


def contents(context: JsonObject) -> list[str]:
    return [each["content"] for each in context["messages"]]


async def context_of(caller: Caller, conversation: JsonObject, query: str = "") -> JsonObject:
    response = await caller.get(f"{at(conversation, 'context')}{query}")
    assert response.status_code == 200, response.text
    found: JsonObject = response.json()
    return found


@pytest.mark.parametrize("query", ["", "?format=openai"])
async def test_it_is_a_request_to_openai_unless_said(alice: Caller, query: str) -> None:
    conversation = await started(alice, *A_TURN_WITH_A_TOOL)

    context = await context_of(alice, conversation, query)

    assert context == {"format": "openai", "messages": A_TURN_WITH_A_TOOL, "truncated": False}


async def test_it_can_be_a_request_to_anthropic(alice: Caller) -> None:
    conversation = await started(alice, *A_TURN_WITH_A_TOOL)

    context = await context_of(alice, conversation, "?format=anthropic")

    asked = {"type": "tool_use", "id": "call_1", "name": "look", "input": {"number": 7}}
    told = {"type": "tool_result", "tool_use_id": "call_1", "content": "shipped"}
    assert context == {
        "format": "anthropic",
        "system": "Be kind.",
        "messages": [
            {"role": "user", "content": "Where is it?"},
            {"role": "assistant", "content": [{"type": "text", "text": "Looking."}, asked]},
            {"role": "user", "content": [told]},
            {"role": "assistant", "content": "It is shipped."},
        ],
        "truncated": False,
    }


@pytest.mark.parametrize("form", ["openai", "anthropic"])
async def test_of_an_empty_conversation_it_is_empty(alice: Caller, form: str) -> None:
    context = await context_of(alice, await started(alice), f"?format={form}")

    assert (context["format"], context["messages"], context["truncated"]) == (form, [], False)


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", 20), ("?limit=1", 1), ("?limit=24", 24), ("?limit=25", 25), ("?limit=100", 25)],
)
async def test_it_has_the_last_messages_and_says_when_there_are_more(
    alice: Caller, query: str, expected: int
) -> None:
    conversation = await started(alice, *numbered(25))

    context = await context_of(alice, conversation, query)

    assert contents(context) == [each["content"] for each in numbered(25)[-expected:]]
    assert context["truncated"] is (expected < 25)


async def test_the_opening_instructions_stay_in_front(alice: Caller) -> None:
    opening = [says("Be kind.", "system"), says("Be brief.", "developer")]
    conversation = await started(alice, *opening, *numbered(5))

    context = await context_of(alice, conversation, "?limit=2")

    assert contents(context) == ["Be kind.", "Be brief.", "message 3", "message 4"]


@pytest.mark.parametrize(
    ("max_chars", "expected"),
    [(1, []), (8, []), (9, ["message 4"]), (26, 2), (27, 3), (45, 5), (44, 4)],
)
async def test_characters_can_be_bounded(
    alice: Caller, max_chars: int, expected: int | list[str]
) -> None:
    conversation = await started(alice, *numbered(5))
    kept = len(expected) if isinstance(expected, list) else expected

    context = await context_of(alice, conversation, f"?max_chars={max_chars}")

    assert len(context["messages"]) == kept
    assert contents(context) == [each["content"] for each in numbered(5)[5 - kept :]]
    assert context["truncated"] is (kept < 5)


@pytest.mark.parametrize("limit", range(1, 9))
async def test_calls_and_results_come_in_pairs_or_not_at_all(alice: Caller, limit: int) -> None:
    conversation = await started(
        alice,
        says("one"),
        calls("call_1", "call_2"),
        answers("call_1"),
        answers("call_2"),
        says("two"),
        calls("call_3"),
        answers("call_3"),
        calls("call_4"),
    )

    context = await context_of(alice, conversation, f"?limit={limit}")

    asked = [call["id"] for each in context["messages"] for call in each.get("tool_calls", [])]
    told = [each["tool_call_id"] for each in context["messages"] if each["role"] == "tool"]
    assert asked == told
    assert ("call_3" in asked) == (limit >= 3)
    assert ("call_1" in asked) == (limit >= 7)
    assert "call_4" not in asked


@pytest.mark.parametrize(
    "rest",
    [
        *("", "&format=anthropic", "&max_chars=20", "&max_chars=30&format=anthropic"),
        *("&max_tokens=16", "&max_tokens=40&max_chars=30"),
    ],
)
@pytest.mark.parametrize("number", [1, 2, 4, 100])
async def test_beside_an_append_it_is_the_same(alice: Caller, number: int, rest: str) -> None:
    conversation = await started(alice, *A_TURN_WITH_A_TOOL)

    response = await alice.post(
        f"{at(conversation, 'messages')}?context={number}{rest}", json=says("And now?")
    )

    assert response.status_code == 201
    assert [each["content"] for each in response.json()["messages"]] == ["And now?"]
    assert response.json()["context"] == await context_of(
        alice, conversation, f"?limit={number}{rest}"
    )
    assert response.json()["context"]["messages"][-1:] == [says("And now?")]


async def test_beside_an_append_that_is_sent_again_it_is_the_present_one(alice: Caller) -> None:
    conversation = await started(alice)
    path = f"{at(conversation, 'messages')}?context=5"
    message = says("first", id=an_id())
    await alice.post(path, json=message)
    await appended(alice, conversation, says("second", "assistant"))

    again = (await alice.post(path, json=message)).json()

    assert [each["content"] for each in again["messages"]] == ["first"]
    assert contents(again["context"]) == ["first", "second"]


@pytest.mark.parametrize(("max_tokens", "kept"), [(1, 0), (7, 1), (13, 1), (14, 2), (1_004, 4)])
async def test_tokens_can_be_bounded(alice: Caller, max_tokens: int, kept: int) -> None:
    """Each message is 4 tokens, and 3 of text; the first has as many as its author says."""
    conversation = await started(alice, says("message 0", tokens=983), *numbered(4)[1:])

    context = await context_of(alice, conversation, f"?max_tokens={max_tokens}")

    assert contents(context) == [each["content"] for each in numbered(4)[4 - kept :]]
    assert context["truncated"] is (kept < 4)


@pytest.mark.parametrize("form", ["openai", "anthropic"])
async def test_a_summary_replaces_what_came_before_it(alice: Caller, form: str) -> None:
    conversation = await started(alice, says("Be kind.", "system"), *numbered(6))
    summary = says("They counted to 5.", "user", starts_context=True)

    response = await alice.post(
        f"{at(conversation, 'messages')}?context=20&format={form}", json=summary
    )
    await appended(alice, conversation, says("And then?", "assistant"))
    context = await context_of(alice, conversation, f"?format={form}")

    [stored] = response.json()["messages"]
    assert stored["starts_context"] is True
    for found, last in ((response.json()["context"], 1), (context, 2)):
        texts = ["They counted to 5.", "And then?"][:last]
        assert contents(found) == (["Be kind."] if form == "openai" else []) + texts
        assert found == found | {"truncated": False, "starts_at": stored["id"], "replaced": 6}
    further_back = await context_of(alice, conversation, f"?limit=1&format={form}")
    assert further_back == context


async def test_an_encrypted_summary_of_openai_replaces_nothing(alice: Caller) -> None:
    """No other model could read it, so what it stands for would be lost."""
    conversation = await started(alice, *numbered(2))
    items = [{"type": "compaction", "encrypted_content": "x"}, {"role": "user", "content": "Go"}]
    path = f"/openai/v1/conversations/conv_{conversation['id'].replace('-', '')}/items"
    response = await alice.post(path, json={"items": items})
    assert response.status_code == 200, response.text

    context = await context_of(alice, conversation)

    assert contents(context) == ["message 0", "message 1", "Go"]
    assert (context["truncated"], "starts_at" in context) == (False, False)


@pytest.mark.parametrize("query", ["", "?limit=5", "?format=anthropic"])
async def test_there_is_none_of_no_conversation(alice: Caller, query: str) -> None:
    response = await alice.get(f"{at({'id': an_id()}, 'context')}{query}")

    refused(response, 404, "not-found")
