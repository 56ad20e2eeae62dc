"""What is searched of an item of OpenAI's API: what people read in it, whatever its type."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.items import ItemText
from chatkeep.domain.searched_item import searched_item
from chatkeep.domain.searched_text import MAX_SEARCHED_CHARS

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def of(**item: object) -> str:
    return searched_item(ItemText(json.dumps(item))).text


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Looking"}],
                "content": [{"type": "reasoning_text", "text": "for it"}],
                "encrypted_content": "gAAA",
                "status": "completed",
            },
            "Looking\nfor it",
        ),
        (
            {"type": "custom_tool_call", "call_id": "c", "name": "run", "input": "print(1)"},
            "run\nprint(1)",
        ),
        (
            {
                "type": "mcp_call",
                "server_label": "shop",
                "name": "find",
                "arguments": '{"city":"Z\\u00fcrich"}',
                "output": "two",
                "error": None,
            },
            'shop\nfind\n{"city":"Zürich"}\ntwo',
        ),
        (
            {
                "type": "web_search_call",
                "action": {"type": "search", "query": "soup", "sources": [{"url": "https://a"}]},
            },
            "soup\nhttps://a",
        ),
        (
            {
                "type": "shell_call_output",
                "output": [{"stdout": "a", "stderr": "b", "outcome": {"type": "exit"}}],
            },
            "a\nb",
        ),
        (
            {"type": "image_generation_call", "result": "iVBO", "revised_prompt": "a cat"},
            "a cat",
        ),
        ({"type": "mcp_list_tools", "server_label": "shop", "tools": [{"name": "find"}]}, "shop"),
        (
            {
                "type": "computer_call_output",
                "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,iV"},
            },
            "",
        ),
        ({"type": "of_tomorrow", "said": {"deeper": ["one", 2, None, "two"]}}, "one\ntwo"),
        ({"type": "message", "role": "critic", "content": [{"text": "Not bad"}]}, "Not bad"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_every_text_that_people_read_is_searched(item: dict[str, object], text: str) -> None:
    assert of(**item) == text


def test_tools_and_files_are_recognized() -> None:
    for kind, is_of_tool in {
        "custom_tool_call": True,
        "shell_call_output": True,
        "mcp_approval_request": True,
        "mcp_list_tools": True,
        "reasoning": False,
        "message": False,
        "unheard_of": False,
    }.items():
        found = searched_item(ItemText(json.dumps({"type": kind})))
        assert (found.kind, found.is_of_tool, found.has_file) == (kind, is_of_tool, False)
    for text in (
        '{"type":"image_generation_call"}',
        '{"type":"custom_tool_call_output","output":[{"type": "input_file","file_id":"f"}]}',
    ):
        assert searched_item(ItemText(text)).has_file


@given(st.lists(TEXT, max_size=5))
def test_texts_are_those_before_they_became_json(texts: list[str]) -> None:
    shown = [text for text in texts if not text.startswith("data:")]

    assert of(type="reasoning", summary=[{"text": text} for text in texts]) == "\n".join(shown)


@pytest.mark.parametrize(
    "stored", ["", "null", "[" * 100_000, '{"type":1}', f'{{"type":"reasoning","a":{"1" * 5_000}}}']
)
def test_what_has_no_text_is_no_error(stored: str) -> None:
    assert searched_item(ItemText(stored)).text == ""


def test_the_beginning_of_a_long_item_is_searched() -> None:
    long = "x" * (MAX_SEARCHED_CHARS - 3)

    assert of(type="reasoning", summary=[long, "beyond", "more"]) == f"{long}\nbe"
    deep = '{"type":"a","a":' + "[" * 400 + '"deep"' + "]" * 400 + "}"
    assert searched_item(ItemText(deep)).text == "deep"
