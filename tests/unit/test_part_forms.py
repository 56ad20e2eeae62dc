"""What each kind of part becomes for OpenAI and Anthropic, and what is left out and named."""

import json
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.context import Context, select
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.table import Format
from chatkeep.domain.model import Message, Role
from chatkeep.domain.parts import encode_parts, split_parts, text_of
from chatkeep.entrypoints.http.model_formats import context_answer
from tests.unit.histories import (
    assistant,
    conversation,
    histories,
    limits,
    said,
    system,
    tool,
    user,
    window,
)
from tests.unit.part_lists import (
    AUDIO,
    BLOCK_DOCUMENT,
    BLOCK_FILE,
    BLOCK_TEXT,
    BLOCK_URL,
    EVERY_KIND,
    FILE,
    FILE_ID,
    FILE_TEXT,
    FILE_URL,
    IMAGE,
    IMAGE_DATA,
    REFUSAL,
    TEXT,
    UNKNOWN,
    any_parts,
    as_parts,
)
from tests.unit.provider_rules import check_anthropic, check_openai


def in_parts(message: Message, *parts: dict[str, Any]) -> Message:
    return message._replace(content=text_of(parts), parts=as_parts(*parts))


def answer_for(form: Format, *messages: Message) -> dict[str, Any]:
    """Return the context of a conversation, checked by the rules of the provider."""
    return checked(form, select(window(conversation(*messages), 100)))


def checked(form: Format, context: Context) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(msgspec.json.encode(context_answer(context, form)))
    if form is Format.OPENAI:
        check_openai(answer["messages"])
    else:
        check_anthropic(answer["system"], answer["messages"])
    return answer


def openai(*messages: Message) -> dict[str, Any]:
    return answer_for(Format.OPENAI, *messages)


def anthropic(*messages: Message) -> dict[str, Any]:
    return answer_for(Format.ANTHROPIC, *messages)


def left_out(answer: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(each["part"], each["type"], each["reason"]) for each in answer.get("omitted", [])]


PNG_BLOCK = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
}
URL_BLOCK = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
REFUSED = {"type": "text", "text": "I will not."}

# For each kind, what a user's part becomes for each API: a part, or the reason why not.
FOR_OPENAI: dict[str, object] = {
    "a text": TEXT,
    "an image by its URL": IMAGE,
    "an image as data": IMAGE_DATA,
    "audio": AUDIO,
    "a PDF as data": FILE,
    "a text file as data": FILE_TEXT,
    "a file at OpenAI": FILE_ID,
    "a PDF by its URL": FILE_URL,
    "a refusal": REFUSED,
    "an unknown kind": "OpenAI's chat API has no part of the type video_url",
    "an image of Anthropic": {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="},
    },
    "a PDF of Anthropic": FILE,
    "a text document of Anthropic": {"type": "text", "text": "hello"},
    "an image stored at Anthropic": "the image is stored at Anthropic, or in an unknown form",
    "a document of Anthropic by its URL": "OpenAI's chat API takes no document by its URL",
}
PDF_SOURCE = BLOCK_DOCUMENT["source"]
FOR_ANTHROPIC: dict[str, object] = {
    "a text": TEXT,
    "an image by its URL": URL_BLOCK,
    "an image as data": PNG_BLOCK,
    "audio": "Anthropic's API takes no audio",
    "a PDF as data": {"type": "document", "source": PDF_SOURCE, "title": "a.pdf"},
    "a text file as data": {**BLOCK_TEXT, "title": "note.txt"},
    "a file at OpenAI": "the file is stored at OpenAI; only its file_id is here",
    "a PDF by its URL": BLOCK_URL,
    "a refusal": REFUSED,
    "an unknown kind": "Anthropic's API has no block of the type video_url",
    "an image of Anthropic": PNG_BLOCK,
    "a PDF of Anthropic": BLOCK_DOCUMENT,
    "a text document of Anthropic": BLOCK_TEXT,
    "an image stored at Anthropic": BLOCK_FILE,
    "a document of Anthropic by its URL": BLOCK_URL,
}


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize(
    ("form", "expected"), [(Format.OPENAI, FOR_OPENAI), (Format.ANTHROPIC, FOR_ANTHROPIC)]
)
def test_each_kind_becomes_a_part_or_is_named(
    form: Format, expected: dict[str, object], kind: str
) -> None:
    before = {"type": "text", "text": "before"}

    answer = answer_for(form, in_parts(user(None), before, EVERY_KIND[kind]))

    [turn] = answer["messages"]
    reason = expected[kind]
    if isinstance(reason, str):
        assert turn["content"] in ("before", [before])
        assert left_out(answer) == [(1, EVERY_KIND[kind]["type"], reason)]
    else:
        assert turn["content"] == [before, reason]
        assert "omitted" not in answer


def rows_of_table(page: str, heading: str) -> dict[str, list[str]]:
    """Return the rows of a table in a page of the documentation, by their first cell."""
    lines = page[page.index(heading) :].split("\n")
    rows = (
        line.strip("| ").split(" | ") for line in takewhile(lambda line: line[:1] == "|", lines)
    )
    return {name: cells for name, *cells in islice(rows, 2, None)}


KINDS = {"text": "a text", "image": "an image", "document": "a document", "file": "a file"}


def in_words(becomes: Any) -> str:  # noqa: ANN401 - a part or a reason
    if isinstance(becomes, str):
        return "left out"
    kind: str = becomes["type"].removesuffix("_url")
    return KINDS.get(kind, kind)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_the_documentation_says_what_becomes_of_each_kind(kind: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "parts.md").read_text(encoding="utf-8")
    table = rows_of_table(page, "| part | for OpenAI | for Anthropic |")
    assert table.keys() == EVERY_KIND.keys()

    for_openai, for_anthropic = table[kind]

    if for_openai == "as it is":
        assert FOR_OPENAI[kind] == EVERY_KIND[kind]
    else:
        assert for_openai == in_words(FOR_OPENAI[kind])
    assert for_anthropic.partition(",")[0] == in_words(FOR_ANTHROPIC[kind])


def test_openai_gets_parts_as_they_were_sent() -> None:
    sent = (
        '[{"z":1.10,"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"b","n":1e3}}]'
    )
    message = user("a")._replace(parts=sent)  # type: ignore[arg-type] # a JsonText

    document = context_answer(select(window(conversation(message), 1)), Format.OPENAI)

    assert sent.encode() in msgspec.json.encode(document)


def test_what_is_left_out_is_named_with_its_message() -> None:
    answer = openai(user("a"), in_parts(user(None), TEXT, UNKNOWN))

    [omitted] = answer["omitted"]
    assert omitted == {
        "message_id": "00000000-0000-0000-0000-000000000002",
        "part": 1,
        "type": "video_url",
        "reason": "OpenAI's chat API has no part of the type video_url",
    }


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.DEVELOPER, Role.ASSISTANT])
def test_only_users_may_show_images(role: Role) -> None:
    history = [user("a"), in_parts(said(role, None), TEXT, IMAGE)]

    for_openai, for_anthropic = openai(*history), anthropic(*history)

    assert for_openai["messages"][1] == {"role": role, "content": [TEXT]}
    reason = f"takes no image_url in a message with the role {role.value}"
    assert left_out(for_openai) == [(1, "image_url", f"OpenAI's chat API {reason}")]
    assert left_out(for_anthropic) == [(1, "image_url", f"Anthropic's API {reason}")]
    if role is not Role.ASSISTANT:
        assert for_anthropic["system"] == TEXT["text"]


def test_a_result_with_an_image_is_whole_for_anthropic_and_text_for_openai() -> None:
    history = [user("1"), assistant(None, "a"), in_parts(tool("a", None), TEXT, IMAGE)]

    result = {"type": "tool_result", "tool_use_id": "a", "content": [TEXT, URL_BLOCK]}
    assert anthropic(*history)["messages"][2]["content"] == [result]
    assert openai(*history)["messages"][2] == {
        "role": "tool",
        "content": [TEXT],
        "tool_call_id": "a",
    }


def test_a_result_with_nothing_that_the_api_takes_is_an_empty_one() -> None:
    history = [user("1"), assistant(None, "a"), in_parts(tool("a", None), AUDIO)]

    assert openai(*history)["messages"][2]["content"] == ""
    assert anthropic(*history)["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a"}
    ]


def test_a_message_with_nothing_that_the_api_takes_is_left_out() -> None:
    history = [user("1"), in_parts(user(None), UNKNOWN), user("2")]

    assert [each["content"] for each in openai(*history)["messages"]] == ["1", "2"]
    assert anthropic(*history)["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}]}
    ]


def test_calls_stay_when_no_part_of_their_message_does() -> None:
    asks = in_parts(assistant(None, "a"), IMAGE)

    answer = openai(user("1"), asks, tool("a", "A"))

    assert answer["messages"][1]["content"] is None
    assert answer["messages"][1]["tool_calls"]


def test_a_refusal_stays_one_only_alone() -> None:
    alone, beside = in_parts(assistant(None), REFUSAL), in_parts(assistant(None), TEXT, REFUSAL)

    assert openai(user("1"), alone)["messages"][1]["content"] == [REFUSAL]
    assert openai(user("1"), beside)["messages"][1]["content"] == [TEXT, REFUSED]


def test_a_context_may_begin_with_an_image() -> None:
    answer = anthropic(in_parts(user(None), IMAGE), assistant("A cat."))

    assert answer["messages"][0] == {"role": "user", "content": [URL_BLOCK]}


def test_only_text_counts_for_the_length_of_a_context() -> None:
    history = conversation(user("12345"), in_parts(user(None), TEXT, IMAGE_DATA), user("123"))

    found = select(window(history, 10), max_chars=len(TEXT["text"]) + 3)

    assert [message.id.int for message in found.messages] == [2, 3]
    assert found.truncated


@given(
    history=histories(),
    limit=limits,
    lists=st.lists(any_parts, min_size=1, max_size=4),
    data=st.data(),
)
@pytest.mark.parametrize("form", [Format.OPENAI, Format.ANTHROPIC])
def test_both_accept_the_context_of_any_history_with_any_parts(
    form: Format, history: tuple[Message, ...], limit: int, lists: list[Any], data: st.DataObject
) -> None:
    messages = list(history)
    for given_parts in lists:
        try:
            found = encode_parts(given_parts, field="content")
        except InvalidValueError:
            continue
        if messages:
            index = data.draw(st.integers(0, len(messages) - 1))
            messages[index] = messages[index]._replace(content=found.text, parts=found.parts)
    context = select(window(tuple(messages), limit))

    answer = checked(form, context)

    by_id = {str(message.id): message for message in context.messages}
    for each in answer.get("omitted", []):
        parts = by_id[each["message_id"]].parts
        assert parts is not None
        assert split_parts(parts)[each["part"]].kind == each["type"]


def test_system_messages_have_text_in_parts_too() -> None:
    spoken = in_parts(system(None), TEXT, {"type": "text", "text": "Be kind."})

    assert anthropic(spoken, user("1"))["system"] == "What is this?\n\nBe kind."
