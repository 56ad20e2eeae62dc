"""UIMessages of the AI SDK: what is read of them, what models get, and how others are written."""

import json
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats import ai_sdk
from chatkeep.domain.formats.ai_sdk_context import ModelMessage, to_model_messages
from chatkeep.domain.formats.ai_sdk_messages import UIMessage, parse_ui_message
from chatkeep.domain.formats.ai_sdk_writing import ui_messages
from chatkeep.domain.formats.codec import Piece
from chatkeep.domain.formats.table import READERS, WRITERS, FileFormat
from chatkeep.domain.items import ItemId, ItemText
from chatkeep.domain.log import Entry
from chatkeep.domain.model import JsonText, Message, MessageId, OriginalText, Role
from chatkeep.entrypoints.formats.decoding import decode, find_originals
from chatkeep.entrypoints.formats.json_lines import JsonLines
from chatkeep.entrypoints.formats.markdown import Markdown
from tests.unit.histories import assistant as said_by_assistant
from tests.unit.histories import conversation, said, system
from tests.unit.histories import tool as result
from tests.unit.histories import user as said_by_user
from tests.unit.test_codecs import conversation as a_conversation
from tests.unit.ui_messages import (
    AUDIO,
    IMAGE,
    PDF,
    PIXEL,
    REASONING,
    SAMPLES,
    STATES,
    STEERING,
    STEP,
    TEXT,
    UI_MESSAGES,
    assistant,
    tool,
    user,
)

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "getWeather", "arguments": '{"city":"Kyiv","days":3}'},
}


def write(document: object) -> str:
    """Return JSON as JavaScript writes it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def parse(document: object) -> UIMessage:
    return parse_ui_message(write(document), field="original")


def model_messages(document: object) -> list[ModelMessage]:
    return to_model_messages(parse(document))


def translate(*messages: Message) -> list[Any]:
    return ui_messages(conversation(*messages), json.loads)


# Reading


@pytest.mark.parametrize("name", SAMPLES)
def test_a_message_of_the_sdk_is_read(name: str) -> None:
    document = SAMPLES[name]

    found = parse(document)

    assert (found.id, found.role) == (document["id"], document["role"])
    assert [part.kind for part in found.parts] == [part["type"] for part in document["parts"]]


def test_the_text_is_that_of_all_steps() -> None:
    found = parse(SAMPLES["an answer in two steps"])
    assert found.text() == "Let me look.\n\nIt is 20 degrees."


def test_the_texts_of_a_user_are_separated_and_those_of_the_system_are_not() -> None:
    assert parse(SAMPLES["two texts"]).text() == "One\n\nTwo"
    assert parse(SAMPLES["instructions"]).text() == "It is 20 degrees.!"


@pytest.mark.parametrize(
    ("document", "field", "reason"),
    [
        ([], "original", "is not a JSON object"),
        ({"role": "user"}, "original.parts", "is missing"),
        ({"parts": []}, "original.role", "is missing"),
        ({"role": "tool", "parts": []}, "original.role", "not one of system, user, assistant"),
        ({"role": "user", "parts": {}}, "original.parts", "must be an array"),
        ({"role": "user", "parts": [], "id": 5}, "original.id", "must be a string"),
        ({"role": "user", "parts": ["a"]}, "original.parts[0]", "must be an object"),
        ({"role": "user", "parts": [TEXT, {}]}, "original.parts[1].type", "is missing"),
        ({"role": "user", "parts": [{"type": ""}]}, "original.parts[0].type", "is empty"),
        ({"role": "user", "parts": [{"type": 1}]}, "original.parts[0].type", "must be a string"),
        ({"role": "user", "parts": [{"type": "text"}]}, "original.parts[0].text", "is missing"),
        (user({"type": "file", "url": PIXEL}), "original.parts[0].mediaType", "is missing"),
        (assistant({"type": "tool-a", "state": "?"}), "original.parts[0].toolCallId", "is missing"),
        (assistant({**tool("output-error"), "errorText": 5}), "original.parts[0].errorText", ""),
        (assistant(tool("output-denied", approval="no")), "original.parts[0].approval", ""),
        (assistant({**STEERING, "parts": [{}]}), "original.parts[0].parts[0].type", "is missing"),
        ({"role": "user", "content": "Hi"}, "original.parts", "of version 4 of the AI SDK"),
        (
            assistant({"type": "tool-invocation", "toolInvocation": {}}),
            "original.parts[0].type",
            "of version 4 of the AI SDK",
        ),
        (user({"type": "text", "text": "\ud800"}), "original.parts[0].text", "surrogate"),
    ],
)
def test_a_wrong_document_is_refused_by_the_field_in_it(
    document: object, field: str, reason: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_ui_message(json.dumps(document), field="original")
    assert caught.value.field == field
    assert reason in str(caught.value)


def test_a_chat_is_a_conversation_of_its_messages() -> None:
    chat = {
        "id": "chat-1",
        "title": "The weather",
        "createdAt": "2026-01-01T12:00:00.000Z",
        "visibility": "private",
        "messages": [{**SAMPLES["a question"], "createdAt": "2026-01-02T12:00:00Z"}],
    }

    line = ai_sdk.read(chat)

    [message] = line.messages
    assert (line.title, message.role, message.content) == (
        "The weather",
        Role.USER,
        "How warm is it?",
    )
    assert (message.format, message.original) == ("ai-sdk", write(chat["messages"][0]))
    assert line.created_at is not None
    assert message.created_at is not None
    assert json.loads(line.metadata)["ai-sdk"]["visibility"] == "private"


def test_metadata_that_is_an_object_is_that_of_the_message() -> None:
    listed = [SAMPLES["an answer"], SAMPLES["an approved call"], SAMPLES["everything at once"]]
    found = [json.loads(each.metadata) for each in ai_sdk.read(listed).messages]
    assert found == [{"totalTokens": 12, "model": "gpt"}, {}, {}]


# What models get


def test_each_step_is_a_message_and_then_come_the_results_of_its_calls() -> None:
    assert model_messages(SAMPLES["an answer in two steps"]) == [
        ModelMessage(
            Role.ASSISTANT,
            "Let me look.",
            calls=(
                CALL,
                {
                    "id": "call_2",
                    "type": "function",
                    "function": {"name": "get.weather", "arguments": '{"city":'},
                },
            ),
        ),
        ModelMessage(Role.TOOL, '{"degrees":20,"sky":"clear"}', call_id="call_1"),
        ModelMessage(Role.TOOL, "No such city.", call_id="call_2", is_error=True),
        ModelMessage(Role.ASSISTANT, "It is 20 degrees."),
    ]


@pytest.mark.parametrize("kind", ["a tool", "a dynamic tool"])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("input-streaming", None),
        ("input-available", None),
        ("approval-requested", None),
        ("approval-responded", "Too dear."),
        ("output-available", '{"degrees":20,"sky":"clear"}'),
        ("output-error", "No such city."),
        ("output-denied", "Tool call execution denied."),
    ],
)
def test_a_call_is_sent_with_its_result_or_not_at_all(
    kind: str, state: str, expected: str | None
) -> None:
    found = model_messages(SAMPLES[f"{kind} with {state}"])
    results = [each.text for each in found if each.role is Role.TOOL]
    asked = [call["id"] for each in found for call in each.calls]
    assert results == ([] if expected is None else [expected])
    assert asked == ([] if expected is None else ["call_1"])
    assert "".join(each.text for each in found if each.role is Role.ASSISTANT) == TEXT["text"]


def test_every_state_of_a_tool_is_tried() -> None:
    assert len(STATES) == 7


def test_an_approved_call_waits_for_its_result() -> None:
    assert model_messages(SAMPLES["an approved call"]) == []


def test_a_preliminary_output_is_not_the_result() -> None:
    assert model_messages(SAMPLES["a preliminary output"]) == [
        ModelMessage(Role.ASSISTANT, TEXT["text"])
    ]


def test_a_text_is_the_result_as_it_is() -> None:
    _, answer, *_ = model_messages(SAMPLES["a text as output"])
    assert answer.text == "20 °C\n"


def test_what_follows_the_result_of_a_providers_tool_comes_after_it() -> None:
    found = model_messages(SAMPLES["a tool of the provider"])
    assert [each.role for each in found] == [Role.ASSISTANT, Role.TOOL, Role.ASSISTANT]


def test_files_of_a_user_are_parts_of_the_content() -> None:
    [found] = model_messages(SAMPLES["a question with files"])
    assert [*found.parts] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
        {"type": "file", "file": {"file_data": PDF["url"], "filename": "plan.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]


def test_a_steering_message_is_the_users() -> None:
    found = model_messages(assistant(STEP, TEXT, STEERING, TEXT))
    assert [each.role for each in found] == [Role.ASSISTANT, Role.USER, Role.ASSISTANT]
    assert found[1].text == "In Celsius, please."


@given(UI_MESSAGES)
def test_of_any_message_each_call_that_is_sent_has_one_result_behind_it(document: Any) -> None:  # noqa: ANN401 - JSON
    waiting: list[str] = []
    for each in model_messages(document):
        if each.role is Role.TOOL:
            assert each.call_id == waiting.pop(0)
            continue
        assert not waiting
        assert each.text or each.parts or each.calls
        waiting = [call["id"] for call in each.calls]
    assert not waiting


# Writing


def test_a_result_goes_into_the_part_of_its_call() -> None:
    found = translate(
        system("Be brief."),
        said_by_user("How warm is it?"),
        said_by_assistant("Let me look.", "a", "b", arguments='{"city":"Kyiv"}'),
        result("a", "20"),
        said_by_assistant("20 degrees."),
    )
    part = {"type": "dynamic-tool", "toolName": "look_up", "input": {"city": "Kyiv"}}
    assert [(each["role"], each["parts"]) for each in found] == [
        ("system", [{"type": "text", "text": "Be brief."}]),
        ("user", [{"type": "text", "text": "How warm is it?"}]),
        (
            "assistant",
            [
                {"type": "text", "text": "Let me look."},
                {**part, "toolCallId": "a", "state": "output-available", "output": "20"},
                {**part, "toolCallId": "b", "state": "input-available"},
            ],
        ),
        ("assistant", [{"type": "text", "text": "20 degrees."}]),
    ]
    assert [UUID(each["id"]).int for each in found] == [1, 2, 3, 5]


def test_a_result_without_its_call_is_a_message() -> None:
    [found] = translate(result("a", "20"))
    assert found["role"] == "assistant"
    assert [part["output"] for part in found["parts"]] == ["20"]


def test_thoughts_that_an_import_kept_are_reasoning() -> None:
    kept = JsonText('{"anthropic":{"content":[{"type":"thinking","thinking":"Hm."}]}}')
    [found] = translate(said_by_assistant("Yes.")._replace(metadata=kept))
    assert found["parts"] == [
        {"type": "reasoning", "text": "Hm."},
        {"type": "text", "text": "Yes."},
    ]


def test_only_an_assistant_may_say_nothing() -> None:
    found = translate(said_by_user(""), system(""), said_by_assistant(""))
    empty = [{"type": "text", "text": ""}]
    assert [each["parts"] for each in found] == [empty, empty, []]


def stored(document: object) -> Message:
    message = parse(document)
    return said(message.role, message.text())._replace(
        format="ai-sdk", original=OriginalText(write(document))
    )


@given(UI_MESSAGES)
def test_any_message_that_was_sent_as_one_is_written_as_it_was_sent(document: Any) -> None:  # noqa: ANN401 - JSON
    found = ui_messages([stored(document)], str)
    given = document if document["id"] else {**document, "id": str(UUID(int=1))}
    assert found == [write(given)]


def test_a_message_that_was_sent_without_an_id_is_written_with_one() -> None:
    document = {"role": "user", "parts": []}
    message = stored(document)._replace(id=MessageId(UUID(int=7)))
    assert json.loads(str(ui_messages([message], str)[0])) == {**document, "id": str(UUID(int=7))}


def test_an_original_on_several_lines_is_written_on_one() -> None:
    message = stored(SAMPLES["a question"])
    original = OriginalText(json.dumps(SAMPLES["a question"], indent=2).replace("\n", "\r\n"))
    [found] = ui_messages([message._replace(original=original)], str)
    assert "\n" not in str(found)
    assert json.loads(str(found)) == SAMPLES["a question"]


@given(UI_MESSAGES)
def test_what_is_written_of_other_messages_is_a_message_of_the_sdk(document: Any) -> None:  # noqa: ANN401 - JSON
    for each in model_messages(document):
        message = said(
            each.role,
            each.text,
            tool_calls=write(each.calls) if each.calls else None,
            tool_call_id=each.call_id,
        )
        [written] = translate(message)
        assert parse(written).text() == ("" if each.role is Role.TOOL else each.text)


@pytest.mark.parametrize("part", [IMAGE, PDF, AUDIO])
def test_a_file_is_the_same_file_after_both_translations(part: Any) -> None:  # noqa: ANN401 - JSON
    [found] = model_messages(user(part))
    message = said_by_user("")._replace(parts=JsonText(write(found.parts)))
    [written] = translate(message)
    kept = {"type", "mediaType", "url"} | ({"filename"} if part is PDF else set())
    assert written["parts"] == [{key: part[key] for key in part if key in kept}]


# Files


@given(messages=st.lists(UI_MESSAGES, min_size=1, max_size=4), indent=st.sampled_from([None, 1]))
def test_a_file_has_the_very_messages_again(messages: list[Any], indent: int | None) -> None:
    data = json.dumps({"messages": messages}, indent=indent).encode()
    find = partial(find_originals, data)

    line = READERS[FileFormat.AI_SDK].read(decode(data), find)

    assert [each.original for each in line.messages] == [*find("messages").values()]
    assert {each.format for each in line.messages} == {"ai-sdk"}
    without = READERS[FileFormat.AI_SDK].read(decode(data))
    assert [json.loads(each.original or "") for each in without.messages] == messages
    assert line.canonical == without.canonical


@given(UI_MESSAGES)
def test_an_export_has_the_bytes_that_were_sent(document: Any) -> None:  # noqa: ANN401 - JSON
    message = stored({**document, "id": "m"})
    entry = Entry(message.position, message.created_at, message)
    writer = JsonLines(WRITERS[FileFormat.AI_SDK])
    written = writer.write(Piece(a_conversation(), (entry,), is_first=True, is_last=True))
    assert f'"messages":[{message.original}]}}\n'.encode() in written


def test_a_result_on_the_next_page_goes_into_the_part_of_its_call() -> None:
    messages = conversation(said_by_assistant(None, "a", "b"), result("a", "1"), result("b", "2"))
    entries = [Entry(each.position, each.created_at, each) for each in messages]
    item = Entry(messages[0].position, messages[0].created_at, None, ItemText("{}"), ItemId("i"))
    writer = JsonLines(WRITERS[FileFormat.AI_SDK])
    chat = a_conversation()

    written = writer.write(Piece(chat, (entries[0], entries[1]), is_first=True, is_last=False))
    written += writer.write(Piece(chat, (entries[2], item), is_first=False, is_last=True))
    empty = writer.write(Piece(chat, (), is_first=True, is_last=True))

    [found] = json.loads(written)["messages"]
    assert [part["output"] for part in found["parts"]] == ["1", "2"]
    assert json.loads(empty)["messages"] == []
    assert writer.left_out() == "1 items that are not messages"


def test_markdown_shows_its_calls_and_results() -> None:
    message = stored(SAMPLES["an answer in two steps"])
    silent = stored(assistant(STEP, REASONING))
    entries = tuple(Entry(each.position, each.created_at, each) for each in (message, silent))

    piece = Piece(a_conversation(), entries, is_first=True, is_last=True)
    written = Markdown().write(piece).decode()

    headings = [line.split(",")[0] for line in written.splitlines() if line.startswith("## ")]
    assert headings == [
        *("## assistant", "## tool", "## tool", "## assistant"),
        "## assistant",
    ]
    for shown in ("> Let me look.", "Call call\\_1 of getWeather:", "No such city."):
        assert shown in written


def test_reasoning_that_was_sent_as_an_item_is_reasoning() -> None:
    text = '{"type":"reasoning","summary":[{"type":"summary_text","text":"Hm."}],"content":null}'
    [message] = conversation(said_by_assistant("Yes."))
    at = message.position, message.created_at
    entries = (
        Entry(*at, None, ItemText(text), ItemId("rs_1")),
        Entry(*at, message),
        Entry(*at, None, ItemText('{"type":"reasoning","summary":[]}'), ItemId("rs_2")),
    )
    writer = JsonLines(WRITERS[FileFormat.AI_SDK])
    written = writer.write(Piece(a_conversation(), entries, is_first=True, is_last=True))

    found = json.loads(written)["messages"]
    assert found[0] == {
        "id": "rs_1",
        "role": "assistant",
        "parts": [{"type": "reasoning", "text": "Hm."}],
    }
    assert [each["role"] for each in found] == ["assistant"] * 2
    assert writer.left_out() == "1 items that are not messages"
