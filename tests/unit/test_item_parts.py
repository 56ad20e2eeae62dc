"""Content parts of items: those of a native message, and those of an item as a native message."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.openai_items import ItemWriter, parse_item
from chatkeep.domain.items import ItemText
from chatkeep.domain.model import Message, NewMessage, Role
from chatkeep.domain.parts import BETWEEN_TEXTS, encode_parts, text_of
from tests.unit.histories import assistant, said, tool, user
from tests.unit.part_lists import (
    AUDIO,
    BLOCK_DOCUMENT,
    BLOCK_IMAGE,
    FILE,
    FILE_ID,
    IMAGE,
    IMAGE_DATA,
    REFUSAL,
    TEXT,
    UNKNOWN,
    any_part,
    as_parts,
)

INPUT_TEXT = {"type": "input_text", "text": "What is this?"}
INPUT_IMAGE = {
    "type": "input_image",
    "detail": "auto",
    "image_url": "https://example.com/a.png",
}
INPUT_FILE = {"type": "input_file", "file_id": "file-1"}
INPUT_AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
OUTPUT_TEXT = {
    "type": "output_text",
    "text": "What is this?",
    "annotations": [],
    "logprobs": [],
}


def in_parts(message: Message, *parts: dict[str, Any]) -> Message:
    return message._replace(content=text_of(parts), parts=as_parts(*parts))


def items_of(message: Message) -> list[dict[str, Any]]:
    return [json.loads(item.text) for item in ItemWriter().write(message)]


def message_of(item: object) -> NewMessage:
    message = parse_item(ItemText(json.dumps(item)), field="items[0]").message
    assert message is not None
    return message


def parts_of(item: object) -> Any:  # noqa: ANN401 - any JSON
    message = message_of(item)
    return None if message.parts is None else json.loads(message.parts)


def test_parts_of_a_user_become_input() -> None:
    message = in_parts(user(None), TEXT, IMAGE, IMAGE_DATA, AUDIO, FILE, FILE_ID, REFUSAL, UNKNOWN)

    [item] = items_of(message)

    assert item["content"] == [
        INPUT_TEXT,
        INPUT_IMAGE,
        {"type": "input_image", "detail": "low", "image_url": IMAGE_DATA["image_url"]["url"]},
        INPUT_AUDIO,
        {"type": "input_file", **{key: FILE["file"][key] for key in ("file_data", "filename")}},
        INPUT_FILE,
        {"type": "input_text", "text": "I will not."},
    ]


def test_blocks_of_anthropic_become_input_too() -> None:
    [item] = items_of(in_parts(user(None), BLOCK_IMAGE, BLOCK_DOCUMENT))

    assert [part["type"] for part in item["content"]] == ["input_image", "input_file"]


def test_parts_of_the_assistant_are_texts_and_refusals() -> None:
    [item] = items_of(in_parts(said(Role.ASSISTANT, None), TEXT, IMAGE, REFUSAL))

    assert item["content"] == [OUTPUT_TEXT, REFUSAL]


def test_an_assistant_that_calls_says_only_what_items_can_have() -> None:
    [call] = items_of(in_parts(assistant(None, "a"), IMAGE))

    assert call["type"] == "function_call"


def test_a_result_is_a_list_only_if_it_is_more_than_text() -> None:
    [texts] = items_of(in_parts(tool("a", None), TEXT))
    [shown] = items_of(in_parts(tool("a", None), TEXT, IMAGE))

    assert texts["output"] == "What is this?"
    assert shown["output"] == [INPUT_TEXT, INPUT_IMAGE]


def test_the_text_of_a_document_is_in_a_result_with_other_parts_and_without() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "a menu"}
    document = {"type": "document", "source": source}
    [texts] = items_of(in_parts(tool("a", None), TEXT, document))
    [alone] = items_of(in_parts(tool("a", None), document))
    [shown] = items_of(in_parts(tool("a", None), document, IMAGE))

    assert texts["output"] == f"What is this?{BETWEEN_TEXTS}a menu"
    assert alone["output"] == "a menu"
    assert shown["output"] == [{"type": "input_text", "text": "a menu"}, INPUT_IMAGE]


def test_an_item_with_an_image_is_a_message_with_parts() -> None:
    item = {"role": "user", "content": [INPUT_TEXT, INPUT_IMAGE, INPUT_FILE, INPUT_AUDIO, UNKNOWN]}

    message = message_of(item)

    image = {"url": "https://example.com/a.png", "detail": "auto"}
    assert message.content == "What is this?"
    assert parts_of(item) == [
        TEXT,
        {"type": "image_url", "image_url": image},
        FILE_ID,
        AUDIO,
        UNKNOWN,
    ]


def test_a_result_with_an_image_has_parts() -> None:
    output = {"type": "function_call_output", "call_id": "c", "output": [INPUT_TEXT, INPUT_IMAGE]}

    assert message_of(output).tool_call_id == "c"
    assert [part["type"] for part in parts_of(output)] == ["text", "image_url"]


@pytest.mark.parametrize(
    "content",
    [
        "hello",
        "about input_image",
        [],
        [INPUT_TEXT],
        [INPUT_TEXT, {"type": "input_text", "text": 'a "input_image"'}],
        [{"type": "input_image"}],
        [{"type": "input_image", "file_id": "file-1"}],
        [{"type": "input_image", "image_url": ["u"]}],
        [{"type": "input_file", "file_url": "https://example.com/a.pdf"}],
        [{"type": "input_audio", "input_audio": {"data": "a"}}],
    ],
    ids=str,
)
def test_an_item_without_an_image_or_file_to_translate_has_only_its_text(content: object) -> None:
    assert parts_of({"role": "user", "content": content}) is None


def test_an_item_with_what_parts_cannot_have_has_only_its_text() -> None:
    image = '{"type":"input_image","image_url":"u"}'
    text = f'{{"role":"user","content":[{image},{{"type":"a","b":1,"b":2}}]}}'

    message = parse_item(ItemText(text), field="items[0]").message

    assert message is not None
    assert (message.content, message.parts) == ("", None)


def test_the_text_of_a_large_item_is_read_from_its_outline() -> None:
    url = f"data:image/png;base64,{'A' * 200_000}"
    item = {"role": "user", "content": [INPUT_TEXT, {**INPUT_IMAGE, "image_url": url}, INPUT_AUDIO]}

    [text, image, audio] = parts_of(item)

    assert (text, audio) == (TEXT, AUDIO)
    assert (image["image_url"]["url"] == url) is True


def text_in(part: dict[str, Any]) -> str:
    """Return the text of a part as an item has it: that of a document too."""
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return text
        case {"type": "document", "source": {"type": "text", "data": str(text)}}:
            return text
        case _:
            return ""


@given(st.lists(any_part, min_size=1, max_size=4), st.sampled_from([Role.USER, Role.TOOL]))
def test_what_becomes_of_parts_as_items_is_read_again(parts: list[Any], role: Role) -> None:
    try:
        found = encode_parts(parts, field="content")
    except InvalidValueError:
        return
    message = tool("a", None) if role is Role.TOOL else user(None)

    [item] = items_of(message._replace(content=found.text, parts=found.parts))

    again = message_of(item)
    assert again.role is role
    texts = [part["text"] for part in json.loads(again.parts or "[]") if part["type"] == "text"]
    said = "".join(text_in(part) for part in json.loads(found.parts))
    if again.parts is None:
        assert "".join((again.content or "").split()) == "".join(said.split())
    else:
        assert all(text in said for text in texts)
