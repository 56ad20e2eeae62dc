"""Importing and exporting: the format of a line, and how its conversation is stored."""

import asyncio
import io
import json
from dataclasses import replace
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.adapters.memory import (
    MemoryConversations,
    MemoryLog,
    MemoryStore,
    MemoryUsers,
)
from chatkeep.domain.errors import (
    ConversationIdTakenError,
    InvalidValueError,
    LimitExceededError,
    MessageIdTakenError,
)
from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.codec import Line, Piece
from chatkeep.domain.item_log import ItemLog
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import (
    Changes,
    Conversation,
    ConversationId,
    JsonText,
    Limits,
    MessageId,
    NewMessage,
    Role,
    Status,
    UserId,
)
from chatkeep.domain.operations.transfer import (
    CONVERSATIONS_PAGE,
    ENTRIES_PAGE,
    ConversationGrownError,
    Transfer,
)
from chatkeep.entrypoints.formats.decoding import decode
from chatkeep.entrypoints.formats.json_lines import JsonLines
from chatkeep.entrypoints.formats.json_stream import elements

ALICE = UserId("alice")
NOW = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


class House:
    """A store with the import and export around it."""

    def __init__(self, limits: Limits | None = None) -> None:
        store = MemoryStore()
        self.clock = Clock()
        self.conversations = MemoryConversations(store)
        self.log = MemoryLog(store)
        self.items = ItemLog(self.log)
        self.users = MemoryUsers(store)
        self.transfer = Transfer(self.users, self.conversations, self.log, self.clock, limits)

    async def take(self, line: dict[str, Any], user_id: UserId = ALICE) -> bool:
        return await self.transfer.import_conversation(user_id, read(encoded(line)))

    async def exported(self, user_id: UserId = ALICE) -> list[dict[str, Any]]:
        writer = JsonLines()
        text = b"".join([writer.write(piece) async for piece in self.transfer.export(user_id)])
        return [decoded(line) for line in text.splitlines(keepends=True)]


@pytest.fixture
def house() -> House:
    return House()


def encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def read(data: bytes) -> Line:
    return chatkeep.read(decode(data))


def decoded(line: bytes) -> dict[str, Any]:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found: dict[str, Any] = json.loads(line)
    return found


def says(content: str | None, role: str = "user", **more: str | None) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def refused(line: bytes) -> tuple[str, str]:
    with pytest.raises(InvalidValueError) as caught:
        read(line)
    return caught.value.field, caught.value.reason


# The format

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
    optional={"source": texts, "metadata": documents},
)


def with_latest_time(line: dict[str, Any]) -> dict[str, Any]:
    moments = [line["created_at"], *(message["created_at"] for message in line["messages"])]
    return {**line, "updated_at": max(moments, key=datetime.fromisoformat)}


@given(whole_lines.map(with_latest_time))
def test_what_a_line_says_is_what_is_exported_again(line: dict[str, Any]) -> None:
    async def through() -> list[dict[str, Any]]:
        house = House()
        await house.take(line)
        return await house.exported()

    assert asyncio.run(through()) == [line]


def test_lines_end_with_a_line_feed_and_nothing_else() -> None:
    text = "\u2028 \u2029 \u0085"
    [element] = elements(io.BytesIO(encoded({"messages": [says(text)]})))
    assert element.data is not None
    assert read(element.data).messages[0].content == text


def test_every_key_but_messages_and_role_may_be_null_or_absent() -> None:
    nulls = dict.fromkeys(
        ["source", "title", "created_at", "id", "status", "metadata", "updated_at"]
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
        ('{"messages": [], "id": "one"}', "id", "UUID"),
        ('{"messages": [], "created_at": "2024-05-01"}', "created_at", "RFC3339"),
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
            "one of them",
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


# Importing


async def test_order_is_that_of_the_line_whatever_the_times_say(house: House) -> None:
    noon = ["2024-01-01T12:00:00Z", "2024-01-01T11:00:00Z", "2024-01-01T12:00:00Z"]
    line = {"messages": [says(str(n), created_at=time) for n, time in enumerate(noon)]}
    await house.take(line)
    [found] = await house.exported()
    assert [message["content"] for message in found["messages"]] == ["0", "1", "2"]
    assert [message["created_at"] for message in found["messages"]] == noon


async def test_a_message_without_a_time_has_that_of_the_one_before_it(house: House) -> None:
    eight, nine, ten = (f"2024-01-01T{hour}:00:00Z" for hour in ("08", "09", "10"))
    await house.take(
        {
            "created_at": nine,
            "messages": [
                says("a"),
                says("b", created_at=ten),
                says("c"),
                says("d", created_at=eight),
            ],
        }
    )
    [found] = await house.exported()
    assert [m["created_at"] for m in found["messages"]] == [nine, ten, ten, eight]
    assert (found["created_at"], found["updated_at"]) == (nine, ten)


async def test_a_conversation_without_a_time_began_with_the_first_one_it_has(house: House) -> None:
    late, early = "2024-01-01T10:00:00Z", "2024-01-01T09:00:00Z"
    messages = [says("a"), says("b", created_at=late), says("c", created_at=early)]
    await house.take({"messages": messages})
    [found] = await house.exported()
    assert (found["created_at"], found["updated_at"]) == (late, late)
    assert [m["created_at"] for m in found["messages"]] == [late, late, early]


async def test_a_conversation_without_any_time_is_of_now(house: House) -> None:
    await house.take({"messages": [says("a")]})
    [found] = await house.exported()
    now = "2026-06-01T09:30:00Z"
    assert {found["created_at"], found["updated_at"], found["messages"][0]["created_at"]} == {now}


async def test_times_in_other_zones_are_the_same_moments(house: House) -> None:
    await house.take({"created_at": "2024-01-01T10:00:00+02:00", "messages": []})
    assert (await house.exported())[0]["created_at"] == "2024-01-01T08:00:00Z"


@pytest.mark.parametrize("own_id", [None, "5d0c8a3e-3f0b-4a6e-9a57-0f6f3c1f7c11"])
@pytest.mark.parametrize("time", [None, "2024-01-01T10:00:00Z"])
async def test_importing_again_adds_nothing(
    house: House, own_id: str | None, time: str | None
) -> None:
    line = {"id": own_id, "created_at": time, "messages": [says("a"), says("b", "assistant")]}
    assert await house.take(line)
    before = await house.exported()
    house.clock.time += HOUR
    assert not await house.take(line)
    assert await house.exported() == before


async def test_the_same_line_written_otherwise_is_the_same_conversation(house: House) -> None:
    assert await house.take({"title": "x", "messages": [says("a")], "source": None})
    assert not await house.take({"messages": [{"content": "a", "role": "user"}], "title": "x"})


@pytest.mark.parametrize(
    "other",
    [
        {"title": "y", "messages": [says("a")]},
        {"title": "x", "messages": [says("b")]},
        {"title": "x", "messages": [says("a", name="n")]},
        {"title": "x", "messages": [says("a")], "source": "elsewhere"},
    ],
)
async def test_another_line_is_another_conversation(house: House, other: dict[str, Any]) -> None:
    await house.take({"title": "x", "messages": [says("a")]})
    assert await house.take(other)


async def test_the_ids_are_the_same_in_any_store_and_differ_by_user(house: House) -> None:
    line = {"messages": [says("a"), says("b")]}
    elsewhere = House()
    await house.take(line)
    await elsewhere.take(line)
    [one], [same] = await house.exported(), await elsewhere.exported()
    assert one == same
    await house.take(line, UserId("bob"))
    [other] = await house.exported(UserId("bob"))
    assert other["id"] != one["id"]
    assert other["messages"][0]["id"] != one["messages"][0]["id"]


async def test_the_id_of_a_line_never_changes(house: House) -> None:
    """With another namespace, importing a file again would add everything again."""
    call = {"type": "function", "id": "c", "function": {"name": "f", "arguments": "{}"}}
    await house.take(
        {
            "source": "s",
            "title": "é",
            "created_at": "2024-01-01T00:00:00Z",
            "metadata": {"b": 1.5, "a": [None]},
            "messages": [says("a"), {"role": "assistant", "tool_calls": [call]}],
        }
    )
    [found] = await house.exported()
    assert found["id"] == "2a6adefa-b00d-5a79-ac10-89f0fdb026a5"
    assert found["messages"][1]["id"] == "63790298-857f-5876-b760-308f0d13835b"


async def test_what_was_done_to_an_imported_conversation_since_stays(house: House) -> None:
    line = {"title": "x", "messages": [says("a")]}
    await house.take(line)
    [found] = (await house.conversations.list(ALICE, status=None, after=None, limit=9)).items
    await house.conversations.change(ALICE, found.id, Changes(title="renamed"))
    assert not await house.take(line)
    assert [each["title"] for each in await house.exported()] == ["renamed"]


async def test_an_id_that_is_taken_by_something_else_is_refused(house: House) -> None:
    conversation, message = str(uuid4()), str(uuid4())
    await house.take({"id": conversation, "messages": [says("a", id=message)]})
    with pytest.raises(ConversationIdTakenError):
        await house.take({"id": conversation, "messages": [says("b")]})
    with pytest.raises(MessageIdTakenError):
        await house.take({"messages": [says("c"), says("d", id=message)]})
    assert len(await house.exported()) == 1


async def test_an_id_that_stands_twice_in_a_line_is_refused(house: House) -> None:
    message = str(uuid4())
    with pytest.raises(InvalidValueError) as caught:
        await house.take({"messages": [says("a", id=message), says("b", id=message)]})
    assert caught.value.field == "messages[1].id"


@pytest.mark.parametrize(
    ("line", "field", "limit"),
    [
        ({"title": "x" * 6, "messages": []}, "title", "max_title_chars"),
        ({"source": "x" * 30, "messages": []}, "metadata", "max_metadata_bytes"),
        (
            {"messages": [says("ok"), says("x" * 11)]},
            "messages[1].content",
            "max_user_message_chars",
        ),
        ({"messages": [says("x" * 16, "system")]}, "messages[0].content", "max_message_chars"),
    ],
)
async def test_limits_hold_for_imports_that_have_them_and_zero_switches_one_off(
    line: dict[str, Any], field: str, limit: str
) -> None:
    strict = Limits(
        max_user_message_chars=10, max_message_chars=15, max_title_chars=5, max_metadata_bytes=30
    )
    with pytest.raises(LimitExceededError) as caught:
        await House(strict).take(line)
    assert (caught.value.field, caught.value.limit_name) == (field, limit)
    assert await House(replace(strict, **{limit: 0})).take(line)


async def test_without_limits_what_was_said_is_taken_at_any_length(house: House) -> None:
    """An import accepts every length that the API refuses."""
    text = "x" * 1_000_000
    call = {"id": text, "type": "function", "function": {"name": text, "arguments": text}}
    line = {
        "title": text,
        "source": text,
        "messages": [
            *(says(text, role) | {"name": text} for role in ("user", "assistant", "system")),
            {"role": "assistant", "tool_calls": [call]},
            says(text, "tool", tool_call_id=text),
            {"item": json.dumps({"id": "rs_1", "type": "reasoning", "text": text * 11})},
        ],
    }
    assert await house.take(line)
    [found] = await house.exported()
    assert [message.get("content") for message in found["messages"]] == [
        *[text] * 3,
        None,
        text,
        None,
    ]


async def test_a_conversation_may_have_more_messages_than_a_batch(house: House) -> None:
    count = Limits().max_batch + 1
    assert await house.take({"messages": [says(str(n)) for n in range(count)]})


async def test_a_role_keeps_its_rules_in_an_import(house: House) -> None:
    with pytest.raises(InvalidValueError) as caught:
        await house.take({"messages": [says("result", "tool")]})
    assert caught.value.field == "messages[0].tool_call_id"


async def test_a_hold_is_imported_and_exported(house: House) -> None:
    for retain in (True, False, None):
        await house.take({"title": str(retain), "retain": retain, "messages": []})
    lines = await house.exported()
    assert {line["title"]: line.get("retain") for line in lines} == {
        "True": True,
        "False": None,
        "None": None,
    }


@pytest.mark.parametrize(
    ("entry", "field", "reason"),
    [
        ({"item": "{"}, "messages[0].item", "not JSON in a string"),
        ({"item": '{"id":"a","type":"x"} x'}, "messages[0].item", "not JSON in a string"),
        ({"item": '{"id":"a","type":"x","y":"\\ud800"}'}, "messages[0].item", "not JSON"),
        ({"item": "[" * 5000}, "messages[0].item", "not JSON in a string"),
        ({"item": "[]"}, "messages[0].item", "not a JSON object"),
        ({"item": '{"type":"reasoning"}'}, "messages[0].item.id", "missing"),
        ({"item": '{"id":"a","role":"user","content":"x"}'}, "messages[0].role", "is a message"),
        ({"item": '{"id":"a","type":"x"}', "content": "x"}, "messages[0].role", "missing beside"),
        (
            {"role": "user", "content": "x", "item": f'{{"id":"msg_{"0" * 32}","type":"x"}}'},
            "messages[0].item.id",
            "of the id of another message",
        ),
    ],
)
def test_an_item_that_does_not_fit_is_refused(
    entry: dict[str, Any], field: str, reason: str
) -> None:
    found = refused(encoded({"messages": [entry]}))
    assert found[0] == field
    assert reason in found[1]


async def test_an_item_that_stands_twice_is_refused(house: House) -> None:
    item = {"item": '{"id":"rs_1","type":"reasoning"}'}
    with pytest.raises(InvalidValueError) as caught:
        await house.take({"messages": [item, says("a"), item]})
    assert caught.value.field == "messages[2].item.id"


async def test_a_message_that_says_other_than_its_item_keeps_the_rules_of_messages(
    house: House,
) -> None:
    text = '{"id":"own","type":"function_call","call_id":"","name":"","arguments":""}'
    call = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
    same = {"role": "assistant", "tool_calls": [call], "item": text}
    assert await house.take({"messages": [same]})
    call["function"] = {"name": "", "arguments": "other"}
    assert refused(encoded({"messages": [same]}))[0] == "messages[0].tool_calls[0].id"
    with pytest.raises(InvalidValueError) as caught:
        await house.take({"messages": [says("x", "tool", item=text)]})
    assert caught.value.field == "messages[0].tool_call_id"


async def test_a_source_that_knows_more_messages_than_before_is_refused(house: House) -> None:
    def of_source(count: int) -> Line:
        messages = [says(str(n), id=str(UUID(int=n))) for n in range(count)]
        return replace(read(encoded({"messages": messages})), canonical="x", may_grow=True)

    assert await house.transfer.import_conversation(ALICE, of_source(2))
    assert not await house.transfer.import_conversation(ALICE, of_source(2))
    with pytest.raises(ConversationGrownError) as caught:
        await house.transfer.import_conversation(ALICE, of_source(5))
    assert (caught.value.missing, caught.value.given) == (3, 5)
    assert not await house.transfer.import_conversation(ALICE, of_source(1))
    [found] = (await house.conversations.list(ALICE, status=None, after=None, limit=9)).items
    new = NewMessage(role=Role.USER, content="went on here", id=MessageId(uuid4()))
    await house.log.append(ALICE, found.id, entries_of([new]), NOW + HOUR)
    assert not await house.transfer.import_conversation(ALICE, of_source(2))


# Exporting


async def test_long_conversations_and_many_of_them_are_exported_whole(house: House) -> None:
    count = CONVERSATIONS_PAGE + 1
    for number in range(count):
        await house.take({"title": str(number), "messages": []})
    long = {"messages": [says(str(n)) for n in range(2 * ENTRIES_PAGE)]}
    await house.take(long)
    lines = await house.exported()
    assert {line["title"] for line in lines} == {None, *map(str, range(count))}
    assert len(lines) == count + 1
    [found] = [line for line in lines if line["messages"]]
    assert [m["content"] for m in found["messages"]] == [m["content"] for m in long["messages"]]


async def test_an_archived_conversation_is_exported_too(house: House) -> None:
    await house.take({"status": "archived", "messages": []})
    assert [line["status"] for line in await house.exported()] == ["archived"]


async def test_a_user_who_does_not_exist_has_nothing_to_export(house: House) -> None:
    assert await house.exported() == []
    assert await house.transfer.count(ALICE) == 0


async def test_what_becomes_active_during_the_export_is_in_it_once(house: House) -> None:
    """The list is by latest activity: a conversation that moves to its top leaves later pages."""
    for number in range(2 * CONVERSATIONS_PAGE):
        at = (NOW - 1000 * HOUR + number * HOUR).isoformat()
        await house.take({"title": str(number), "created_at": at, "messages": []})
    exported = []
    async for piece in house.transfer.export(ALICE):
        exported.append(piece.conversation.title)
        if len(exported) == 1:
            for title in ("0", "1", "150", "199"):
                await append(house, title)
    assert sorted(map(int, filter(None, exported))) == list(range(2 * CONVERSATIONS_PAGE))


async def test_a_conversation_that_is_deleted_during_the_export_is_left_out(house: House) -> None:
    for hour, title in enumerate("abc"):
        await house.take(
            {"title": title, "created_at": f"2024-01-01T0{hour}:00:00Z", "messages": []}
        )
    exported = []
    async for piece in house.transfer.export(ALICE):
        exported.append(piece.conversation.title)
        if piece.conversation.title == "c":
            await house.conversations.delete(ALICE, (await named(house, "a")).id)
    assert exported == ["c", "b"]


async def append(house: House, title: str) -> None:
    house.clock.time += timedelta(seconds=1)
    new = NewMessage(role=Role.USER, content="again", id=MessageId(uuid4()))
    conversation = await named(house, title)
    await house.log.append(ALICE, conversation.id, entries_of([new]), house.clock.time)


async def named(house: House, title: str) -> Conversation:
    found = await house.conversations.list(ALICE, status=None, after=None, limit=1_000)
    [conversation] = [each for each in found.items if each.title == title]
    return conversation
