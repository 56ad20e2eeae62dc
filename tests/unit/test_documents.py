"""Documents of a body: refused before they are decoded where they are too large, and only then."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain import json_fields
from chatkeep.domain.errors import InvalidValueError, LimitExceededError
from chatkeep.domain.json_fields import check_json, json_text, stable_json
from chatkeep.domain.model import Limits
from chatkeep.entrypoints.http.json_documents import encode, minimal_size, parse_metadata

LIMITS = Limits(max_metadata_bytes=100)
DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    value=st.dictionaries(st.text(), DOCUMENTS),
    how=st.sampled_from([{}, {"indent": 4}, {"separators": (" , ", " : ")}]),
)
def test_no_document_is_taken_for_larger_than_it_is(
    value: dict[str, Any], how: dict[str, Any]
) -> None:
    sent = json.dumps(value, **how).encode()

    assert minimal_size(sent) <= len(json_text(value, field="metadata"))


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text() | st.sampled_from(["1e5", '"1e-5', "e+05"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_what_ids_follow_from_is_written_as_it_always_was(value: object) -> None:
    assert stable_json(value) == msgspec.json.encode(value).decode()
    assert stable_json(value, sort_keys=True) == msgspec.json.encode(value, order="sorted").decode()


@given(VALUES)
def test_any_encoder_makes_the_same_text(value: object) -> None:
    assert json_text(value, field="f") == json_text(value, field="f", encode=encode)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("\ud800", "unpaired surrogate"),
        ({"\udfff": 1}, "unpaired surrogate"),
        (float("inf"), "out of range"),
        ([10**5_000], "out of range"),
        ([[[]]] * 1_000, ""),
    ],
)
def test_what_no_document_may_hold_is_refused(value: object, reason: str) -> None:
    if not reason:
        assert json_text(value, field="f")
        return
    with pytest.raises(InvalidValueError, match=reason):
        json_text(value, field="f")


def test_documents_are_at_most_500_deep() -> None:
    value: object = 1
    for _ in range(500):
        value = [value]
    assert json_text(value, field="f")
    with pytest.raises(InvalidValueError, match="nested more than 500 levels deep"):
        json_text({"a": value}, field="f")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting"),
        ("NaN", "NaN"),
        (r'"\ud800"', "unpaired surrogate"),
        ('"\ud800"', "unpaired surrogate"),
        ("[" * 100_000, "too deep"),
        (f"[{'9' * 5_000}, 1e999, {chr(34)}\\ud83e\\uddf5{chr(34)}]", ""),
    ],
)
def test_a_text_is_json_whatever_its_numbers(text: str, reason: str) -> None:
    if not reason:
        check_json(text)
        return
    with pytest.raises(ValueError, match=reason):
        check_json(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_size_of_a_number_that_is_written_out_is_known_before(number: float) -> None:
    sizes: list[int] = []
    text = json_text({"e5": [number, "1e5", 1e300]}, field="metadata", check_size=sizes.append)

    assert sizes == [len(text)]


@pytest.mark.parametrize(
    "document",
    [
        '{"a":[%s1]}' % ("1," * 100),
        '{"a":"%s"}' % ("x" * 2_000),
        '{"a":%s}' % ("1" * 2_000),
        '{"a":1%s}' % (" " * 10 + "," * 200),  # not even JSON any more, and nobody looks
    ],
    ids=["values", "text", "digits", "commas"],
)
def test_what_is_certainly_too_large_is_not_decoded(
    document: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr("chatkeep.entrypoints.http.json_documents._decode_object_or_null", fail)

    with pytest.raises(LimitExceededError) as refused:
        parse_metadata(msgspec.Raw(document.encode()), LIMITS)

    assert (refused.value.field, refused.value.limit) == ("metadata", 100)
    assert refused.value.actual == len(document)


def test_what_grows_too_large_is_not_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_given: object) -> None:
        raise AssertionError("it was written out")

    monkeypatch.setattr(json_fields, "_write_out", fail)

    with pytest.raises(LimitExceededError) as refused:
        parse_metadata(msgspec.Raw(b'{"a":1e300}'), LIMITS)

    assert refused.value.actual == len('{"a":.0}') + 301


@pytest.mark.parametrize("spaces", [1, 100_000])
def test_white_space_does_not_count(spaces: int) -> None:
    sent = msgspec.Raw(b'{"a":' + b" " * spaces + b"1.50}")

    assert parse_metadata(sent, LIMITS) == '{"a":1.5}'
