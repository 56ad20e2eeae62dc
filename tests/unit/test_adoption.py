"""How rows of legacy tables are converted, without a database."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import JsonText, NewMessage, Role, Status, UserId, same_json
from chatkeep.domain.operations.adoption.check import Checksum
from chatkeep.domain.operations.adoption.json_columns import canonical_json, normalize_json
from chatkeep.domain.operations.adoption.layout import (
    AdoptionError,
    AdoptionOptions,
    ColumnKind,
    ExtraColumns,
    LegacyColumn,
    MessageOrder,
    choose_order,
    choose_table,
    map_columns,
)
from chatkeep.domain.operations.adoption.rules import (
    NAMESPACE,
    AdoptionRules,
    IdMapping,
    LegacyConversation,
    LegacyMessage,
    to_conversation,
    to_new_message,
)

NOW = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANN = UserId("ann")
RULES = AdoptionRules(
    conversations=IdMapping("public.old_conversations", ColumnKind.INTEGER),
    messages=IdMapping("public.old_messages", ColumnKind.INTEGER),
)
ID = "5a0e2c2f-9d47-4c0b-8d3e-0d8f4b6a2f11"


def message(**row: Any) -> NewMessage:  # noqa: ANN401 - any column
    return to_new_message(
        LegacyMessage(**({"id": "1", "role": "user", "content": "Hi"} | row)), ANN, RULES
    )


@pytest.mark.parametrize(
    ("stored", "content", "parts"),
    [
        ('"Hi"', "Hi", None),
        ('"\\u0000 \\ud83e\\uddf5"', "\x00 🧵", None),
        (
            '[{"type": "text", "text": "a", "n": 1.10}]',
            "a",
            '[{"type":"text","text":"a","n":1.10}]',
        ),
        ('[{"type":"image_url","image_url":{"url":"u"}}]', None, None),
        ('["a"]', '["a"]', None),
        ("[]", "[]", None),
        ('{"text": "a"}', '{"text": "a"}', None),
        ("7", "7", None),
        ("true", "true", None),
        ('"\\ud800"', '"\\ud800"', None),
        (f"{'[' * 600}{']' * 600}", f"{'[' * 600}{']' * 600}", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_content_in_a_json_column_is_a_text_or_parts(
    stored: str, content: str | None, parts: str | None
) -> None:
    rules = replace(RULES, content_kind=ColumnKind.JSON)
    found = to_new_message(LegacyMessage(id="1", role="user", content=stored), ANN, rules)
    assert (found.content, found.parts) == (content, stored if content is None else parts)
    assert message(content=stored).content == stored


def test_null_in_a_json_column_is_no_content() -> None:
    rules = replace(RULES, content_kind=ColumnKind.JSON)
    with pytest.raises(InvalidValueError, match="may be null only with tool_calls"):
        to_new_message(LegacyMessage(id="1", role="user", content="null"), ANN, rules)


# IdMapping


@pytest.mark.parametrize("kind", [ColumnKind.UUID, ColumnKind.TEXT])
def test_a_uuid_is_kept(kind: ColumnKind) -> None:
    assert IdMapping("public.t", kind).new(ID) == UUID(ID)


@pytest.mark.parametrize("old", [ID.upper(), ID.replace("-", ""), f"{{{ID}}}", "1", ""])
def test_a_text_that_is_no_uuid_as_postgres_writes_them_is_derived(old: str) -> None:
    """Otherwise two rows whose ids differ only in case would become one."""
    assert IdMapping("public.t", ColumnKind.TEXT).new(old) == uuid5(NAMESPACE, f"public.t:{old}")


def test_equal_numbers_of_different_tables_become_different_ids() -> None:
    assert IdMapping("a.t", ColumnKind.INTEGER).new("-7") != IdMapping(
        "b.t", ColumnKind.INTEGER
    ).new("-7")


# Roles and statuses


@pytest.mark.parametrize(
    ("given", "role"),
    [
        ("user", Role.USER),
        ("HUMAN", Role.USER),
        (" customer ", Role.USER),
        ("Assistant", Role.ASSISTANT),
        ("ai", Role.ASSISTANT),
        ("bot", Role.ASSISTANT),
        ("chatbot", Role.ASSISTANT),
        ("model", Role.ASSISTANT),
        ("system", Role.SYSTEM),
        ("developer", Role.DEVELOPER),
        ("tool", Role.TOOL),
        ("function", Role.TOOL),
    ],
)
def test_an_old_role_stands_for_one_of_ours(given: str, role: Role) -> None:
    assert message(role=given).role is role


def test_what_the_operator_says_of_a_role_comes_first() -> None:
    rules = replace(RULES, roles={"bot": Role.SYSTEM})
    old = LegacyMessage(id="1", role="Bot", content="Hi")
    assert to_new_message(old, ANN, rules).role is Role.SYSTEM


def test_a_tool_message_without_a_call_is_given_an_id_of_its_own_row() -> None:
    assert message(role="function", tool_call_id="").tool_call_id == "old_1"
    assert message(role="tool", tool_call_id="call_1").tool_call_id == "call_1"


def test_an_old_status_stands_for_one_of_ours_or_is_refused() -> None:
    old = LegacyConversation(id="1", user_id="ann")
    for word, status in {None: "active", "Open": "active", "closed ": "archived"}.items():
        made = to_conversation(replace(old, status=word), RULES, NOW)
        assert made is not None
        assert made.status is Status(status)
    with pytest.raises(InvalidValueError, match="status"):
        to_conversation(replace(old, status="deleted"), RULES, NOW)
    left = replace(RULES, statuses={"deleted": None})
    assert to_conversation(replace(old, status="Deleted"), left, NOW) is None


# Times


@pytest.mark.parametrize(
    ("row", "created", "updated"),
    [
        ({}, 0, 0),
        ({"created_at": NOW - HOUR}, -1, -1),
        ({"created_at": NOW, "updated_at": NOW + HOUR}, 0, 1),
        ({"first_at": NOW - HOUR, "last_at": NOW + HOUR}, -1, 1),
        ({"created_at": NOW, "updated_at": NOW - HOUR, "last_at": NOW + HOUR}, 0, 1),
        ({"updated_at": NOW + HOUR, "last_at": NOW - HOUR, "first_at": NOW - HOUR}, -1, 1),
        ({"updated_at": NOW - HOUR}, -1, -1),
    ],
)
def test_the_times_of_a_conversation_follow_from_what_there_is(
    row: dict[str, Any], created: int, updated: int
) -> None:
    made = to_conversation(LegacyConversation(id="1", user_id="ann", **row), RULES, NOW)
    assert made is not None
    assert made.created_at == NOW + created * HOUR
    assert made.updated_at == NOW + updated * HOUR


@pytest.mark.parametrize("owner", ["", "x" * 256])
def test_a_user_who_cannot_own_anything_is_refused(owner: str) -> None:
    with pytest.raises(InvalidValueError, match="user_id"):
        to_conversation(LegacyConversation(id="1", user_id=owner), RULES, NOW)


# JSON columns

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(values, st.booleans())
def test_a_document_stays_the_same_and_loses_its_needless_escapes(
    value: object,
    escaped: bool,  # noqa: FBT001 - hypothesis hands it over
) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    kept = normalize_json(f" {text}\n")
    assert same_json(kept, JsonText(text))
    assert kept == normalize_json(json.dumps(value, ensure_ascii=not escaped))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("{'a': 1}", "Expecting property name"),
        ("[NaN]", "NaN"),
        ("[-Infinity]", "-Infinity"),
        ('"\\ud800"', "an unpaired surrogate"),
        ("1e20000", "too many digits"),
        ("9" * 20_000, "too many digits"),
        ("[" * 501 + "]" * 501, "nested more than 500"),
        ("[" * 200_000, "too deeply"),
        ('"a\nb"', "control character"),
    ],
)
def test_what_is_no_document_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        normalize_json(text)


def test_brackets_in_texts_do_not_nest() -> None:
    text = json.dumps(["[" * 600, '\\"' + "{" * 600])
    assert normalize_json(text) == text


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}', True),
        ("[1.50]", "[1.5]", True),
        ("[100]", "[1e2]", True),
        ("[0]", "[-0.0]", True),
        ("[1]", '["1"]', False),
        ("[12345678901234567890123456789012345]", "[12345678901234567890123456789012346]", False),
        ("[0.1000000000000000000000000000000001]", "[0.1]", False),
        ("[true]", "[1]", False),
    ],
)
def test_documents_are_compared_by_what_they_say(one: str, other: str, *, are_equal: bool) -> None:
    assert (canonical_json(JsonText(one)) == canonical_json(JsonText(other))) is are_equal


def test_a_checksum_depends_on_every_part_of_a_message_and_on_the_order() -> None:
    first = NewMessage(role=Role.USER, content="a", created_at=NOW)
    changed = [
        first,
        first._replace(role=Role.SYSTEM),
        first._replace(content="b"),
        first._replace(content=None),
        first._replace(tool_calls=JsonText("[1]")),
        first._replace(tool_call_id="c"),
        first._replace(name="n"),
        first._replace(metadata=JsonText('{"a":1}')),
        first._replace(created_at=NOW + HOUR),
    ]
    sums = [_checksum(each) for each in changed]
    sums += [_checksum(changed[0], changed[2]), _checksum(changed[2], changed[0]), _checksum()]
    assert len(set(sums)) == len(sums)


def _checksum(*messages: NewMessage) -> str:
    checksum = Checksum()
    for each in messages:
        checksum.add(each, timed=True)
    return str(checksum)


# Layouts

ID_COLUMN = LegacyColumn("id", ColumnKind.INTEGER, "integer")
CONVERSATION_COLUMN = LegacyColumn("chat_id", ColumnKind.INTEGER, "integer")
ROLE = LegacyColumn("role", ColumnKind.TEXT, "text")
CONTENT = LegacyColumn("content", ColumnKind.TEXT, "text")
MESSAGES = [ID_COLUMN, CONVERSATION_COLUMN, ROLE, CONTENT]


def test_the_usual_names_are_known_and_the_better_one_wins() -> None:
    text = LegacyColumn("text", ColumnKind.TEXT, "text")
    found = map_columns(
        "messages", "t", [*MESSAGES, text], AdoptionOptions(extra=ExtraColumns.LEAVE)
    )
    assert found.fields["conversation_id"] == CONVERSATION_COLUMN
    assert found.fields["content"] == CONTENT
    assert found.extra == (text,)


def test_what_the_operator_says_of_a_column_comes_first() -> None:
    text = LegacyColumn("text", ColumnKind.TEXT, "text")
    wanted = AdoptionOptions(columns={("messages", "content"): "text"}, extra=ExtraColumns.LEAVE)
    found = map_columns("messages", "t", [*MESSAGES, text], wanted)
    assert (found.fields["content"], found.extra) == (text, (CONTENT,))


def test_a_column_can_be_said_to_be_none_of_ours() -> None:
    name = LegacyColumn("name", ColumnKind.JSON, "jsonb")
    with pytest.raises(AdoptionError, match=r"messages\.name=\)"):
        map_columns("messages", "t", [*MESSAGES, name], AdoptionOptions(extra=ExtraColumns.LEAVE))
    wanted = AdoptionOptions(columns={("messages", "name"): ""}, extra=ExtraColumns.LEAVE)
    assert map_columns("messages", "t", [*MESSAGES, name], wanted).extra == (name,)


def test_all_that_is_unclear_is_told_at_once() -> None:
    wanted = AdoptionOptions(columns={("messages", "role"): "speaker"})
    with pytest.raises(AdoptionError) as caught:
        map_columns(
            "messages", "s.t", [ID_COLUMN, LegacyColumn("mood", ColumnKind.TEXT, "text")], wanted
        )
    said = str(caught.value)
    assert said.startswith("s.t: ")
    for part in ("conversation_id=NAME", "no column 'speaker'", "content=NAME", "for, mood:"):
        assert part in said


def test_what_chatkeep_counts_itself_needs_no_place() -> None:
    columns = [
        ID_COLUMN,
        LegacyColumn("user_id", ColumnKind.TEXT, "text"),
        LegacyColumn("message_count", ColumnKind.INTEGER, "integer"),
    ]
    assert map_columns("conversations", "t", columns, AdoptionOptions()).extra == ()


def test_the_order_is_that_of_times_else_of_numbers_else_unknown() -> None:
    timed = {
        "id": ID_COLUMN,
        "created_at": LegacyColumn("created_at", ColumnKind.TIME, "timestamptz"),
    }
    assert choose_order("t", timed, AdoptionOptions()) is MessageOrder.TIME
    assert choose_order("t", timed, AdoptionOptions(order=MessageOrder.ID)) is MessageOrder.ID
    assert choose_order("t", {"id": ID_COLUMN}, AdoptionOptions()) is MessageOrder.ID
    with pytest.raises(AdoptionError, match="--order id"):
        choose_order("t", {"id": LegacyColumn("id", ColumnKind.UUID, "uuid")}, AdoptionOptions())


def test_one_table_is_chosen_and_several_are_told() -> None:
    assert choose_table("messages", [("public", "old_messages")], AdoptionOptions()) == (
        "public",
        "old_messages",
    )
    with pytest.raises(AdoptionError, match=r"a\.message, b\.message.*--messages NAME"):
        choose_table("messages", [("a", "message"), ("b", "message")], AdoptionOptions())
