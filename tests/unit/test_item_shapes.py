"""What is sent as an item, what is stored of it, and what it is natively."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.openai_items import ItemWriter, parse_item
from chatkeep.domain.items import ItemId, ItemText, message_id_in
from chatkeep.domain.log import NewEntry
from chatkeep.domain.model import Message, Role
from tests.unit.histories import AT, histories

MADE = ItemId("made")


def normalised(text: str) -> str:
    """Return what is stored, when an id that has to be made is `made`."""
    parsed = parse_item(ItemText(text), field="items[0]")
    return parsed.text(MADE) if parsed.id is None else parsed.new(AT).item or ""


def stored(text: str) -> NewEntry:
    return parse_item(ItemText(text), field="items[0]").new(AT)


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


DONE = {"status": "completed"}
ACTION = {"commands": ["ls"], "timeout_ms": None, "max_output_length": None}
IMAGE = {"type": "input_image", "image_url": "https://example.com/a.png"}
SEEN = {**IMAGE, "detail": "auto"}


@pytest.mark.parametrize(
    ("kind", "sent", "added"),
    [
        ("computer_call", {"call_id": "c"}, {"pending_safety_checks": [], **DONE}),
        ("computer_call_output", {"call_id": "c", "output": {}}, DONE),
        ("local_shell_call", {"call_id": "c", "action": {}}, DONE),
        ("web_search_call", {"action": {}}, DONE),
        ("file_search_call", {"queries": []}, DONE),
        ("code_interpreter_call", {"container_id": "c"}, {"code": None, "outputs": None, **DONE}),
        ("image_generation_call", {"result": "a"}, DONE),
        ("apply_patch_call", {"call_id": "c", "operation": {}}, DONE),
        ("program_output", {"call_id": "c", "result": ""}, DONE),
        ("shell_call", {"call_id": "c", "action": ACTION}, {"environment": None, **DONE}),
        (
            "shell_call",
            {"call_id": "c", "action": {"commands": ["ls"]}, "environment": None, **DONE},
            {"action": ACTION},
        ),
        (
            "shell_call_output",
            {"call_id": "c", "output": []},
            {"max_output_length": None, **DONE},
        ),
        (
            "tool_search_call",
            {"arguments": {}},
            {"call_id": None, **DONE, "execution": "server"},
        ),
        ("tool_search_call", {"arguments": {}, "call_id": "c"}, {**DONE, "execution": "client"}),
        ("tool_search_output", {"tools": [], "call_id": "c", **DONE}, {"execution": "client"}),
        (
            "message",
            {"role": "user", "content": [IMAGE, {"type": "input_text", "text": "a"}], **DONE},
            {"content": [SEEN, {"type": "input_text", "text": "a"}]},
        ),
        (
            "message",
            {"role": "user", "content": [{"type": "input_image", "detail": None}], **DONE},
            {"content": [{"type": "input_image", "detail": "auto"}]},
        ),
        (
            "message",
            {"role": "assistant", "content": [{"type": "output_text", "text": "a"}], **DONE},
            {"content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}]},
        ),
        (
            "message",
            {"role": "user", "content": [{"type": "computer_screenshot"}], **DONE},
            {
                "content": [
                    {
                        "type": "computer_screenshot",
                        "image_url": None,
                        "file_id": None,
                        "detail": "auto",
                    }
                ]
            },
        ),
        ("function_call_output", {"call_id": "c", "output": [IMAGE], **DONE}, {"output": [SEEN]}),
        ("custom_tool_call_output", {"call_id": "c", "output": [IMAGE]}, {"output": [SEEN]}),
    ],
)
def test_what_the_specification_requires_is_there(
    kind: str, sent: dict[str, Any], added: dict[str, Any]
) -> None:
    """What is sent stays in its order, and stays what it is when there is nothing to add."""
    kept = normalised(json.dumps({"type": kind, "id": "own", **sent}))

    assert json.dumps(json.loads(kept)) == json.dumps({"type": kind, "id": "own", **sent, **added})
    assert normalised(kept) == kept
    without = parse_item(ItemText(json.dumps({"type": kind, **sent})), field="items[0]")
    assert json.loads(without.text(MADE)) == {"type": kind, "id": "made", **sent, **added}


@pytest.mark.parametrize(
    "parts",
    [
        '[ {"type":"input_image","detail":"low","n":1.10} , 5 ,null, "a", []]',
        '[{"type":"later"},{"type":5},{"type":null},{"type":["input_image"]},{}]',
        "5",
        "null",
        "{}",
        '"text"',
    ],
)
def test_parts_of_any_other_shape_stay_to_the_letter(parts: str) -> None:
    text = f'{{"type":"custom_tool_call_output","id":"a","call_id":"c","output":{parts}}}'

    assert normalised(text) == text


def test_only_the_part_that_lacks_something_is_written_anew() -> None:
    kept = normalised(
        '{"type":"custom_tool_call_output","id":"a","output":[{ "type": "input_text", "n": 1.10},'
        '{ "type": "input_image", "file_id": "\\u0066" }]}'
    )

    assert '[{ "type": "input_text", "n": 1.10},{"type":"input_image","file_id":"\\u0066",' in kept


@pytest.mark.parametrize("own_id", ["", '"id":"own",'])
def test_a_key_of_before_holds_when_more_is_filled_in(own_id: str) -> None:
    """What a request's digest is made of does not follow what is added for clients."""
    sent = f'{{{own_id}"type":"shell_call","call_id":"c","action":{{}}}}'
    parsed = parse_item(ItemText(sent), field="items[0]")

    place = own_id or '"id":"",'
    assert parsed.canonical() == f'{{{place}"type":"shell_call","call_id":"c","action":{{}}}}'
    assert "environment" in (parsed.new(AT).item or "")


@pytest.mark.parametrize("sent", ['{"id":"msg_1"}', '{"type":null,"id":"msg_1"}'])
def test_an_id_alone_refers_to_an_item(sent: str) -> None:
    kept = json.loads(normalised(sent))

    assert kept == {"type": "item_reference", "id": "msg_1"}
    assert stored(sent).message is None


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
    entry = stored(sent)

    assert entry.item is not None
    assert entry.item_id is not None
    assert entry.item_id.startswith(prefix)
    assert len(entry.item_id) <= 64
    assert entry.is_minted
    assert json.loads(entry.item)["id"] == entry.item_id
    if entry.message is not None:
        assert message_id_in(entry.item_id) == entry.message.id


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
        ('{"type":null,"id":"a","name":"b"}', "items[0].type"),
        ('{"type":null,"id":""}', "items[0].type"),
        ('{"id":null}', "items[0].type"),
        ('{"id":5}', "items[0].id"),
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
def test_of_any_other_item_all_comes_back_in_its_order(
    *, members: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    sent = {**members, "type": "later"}
    sent.pop("id", None)

    kept = normalised(json.dumps(sent, ensure_ascii=ascii_only, indent=indent))

    assert json.dumps(json.loads(kept)) == json.dumps({"id": "made", **sent})


@given(history=histories())
def test_every_message_is_at_least_one_item_and_none_twice(
    history: tuple[Message, ...],
) -> None:
    ids = [item.id for message in history for item in ItemWriter().write(message)]

    assert len(set(ids)) == len(ids) >= len(history)
    for message in history:
        for item in ItemWriter().write(message):
            assert message_id_in(item.id) == message.id
            assert json.loads(item.text)["id"] == item.id


@given(history=histories())
def test_the_items_of_messages_can_be_sent_again_as_they_are(
    history: tuple[Message, ...],
) -> None:
    for message in history:
        for item in ItemWriter().write(message):
            if json.loads(item.text).get("call_id") != "":
                assert normalised(item.text) == item.text
