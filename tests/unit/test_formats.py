"""OpenAI's, ShareGPT's and Anthropic's formats, and which is which."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats import anthropic, chatkeep, openai_chat, sharegpt
from chatkeep.domain.formats.codec import Line
from chatkeep.domain.formats.table import READERS, FileFormat, read_any
from chatkeep.domain.model import NewMessage, Role
from chatkeep.entrypoints.formats.decoding import decode

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
USE = {"type": "tool_use", "id": "tu1", "name": "find", "input": {"q": "x"}}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}


def sent(value: object) -> object:
    """Return the document of a file that has this value."""
    return decode(json.dumps(value).encode())


def shape(message: NewMessage) -> tuple[str, str | None]:
    return message.role.value, message.content


def metadata(of: Line | NewMessage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(of.metadata)
    return found


def calls(message: NewMessage) -> Any:  # noqa: ANN401 - any JSON
    return json.loads(message.tool_calls or "[]")


# OpenAI


def test_members_that_have_no_place_are_kept_under_openai() -> None:
    found = openai_chat.read(
        sent(
            {
                "messages": [
                    {"role": "system", "content": "Be kind."},
                    {"role": "user", "content": "hello", "name": "ada"},
                    {"role": "assistant", "content": "hi", "weight": 0},
                ],
                "tools": [{"type": "function"}],
                "parallel_tool_calls": False,
            }
        )
    )
    assert [shape(m) for m in found.messages] == [
        ("system", "Be kind."),
        ("user", "hello"),
        ("assistant", "hi"),
    ]
    assert found.messages[1].name == "ada"
    assert metadata(found.messages[2]) == {"openai": {"weight": 0}}
    assert metadata(found) == {
        "openai": {"tools": [{"type": "function"}], "parallel_tool_calls": False}
    }


def test_functions_of_old_become_tools() -> None:
    old = {"name": "find", "arguments": "{}"}
    found = openai_chat.read(
        sent(
            {
                "messages": [
                    {"role": "assistant", "content": None, "function_call": old},
                    {"role": "function", "name": "find", "content": "found"},
                ]
            }
        )
    )
    call, result = found.messages
    assert calls(call) == [{"id": "call_0", "type": "function", "function": old}]
    assert (result.role, result.tool_call_id, result.name) == (Role.TOOL, "call_0", "find")


def test_parts_are_read_as_their_text_and_kept_when_they_are_more() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]
    message = {"role": "user", "content": parts}
    single = {"role": "user", "content": [{"type": "text", "text": "b"}]}
    refusal = {"role": "assistant", "content": None, "refusal": "no"}
    found = openai_chat.read(sent({"messages": [message, single, refusal]}))
    assert [shape(m)[1] for m in found.messages] == ["a", "b", ""]
    assert metadata(found.messages[0]) == {"openai": {"content": parts}}
    assert metadata(found.messages[1]) == {}
    assert metadata(found.messages[2]) == {"openai": {"refusal": "no"}}


# ShareGPT


def test_turns_of_sharegpt_become_messages() -> None:
    called = json.dumps({"name": "find", "arguments": {"q": "x"}})
    found = sharegpt.read(
        sent(
            {
                "id": "abc_0",
                "system": "Be kind.",
                "tools": "[]",
                "conversations": [
                    {"from": "human", "value": "hello"},
                    {"from": "function_call", "value": called},
                    {"from": "observation", "value": "found", "score": 1},
                    {"from": "gpt", "value": "hi"},
                ],
            }
        )
    )
    assert [shape(m) for m in found.messages] == [
        ("system", "Be kind."),
        ("user", "hello"),
        ("assistant", None),
        ("tool", "found"),
        ("assistant", "hi"),
    ]
    [call] = calls(found.messages[2])
    assert call["function"] == {"name": "find", "arguments": '{"q":"x"}'}
    assert found.messages[3].tool_call_id == call["id"]
    assert metadata(found.messages[3]) == {"sharegpt": {"score": 1}}
    assert metadata(found) == {"source": "sharegpt#abc_0", "sharegpt": {"tools": "[]"}}


def test_a_call_of_sharegpt_that_is_no_json_is_kept_as_it_is() -> None:
    turns = [{"from": "function_call", "value": "find(x)"}]
    [message] = sharegpt.read(sent({"conversations": turns})).messages
    assert calls(message)[0]["custom"] == {"name": "function_call", "input": "find(x)"}


def test_the_same_id_in_two_data_sets_is_two_conversations() -> None:
    one, other = (
        sharegpt.read(sent({"id": "0", "conversations": [{"from": "human", "value": text}]}))
        for text in "ab"
    )
    assert one.canonical != other.canonical


# Anthropic


def test_blocks_become_messages_and_calls() -> None:
    result = {"type": "tool_result", "tool_use_id": "tu1", "content": "found", "is_error": True}
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    found = anthropic.read(
        sent(
            {
                "model": "m",
                "system": [{"type": "text", "text": "Be kind."}],
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "look"}, IMAGE]},
                    {
                        "role": "assistant",
                        "content": [thinking, {"type": "text", "text": "ok"}, USE],
                    },
                    {"role": "user", "content": [result, {"type": "text", "text": "and?"}]},
                    {"role": "assistant", "content": [USE]},
                ],
            }
        )
    )
    assert [shape(m) for m in found.messages] == [
        ("system", "Be kind."),
        ("user", "look"),
        ("assistant", "ok"),
        ("tool", "found"),
        ("user", "and?"),
        ("assistant", None),
    ]
    assert metadata(found) == {"anthropic": {"model": "m"}}
    assert metadata(found.messages[1]) == {"anthropic": {"content": [IMAGE]}}
    assert metadata(found.messages[2]) == {"anthropic": {"content": [thinking]}}
    assert calls(found.messages[2]) == [
        {
            "id": "tu1",
            "type": "function",
            "function": {"name": "find", "arguments": '{"q":"x"}'},
        }
    ]
    assert found.messages[3].tool_call_id == "tu1"
    assert metadata(found.messages[3]) == {"anthropic": {"is_error": True}}


def test_a_result_of_several_blocks_is_its_text_and_the_rest_is_kept() -> None:
    cited = {"type": "text", "text": "b", "citations": [{"cited_text": "c"}]}
    content = [{"type": "text", "text": "a"}, IMAGE, cited]
    block = {"type": "tool_result", "tool_use_id": "t", "content": content}
    [message] = anthropic.read(sent({"messages": [{"role": "user", "content": [block]}]})).messages
    assert message.content == "a\n\nb"
    assert metadata(message)["anthropic"]["content"] == [
        IMAGE,
        {"type": "text", "citations": [{"cited_text": "c"}]},
    ]


def test_a_bare_list_of_messages_is_a_conversation() -> None:
    [message] = anthropic.read(sent([{"role": "user", "content": "hello"}])).messages
    assert shape(message) == ("user", "hello")


# Which is which

PLAIN = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"messages": PLAIN}, "jsonl"),
        ({"messages": PLAIN, "tools": []}, "openai"),
        ({"messages": [{"role": "assistant", "content": "x", "weight": 1}]}, "openai"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "openai"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "openai"),
        ({"messages": PLAIN, "system": "x"}, "anthropic"),
        ({"messages": [{"role": "assistant", "content": [USE]}]}, "anthropic"),
        ({"messages": [{"role": "user", "content": [IMAGE]}], "model": "m"}, "anthropic"),
        (PLAIN, "anthropic"),
        ({"conversations": [{"from": "human", "value": "x"}]}, "sharegpt"),
        ({"mapping": {}}, "chatgpt"),
    ],
)
def test_the_format_is_told_from_the_content(value: object, name: str) -> None:
    document = sent(value)
    assert read_any(document) == READERS[FileFormat(name)].read(document)


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b'{"prompt": "x", "completion": "y"}', "an object with the keys 'prompt', 'completion'"),
        (b'{"role": "user", "content": "x"}', "a message alone"),
        (b'{"from": "human", "value": "x"}', "a message alone"),
        (b"{}", "an empty object"),
        (b"[1]", "an array"),
        (b"5", "5"),
    ],
)
def test_what_is_none_of_them_is_refused_with_what_was_seen(data: bytes, seen: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        read_any(decode(data))
    assert "none of the formats jsonl, chatgpt, openai, sharegpt, anthropic" in str(caught.value)
    assert seen in str(caught.value)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b'{"messages": [], "titel": "x"}', "titel"),
        (b'{"messages": 5}', "messages"),
        (b"{", "conversation"),
        (b'{"a": "\xff"}', "conversation"),
        (b'{"a": ' * 100_000, "conversation"),
        (b'{"messages": [{"role": "robot", "content": "", "weight": 1}]}', "messages[0].role"),
        (b'{"messages": [{"role": "robot", "content": ""}], "system": "s"}', "messages[0].role"),
        (b'{"messages": [{"content": []}]}', "messages[0].role"),
        (b'{"messages": [5], "system": "s"}', "messages[0]"),
        (b'{"conversations": [{"from": "human"}]}', "conversations[0].value"),
        (b'{"conversations": [{"from": "nobody", "value": ""}]}', "conversations[0].from"),
        (b'{"conversations": [[]]}', "conversations[0]"),
        (
            b'{"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]}',
            "messages[0].content[0].id",
        ),
        (b'{"messages": [], "system": 5}', "system.content"),
    ],
)
def test_what_does_not_fit_is_told_by_the_name_of_the_field(data: bytes, field: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        read_any(decode(data))
    assert caught.value.field == field


@given(
    st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "system"]), "content": st.text()}
        ),
        max_size=4,
    )
)
def test_plain_messages_mean_the_same_in_every_format_that_has_them(
    messages: list[dict[str, str]],
) -> None:
    document = sent({"messages": messages})
    own = chatkeep.read(document)
    assert own == openai_chat.read(document) == anthropic.read(document)
