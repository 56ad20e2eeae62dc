"""ChatGPT's data export: which nodes become messages, and what becomes of the others."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.chatgpt import read
from chatkeep.domain.formats.codec import Line
from chatkeep.domain.model import NewMessage, Role, Status
from chatkeep.entrypoints.formats.decoding import decode
from tests.unit.transfers import shown

CONVERSATION = "6815a3c2-7a54-800f-9d0e-0c8b1b5a7f10"


def node(  # noqa: PLR0913 - one for each field
    name: str,
    parent: str | None,
    role: str = "user",
    content: Any = None,  # noqa: ANN401 - any JSON
    *,
    at: float | None = 1714556400.25,
    tool: str | None = None,
    **more: Any,  # noqa: ANN401 - any JSON
) -> dict[str, Any]:
    if isinstance(content, str):
        content = {"content_type": "text", "parts": [content]}
    message = {
        "id": name,
        "author": {"role": role, "name": tool, "metadata": {}},
        "create_time": at,
        "content": content,
        "status": "finished_successfully",
        "weight": 1.0,
        "metadata": {},
        "recipient": "all",
        **more,
    }
    return {"id": name, "message": message, "parent": parent, "children": []}


def tree(*nodes: dict[str, Any], current: str | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    root: dict[str, Any] = {"id": "root", "message": None, "parent": None, "children": []}
    return {
        "title": "A talk",
        "create_time": 1714556000.5,
        "update_time": 1714556500.0,
        "mapping": {each["id"]: each for each in (root, *nodes)},
        "current_node": current or nodes[-1]["id"],
        "conversation_id": CONVERSATION,
        "is_archived": False,
        **more,
    }


def given(*nodes: dict[str, Any], **more: Any) -> Line:  # noqa: ANN401 - any JSON
    return read(decode(json.dumps(tree(*nodes, **more)).encode()))


def kept(of: Line | NewMessage) -> dict[str, Any]:
    """Return the metadata of this format, for a message without the id of its node."""
    found: dict[str, Any] = json.loads(of.metadata).get("chatgpt", {})
    if isinstance(of, NewMessage):
        assert isinstance(found.pop("id"), str)
    return found


def test_the_branch_of_the_current_node_is_the_conversation() -> None:
    found = given(
        node("q", "root", "user", "hello"),
        node("old", "q", "assistant", "first answer"),
        node("new", "q", "assistant", "second answer", at=1714556401.5),
        current="new",
    )
    assert [(m.role, m.content) for m in shown(found)] == [
        (Role.USER, "hello"),
        (Role.ASSISTANT, "second answer"),
    ]
    assert found.title == "A talk"
    assert found.status is Status.ACTIVE
    assert str(found.created_at) == "2024-05-01 09:33:20.500000+00:00"
    assert str(shown(found)[1].created_at) == "2024-05-01 09:40:01.500000+00:00"
    assert json.loads(found.metadata)["source"] == f"chatgpt#{CONVERSATION}"


def branches(found: Line) -> list[list[str | None]]:
    """Return what was said on each branch, the current one first."""
    tree = found.tree
    assert tree is not None
    numbers = sorted(tree.branches, key=lambda number: (number != tree.current, number))
    paths = [shown(replace(found, tree=replace(tree, current=number))) for number in numbers]
    return [[message.content for message in path] for path in paths]


def test_branches_become_branches() -> None:
    found = given(
        node("q", "root", "user", "hello"),
        node("old", "q", "assistant", "first answer"),
        node("after", "old", "user", "and then?"),
        node("new", "q", "assistant", "second answer"),
        node("edited", "old", "user", "but why?"),
        node("begin", "root", "user", "or rather"),
        current="new",
    )
    assert branches(found) == [
        ["hello", "second answer"],
        ["hello", "first answer", "and then?"],
        ["hello", "first answer", "but why?"],
        ["or rather"],
    ]
    assert [message.content for message in found.messages] == [
        *("hello", "first answer", "and then?", "but why?", "second answer", "or rather")
    ]
    assert len({message.id for message in found.messages}) == 6
    assert "branches" not in kept(found)


def test_a_conversation_may_be_shown_up_to_a_message_that_others_follow() -> None:
    found = given(
        node("q", "root", "user", "hello"),
        node("a", "q", "assistant", "hi"),
        node("b", "a", "user", "and?"),
        current="a",
    )
    assert branches(found) == [["hello", "hi"], ["hello", "hi", "and?"]]


def test_a_branch_leaves_after_the_last_message_before_it() -> None:
    found = given(
        node("q", "root", "user", "hello"),
        node("e", "q", "assistant", ""),
        node("t", "e", "assistant", {"content_type": "thoughts", "thoughts": ["hm"]}),
        node("one", "t", "assistant", "1"),
        node("two", "t", "assistant", "2"),
        node("lost", "two", "assistant", {"content_type": "thoughts", "thoughts": ["and"]}),
    )
    assert branches(found) == [["hello", "2"], ["hello", "1"]]
    assert kept(found)["nodes"].keys() == {"e", "t", "lost"}
    assert [each["thoughts"] for each in kept(found)["thoughts"]] == [["and"]]


def test_a_result_on_another_branch_answers_the_call_that_both_share() -> None:
    found = given(
        node("q", "root", "user", "hello"),
        node("c", "q", "assistant", "go", recipient="python"),
        node("old", "c", "tool", "1", tool="python"),
        node("new", "c", "tool", "2", tool="python"),
        current="new",
    )
    assert branches(found) == [["hello", None, "2"], ["hello", None, "1"]]
    calls = [message.tool_call_id for message in found.messages if message.role is Role.TOOL]
    assert calls == ["call_c", "call_c"]


def test_nodes_in_a_circle_are_kept_unchanged() -> None:
    one, two = node("1", "2", "user", "round"), node("2", "1", "user", "and round")
    found = given(node("q", "root", "user", "hello"), one, two, current="q")
    assert [message.content for message in found.messages] == ["hello"]
    assert kept(found)["nodes"] == {"1": one, "2": two}


def test_nodes_that_stand_for_nothing_are_passed_over() -> None:
    found = given(
        node("s", "root", "system", "", metadata={"is_visually_hidden_from_conversation": True}),
        node("n", "s", "system", None),
        node("q", "n", "user", "hello"),
        node("e", "q", "assistant", ""),
        node("a", "e", "assistant", "hi"),
    )
    assert [message.content for message in found.messages] == ["hello", "hi"]
    assert "branches" not in kept(found)
    assert kept(found)["nodes"].keys() == {"s", "n", "e"}
    assert kept(found)["nodes"]["s"]["message"]["metadata"] == {
        "is_visually_hidden_from_conversation": True
    }


def test_hidden_instructions_become_a_system_message_that_says_so() -> None:
    content = {
        "content_type": "user_editable_context",
        "user_profile": "I am Ada.",
        "user_instructions": "Be brief.",
    }
    hidden = {"is_visually_hidden_from_conversation": True}
    found = given(
        node("i", "root", "user", content, metadata=hidden), node("q", "i", "user", "hello")
    )
    first = found.messages[0]
    assert (first.role, first.content) == (Role.SYSTEM, "I am Ada.\nBe brief.")
    assert kept(first) == {
        "content_type": "user_editable_context",
        "hidden": True,
        "content": {"user_profile": "I am Ada.", "user_instructions": "Be brief."},
        "message": {"author": {"role": "user"}},
    }


def test_a_call_of_a_tool_and_its_results_belong_together() -> None:
    code = {"content_type": "code", "language": "python", "text": "print(6 * 7)"}
    output = {"content_type": "execution_output", "text": "42"}
    found = given(
        node("q", "root", "user", "6 * 7?"),
        node("c", "q", "assistant", code, recipient="python"),
        node("r", "c", "tool", output, tool="python"),
        node("a", "r", "assistant", "42"),
    )
    _, call, result, _ = found.messages
    assert call.content is None
    assert json.loads(call.tool_calls or "") == [
        {"id": "call_c", "type": "custom", "custom": {"name": "python", "input": "print(6 * 7)"}}
    ]
    assert kept(call)["content"] == {"language": "python"}
    assert (result.role, result.content, result.tool_call_id) == (Role.TOOL, "42", "call_c")
    assert result.name == "python"


def test_what_a_tool_says_to_one_call_is_one_result() -> None:
    def found_by(name: str, parent: str, text: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        content = {"content_type": "tether_browsing_display", "result": text, "assets": None}
        return node(name, parent, "tool", content, tool="browser", **more)

    thoughts = {"content_type": "thoughts", "thoughts": []}
    chart = {"content_type": "multimodal_text", "parts": ["A chart", {"asset_pointer": "x"}]}
    last = node("r3", "t", "tool", chart, tool="browser", extra=1)
    found = given(
        node("q", "root", "user", "news?"),
        node("c", "q", "assistant", 'search("news")', recipient="browser"),
        found_by("r1", "c", "", metadata={"status": "running"}, weight=0.0),
        found_by("r2", "r1", "# 0. One\n"),
        node("t", "r2", "assistant", thoughts),
        last,
        node("a", "r3", "assistant", "One."),
    )
    _, call, result, answer = found.messages
    assert (result.content, result.tool_call_id) == ("# 0. One\n\nA chart", "call_c")
    assert kept(result)["message"] == {"weight": 0.0, "metadata": {"status": "running"}}
    assert [each["id"] for each in kept(result)["results"]] == ["r2", "r3"]
    assert kept(result)["results"][1] == last["message"]
    assert kept(answer)["thoughts"] == [thoughts]
    assert call.id is not None


def test_an_empty_result_gives_way_to_one_that_comes_later() -> None:
    found = given(
        node("c", "root", "assistant", "go", recipient="research"),
        node("r1", "c", "tool", "", tool="research"),
        node("a", "r1", "assistant", "I have begun."),
        node("r2", "a", "tool", "Found.", tool="research"),
        node("r3", "r2", "tool", "More.", tool="research"),
    )
    assert [(m.tool_call_id, m.content) for m in found.messages[1:]] == [
        ("call_r1", ""),
        (None, "I have begun."),
        ("call_c", "Found.\nMore."),
    ]


def test_a_result_never_answers_the_call_of_another_tool() -> None:
    quote = {"content_type": "tether_quote", "url": "file-x", "text": "In the file."}
    found = given(
        node("c", "root", "assistant", "1+1", recipient="python"),
        node("r", "c", "tool", "2", tool="python"),
        node("a", "r", "assistant", "2"),
        node("q", "a", "user", "the file?"),
        node("f", "q", "tool", quote, tool="myfiles_browser"),
        node("c2", "f", "assistant", "search()", recipient="web"),
        node("r2", "c2", "tool", "found", tool="web.run"),
        node("c3", "r2", "assistant", "a", recipient="python"),
        node("c4", "c3", "assistant", "b", recipient="python"),
        node("r3", "c4", "tool", "of a", tool="python"),
        node("r4", "r3", "tool", "of b", tool="python"),
    )
    results = [m for m in found.messages if m.role is Role.TOOL]
    assert [m.tool_call_id for m in results] == [
        *("call_c", "call_f", "call_c2", "call_c3", "call_c4")
    ]


def test_custom_instructions_of_2023_become_a_system_message() -> None:
    said = {"about_user_message": "I am a cook.", "about_model_message": "Be short."}
    notes = {"is_user_system_message": True, "user_context_message_data": said}
    found = given(node("s", "root", "system", "", metadata=notes), node("q", "s", "user", "hi"))
    first = found.messages[0]
    assert (first.role, first.content) == (Role.SYSTEM, "I am a cook.\nBe short.")
    assert kept(first) == {"hidden": True, "message": {"metadata": notes}}
    assert found.formerly_left_out == {first.id}


def test_memories_become_a_system_message() -> None:
    content = {"content_type": "model_editable_context", "model_set_context": "Likes tea."}
    [message] = given(node("m", "root", "assistant", content)).messages
    assert (message.role, message.content) == (Role.SYSTEM, "Likes tea.")
    assert kept(message)["message"] == {"author": {"role": "assistant"}}


def test_no_member_of_a_message_is_lost() -> None:
    author = {"role": "assistant", "name": "GPT", "metadata": {"real_author": "tool:web"}}
    partial = node(
        *("a", "root", "assistant", "half an ans"),
        author=author,
        status="finished_partial_completion",
        end_turn=False,
        weight=0.5,
        update_time=1714556401.0,
        recipient="assistant",
        channel="final",
        metadata={"model_slug": "m", "finish_details": {"type": "max_tokens"}, "empty": ""},
        of_tomorrow=[1],
    )
    [message] = given(partial | {"client": "web"}).messages
    assert kept(message) == {
        "model_slug": "m",
        "channel": "final",
        "node": {"client": "web"},
        "message": {
            "status": "finished_partial_completion",
            "end_turn": False,
            "weight": 0.5,
            "update_time": 1714556401.0,
            "recipient": "assistant",
            "of_tomorrow": [1],
            "author": {"name": "GPT", "metadata": {"real_author": "tool:web"}},
            "metadata": {"finish_details": {"type": "max_tokens"}, "empty": ""},
        },
    }


def test_no_member_of_a_conversation_is_lost() -> None:
    more = {
        "id": "another",
        "is_starred": False,
        "safe_urls": ["https://example.org"],
        "pinned_time": 1714556000.5,
        "voice": {"name": "x"},
    }
    found = given(
        node("q", "root", "user", "hi"),
        gizmo_id="g",
        default_model_slug="m",
        plugin_ids=None,
        **more,
    )
    assert kept(found) == {"model": "m", "gizmo_id": "g", "conversation": more}
    assert found.without_place == {
        "chatgpt.model": 1,
        "chatgpt.gizmo_id": 1,
        "chatgpt.conversation": 1,
        "chatgpt.id": 1,
    }


def test_ids_and_the_order_of_branches_are_kept() -> None:
    question = node("q", "root", "user", "hi") | {"children": ["new", "old"]}
    one = node("r1", "new", "tool", "1", tool="x") | {"children": ["r2", "other"]}
    two = node("r2", "r1", "tool", "2", tool="x") | {"children": ["a", "b"]}
    call = node("new", "q", "assistant", "go", recipient="x") | {"children": ["r1"]}
    found = given(question, node("old", "q", "assistant", "no"), call, one, two)
    ids = [json.loads(message.metadata)["chatgpt"]["id"] for message in found.messages]
    assert ids == ["q", "new", "r1", "old"]
    assert kept(found.messages[0]) == {"node": {"children": ["new", "old"]}}
    assert kept(found.messages[2])["node"] == {"children": ["r2", "other"]}
    assert kept(found)["nodes"]["r2"]["children"] == ["a", "b"]


def test_a_node_that_is_null_is_passed_over() -> None:
    document = tree(node("q", "root", "user", "hi"))
    document["mapping"]["broken"] = None
    assert [message.content for message in read(document).messages] == ["hi"]


def test_nodes_may_have_only_their_children() -> None:
    nodes = [node("q", "root", "user", "hi"), node("a", "q", "assistant", "hello")]
    for each, children in zip(nodes, (["a"], []), strict=True):
        each["children"] = children
        del each["parent"]
    document = tree(*nodes, current="missing")
    document["mapping"]["root"]["children"] = ["q"]
    found = read(document)
    assert [message.content for message in found.messages] == ["hi", "hello"]
    assert found.messages[0].id not in found.formerly_left_out
    assert found.messages[1].id in found.formerly_left_out


def test_arguments_that_are_json_are_those_of_a_function() -> None:
    found = given(
        node("c", "root", "assistant", '{"prompt": "a cat"}', recipient="dalle.text2im"),
        node("o", "c", "assistant", '{"other": 1}', recipient="browser"),
        node("r", "o", "tool", "done", tool="dalle.text2im"),
    )
    [call] = json.loads(found.messages[0].tool_calls or "")
    assert call["function"] == {"name": "dalle.text2im", "arguments": '{"prompt": "a cat"}'}
    assert found.messages[2].tool_call_id == "call_c"


def test_a_result_without_any_call_keeps_an_id_of_its_own() -> None:
    found = given(node("r", "root", "tool", "remembered", tool="bio"))
    assert found.messages[0].tool_call_id == "call_r"


def test_parts_that_are_no_text_are_kept_in_the_metadata() -> None:
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x", "width": 1}
    heard = {"content_type": "audio_transcription", "text": "spoken", "direction": "in"}
    content = {"content_type": "multimodal_text", "parts": ["see", image, heard]}
    found = given(
        node("q", "root", "user", content, metadata={"attachments": [{"id": "x"}], "other": 1}),
        node("p", "q", "user", {"content_type": "multimodal_text", "parts": [image]}),
    )
    first, only_image = found.messages
    assert first.content == "see\nspoken"
    assert kept(first) == {
        "content_type": "multimodal_text",
        "attachments": [{"id": "x"}],
        "content": {"parts": content["parts"]},
        "message": {"metadata": {"other": 1}},
    }
    assert (only_image.content, kept(only_image)) == (
        "",
        {"content_type": "multimodal_text", "content": {"parts": [image]}},
    )


def test_reasoning_is_kept_with_the_message_that_it_led_to() -> None:
    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "s", "content": "c"}]}
    recap = {"content_type": "reasoning_recap", "content": "Thought for 3 s"}
    found = given(
        node("q", "root", "user", "why?"),
        node("t", "q", "assistant", thoughts),
        node("a", "t", "assistant", "because", metadata={"model_slug": "o1"}),
        node("t2", "a", "assistant", recap),
    )
    assert [message.content for message in found.messages] == ["why?", "because"]
    assert kept(found.messages[1]) == {"model_slug": "o1", "thoughts": [thoughts]}
    assert kept(found)["thoughts"] == [recap]


def test_a_content_of_an_unknown_type_is_kept_whole() -> None:
    content = {"content_type": "of_tomorrow", "shape": {"a": 1}}
    asked = node("q", "root", "user", content)
    said = node("a", "q", "assistant", content)
    found = given(asked, said)
    [message] = found.messages
    assert message.content == ""
    assert kept(message) == {"content_type": "of_tomorrow", "content": {"shape": {"a": 1}}}
    assert kept(found)["nodes"] == {"a": said}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"content_type": "of_tomorrow", "output": "a", "parts": [{"b": 1}]}, "a"),
        ({"content_type": "sonic_webpage", "text": "a", "url": "u"}, "a"),
        ({"content_type": "citable_code_output", "output_str": "a"}, "a"),
        ({"content_type": "tether_browsing_display", "result": "", "summary": "a"}, "a"),
        (
            {"content_type": "multimodal_text", "parts": [{"content_type": "text", "text": "a"}]},
            "a",
        ),
        ({"content_type": "text", "parts": ["a", "", "b"]}, "a\nb"),
    ],
)
def test_the_text_of_a_content_is_found_and_the_rest_is_kept(
    content: dict[str, Any], text: str
) -> None:
    [message] = given(node("a", "root", "assistant", content)).messages
    assert message.content == text
    whole = {key: value for key, value in content.items() if key != "content_type"}
    plain = {"sonic_webpage": {"url": "u"}, "citable_code_output": None}
    assert kept(message).get("content") == plain.get(content["content_type"], whole)


def test_ids_follow_from_those_of_the_source() -> None:
    one = given(node("q", "root", "user", "hello"))
    more = given(node("q", "root", "user", "hello"), node("a", "q", "assistant", "hi"))
    assert one.canonical == more.canonical
    assert one.may_grow
    assert one.messages[0].id == more.messages[0].id == UUID("d595134f-2c23-5b50-b087-1281125cc88b")


def test_without_a_current_node_the_latest_leaf_is_taken() -> None:
    found = given(
        node("q", "root", "user", "hello"),
        node("late", "q", "assistant", "late", at=20.0),
        node("early", "q", "assistant", "early", at=10.0),
        current="missing",
    )
    assert [message.content for message in shown(found)] == ["hello", "late"]


def test_an_archived_conversation_without_messages_is_one() -> None:
    found = read({"mapping": {}, "title": None, "is_archived": True})
    assert (found.messages, found.status, found.title) == ((), Status.ARCHIVED, None)


@pytest.mark.parametrize(
    ("broken", "field", "reason"),
    [
        (tree(node("a", "b"), node("b", "a")), "mapping.b", "among its own ancestors"),
        (tree(node("a", "root", "robot", "x")), "mapping.a.message.author.role", "'robot'"),
        (tree(node("a", "root", "user", "x", at=1e300)), "mapping.a.message.create_time", "1e+300"),
        (tree(node("a", "root", "user", 5)), "mapping.a.message.content", "must be an object"),
        (tree(node("a", "root"), create_time="x"), "create_time", "must be a number"),
        ({"mapping": []}, "mapping", "must be an object"),
        ({"title": "x"}, "mapping", "is missing"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_name_of_the_field(
    broken: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        read(broken)
    assert caught.value.field == field
    assert reason in caught.value.reason
