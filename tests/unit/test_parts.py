"""Content parts: what is kept, what is refused and by which name, and their text."""

import json
import time
from typing import Any

import pytest
from hypothesis import given

from chatkeep.domain.errors import InvalidValueError, LimitExceededError
from chatkeep.domain.json_fields import is_unicode
from chatkeep.domain.model import JsonText, Limits
from chatkeep.domain.parts import (
    MAX_PARTS,
    encode_parts,
    has_odd_numbers,
    parse_parts,
    split_parts,
    text_of,
)
from tests.unit.part_lists import (
    AUDIO,
    EVERY_KIND,
    FILE_ID,
    IMAGE,
    REFUSAL,
    TEXT,
    any_parts,
    as_parts,
)

NO_STRING = "must be a string"
EMPTY = "must be a string that is not empty"
FILLED_FILE = "must have file_data or file_id, a string that is not empty"

WRONG: list[tuple[Any, str, str]] = [
    ([], "content", "is an empty array; give at least one part"),
    ({}, "content", "must be a string or an array of parts"),
    (["text"], "content[0]", "must be an object with a type"),
    ([TEXT, None], "content[1]", "must be an object with a type"),
    ([{}], "content[0].type", EMPTY),
    ([{"type": ""}], "content[0].type", EMPTY),
    ([{"type": 5}], "content[0].type", EMPTY),
    ([TEXT, {"type": "text"}], "content[1].text", NO_STRING),
    ([{"type": "text", "text": ["a"]}], "content[0].text", NO_STRING),
    ([{"type": "refusal", "text": "a"}], "content[0].refusal", NO_STRING),
    (
        [{"type": "image_url", "image_url": "https://a"}],
        "content[0].image_url",
        "must be an object",
    ),
    ([{"type": "image_url", "image_url": {}}], "content[0].image_url.url", EMPTY),
    ([TEXT, {"type": "image_url", "image_url": {"url": 5}}], "content[1].image_url.url", EMPTY),
    (
        [{"type": "image_url", "image_url": {"url": "a", "detail": 1}}],
        "content[0].image_url.detail",
        "must be a string or null",
    ),
    ([{"type": "input_audio"}], "content[0].input_audio", "must be an object"),
    (
        [{"type": "input_audio", "input_audio": {"data": "a"}}],
        "content[0].input_audio.format",
        EMPTY,
    ),
    ([{"type": "file", "file": {"filename": "a"}}], "content[0].file", FILLED_FILE),
    ([{"type": "file", "file": {"file_id": ""}}], "content[0].file", FILLED_FILE),
    (
        [{"type": "file", "file": {"file_id": "a", "file_data": []}}],
        "content[0].file.file_data",
        "must be a string or null",
    ),
]


@pytest.mark.parametrize(("parts", "field", "reason"), WRONG, ids=str)
def test_a_part_of_a_known_kind_is_checked(
    parts: Any,  # noqa: ANN401 - right or wrong
    field: str,
    reason: str,
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_parts(json.dumps(parts), field="content")
    assert (caught.value.field, caught.value.reason) == (field, reason)
    with pytest.raises(InvalidValueError) as caught:
        encode_parts(parts, field="content")
    assert (caught.value.field, caught.value.reason) == (field, reason)


@pytest.mark.parametrize("part", EVERY_KIND.values(), ids=EVERY_KIND)
def test_every_kind_is_kept_with_what_else_it_has(part: dict[str, Any]) -> None:
    sent = json.dumps([{"z": None, **part, "a": [{"b": True}]}], separators=(",", ":"))

    assert parse_parts(sent, field="content").parts == sent


def test_keys_keep_their_order_and_numbers_their_digits() -> None:
    sent = '[{"z":1.10,"type":"a","n":[1e3,-0,12345678901234567890123],"a":0.0}]'

    assert parse_parts(sent, field="content").parts == sent
    assert has_odd_numbers(JsonText(sent))


def test_white_space_between_tokens_and_needless_escapes_are_not_kept() -> None:
    sent = ' [ { "type" :\n"text" , "text": "\\u0041 \\/ \\u0000 \\ud83e\\uddf5 \\" \\n" } ]\r\n'

    kept = parse_parts(sent, field="content").parts

    assert kept == '[{"type":"text","text":"A / \\u0000 🧵 \\" \\n"}]'
    assert json.loads(kept) == json.loads(sent)


def test_the_text_is_that_of_all_parts_that_are_text() -> None:
    assert text_of([TEXT, IMAGE, REFUSAL]) == "What is this?\n\nI will not."
    assert text_of([{"type": "text", "text": ""}]) == ""
    assert text_of([IMAGE, AUDIO]) is None


def test_only_numbers_that_may_be_written_differently_are_odd() -> None:
    plain = as_parts({"type": "a", "text": "1.0 1e3", "n": [0, 7, -5, 123456789012345, True]})
    odd = ["1.0", "1e3", "1E3", "-0", "12345678901234567890"]

    assert not has_odd_numbers(plain)
    assert all(has_odd_numbers(JsonText(f'[{{"type":"a","n":{number}}}]')) for number in odd)


def test_a_key_that_comes_twice_is_refused() -> None:
    sent = '[{"type":"image_url","image_url":{"url":"https://a","url":"file:///b"}}]'

    with pytest.raises(InvalidValueError) as caught:
        parse_parts(sent, field="content")
    assert caught.value.reason == "has an object with the key 'url' twice"


@pytest.mark.parametrize("depth", [501, 20_000])
def test_parts_nested_too_deeply_are_refused(depth: int) -> None:
    sent = f'[{{"type":"a","n":{"[" * depth}{"]" * depth}}}]'

    with pytest.raises(InvalidValueError, match="is nested more than 500 levels deep"):
        parse_parts(sent, field="content")


@pytest.mark.parametrize("number", ["1e999", "9" * 400])
def test_numbers_out_of_range_are_refused(number: str) -> None:
    with pytest.raises(InvalidValueError, match="contains a number that is out of range"):
        parse_parts(f'[{{"type":"a","n":{number}}}]', field="content")


def test_the_number_of_parts_is_bounded_for_callers_and_not_for_imports() -> None:
    most, more = (json.dumps([TEXT] * count) for count in (MAX_PARTS, MAX_PARTS + 1))

    assert parse_parts(most, field="content", limits=Limits())
    assert parse_parts(more, field="content")
    with pytest.raises(InvalidValueError, match="has 1001 parts; at most 1000"):
        parse_parts(more, field="content", limits=Limits())


def test_the_bytes_of_all_parts_are_bounded() -> None:
    sent = json.dumps([{"type": "a", "text": "é" * 100}], ensure_ascii=False)
    limits = Limits(max_item_bytes=150)

    assert parse_parts(sent, field="content", limits=Limits(max_item_bytes=500))
    with pytest.raises(LimitExceededError) as caught:
        parse_parts(sent, field="content", limits=limits)
    assert (caught.value.field, caught.value.unit) == ("content", "bytes")
    assert caught.value.actual == len('[{"type":"a","text":""}]') + 200


def test_values_without_end_are_refused_before_they_are_decoded() -> None:
    sent = f'[{{"type":"a","n":[{"{}," * 200_000}{{}}]}}]'

    with pytest.raises(InvalidValueError, match="has more than 100000 values"):
        parse_parts(sent, field="content")


def test_a_data_url_of_a_mebibyte_takes_milliseconds() -> None:
    sent = json.dumps(
        [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'A' * 2**20}"}}]
    )

    began = time.perf_counter()
    found = parse_parts(sent, field="content", limits=Limits())

    assert time.perf_counter() - began < 1
    assert [part.kind for part in split_parts(found.parts)] == ["image_url"]


def test_a_file_at_openai_is_enough() -> None:
    assert parse_parts(json.dumps([FILE_ID]), field="content").text is None


@given(any_parts)
def test_anything_is_kept_or_refused_by_its_name(given_parts: Any) -> None:  # noqa: ANN401
    sent = json.dumps(given_parts)
    if not is_unicode(json.dumps(given_parts, ensure_ascii=False)):
        return  # bodies with unpaired surrogates are refused before
    try:
        found = parse_parts(sent, field="content")
    except InvalidValueError:
        with pytest.raises(InvalidValueError):
            encode_parts(given_parts, field="content")
        return

    assert json.loads(found.parts) == given_parts
    assert found == encode_parts(given_parts, field="content")
    assert [part.source for part in split_parts(found.parts)] == [
        json.dumps(part, ensure_ascii=False, separators=(",", ":")) for part in given_parts
    ]
