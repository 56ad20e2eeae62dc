"""What is searched of a message: its content, and its calls of tools as people read them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.model import JsonText
from chatkeep.domain.searched_text import MAX_SEARCHED_CHARS, searched_text


def call(arguments: str, name: str = "f") -> JsonText:
    return JsonText(json.dumps([{"function": {"name": name, "arguments": arguments}}]))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["all", "few"]))
def test_a_string_in_the_arguments_is_as_it_was_before_it_became_json(
    text: str, escapes: str
) -> None:
    arguments = json.dumps(text, ensure_ascii=escapes == "all")

    assert searched_text(None, call(arguments)) == f'f "{text}"'


@given(st.text(st.sampled_from('\\u0dD8cCeEnb"{'), max_size=40))
def test_arguments_that_are_not_json_can_be_searched_too(arguments: str) -> None:
    searched_text("said", call(arguments)).encode()


@pytest.mark.parametrize(
    "stored",
    ["null", "{}", "[1, null, {}]", '[{"function": 1}]', "[" * 100_000, "[", f"[{'1' * 5_000}]"],
)
def test_what_is_not_a_call_has_no_text(stored: str) -> None:
    assert searched_text("said", JsonText(stored)) == "said"
    assert searched_text(None, JsonText(stored)) == ""


def test_calls_are_searched_up_to_the_limit_of_a_message() -> None:
    assert searched_text("said", call("x" * MAX_SEARCHED_CHARS)) == (
        "said\nf " + "x" * (MAX_SEARCHED_CHARS - len("said\nf "))
    )
    assert searched_text("y" * MAX_SEARCHED_CHARS, call("x")) == "y" * MAX_SEARCHED_CHARS


def test_a_call_without_a_name_or_arguments_has_the_other() -> None:
    calls = [{"function": {"name": "get_time"}}, {"custom": {"name": None, "input": "now"}}]

    assert searched_text(None, JsonText(json.dumps(calls))) == "get_time\n now"
