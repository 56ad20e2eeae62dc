"""Importing and exporting: how the conversation of a line is stored, and how it comes back."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from chatkeep.domain.errors import (
    ConversationIdTakenError,
    InvalidValueError,
    LimitExceededError,
    MessageIdTakenError,
)
from chatkeep.domain.formats.codec import Line
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import Changes, Conversation, Limits, MessageId, NewMessage, Role, UserId
from chatkeep.domain.operations.transfer import (
    CONVERSATIONS_PAGE,
    ENTRIES_PAGE,
    ConversationGrownError,
)
from tests.unit.transfers import ALICE, HOUR, NOW, StoreWithTransfer, encoded, read, refused, says


@pytest.fixture
def store() -> StoreWithTransfer:
    return StoreWithTransfer()


# Importing


async def test_order_is_that_of_the_line_whatever_the_times_say(store: StoreWithTransfer) -> None:
    noon = ["2024-01-01T12:00:00Z", "2024-01-01T11:00:00Z", "2024-01-01T12:00:00Z"]
    line = {"messages": [says(str(n), created_at=time) for n, time in enumerate(noon)]}
    await store.take(line)
    [found] = await store.exported()
    assert [message["content"] for message in found["messages"]] == ["0", "1", "2"]
    assert [message["created_at"] for message in found["messages"]] == noon


async def test_a_message_without_a_time_has_that_of_the_one_before_it(
    store: StoreWithTransfer,
) -> None:
    eight, nine, ten = (f"2024-01-01T{hour}:00:00Z" for hour in ("08", "09", "10"))
    await store.take(
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
    [found] = await store.exported()
    assert [m["created_at"] for m in found["messages"]] == [nine, ten, ten, eight]
    assert (found["created_at"], found["updated_at"]) == (nine, ten)


async def test_a_conversation_without_a_time_began_with_the_first_one_it_has(
    store: StoreWithTransfer,
) -> None:
    late, early = "2024-01-01T10:00:00Z", "2024-01-01T09:00:00Z"
    messages = [says("a"), says("b", created_at=late), says("c", created_at=early)]
    await store.take({"messages": messages})
    [found] = await store.exported()
    assert (found["created_at"], found["updated_at"]) == (late, late)
    assert [m["created_at"] for m in found["messages"]] == [late, late, early]


async def test_a_conversation_without_any_time_is_of_now(store: StoreWithTransfer) -> None:
    await store.take({"messages": [says("a")]})
    [found] = await store.exported()
    now = "2026-06-01T09:30:00Z"
    assert {found["created_at"], found["updated_at"], found["messages"][0]["created_at"]} == {now}


async def test_times_in_other_zones_are_the_same_moments(store: StoreWithTransfer) -> None:
    await store.take({"created_at": "2024-01-01T10:00:00+02:00", "messages": []})
    assert (await store.exported())[0]["created_at"] == "2024-01-01T08:00:00Z"


@pytest.mark.parametrize("own_id", [None, "5d0c8a3e-3f0b-4a6e-9a57-0f6f3c1f7c11"])
@pytest.mark.parametrize("time", [None, "2024-01-01T10:00:00Z"])
async def test_importing_again_adds_nothing(
    store: StoreWithTransfer, own_id: str | None, time: str | None
) -> None:
    line = {"id": own_id, "created_at": time, "messages": [says("a"), says("b", "assistant")]}
    assert await store.take(line)
    before = await store.exported()
    store.clock.time += HOUR
    assert not await store.take(line)
    assert await store.exported() == before


async def test_the_same_line_written_otherwise_is_the_same_conversation(
    store: StoreWithTransfer,
) -> None:
    assert await store.take({"title": "x", "messages": [says("a")], "source": None})
    assert not await store.take({"messages": [{"content": "a", "role": "user"}], "title": "x"})


@pytest.mark.parametrize(
    "other",
    [
        {"title": "y", "messages": [says("a")]},
        {"title": "x", "messages": [says("b")]},
        {"title": "x", "messages": [says("a", name="n")]},
        {"title": "x", "messages": [says("a")], "source": "elsewhere"},
    ],
)
async def test_another_line_is_another_conversation(
    store: StoreWithTransfer, other: dict[str, Any]
) -> None:
    await store.take({"title": "x", "messages": [says("a")]})
    assert await store.take(other)


async def test_the_ids_are_the_same_in_any_store_and_differ_by_user(
    store: StoreWithTransfer,
) -> None:
    line = {"messages": [says("a"), says("b")]}
    elsewhere = StoreWithTransfer()
    await store.take(line)
    await elsewhere.take(line)
    [one], [same] = await store.exported(), await elsewhere.exported()
    assert one == same
    await store.take(line, UserId("bob"))
    [other] = await store.exported(UserId("bob"))
    assert other["id"] != one["id"]
    assert other["messages"][0]["id"] != one["messages"][0]["id"]


async def test_the_id_of_a_line_never_changes(store: StoreWithTransfer) -> None:
    """With another namespace, importing a file again would add everything again."""
    call = {"type": "function", "id": "c", "function": {"name": "f", "arguments": "{}"}}
    await store.take(
        {
            "source": "s",
            "title": "é",
            "created_at": "2024-01-01T00:00:00Z",
            "metadata": {"b": 1.5, "a": [None]},
            "messages": [says("a"), {"role": "assistant", "tool_calls": [call]}],
        }
    )
    [found] = await store.exported()
    assert found["id"] == "2a6adefa-b00d-5a79-ac10-89f0fdb026a5"
    assert found["messages"][1]["id"] == "63790298-857f-5876-b760-308f0d13835b"


async def test_what_was_done_to_an_imported_conversation_since_stays(
    store: StoreWithTransfer,
) -> None:
    line = {"title": "x", "messages": [says("a")]}
    await store.take(line)
    [found] = (await store.conversations.list(ALICE, status=None, after=None, limit=9)).items
    await store.conversations.change(ALICE, found.id, Changes(title="renamed"))
    assert not await store.take(line)
    assert [each["title"] for each in await store.exported()] == ["renamed"]


async def test_ids_that_are_texts_are_those_of_each_user(store: StoreWithTransfer) -> None:
    line = {
        "id": "chat/É",
        "messages": [says("a", id="first"), says("b"), says("c", id="\ufdd0 third")],
    }
    for user_id in (ALICE, UserId("bob")):
        assert await store.take(line, user_id)
        assert not await store.take(line, user_id)
        [exported] = await store.exported(user_id)
        ids = [each["id"] for each in exported["messages"]]
        assert (exported["id"], ids[0], ids[2]) == ("chat/É", "first", "\ufdd0 third")
        assert not await store.take(exported, user_id)
    other = {"id": "another", "messages": [says("of another", id="first")]}
    assert await store.take(other)
    with pytest.raises(ConversationIdTakenError, match="conversation another with"):
        await store.take(other | {"title": "T"})


async def test_an_id_that_is_taken_by_something_else_is_refused(store: StoreWithTransfer) -> None:
    conversation, message = str(uuid4()), str(uuid4())
    await store.take({"id": conversation, "messages": [says("a", id=message)]})
    with pytest.raises(ConversationIdTakenError):
        await store.take({"id": conversation, "messages": [says("b")]})
    with pytest.raises(MessageIdTakenError):
        await store.take({"messages": [says("c"), says("d", id=message)]})
    assert len(await store.exported()) == 1


async def test_an_id_that_stands_twice_in_a_line_is_refused(store: StoreWithTransfer) -> None:
    message = str(uuid4())
    with pytest.raises(InvalidValueError) as caught:
        await store.take({"messages": [says("a", id=message), says("b", id=message)]})
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
        await StoreWithTransfer(strict).take(line)
    assert (caught.value.field, caught.value.limit_name) == (field, limit)
    assert await StoreWithTransfer(replace(strict, **{limit: 0})).take(line)


async def test_without_limits_what_was_said_is_taken_at_any_length(
    store: StoreWithTransfer,
) -> None:
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
    assert await store.take(line)
    [found] = await store.exported()
    assert [message.get("content") for message in found["messages"]] == [
        *[text] * 3,
        None,
        text,
        None,
    ]


async def test_a_conversation_may_have_more_messages_than_a_batch(store: StoreWithTransfer) -> None:
    count = Limits().max_batch + 1
    assert await store.take({"messages": [says(str(n)) for n in range(count)]})


async def test_a_role_keeps_its_rules_in_an_import(store: StoreWithTransfer) -> None:
    with pytest.raises(InvalidValueError) as caught:
        await store.take({"messages": [says("result", "tool")]})
    assert caught.value.field == "messages[0].tool_call_id"


async def test_a_hold_is_imported_and_exported(store: StoreWithTransfer) -> None:
    for retain in (True, False, None):
        await store.take({"title": str(retain), "retain": retain, "messages": []})
    lines = await store.exported()
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
        (
            {"item": '{"id":"a","type":"x"}', "content": "x"},
            "messages[0].role",
            "missing: the other fields",
        ),
        (
            {"role": "user", "content": "x", "item": f'{{"id":"msg_{"0" * 32}","type":"x"}}'},
            "messages[0].item.id",
            "derived from the id of another message",
        ),
    ],
)
def test_an_item_that_does_not_fit_is_refused(
    entry: dict[str, Any], field: str, reason: str
) -> None:
    found = refused(encoded({"messages": [entry]}))
    assert found[0] == field
    assert reason in found[1]


async def test_an_item_that_stands_twice_is_refused(store: StoreWithTransfer) -> None:
    item = {"item": '{"id":"rs_1","type":"reasoning"}'}
    with pytest.raises(InvalidValueError) as caught:
        await store.take({"messages": [item, says("a"), item]})
    assert caught.value.field == "messages[2].item.id"


async def test_a_message_that_says_other_than_its_item_keeps_the_rules_of_messages(
    store: StoreWithTransfer,
) -> None:
    text = '{"id":"own","type":"function_call","call_id":"","name":"","arguments":""}'
    call = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
    same = {"role": "assistant", "tool_calls": [call], "item": text}
    assert await store.take({"messages": [same]})
    call["function"] = {"name": "", "arguments": "other"}
    assert refused(encoded({"messages": [same]}))[0] == "messages[0].tool_calls[0].id"
    with pytest.raises(InvalidValueError) as caught:
        await store.take({"messages": [says("x", "tool", item=text)]})
    assert caught.value.field == "messages[0].tool_call_id"


async def test_a_source_that_knows_more_messages_than_before_is_refused(
    store: StoreWithTransfer,
) -> None:
    def of_source(count: int) -> Line:
        messages = [says(str(n), id=str(UUID(int=n))) for n in range(count)]
        return replace(read(encoded({"messages": messages})), canonical="x", may_grow=True)

    assert await store.transfer.import_conversation(ALICE, of_source(2))
    assert not await store.transfer.import_conversation(ALICE, of_source(2))
    with pytest.raises(ConversationGrownError) as caught:
        await store.transfer.import_conversation(ALICE, of_source(5))
    assert (caught.value.missing, caught.value.given) == (3, 5)
    assert not await store.transfer.import_conversation(ALICE, of_source(1))
    [found] = (await store.conversations.list(ALICE, status=None, after=None, limit=9)).items
    new = NewMessage(role=Role.USER, content="went on here", id=MessageId(uuid4()))
    await store.log.append(ALICE, found.id, entries_of([new]), NOW + HOUR)
    assert not await store.transfer.import_conversation(ALICE, of_source(2))


# Exporting


async def test_long_conversations_and_many_of_them_are_exported_whole(
    store: StoreWithTransfer,
) -> None:
    count = CONVERSATIONS_PAGE + 1
    for number in range(count):
        await store.take({"title": str(number), "messages": []})
    long = {"messages": [says(str(n)) for n in range(2 * ENTRIES_PAGE)]}
    await store.take(long)
    lines = await store.exported()
    assert {line["title"] for line in lines} == {None, *map(str, range(count))}
    assert len(lines) == count + 1
    [found] = [line for line in lines if line["messages"]]
    assert [m["content"] for m in found["messages"]] == [m["content"] for m in long["messages"]]


async def test_an_archived_conversation_is_exported_too(store: StoreWithTransfer) -> None:
    await store.take({"status": "archived", "messages": []})
    assert [line["status"] for line in await store.exported()] == ["archived"]


async def test_a_user_who_does_not_exist_has_nothing_to_export(store: StoreWithTransfer) -> None:
    assert await store.exported() == []
    assert await store.transfer.count(ALICE) == 0


async def test_what_becomes_active_during_the_export_is_in_it_once(
    store: StoreWithTransfer,
) -> None:
    """The list is by latest activity: a conversation that moves to its top leaves later pages."""
    for number in range(2 * CONVERSATIONS_PAGE):
        at = (NOW - 1000 * HOUR + number * HOUR).isoformat()
        await store.take({"title": str(number), "created_at": at, "messages": []})
    exported = []
    async for piece in store.transfer.export(ALICE):
        exported.append(piece.conversation.title)
        if len(exported) == 1:
            for title in ("0", "1", "150", "199"):
                await append(store, title)
    assert sorted(map(int, filter(None, exported))) == list(range(2 * CONVERSATIONS_PAGE))


async def test_a_conversation_that_is_deleted_during_the_export_is_left_out(
    store: StoreWithTransfer,
) -> None:
    for hour, title in enumerate("abc"):
        await store.take(
            {"title": title, "created_at": f"2024-01-01T0{hour}:00:00Z", "messages": []}
        )
    exported = []
    async for piece in store.transfer.export(ALICE):
        exported.append(piece.conversation.title)
        if piece.conversation.title == "c":
            await store.conversations.delete(ALICE, (await named(store, "a")).id)
    assert exported == ["c", "b"]


async def append(store: StoreWithTransfer, title: str) -> None:
    store.clock.time += timedelta(seconds=1)
    new = NewMessage(role=Role.USER, content="again", id=MessageId(uuid4()))
    conversation = await named(store, title)
    await store.log.append(ALICE, conversation.id, entries_of([new]), store.clock.time)


async def named(store: StoreWithTransfer, title: str) -> Conversation:
    found = await store.conversations.list(ALICE, status=None, after=None, limit=1_000)
    [conversation] = [each for each in found.items if each.title == title]
    return conversation
