"""Merge patches on texts do what RFC 7396 says of the values, and keep numbers as written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.json_fields import MAX_DEPTH
from chatkeep.domain.json_merge import compact_json, merge_patch
from chatkeep.domain.model import JsonText

SCALARS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=6)
NAMES = st.sampled_from(["a", "b", "", "\x00", '"', "\\", "é", "\ufdd0"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def merged(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON
    """Do as the pseudocode of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merged(target.get(name), value)
    return target


def text_of(value: object, **options: Any) -> JsonText:  # noqa: ANN401 - of the encoder
    return JsonText(json.dumps(value, **options))


@given(JSON, JSON, st.booleans())
def test_a_patch_is_applied_as_the_standard_says(
    target: object,
    patch: object,
    ascii_only: bool,  # noqa: FBT001 - hypothesis passes it so
) -> None:
    options = {"ensure_ascii": ascii_only, "indent": 1 if ascii_only else None}

    found = merge_patch(text_of(target, **options), text_of(patch))

    assert json.loads(found) == merged(target, patch)
    assert found == compact_json(found)


def test_numbers_and_strings_are_not_rewritten() -> None:
    document = JsonText('{ "a": 1.10, "b": [1e2, "x : , y"], "c": {"d": -0.0} }')

    found = merge_patch(document, JsonText('{"c": {"e": 1.50}}'))

    assert found == '{"a":1.10,"b":[1e2,"x : , y"],"c":{"d":-0.0,"e":1.50}}'


@pytest.mark.parametrize("inner", ["1", "null", "{}"])
def test_documents_may_nest_as_deep_as_they_are_accepted(inner: str) -> None:
    deep = JsonText('{"a":' * MAX_DEPTH + inner + "}" * MAX_DEPTH)

    found = merge_patch(deep, deep)

    assert found.startswith('{"a":' * (MAX_DEPTH - 1))


def test_a_large_patch_takes_time_in_proportion() -> None:
    """No more than a request may have; each level reads what is below it once."""
    wide = JsonText("{" + ",".join(f'"key {n}":{{"x":{n}}}' for n in range(20_000)) + "}")

    assert json.loads(merge_patch(wide, wide)) == json.loads(wide)
