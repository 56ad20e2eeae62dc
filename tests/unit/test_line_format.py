"""The format of a line, in which a conversation is imported and exported."""

import asyncio
import io
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.domain.formats.codec import Piece
from chatkeep.domain.model import Conversation, ConversationId, JsonText, Status
from chatkeep.entrypoints.formats.json_lines import JsonLines
from chatkeep.entrypoints.formats.json_stream import elements
from tests.unit.transfers import (
    ALICE,
    NOW,
    StoreWithTransfer,
    decoded,
    encoded,
    read,
    refused,
    says,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
times = (
    st.datetimes(timezones=st.just(UTC))
    .filter(lambda time: MINYEAR < time.year < MAXYEAR)
    .map(lambda time: time.isoformat().replace("+00:00", "Z"))
)
ids = st.uuids(version=4).map(str)
documents = st.dictionaries(
    texts.filter(lambda key: key != "source"),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | texts
        | st.floats(allow_nan=False, allow_infinity=False, width=32),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=5,
    ),
    min_size=1,
    max_size=3,
)
calls = st.lists(
    st.fixed_dictionaries(
        {
            "id": texts.filter(bool),
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": texts.filter(bool), "arguments": texts}),
        }
    ),
    min_size=1,
    max_size=3,
)
always = {"id": ids, "created_at": times}
sometimes = {"name": texts, "metadata": documents}
messages = st.one_of(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "developer", "assistant"]), "content": texts}
        | always,
        optional=sometimes,
    ),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.none() | texts, "tool_calls": calls} | always,
        optional=sometimes,
    ),
    st.fixed_dictionaries(
        {"role": st.just("tool"), "content": texts, "tool_call_id": texts.filter(bool)} | always,
        optional=sometimes,
    ),
)
whole_lines = st.fixed_dictionaries(
    {
        "title": st.none() | texts,
        "status": st.sampled_from(["active", "archived"]),
        "messages": st.lists(messages, max_size=4, unique_by=lambda message: message["id"]),
    }
    | always,
    # The first revision is not written.
    optional={"source": texts, "metadata": documents, "revision": st.integers(2, 2**53 - 1)},
)


def with_latest_time(line: dict[str, Any]) -> dict[str, Any]:
    moments = [line["created_at"], *(message["created_at"] for message in line["messages"])]
    return {**line, "updated_at": max(moments, key=datetime.fromisoformat)}


@given(whole_lines.map(with_latest_time))
def test_what_a_line_says_is_what_is_exported_again(line: dict[str, Any]) -> None:
    async def through() -> list[dict[str, Any]]:
        store = StoreWithTransfer()
        await store.take(line)
        return await store.exported()

    assert asyncio.run(through()) == [line]


def test_lines_end_with_a_line_feed_and_nothing_else() -> None:
    text = "\u2028 \u2029 \u0085"
    [element] = elements(io.BytesIO(encoded({"messages": [says(text)]})))
    assert element.data is not None
    assert read(element.data).messages[0].content == text


def test_every_key_but_messages_and_role_may_be_null_or_absent() -> None:
    nulls = dict.fromkeys(
        ["source", "title", "created_at", "id", "status", "metadata", "updated_at", "revision"]
    )
    message_keys = ["tool_calls", "tool_call_id", "name", "metadata", "id", "created_at"]
    short = read(b'{"messages": [{"role": "user", "content": "x"}]}')
    long = read(encoded(nulls | {"messages": [says("x") | dict.fromkeys(message_keys)]}))
    assert short == long


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        ('{"messages": [], "titel": "x"}', "titel", "not a field of this format"),
        (
            '{"messages": [{"role": "user", "text": "x"}]}',
            "messages[0].text",
            "not a field of this format",
        ),
        ('{"title": "x"}', "messages", "missing"),
        ('{"messages": [{"content": "x"}]}', "messages[0].role", "missing"),
        ('{"messages": [{"role": "robot"}]}', "messages[0].role", "one of user, assistant"),
        (
            '{"messages": [{"role": "user", "content": 5}]}',
            "messages[0].content",
            "must be a string",
        ),
        ('{"messages": {}}', "messages", "array"),
        ('{"messages": [], "status": "gone"}', "status", "one of active, archived"),
        ('{"messages": [], "id": "."}', "id", "clients remove"),
        ('{"messages": [], "created_at": "2024-05-01"}', "created_at", "RFC 3339"),
        ('{"messages": [], "created_at": "2024-05-01T10:00:00"}', "created_at", "timezone"),
        ('{"messages": [], "created_at": "0001-01-01T00:00:00+05:00"}', "created_at", "range"),
        ('{"messages": [], "created_at": "9999-12-31T23:59:59.999999Z"}', "created_at", "range"),
        ('{"messages": [], "created_at": 1714556400}', "created_at", "an integer"),
        ('{"messages": [], "metadata": []}', "metadata", "array"),
        (
            '{"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]}',
            "messages[0].tool_calls[0].type",
            "function or custom",
        ),
        (
            '{"messages": [], "source": "a", "metadata": {"source": "b"}}',
            "metadata.source",
            "cannot be combined with source",
        ),
        ("[1]", "conversation", "array"),
        ("{", "conversation", "not JSON"),
        ('{"messages": []} {}', "conversation", "not JSON"),
        ('{"messages": [{"role": "user", "content": "\\ud800"}]}', "conversation", "not JSON"),
        (
            '{"messages": [], "metadata": ' + '{"a":' * 5000 + "1" + "}" * 5001,
            "conversation",
            "too deep",
        ),
    ],
)
def test_a_line_that_does_not_fit_is_refused_by_the_name_of_the_field(
    line: str, field: str, reason: str
) -> None:
    assert refused(line.encode())[0] == field
    assert reason in refused(line.encode())[1]


def test_a_line_that_is_not_utf_8_is_refused_with_the_place() -> None:
    field, reason = refused(b'{"messages": [], "title": "caf\xe9"}')
    assert field == "conversation"
    assert reason == "is not UTF-8: 0xe9 at byte 31"


def test_a_metadata_source_that_is_no_text_stays_in_the_metadata() -> None:
    conversation = stored_conversation(JsonText('{"source": {"url": "x"}, "b": 1}'))
    line = decoded(JsonLines().write(Piece(conversation, (), is_first=True, is_last=True)))
    assert line["metadata"] == {"source": {"url": "x"}, "b": 1}
    assert "source" not in line


def stored_conversation(metadata: JsonText) -> Conversation:
    return Conversation(
        id=ConversationId(uuid4()),
        user_id=ALICE,
        title=None,
        status=Status.ACTIVE,
        metadata=metadata,
        message_count=0,
        created_at=NOW,
        updated_at=NOW,
    )
