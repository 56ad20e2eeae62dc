"""OpenAI's, ShareGPT's and Anthropic's formats, and which is which."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats import anthropic, chatkeep, openai_chat, sharegpt
from chatkeep.domain.formats.codec import Line
from chatkeep.domain.formats.table import READERS, FileFormat, read_any
from chatkeep.domain.log import Entry
from chatkeep.domain.model import ConversationId, MessageId, NewMessage, Position, Role
from chatkeep.entrypoints.formats.decoding import decode

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
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


def parts(message: NewMessage) -> Any:  # noqa: ANN401 - any JSON
    return None if message.parts is None else json.loads(message.parts)


def calls(message: NewMessage) -> Any:  # noqa: ANN401 - any JSON
    return json.loads(message.tool_calls or "[]")


def stored(line: Line) -> list[Entry]:
    """Return the entries of a line as a store returns them."""
    entries = []
    for place, message in enumerate(line.messages, start=1):
        identified = message._replace(id=MessageId(UUID(int=place)))
        known = identified.to_message(ConversationId(UUID(int=7)), Position(place), NOON)
        entries.append(Entry(Position(place), NOON, known, None))
    return entries


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


def test_parts_are_kept_and_their_text_beside_them() -> None:
    given = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]
    message = {"role": "user", "content": given}
    single = {"role": "user", "content": [{"type": "text", "text": "b"}]}
    refusal = {"role": "assistant", "content": None, "refusal": "no"}
    found = openai_chat.read(sent({"messages": [message, single, refusal]}))
    assert [shape(m)[1] for m in found.messages] == ["a", "b", "no"]
    assert [parts(m) for m in found.messages] == [given, single["content"], None]
    assert metadata(found.messages[0]) == {}
    assert metadata(found.messages[1]) == {}
    assert metadata(found.messages[2]) == {"openai": {"refusal": "no"}}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "user", "content": ["one", "two"]}, "one\n\ntwo"),
        (
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]},
            "I will not.",
        ),
        ({"role": "assistant", "content": None, "refusal": "I will not."}, "I will not."),
        ({"role": "assistant", "content": None, "audio": {"id": "a", "transcript": "Hi"}}, "Hi"),
        ({"role": "user", "content": [{"type": "of_tomorrow", "shape": 1}]}, None),
        ({"role": "assistant", "content": "x", "tool_calls": [], "reasoning_content": "y"}, "x"),
    ],
)
def test_what_was_said_is_found_and_written_again_as_it_was(
    message: dict[str, Any], text: str | None
) -> None:
    line = read_any(sent({"messages": [message]}))
    assert line.messages[0].content == text
    written = openai_chat.OpenAIChatWriter().entry(stored(line)[0], json.loads)
    assert written == {key: value for key, value in message.items() if key != "tool_calls"}


def test_a_list_of_openais_messages_alone_is_a_conversation() -> None:
    messages = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
    ]
    assert read_any(sent(messages)) == openai_chat.read(sent({"messages": messages}))


def test_a_result_of_a_function_never_answers_the_call_of_another() -> None:
    def asks(name: str) -> dict[str, Any]:
        call = {"name": name, "arguments": "{}"}
        return {"role": "assistant", "content": None, "function_call": call}

    found = openai_chat.read(
        sent(
            {
                "messages": [
                    asks("find"),
                    {"role": "function", "name": "find", "content": "1"},
                    {"role": "assistant", "content": "One."},
                    {"role": "function", "name": "read", "content": "2"},
                ]
            }
        )
    )
    assert [m.tool_call_id for m in found.messages] == [None, "call_0", None, "call_3"]


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


def test_results_of_sharegpt_answer_the_calls_of_their_turn_in_order() -> None:
    def says(speaker: str, text: str) -> dict[str, str]:
        return {"from": speaker, "value": text}

    calls_of = [json.dumps({"name": name, "arguments": {}}) for name in "ab"]
    turns: list[dict[str, Any]] = [
        says("human", "q"),
        *(says("function_call", call) for call in calls_of),
        says("observation", "of a"),
        says("observation", "of b"),
        says("observation", "more of b") | {"score": 1},
        says("human", "and?"),
        says("observation", "of nothing"),
    ]
    found = sharegpt.read(sent({"conversations": turns}))
    assert [(m.tool_call_id, m.content) for m in found.messages[3:]] == [
        ("call_1", "of a"),
        ("call_2", "of b\nmore of b"),
        (None, "and?"),
        ("call_7", "of nothing"),
    ]
    assert metadata(found.messages[4])["sharegpt"]["results"] == [
        {"value": "of b"},
        {"value": "more of b", "score": 1},
    ]


def test_what_sharegpt_has_no_place_for_is_kept() -> None:
    call = json.dumps({"name": "f", "arguments": {}, "id": "x"})
    turns: list[dict[str, Any]] = [
        {"from": "bing", "value": "a"},
        {"from": "tool_call", "value": call},
        {"from": "function-response", "value": "b"},
    ]
    found = sharegpt.read(sent({"title": 5, "conversations": turns}))
    assert metadata(found) == {"sharegpt": {"title": 5}}
    assert [metadata(each)["sharegpt"] for each in found.messages] == [
        {"from": "bing"},
        {"from": "tool_call", "value": call},
        {"from": "function-response"},
    ]
    assert found.without_place == {"sharegpt.title": 1, "sharegpt.from": 3, "sharegpt.value": 1}


def test_turns_with_a_role_and_content_are_read_too() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
    content = [{"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": "see"}]
    turns: list[dict[str, Any]] = [
        {"role": "system", "content": "S"},
        {"role": "human", "content": "q"},
        {"role": "user", "content": content},
        {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "c2"}]},
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2", "tool_call_id": "c2", "name": "find"},
        {"role": "function_call", "content": '{"name": "f", "arguments": {}}'},
        {"role": "observation", "content": "3"},
        {"role": "gpt", "value": "done", "weight": 0},
    ]
    found = sharegpt.read(sent({"id": "x", "conversations": turns}))
    assert [shape(each) for each in found.messages] == [
        ("system", "S"),
        ("user", "q"),
        ("user", "see"),
        ("assistant", None),
        ("tool", "1"),
        ("tool", "2"),
        ("assistant", None),
        ("tool", "3"),
        ("assistant", "done"),
    ]
    assert [each.tool_call_id for each in found.messages if each.role == "tool"] == [
        *("c1", "c2", "call_6")
    ]
    assert metadata(found.messages[0]) == {}
    assert metadata(found.messages[1]) == {"sharegpt": {"role": "human"}}
    assert (parts(found.messages[2]), metadata(found.messages[2])) == (content, {})
    assert metadata(found.messages[8]) == {"sharegpt": {"role": "gpt", "weight": 0}}


def test_chatgpts_conversations_in_an_object_are_not_sharegpts() -> None:
    with pytest.raises(InvalidValueError, match="an object with the keys 'conversations'"):
        read_any({"conversations": [{"mapping": {}, "title": "x"}]})


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
    assert parts(found.messages[1]) == [{"type": "text", "text": "look"}, IMAGE]
    assert metadata(found.messages[1]) == {}
    assert metadata(found.messages[2]) == {
        "anthropic": {"content": [thinking, {"type": "text", "text": "ok"}, USE]}
    }
    assert calls(found.messages[2]) == [
        {
            "id": "tu1",
            "type": "function",
            "function": {"name": "find", "arguments": '{"q":"x"}'},
        }
    ]
    assert found.messages[3].tool_call_id == "tu1"
    assert metadata(found.messages[3]) == {"anthropic": {"is_error": True}}


def test_a_result_with_an_image_has_its_blocks_as_parts() -> None:
    cited = {"type": "text", "text": "b", "citations": [{"cited_text": "c"}]}
    content = [{"type": "text", "text": "a"}, IMAGE, cited]
    block = {"type": "tool_result", "tool_use_id": "t", "content": content}
    [message] = anthropic.read(sent({"messages": [{"role": "user", "content": [block]}]})).messages
    assert message.content == "a\n\nb"
    assert parts(message) == content
    assert metadata(message) == {}


def test_blocks_among_calls_are_parts_and_kept_whole_where_the_order_would_be_lost() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "found"}
    ordered, mixed = [result, IMAGE], [IMAGE, result]
    for content, kept in ((ordered, {}), (mixed, {"anthropic": {"content": mixed}})):
        read = anthropic.read(sent({"messages": [{"role": "user", "content": content}]}))
        assert parts(read.messages[1]) == [IMAGE]
        assert metadata(read.messages[1]) == kept


@pytest.mark.parametrize(
    ("role", "order", "kept"),
    [
        ("assistant", "t", False),
        ("assistant", "tu", False),
        ("assistant", "uu", False),
        ("assistant", "ut", True),
        ("assistant", "tt", True),
        ("assistant", "tutu", True),
        ("assistant", "ht", True),
        ("assistant", "c", True),
        ("user", "rrt", False),
        ("user", "tr", True),
        ("user", "u", True),
    ],
)
def test_blocks_are_kept_whole_unless_the_fields_say_what_they_were(
    role: str, order: str, *, kept: bool
) -> None:
    blocks = {
        "t": {"type": "text", "text": "a", "citations": None},
        "u": USE,
        "h": {"type": "thinking", "thinking": "hm", "signature": "s"},
        "c": {"type": "text", "text": "b", "citations": [{"cited_text": "c"}]},
        "r": {"type": "tool_result", "tool_use_id": "tu1", "content": "found"},
    }
    content = [blocks[each] for each in order]
    found = anthropic.read(sent({"messages": [{"role": role, "content": content}]}))
    assert metadata(found.messages[-1]) == ({"anthropic": {"content": content}} if kept else {})


def test_a_bare_list_of_messages_is_a_conversation() -> None:
    [message] = anthropic.read(sent([{"role": "user", "content": "hello"}])).messages
    assert shape(message) == ("user", "hello")


# Which is which

SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}
CITED = {"type": "text", "text": "b", "citations": [{"cited_text": "c"}]}
PLAIN = [{"role": "user", "content": "hello"}]
PART = {"type": "text", "text": "x"}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"messages": PLAIN}, "jsonl"),
        ({"messages": PLAIN, "tools": []}, "openai"),
        ({"messages": [{"role": "assistant", "content": "x", "weight": 1}]}, "openai"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "openai"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "openai"),
        ({"messages": [{"role": "user", "content": [PART]}], "title": "T"}, "jsonl"),
        ({"messages": [{"role": "user", "content": [PART]}], "id": "x"}, "jsonl"),
        ({"messages": [{"role": "user", "content": [PART, IMAGE]}], "status": "active"}, "jsonl"),
        ({"messages": [{"role": "user", "content": [PART], "metadata": {}}]}, "jsonl"),
        ({"messages": [{"role": "user", "content": [PART]}], "title": "T", "model": "m"}, "openai"),
        ({"messages": [{"role": "assistant", "content": [USE]}], "id": "x"}, "anthropic"),
        ({"messages": [{"role": "assistant", "content": [USE]}], "title": "T"}, "anthropic"),
        ({"messages": [{"role": "assistant", "content": [USE]}], "status": "active"}, "jsonl"),
        ({"messages": PLAIN, "system": "x"}, "anthropic"),
        ({"messages": [{"role": "assistant", "content": [USE]}]}, "anthropic"),
        ({"messages": [{"role": "user", "content": [IMAGE]}], "model": "m"}, "anthropic"),
        (PLAIN, "anthropic"),
        ({"messages": [{"role": "assistant", "content": [SEARCH]}], "model": "m"}, "anthropic"),
        ({"messages": [{"role": "assistant", "content": [FOUND]}], "model": "m"}, "anthropic"),
        ({"messages": [{"role": "assistant", "content": [CITED]}], "model": "m"}, "anthropic"),
        ({"messages": PLAIN, "tools": [{"name": "f", "input_schema": {}}]}, "anthropic"),
        ({"messages": PLAIN, "model": "m", "stop_sequences": ["x"]}, "anthropic"),
        ({"messages": [*PLAIN, {"role": "assistant", "reasoning_content": "r"}]}, "openai"),
        ({"messages": PLAIN, "temperature": 1}, "openai"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "openai"),
        ([{"role": "user", "content": [{"type": "text", "text": "x"}]}], "anthropic"),
        ([*PLAIN, {"role": "tool", "content": "x", "tool_call_id": "c1"}], "openai"),
        ({"conversations": [{"from": "human", "value": "x"}]}, "sharegpt"),
        ({"conversations": [{"role": "user", "content": "x"}]}, "sharegpt"),
        ({"mapping": {}}, "chatgpt"),
        ({"chat_messages": []}, "claude-ai"),
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
    assert "none of the formats jsonl, chatgpt, claude-ai, openai, sharegpt, anthropic" in str(
        caught.value
    )
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
