"""What is sent as an item, what is stored of it, and what it is natively."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InvalidValueError
from domain.item_shapes import drafted
from domain.items import ItemId, ItemText, NewItem, message_id_in
from domain.model import Message, Role
from domain.native_items import items_of
from tests.unit.histories import AT, histories

MADE = ItemId("made")
tried = settings(deadline=None)  # how long it takes says nothing here


def normalised(text: str) -> str:
    """Return what is stored, when an id that has to be made is `made`."""
    draft = drafted(ItemText(text), field="items[0]")
    return draft.text(MADE) if draft.id is None else draft.new(AT).text


def stored(text: str) -> NewItem:
    return drafted(ItemText(text), field="items[0]").new(AT)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (
            '{"role":"user","content":"Hi"}',
            (
                '{"id":"made","type":"message","role":"user",'
                '"content":[{"type":"input_text","text":"Hi"}],"status":"completed"}'
            ),
        ),
        (
            '{"content":"Hi","role":"assistant","phase":"commentary"}',
            (
                '{"id":"made","type":"message","content":[{"type":"output_text","text":"Hi",'
                '"annotations":[],"logprobs":[]}],"role":"assistant","phase":"commentary",'
                '"status":"completed"}'
            ),
        ),
        (
            '{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}',
            (
                '{"id":"made","type":"function_call","call_id":"c","name":"f","arguments":"{}",'
                '"status":"completed"}'
            ),
        ),
        (
            (
                '{ "output": "1" , "type":"function_call_output", "call_id":"c", "id": null,'
                ' "status":"incomplete"}'
            ),
            (
                '{"output":"1","type":"function_call_output","call_id":"c","id":"made",'
                '"status":"incomplete"}'
            ),
        ),
        ('{"type":"reasoning","summary":[]}', '{"id":"made","type":"reasoning","summary":[]}'),
        ('{"type":"reasoning","id":""}', '{"type":"reasoning","id":"made"}'),
        (
            '{"type":"message","id":"__fake_id__","role":"user","content":[],"status":null}',
            '{"type":"message","id":"made","role":"user","content":[],"status":"completed"}',
        ),
    ],
)
def test_what_openai_fills_in_is_filled_in(sent: str, kept: str) -> None:
    assert normalised(sent) == kept


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"reasoning","id":"rs_1","encrypted_content":null}',
        ' { "z" : 1.10 , "type" : "later" , "id":"x/1", "a" : [ 1e999 , {} ] } ',
        '{"type":"message","id":"m","role":"user","status":"in_progress","content":[ ]}',
        '{"id":"a","type":"later","n":12345678901234567890123456789012345678901234567890}',
        '{"id":"a","type":"later","s":"\\u0000 \\u00e9 \\/ \\ud83e\\uddf5 \U0001f9f5"}',
        '{"id":"a","type":"custom_tool_call_output","status":null}',
    ],
)
def test_what_needs_nothing_stays_to_the_letter(text: str) -> None:
    assert normalised(text) == text


def test_an_escaped_text_keeps_its_escapes() -> None:
    kept = normalised('{"role":"user","content":"\\u0000\\u00e9\\"\\ud83e\\uddf5"}')

    assert '"text":"\\u0000\\u00e9\\"\\ud83e\\uddf5"' in kept


@pytest.mark.parametrize(
    ("sent", "prefix"),
    [
        ('{"role":"user","content":""}', "msg_"),
        ('{"type":"function_call","call_id":"c","name":"f","arguments":""}', "fc_"),
        ('{"type":"function_call_output","call_id":"c","output":[]}', "fco_"),
        ('{"type":"reasoning"}', "rs_"),
        ('{"type":"computer_call_output"}', "cuo_"),
        ('{"type":"of a later day"}', "item_"),
    ],
)
def test_an_id_is_made_by_type(sent: str, prefix: str) -> None:
    item = stored(sent)

    assert item.id.startswith(prefix)
    assert len(item.id) <= 64
    assert item.minted
    assert json.loads(item.text)["id"] == item.id
    if item.message is not None:
        assert message_id_in(item.id) == item.message.id


@pytest.mark.parametrize(
    ("sent", "role", "content"),
    [
        ('{"role":"developer","content":"a"}', Role.DEVELOPER, "a"),
        (
            (
                '{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image"},'
                '{"type":"input_text","text":"b"}]}'
            ),
            Role.USER,
            "ab",
        ),
        (
            '{"role":"assistant","content":[{"type":"refusal","refusal":"No."}]}',
            Role.ASSISTANT,
            "No.",
        ),
        ('{"role":"user","content":[{"type":"input_image","text":5}]}', Role.USER, ""),
    ],
)
def test_a_message_is_a_message(sent: str, role: Role, content: str) -> None:
    message = stored(sent).message

    assert message is not None
    assert (message.role, message.content, message.tool_calls) == (role, content, None)


@pytest.mark.parametrize(
    "sent",
    [
        '{"type":"reasoning"}',
        '{"type":"custom_tool_call","call_id":"c","name":"f","input":""}',
        '{"role":"tool","content":"of no call"}',
        '{"role":"critic","content":""}',
        '{"type":"function_call_output","output":"of no call"}',
        '{"type":"function_call_output","call_id":"","output":"of no call"}',
    ],
)
def test_what_has_no_native_shape_is_no_message(sent: str) -> None:
    assert stored(sent).message is None


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ("5", "items[0]"),
        ("null", "items[0]"),
        ('"text"', "items[0]"),
        ("[]", "items[0]"),
        ("{}", "items[0].type"),
        ('{"type":null,"id":"a"}', "items[0].type"),
        ('{"type":5}', "items[0].type"),
        ('{"type":""}', "items[0].type"),
        ('{"type":"later","id":5}', "items[0].id"),
        ('{"type":"later","id":[]}', "items[0].id"),
        ('{"type":"later","id":false}', "items[0].id"),
        ('{"type":"later","id":"a\\u0000"}', "items[0].id"),
        (f'{{"type":"later","id":"{"x" * 256}"}}', "items[0].id"),
        ('{"role":"robot","content":""}', "items[0].role"),
        ('{"role":5,"content":""}', "items[0].role"),
        ('{"type":"message","content":""}', "items[0].role"),
        ('{"role":"user"}', "items[0].content"),
        ('{"role":"user","content":{}}', "items[0].content"),
        ('{"role":"user","content":["a"]}', "items[0].content"),
        ('{"type":"function_call","name":"f","arguments":""}', "items[0].call_id"),
        ('{"type":"function_call","call_id":"c","arguments":""}', "items[0].name"),
        ('{"type":"function_call","call_id":"c","name":"f","arguments":{}}', "items[0].arguments"),
        ('{"type":"function_call_output","call_id":"c"}', "items[0].output"),
        ('{"type":"function_call_output","call_id":5,"output":""}', "items[0].call_id"),
    ],
)
def test_what_is_wrong_is_named(sent: str, field: str) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        normalised(sent)

    assert refusal.value.field == field


def test_what_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        normalised(f'{{"type":"later","a":{"[" * 5_000}{"]" * 5_000}}}')


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    members=st.dictionaries(st.text() | st.sampled_from(["content", "status", "id"]), _JSON),
    ascii_only=st.booleans(),
    indent=st.none() | st.integers(0, 2),
)
@tried
def test_of_any_other_item_all_comes_back_in_its_order(
    *, members: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    sent = {**members, "type": "later"}
    sent.pop("id", None)

    kept = normalised(json.dumps(sent, ensure_ascii=ascii_only, indent=indent))

    assert json.dumps(json.loads(kept)) == json.dumps({"id": "made", **sent})


@given(history=histories())
@tried
def test_every_message_is_at_least_one_item_and_none_twice(
    history: tuple[Message, ...],
) -> None:
    ids = [item.id for message in history for item in items_of(message)]

    assert len(set(ids)) == len(ids) >= len(history)
    for message in history:
        for item in items_of(message):
            assert message_id_in(item.id) == message.id
            assert json.loads(item.text)["id"] == item.id


@given(history=histories())
@tried
def test_the_items_of_messages_can_be_sent_again_as_they_are(
    history: tuple[Message, ...],
) -> None:
    for message in history:
        for item in items_of(message):
            if json.loads(item.text).get("call_id") != "":
                assert normalised(item.text) == item.text
