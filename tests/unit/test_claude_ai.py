"""Reading Claude.ai's data export."""

import json
from typing import Any

import pytest

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import Line
from chatkeep.domain.formats.table import READERS, FileFormat, read_any
from chatkeep.domain.model import Role
from tests.unit.transfers import shown

ROOT = "00000000-0000-4000-8000-000000000000"
NOON = "2026-03-29T12:00:00.123456Z"


def text(said: str, **members: object) -> dict[str, Any]:
    times = {"start_timestamp": NOON, "stop_timestamp": NOON}
    return {**times, "flags": None, "citations": [], "type": "text", "text": said, **members}


def use(call_id: str, name: str = "web_search", **members: object) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {"q": "x"}, **members}


def result(call_id: str, *content: object, **members: object) -> dict[str, Any]:
    usual = {"type": "tool_result", "tool_use_id": call_id, "name": "web_search"}
    return {**usual, "content": [*content], "is_error": False, **members}


def message(
    uuid: str, sender: str, *blocks: object, said: str = "", **members: object
) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "text": said,
        "content": [*blocks],
        "sender": sender,
        "created_at": NOON,
        "updated_at": NOON,
        "attachments": [],
        "files": [],
        **members,
    }


def conversation(*messages: object, **members: object) -> dict[str, Any]:
    return {
        "uuid": "34bd3ec6-80e9-45cf-b4a6-fe21d1f07d0a",
        "name": "A talk",
        "summary": "",
        "created_at": NOON,
        "updated_at": "2026-03-29T13:00:00+00:00",
        "account": {"uuid": "c1a9a5f8"},
        "chat_messages": [*messages],
        **members,
    }


def read(*messages: object, **members: object) -> Line:
    document = conversation(*messages, **members)
    line = read_any(document)
    assert line == READERS[FileFormat.CLAUDE_AI].read(document)
    return line


def said(line: Line) -> list[tuple[str, str | None]]:
    return [(each.role.value, each.content) for each in line.messages]


def kept(line: Line, place: int) -> dict[str, Any]:
    metadata = json.loads(line.messages[place].metadata)
    assert isinstance(metadata.get("claude-ai", {}), dict)
    return dict(metadata.get("claude-ai", {}))


def test_a_plain_talk_is_read_with_its_title_and_times() -> None:
    line = read(
        message("a", "human", {"type": "text", "text": "hello"}, said="hello"),
        message("b", "assistant", {"type": "text", "text": "hi"}, said="hi"),
    )
    assert said(line) == [("user", "hello"), ("assistant", "hi")]
    assert line.title == "A talk"
    assert line.created_at is not None
    assert line.created_at.microsecond == 123456
    assert line.updated_at is not None
    assert line.updated_at.hour == 13
    assert json.loads(line.metadata) == {
        "source": "claude-ai#34bd3ec6-80e9-45cf-b4a6-fe21d1f07d0a",
        "claude-ai": {"conversation": {"account": {"uuid": "c1a9a5f8"}}},
    }
    assert [kept(line, place) for place in (0, 1)] == [{"id": "a"}, {"id": "b"}]
    assert line.may_grow
    assert len({each.id for each in line.messages} - {None}) == 2


def test_older_exports_have_only_a_text() -> None:
    old = {"uuid": "a", "text": "hello", "sender": "human", "created_at": NOON}
    assert said(read(old)) == [("user", "hello")]


def test_an_answer_with_tools_becomes_calls_results_and_texts_in_their_order() -> None:
    thinking = {"type": "thinking", "thinking": "Let me look.", "signature": "c2ln"}
    answer = message(
        "b",
        "assistant",
        thinking,
        text("I look."),
        use("t1", message="Searching"),
        use("t2"),
        result("t2", {"type": "text", "text": "second", "uuid": "u"}),
        result("t1", {"type": "text", "text": "first"}, is_error=True),
        thinking,
        text("Found."),
        use("t3"),
        result("t3"),
        said="I look.\n\nThis block is not supported on your current device yet.",
    )
    line = read(message("a", "human", said="look"), answer)
    assert said(line) == [
        ("user", "look"),
        ("assistant", "I look."),
        ("tool", "second"),
        ("tool", "first"),
        ("assistant", "Found."),
        ("tool", ""),
    ]
    called = [json.loads(each.tool_calls or "[]") for each in line.messages]
    assert [[call["id"] for call in calls] for calls in called] == [
        *([], ["t1", "t2"], [], [], ["t3"], [])
    ]
    assert [each.tool_call_id for each in line.messages] == [None, None, "t2", "t1", None, "t3"]
    assert [each.name for each in line.messages][2:4] == ["web_search", "web_search"]
    times = {"start_timestamp": NOON, "stop_timestamp": NOON}
    assert kept(line, 1) == {
        "id": "b",
        "blocks": [
            thinking,
            {"type": "text", **times},
            {"type": "tool_use", "message": "Searching"},
            {"type": "tool_use"},
        ],
        "text": answer["text"],
    }
    assert kept(line, 2) == {
        "id": "b",
        "blocks": [{"type": "tool_result", "content": [{"type": "text", "uuid": "u"}]}],
    }
    assert kept(line, 3) == {"id": "b", "is_error": True}
    assert kept(line, 5) == {"id": "b"}
    assert len({each.id for each in line.messages}) == 6


def test_calls_and_results_without_ids_find_each_other_by_name() -> None:
    nameless = {"type": "tool_use", "name": "repl", "input": {"code": "1"}}
    other = {"type": "tool_use", "name": "artifacts", "input": {}}
    line = read(
        message(
            "b",
            "assistant",
            nameless,
            other,
            {"type": "tool_result", "name": "artifacts", "content": "OK"},
            {"type": "tool_result", "name": "repl", "content": "1"},
        )
    )
    calls = json.loads(line.messages[0].tool_calls or "[]")
    assert [call["function"]["name"] for call in calls] == ["repl", "artifacts"]
    ids = [call["id"] for call in calls]
    assert [each.tool_call_id for each in line.messages[1:]] == ids[::-1]
    alone = {"type": "tool_result", "content": "nobody asked"}
    [found] = read(message("b", "assistant", alone)).messages
    assert (found.role, found.tool_call_id) == (Role.TOOL, "call_b_1")


def test_a_model_sees_what_was_attached() -> None:
    attached = {"file_name": 'my "notes".txt', "file_type": "txt", "file_size": 5}
    pasted = {"file_name": "", "file_type": "txt", "file_size": 6, "extracted_content": "pasted"}
    line = read(
        message(
            "a",
            "human",
            text("Read it."),
            said="Read it.",
            attachments=[{**attached, "extracted_content": "notes\n"}, pasted],
            files=[{"file_uuid": "f", "file_name": "cat.png"}],
        ),
        message("b", "human", attachments=[pasted]),
    )
    assert said(line) == [
        (
            "user",
            (
                'Read it.\n\n<attachment name="my &quot;notes&quot;.txt">\nnotes\n\n</attachment>'
                "\n\npasted"
            ),
        ),
        ("user", "pasted"),
    ]
    assert kept(line, 0)["attachments"] == [
        attached,
        {"file_name": "", "file_type": "txt", "file_size": 6},
    ]
    assert kept(line, 0)["files"] == [{"file_uuid": "f", "file_name": "cat.png"}]


def test_several_texts_are_kept_apart() -> None:
    line = read(message("a", "assistant", text("one"), text("two"), said="one\n\ntwo"))
    assert said(line) == [("assistant", "one\n\ntwo")]
    assert [block["text"] for block in kept(line, 0)["blocks"]] == ["one", "two"]
    found = result("t", {"type": "knowledge", "title": "T", "text": "1"}, {"text": "2"})
    line = read(message("a", "assistant", use("t"), found))
    assert said(line)[1] == ("tool", "1\n\n2")
    assert kept(line, 1)["blocks"][0]["content"] == found["content"]


def test_branches_become_branches_and_the_latest_is_the_current_one() -> None:
    early = "2026-03-28T12:00:00Z"
    asked = message("a", "human", said="q", parent_message_uuid=ROOT)
    old = message("b", "assistant", said="old", parent_message_uuid="a", created_at=early)
    new = message(
        *("c", "assistant", use("t"), result("t"), text("new")), said="new", parent_message_uuid="a"
    )
    other = message("d", "human", said="first", parent_message_uuid=ROOT, created_at=early)
    more = message("e", "human", said="more", parent_message_uuid="b", created_at=early)

    def contents(line: Line) -> list[str | None]:
        return [each.content for each in shown(line)]

    line = read(other, asked, new, old, more)
    assert contents(line) == ["q", None, "", "new"]
    assert [each.content for each in line.messages] == [
        "first",
        "q",
        None,
        "",
        "new",
        "old",
        "more",
    ]
    assert "branches" not in line.metadata
    assert "parent_message_uuid" not in "".join(each.metadata for each in line.messages)

    line = read(other, asked, new, old, more, current_leaf_message_uuid="b")
    assert contents(line) == ["q", "old"]
    assert "current_leaf_message_uuid" not in line.metadata
    assert contents(read(other, asked, new, current_leaf_message_uuid="d")) == ["first"]
    gone = read(asked, current_leaf_message_uuid="elsewhere")
    assert "current_leaf_message_uuid" in gone.metadata


def test_messages_without_or_with_equal_ids_are_all_read() -> None:
    line = read(
        message("a", "human", said="1"),
        message("a", "assistant", said="2"),
        {"text": "3", "sender": "human"},
    )
    assert [each for _, each in said(line)] == ["1", "2", "3"]
    assert len({each.id for each in line.messages}) == 3


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([message("a", "robot")], "chat_messages[0].sender"),
        ([{"uuid": "a"}], "chat_messages[0].sender"),
        ([message("a", "human", attachments={})], "chat_messages[0].attachments"),
        ([message("a", "human", "text")], "chat_messages[0].content[0]"),
        ([message("a", "human", parent_message_uuid="a")], "chat_messages"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(messages: list[Any], field: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        read(*messages)
    assert caught.value.field == field


def test_members_without_a_place_are_kept() -> None:
    line = read(
        message("a", "human", said="q", parent_message_uuid="gone", index=0, truncated=True)
    )
    assert kept(line, 0)["message"] == {
        "parent_message_uuid": "gone",
        "index": 0,
        "truncated": True,
    }
