"""How a context looks in a request to OpenAI and to Anthropic."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given

from chatkeep.domain.context import Context, select
from chatkeep.domain.formats.table import Format
from chatkeep.domain.model import JsonText, Message, Role
from chatkeep.entrypoints.http.model_formats import ModelContext, context_answer
from tests.unit.histories import (
    assistant,
    conversation,
    histories,
    limits,
    max_chars,
    said,
    system,
    tool,
    user,
    window,
)
from tests.unit.provider_rules import check_anthropic, check_openai

Shape = Callable[[Context], ModelContext]


def openai(context: Context) -> ModelContext:
    return context_answer(context, Format.OPENAI)


def anthropic(context: Context) -> ModelContext:
    return context_answer(context, Format.ANTHROPIC)


def body(context: ModelContext) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(msgspec.json.encode(context))
    return decoded


def openai_of(*messages: Message) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = body(openai(context_of(*messages)))["messages"]
    check_openai(answer)
    return answer


def anthropic_of(*messages: Message) -> list[dict[str, Any]]:
    answer = body(anthropic(context_of(*messages)))
    check_anthropic(answer["system"], answer["messages"])
    turns: list[dict[str, Any]] = answer["messages"]
    return turns


def context_of(*messages: Message) -> Context:
    return select(window(conversation(*messages), 100))


def test_openai_gets_the_conversation_as_it_is() -> None:
    history = conversation(
        system("Be kind."),
        said(Role.USER, "Weather?", name="alice"),
        assistant(None, "a", arguments='{"city": "Kyiv"}'),
        tool("a", "Sunny"),
        assistant("Sunny."),
    )

    assert body(openai(select(window(history, 20)))) == {
        "format": "openai",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Weather?", "name": "alice"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "a",
                        "type": "function",
                        "function": {"name": "look_up", "arguments": '{"city": "Kyiv"}'},
                    }
                ],
            },
            {"role": "tool", "content": "Sunny", "tool_call_id": "a"},
            {"role": "assistant", "content": "Sunny."},
        ],
        "truncated": False,
    }


def test_anthropic_gets_the_same_conversation_in_turns() -> None:
    history = conversation(
        system("Be kind."),
        said(Role.USER, "Weather?", name="alice"),
        assistant(None, "a", arguments='{"city": "Kyiv"}'),
        tool("a", "Sunny"),
        assistant("Sunny."),
    )

    assert body(anthropic(select(window(history, 20)))) == {
        "format": "anthropic",
        "system": "Be kind.",
        "messages": [
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "a", "name": "look_up", "input": {"city": "Kyiv"}}
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "a", "content": "Sunny"}],
            },
            {"role": "assistant", "content": "Sunny."},
        ],
        "truncated": False,
    }


@pytest.mark.parametrize("shape", [openai, anthropic])
def test_a_context_says_whether_it_is_truncated(shape: Shape) -> None:
    history = conversation(user("1"), user("2"))

    assert not body(shape(select(window(history, 2))))["truncated"]
    assert body(shape(select(window(history, 1))))["truncated"]


@pytest.mark.parametrize("shape", [openai, anthropic])
def test_an_empty_conversation_is_an_empty_context(shape: Shape) -> None:
    assert body(shape(context_of()))["messages"] == []


@pytest.mark.parametrize("name", ["two words", "<a>", "a|b", "a\\b", "a/b", "", "x" * 65, "a\n"])
def test_openai_is_not_sent_a_name_that_it_refuses(name: str) -> None:
    assert openai_of(said(Role.USER, "Hello", name=name)) == [{"role": "user", "content": "Hello"}]


def test_openai_is_not_sent_an_empty_list_of_calls() -> None:
    assert openai_of(said(Role.ASSISTANT, "Hello", tool_calls="[]")) == [
        {"role": "assistant", "content": "Hello"}
    ]


def test_openai_is_not_sent_what_does_not_belong_to_a_role() -> None:
    assert openai_of(said(Role.USER, "Hello", tool_calls="[5]", tool_call_id="a")) == [
        {"role": "user", "content": "Hello"}
    ]


def test_anthropic_finds_all_system_texts_in_system() -> None:
    context = context_of(
        system("Be kind."),
        said(Role.DEVELOPER, "Be short."),
        user("Hello"),
        system(" "),
        system("Say goodbye."),
        user("Bye"),
    )

    answer = body(anthropic(context))

    assert answer["system"] == "Be kind.\n\nBe short.\n\nSay goodbye."
    assert [turn["role"] for turn in answer["messages"]] == ["user"]


def test_anthropic_has_no_system_without_system_texts() -> None:
    assert body(anthropic(context_of(system("\n"), user("Hello"))))["system"] is None


def test_anthropic_gets_neighbours_of_one_role_as_one_turn() -> None:
    assert anthropic_of(user("1"), user("2"), assistant("3"), user(""), assistant("4")) == [
        {"role": "user", "content": [text("1"), text("2")]},
        {"role": "assistant", "content": [text("3"), text("4")]},
    ]


def test_anthropic_gets_results_before_the_text_that_followed_them() -> None:
    answer = anthropic_of(
        user("1"), assistant("2", "a", "b"), tool("b", "B"), tool("a", "A"), user("3")
    )

    assert kinds(answer[1]) == ["text", "tool_use", "tool_use"]
    assert kinds(answer[2]) == ["tool_result", "tool_result", "text"]


@pytest.mark.parametrize(
    ("metadata", "is_error"),
    [
        ('{"anthropic":{"is_error":true}}', True),
        ('{"claude-ai":{"is_error":true,"id":"a"}}', True),
        ('{"anthropic":{"is_error":"true"}}', False),
        ('{"anthropic":["is_error"]}', False),
        ('{"is_error":true}', False),
        ("{}", False),
    ],
)
def test_anthropic_is_told_that_a_call_failed(metadata: str, *, is_error: bool) -> None:
    failed = tool("c1", "no")._replace(metadata=JsonText(metadata))
    result = anthropic_of(user("q"), assistant(None, "c1"), failed)[-1]["content"][0]
    assert result.get("is_error", False) is is_error
    silent = failed._replace(content="")
    assert (
        "is_error" not in anthropic_of(user("q"), assistant(None, "c1"), silent)[-1]["content"][0]
    )


def test_anthropic_begins_with_the_user() -> None:
    answer = anthropic_of(
        user(" "), assistant("Welcome!"), assistant(None, "a"), tool("a", "A"), user("Hello")
    )

    assert answer == [{"role": "user", "content": "Hello"}]


def test_anthropic_gets_no_blank_texts() -> None:
    answer = anthropic_of(user("1"), assistant("\n", "a"), tool("a", " "), user("\t"), user("2"))

    assert kinds(answer[1]) == ["tool_use"]
    assert answer[2]["content"] == [{"type": "tool_result", "tool_use_id": "a"}, text("2")]


def test_anthropic_gets_a_closing_assistant_turn_without_trailing_space() -> None:
    assert anthropic_of(user("1 "), assistant("2 "), assistant("3 \n")) == [
        {"role": "user", "content": "1 "},
        {"role": "assistant", "content": [text("2 "), text("3")]},
    ]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ('{"city": "Kyiv"}', {"city": "Kyiv"}),
        (' {"n": 1e3} ', {"n": 1000}),
        ("{}", {}),
        ("", {}),
        ("[1]", {"arguments": "[1]"}),
        ('"text"', {"arguments": '"text"'}),
        ('{"half": ', {"arguments": '{"half": '}),
        ('{"raw": "\n"}', {"arguments": '{"raw": "\n"}'}),
        ('{"lone": "\\ud800"}', {"arguments": '{"lone": "\\ud800"}'}),
        ('{"n": NaN}', {"arguments": '{"n": NaN}'}),
        ('{"n":' * 5_000 + "1" + "}" * 5_000, {"arguments": '{"n":' * 5_000 + "1" + "}" * 5_000}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_anthropic_gets_arguments_as_an_object(arguments: str, given: object) -> None:
    answer = anthropic_of(user("1"), assistant(None, "a", arguments=arguments), tool("a", "A"))

    assert answer[1]["content"][0]["input"] == given


def test_anthropic_gets_the_text_for_a_custom_tool_as_an_object() -> None:
    call = '{"id": "a", "type": "custom", "custom": {"name": "run", "input": "{}"}}'
    asks = said(Role.ASSISTANT, None, tool_calls=f"[{call}]")

    answer = anthropic_of(user("1"), asks, tool("a", "A"))

    assert answer[1]["content"][0]["input"] == {"input": "{}"}


def test_anthropic_gets_each_id_once_and_the_first_as_it_was() -> None:
    search = [assistant(None, "a"), tool("a", "A")]

    answer = anthropic_of(user("1"), *search, user("2"), *search)

    first, second = answer[1]["content"][0]["id"], answer[3]["content"][0]["id"]
    assert first == "a"
    assert second != "a"
    assert answer[4]["content"][0]["tool_use_id"] == second


@pytest.mark.parametrize("call_id", ["no good", "ünique", "x" * 65, "a\n"])
def test_anthropic_gets_another_id_for_one_that_it_refuses(call_id: str) -> None:
    answer = anthropic_of(user("1"), assistant(None, call_id), tool(call_id, "A"))

    assert answer[1]["content"][0]["id"] == answer[2]["content"][0]["tool_use_id"] != call_id


def test_a_new_id_stays_the_same_when_the_window_slides() -> None:
    search = [assistant(None, "no good"), tool("no good", "A")]
    history = conversation(user("1"), *search, user("2"), *search, user("3"))

    whole, later = (body(anthropic(select(window(history, limit))))["messages"] for limit in (7, 4))

    assert kinds(later[1]) == ["tool_use"]
    assert later[1] == whole[3]


def test_a_new_id_is_none_that_is_in_use() -> None:
    taken = anthropic_of(user("1"), user("2"), user("3"), assistant(None, " "), tool(" ", "A"))
    taken_id = taken[1]["content"][0]["id"]

    answer = anthropic_of(
        user("1"),
        assistant(None, taken_id),
        tool(taken_id, "A"),
        assistant(None, " "),
        tool(" ", ""),
    )

    assert answer[1]["content"][0]["id"] == taken_id
    assert answer[3]["content"][0]["id"] != taken_id


@pytest.mark.parametrize(
    ("name", "given"), [("weather.gét", "weather_g_t"), ("f\n", "f_"), ("n" * 200, "n" * 128)]
)
def test_anthropic_gets_another_name_for_a_tool_whose_name_it_refuses(
    name: str, given: str
) -> None:
    call = {"id": "a", "type": "function", "function": {"name": name, "arguments": "{}"}}
    asks = said(Role.ASSISTANT, None, tool_calls=json.dumps([call]))

    answer = anthropic_of(user("1"), asks, tool("a", "A"))

    assert answer[1]["content"][0]["name"] == given


def test_any_character_passes_untouched() -> None:
    odd = "\x00 🧵 \u2028 é"

    assert openai_of(user(odd))[0]["content"] == odd
    assert anthropic_of(user(odd))[0]["content"] == odd


@given(history=histories(), limit=limits, chars=max_chars)
def test_openai_accepts_the_context_of_any_history(
    history: tuple[Message, ...], limit: int, chars: int | None
) -> None:
    context = select(window(history, limit), max_chars=chars)

    answer = body(openai(context))

    check_openai(answer["messages"])
    assert [message["content"] for message in answer["messages"]] == [
        message.content for message in context.messages
    ]


@given(history=histories(), limit=limits, chars=max_chars)
def test_anthropic_accepts_the_context_of_any_history(
    history: tuple[Message, ...], limit: int, chars: int | None
) -> None:
    answer = body(anthropic(select(window(history, limit), max_chars=chars)))

    check_anthropic(answer["system"], answer["messages"])


@given(history=histories(), limit=limits)
def test_anthropic_is_told_everything_since_the_user_first_spoke(
    history: tuple[Message, ...], limit: int
) -> None:
    context = select(window(history, limit))

    told = [
        block.get("text") or block.get("content")
        for turn in body(anthropic(context))["messages"]
        for block in blocks(turn)
    ]
    said_since: list[str] = []
    for message in context.messages:
        if message.role in {Role.SYSTEM, Role.DEVELOPER} or not (message.content or "").strip():
            continue
        if said_since or message.role is Role.USER:
            said_since.append(message.content or "")
    assert [part.rstrip() for part in told if part] == [part.rstrip() for part in said_since]


def text(content: str) -> dict[str, str]:
    return {"type": "text", "text": content}


def kinds(turn: dict[str, Any]) -> list[str]:
    return [block["type"] for block in blocks(turn)]


def blocks(turn: dict[str, Any]) -> list[dict[str, Any]]:
    content = turn["content"]
    return [text(content)] if isinstance(content, str) else content
