"""Values within a JSON text are found where the parser finds them, in small steps."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain import json_sources, json_values
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.openai_items import parse_item
from chatkeep.domain.items import ItemText
from chatkeep.domain.json_fields import is_deeper
from chatkeep.domain.json_sources import members, value_of
from chatkeep.domain.json_values import TooManyValuesError
from chatkeep.domain.threads import SMALL

TRICKY = st.text(st.sampled_from('"\\[]{},: \né\x00\U0001f9f5a'), max_size=8)
DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TRICKY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TRICKY, inner, max_size=4),
    max_leaves=20,  # making larger documents takes a thousand times as long as reading them
)
WRITINGS = st.sampled_from(
    [{}, {"ensure_ascii": False}, {"indent": 1}, {"separators": (" ,\n", "\t:\r ")}]
)


@given(values=st.lists(DOCUMENTS, max_size=4), how=WRITINGS)
def test_elements_are_those_of_the_parser(values: list[Any], how: dict[str, Any]) -> None:
    found = list(json_values.elements(f" {json.dumps(values, **how)}\n"))

    assert [json.loads(each) for each in found] == values
    assert all(each == each.strip() for each in found)


@given(value=DOCUMENTS, how=WRITINGS)
def test_the_depth_is_that_of_what_the_parser_finds(value: object, how: dict[str, Any]) -> None:
    found = json_values.measure_depth(f" {json.dumps(value, **how)}\n")

    assert not is_deeper(value, found)
    assert found == 0 or is_deeper(value, found - 1)


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("[" * 600 + "]" * 600, 600),
        ("[" + "[],{}," * 100_000 + "[]]", 2),
        ('{"a":[' + '"[[[\\"[[[",' * 100_000 + "[]]}", 3),
        (f'["{"[" * 200_000}", [1]]', 2),
        (f'["{chr(92) * 2 * 100_000}", [[1]]]', 3),
        (f"[{' ' * 200_000}[]]", 2),
        ("", 0),
    ],
    ids=lambda given: str(given)[:20],
)
def test_the_depth_of_a_long_text(text: str, depth: int) -> None:
    assert json_values.measure_depth(text) == depth


@given(values=st.dictionaries(TRICKY, DOCUMENTS), how=WRITINGS)
def test_members_are_those_of_the_parser(values: dict[str, Any], how: dict[str, Any]) -> None:
    found = list(json_values.members(f"\t{json.dumps(values, **how)} "))

    assert [(name, json.loads(each)) for name, each in found] == list(values.items())


@pytest.mark.parametrize("text", ["", "1", '"[]"', "null", "{}"])
def test_what_is_no_array_has_no_elements(text: str) -> None:
    with pytest.raises(ValueError, match="is not an array"):
        list(json_values.elements(text))


@pytest.mark.parametrize("times", [1, 99, 100, 101, 250, 10_000, 10_001, 25_000])
@pytest.mark.parametrize("piece", ['\\"', "\\\\", "\\n", "a", "[", '","', '",[],"'])
def test_strings_and_runs_of_any_length_are_passed_over(piece: str, times: int) -> None:
    inner = f'["{piece * times}"]'
    text = f'[{inner},{{"a":{inner}}},1]'

    assert list(json_values.elements(text)) == [inner, f'{{"a":{inner}}}', "1"]


def test_the_last_of_several_members_of_one_name_counts_in_a_large_text_too() -> None:
    item = members(f'{{"a":1,"b":"{"x" * SMALL}","a":2}}')

    assert item is not None
    assert value_of(item, "a") == 2


@pytest.mark.parametrize(
    "item",
    [
        '{"role":"user","content":"a","more":%s}',
        '{"type":null,"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image"}],"more":%s}',
        '{"role":"assistant","content":[{"type":"output_text","text":"\\u00e9"},{"refusal":"b"}],"more":%s}',
        '{"role":"assistant","content":[{"type":"output_text","text":"a","logprobs":%s}]}',
        '{"type":"function_call","call_id":"c","name":"f","arguments":"{}","more":%s}',
        '{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"a"}],"more":%s}',
        '{"type":"shell_call","call_id":"c","action":{"commands":%s}}',
        '{"id":"a","type":"later","more":%s}',
    ],
)
def test_a_large_item_becomes_what_a_small_one_becomes(
    item: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ItemText(item % '[{"a":["b",null,1.50,{}]},"\\"]"]')
    small = parse_item(text, field="items[0]")
    monkeypatch.setattr(json_sources, "SMALL", 0)

    assert parse_item(text, field="items[0]") == small


@pytest.mark.parametrize(
    ("large", "reason"),
    [
        ("[%s]" % ("[]," * 500_001 + "1"), "has more than 500000 lists and objects"),
        ("[%s]" % ("{}," * 100_001 + "1"), "has more than 100000 members and parts"),
    ],
    ids=["lists", "parts"],
)
def test_an_item_of_more_than_can_be_looked_through_is_refused(large: str, reason: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        parse_item(ItemText(f'{{"role":"user","content":{large}}}'), field="items[3]")

    assert (refused.value.field, refused.value.reason) == ("items[3]", reason)


def test_what_nobody_looks_at_may_be_a_lot() -> None:
    many = f"[{'1,' * 1_000_000}1]"

    assert (
        parse_item(ItemText(f'{{"type":"later","more":{many}}}'), field="items[0]").kind == "later"
    )


def test_the_members_of_a_large_item_are_counted() -> None:
    many = ",".join(f'"{number}":1' for number in range(100_001))

    with pytest.raises(TooManyValuesError):
        members(f"{{{many}}}")
