"""The fields that few messages have: tokens, where contexts start, and clients' own documents."""

import json
from typing import Any

import pytest

from chatkeep.domain.errors import (
    ConversationIdTakenError,
    LimitExceededError,
    MessageIdTakenError,
    MessageNotFoundError,
)
from chatkeep.domain.log import NewEntry, entries_of
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    MAX_TOKENS,
    Limits,
    NewMessage,
    Order,
    OriginalText,
    Role,
)
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    HOUR,
    KEY,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import CALLS, everything_of, id_of, new_items, numbered_messages
from chatkeep.testing.contract.entries import export, list_entries, read, transfer_of

KB = 1_000
ORIGINALS = {
    "spaces and order": '{ "b" : 1 ,\t"a":[ ] }',
    "line ends": '{"a":\r\n1}\n',
    "repeated keys": '{"a":1,"a":2,"a":{"a":1,"a":1}}',
    "escapes": '{"\\u0061":"\\/\\u00e9é\\ud83e\\uddf5🧵\\"\\\\\\b"}',
    "NUL": '{"\\u0000":"a\\u0000b\\\\u0000"}',
    "noncharacters": '"\ufdd0 \ufdd00 \ufdd01 \ufdd0\ufdd0 \\ufdd0 \uffff \U0010ffff \u2028"',
    "numbers": f"[1.10,-0,-0.0,1E5,1e999,0.{'0' * 400}1,{'9' * 5_000}]",
    "a string": '"hello"',
    "a number": "7",
    "false": "false",
    "nested": "[" * 500 + "]" * 500,
    "of the format's own": '{"id":"m1","role":"assistant","parts":[{"type":"data-x","data":null}]}',
    "placeholders": '"%s {} $1 :original ? ${a} \'"',
}
any_original = pytest.mark.parametrize("text", ORIGINALS.values(), ids=ORIGINALS)


def with_original(
    content: str = "hello", original: str = '{"a": 1}', role: Role = Role.USER
) -> NewMessage:
    return new_message(content, role)._replace(format="notes", original=OriginalText(original))


def new_message_with_all() -> NewMessage:
    return with_original()._replace(tokens=12, starts_context=True, edited_at=NOON + HOUR)


@any_original
async def test_an_original_comes_back_byte_for_byte(store: StoreUnderTest, text: str) -> None:
    conversation = await store.start(with_original("first", text))

    [appended] = await store.append(conversation, with_original("second", text))

    found = await store.history(conversation, originals=True)
    assert [each.original for each in found] == [text, text]
    assert appended == found[1]
    assert await store.log.get(ALICE, conversation.id, appended.id, original=True) == appended
    assert [each.message for each in await list_entries(store, conversation)] == found


async def test_an_original_may_have_five_megabytes(store: StoreUnderTest) -> None:
    text = json.dumps(["\ufdd0 x é" * 600_000, "y" * 1_000_000], ensure_ascii=False)
    assert len(text.encode()) > 5_000_000
    message = with_original("large", text)
    conversation = await store.start(new_message("before"), message)

    again = await store.append(conversation, message)

    # Compared without pytest, which would take long to explain a difference.
    assert (again[0].original == text) is True
    _, large = await store.history(conversation, originals=True)
    assert (large.original == text) is True
    assert (await store.log.get(ALICE, conversation.id, large.id, original=True) == large) is True


async def test_originals_are_read_only_where_they_are_asked_for(store: StoreUnderTest) -> None:
    message = with_original()
    conversation = await store.start(message, new_message("plain"))

    first, plain = await store.history(conversation)
    window = await store.log.window(ALICE, conversation.id, limit=5)

    assert (first.format, first.original) == ("notes", None)
    assert (plain.format, plain.original) == (None, None)
    assert list(window.tail) == [first, plain]
    assert await store.log.get(ALICE, conversation.id, first.id) == first
    asked = await store.history(conversation, originals=True)
    assert asked == [first._replace(original=message.original), plain]
    assert await store.history(conversation, originals=True, order=Order.DESC) == asked[::-1]
    assert await store.history(conversation, originals=True, after=first.id) == asked[1:]


async def test_an_append_returns_the_originals_but_its_window_has_none(
    store: StoreUnderTest,
) -> None:
    opening = with_original("Be kind.", role=Role.SYSTEM)
    conversation = await store.start(opening, with_original("before"))

    for batch in ([with_original("one")], [with_original("two"), new_message("three")]):
        appended = await store.log.append(ALICE, conversation.id, entries_of(batch), NOON, window=2)

        assert [each.original for each in appended.messages] == [each.original for each in batch]
        assert appended.window == await store.log.window(ALICE, conversation.id, limit=2)
        assert {each.original for each in appended.window.tail} == {None}
        assert [each.original for each in appended.window.head] == [None]


async def test_all_fields_come_back(store: StoreUnderTest) -> None:
    full = new_message_with_all()
    others = [
        new_message("none"),
        new_message("zero")._replace(tokens=0),
        new_message("most")._replace(tokens=MAX_TOKENS),
        new_message("starts")._replace(starts_context=True),
        new_message("a format alone")._replace(format="!" * 64),
        new_message(None, Role.ASSISTANT, tool_calls=CALLS)._replace(tokens=3),
    ]
    conversation = await store.start(full, *others)

    found = await store.history(conversation, originals=True)
    window = await store.log.window(ALICE, conversation.id, limit=50)

    assert all(map(NewMessage.equals, [full, *others], found))
    assert found[0].edited_at == NOON + HOUR
    assert {each.edited_at for each in found[1:]} == {None}
    assert list(window.tail) == [each.without_original() for each in found]


@pytest.mark.parametrize("count", [1, 2])
async def test_an_append_keeps_all_fields(store: StoreUnderTest, count: int) -> None:
    conversation = await store.start()
    batch = [new_message_with_all() for _ in range(count)]

    appended = await store.append(conversation, *batch)

    assert all(map(NewMessage.equals, batch, appended))
    assert await store.history(conversation, originals=True) == list(appended)
    assert await store.append(conversation, *batch) == appended


async def test_messages_with_more_fields_and_items_are_stored_together(
    store: StoreUnderTest,
) -> None:
    items = new_items(json.dumps({"type": "reasoning", "summary": []}))
    entries = [NewEntry(new_message_with_all()), *items, NewEntry(new_message("plain"))]
    created = await store.log.create(new_conversation(), entries, provision=True)
    conversation = created.conversation
    more = [NewEntry(new_message_with_all()), *new_items('{"type":"of a later day"}')]

    appended = await store.log.append(ALICE, conversation.id, more, NOON, key=KEY)

    assert await list_entries(store, conversation) == [*created.entries, *appended.entries]
    found = await store.history(conversation, originals=True)
    assert [each.tokens for each in found] == [12, None, 12]


@pytest.mark.parametrize(
    "other",
    [
        {"tokens": 13},
        {"tokens": None},
        {"starts_context": False},
        {"format": "other"},
        {"original": OriginalText('{"a":1}')},
        {"original": OriginalText("x" * 90 * KB)},
        {"original": None},
        {"edited_at": NOON},
    ],
    ids=str,
)
async def test_another_message_with_the_same_texts_is_refused(
    store: StoreUnderTest, other: dict[str, Any]
) -> None:
    message = new_message_with_all()
    conversation = await store.start(message)
    before = await everything_of(store)
    different = message._replace(**other)

    with pytest.raises(MessageIdTakenError):
        await store.append(conversation, different)
    with pytest.raises(ConversationIdTakenError):
        await store.create(new_conversation(id=conversation.id), [different], provision=True)

    assert await everything_of(store) == before
    again = await store.create(new_conversation(id=conversation.id), [message], provision=True)
    assert (again.created, again.messages) == (
        False,
        tuple(await store.history(conversation, originals=True)),
    )


async def test_originals_count_as_bytes_of_a_page_that_has_them(store: StoreUnderTest) -> None:
    text = json.dumps("x" * KB)
    conversation = await store.start(*(with_original("a", text) for _ in range(7)))

    whole = await store.page_history(conversation, limit=100, max_bytes=3_500)
    first = await store.page_history(conversation, limit=100, max_bytes=3_500, originals=True)
    tiny = await store.page_history(conversation, limit=100, max_bytes=1, originals=True)

    assert (len(whole.items), whole.more) == (7, False)
    assert (len(first.items), first.more) == (3, True)
    assert (len(tiny.items), tiny.more) == (1, True)
    assert [each.original for each in (*first.items, *tiny.items)] == [text] * 4


async def test_a_window_leaves_out_nothing_because_of_originals(store: StoreUnderTest) -> None:
    large = with_original("large", json.dumps("x" * 50 * KB))
    conversation = await store.start(new_message("Be kind.", Role.SYSTEM), large)

    appended = await store.log.append(
        ALICE,
        conversation.id,
        entries_of([large._replace(id=new_message("").id)]),
        NOON,
        window=10,
        max_bytes=5 * KB,
    )

    window = await store.log.window(ALICE, conversation.id, limit=10, max_bytes=5 * KB)
    assert [each.content for each in window.tail] == ["Be kind.", "large", "large"]
    assert appended.window == window


async def test_an_original_of_somebody_else_does_not_exist(store: StoreUnderTest) -> None:
    conversation = await store.start(with_original())
    await store.start(with_original("his", '"his"'), user_id=BOB)
    [hers] = await store.history(conversation)

    with pytest.raises(MessageNotFoundError):
        await store.log.get(BOB, conversation.id, hers.id, original=True)


async def test_an_export_keeps_all_fields(store: StoreUnderTest) -> None:
    texts = [*ORIGINALS.values()]
    conversation = await store.start(
        new_message_with_all(),
        *(with_original("a", text) for text in texts),
        new_message("zero")._replace(tokens=0),
        *numbered_messages(2),
    )
    await store.append_items(conversation, *new_items('{"role": "user", "content": "an item"}'))
    before = await list_entries(store, conversation)
    line = await export(store)
    await store.users.erase(ALICE)

    assert await transfer_of(store).import_conversation(ALICE, read(line))
    after = await list_entries(store, conversation)
    assert [each.message for each in after] == [
        each.message and each.message._replace(position=place.position)
        for each, place in zip(before, after, strict=True)
    ]
    assert await export(store) == line
    assert not await transfer_of(store).import_conversation(ALICE, read(line))


async def test_an_original_over_the_limit_is_refused_by_its_place(store: StoreUnderTest) -> None:
    await store.start(new_message("a"), with_original("b", json.dumps("x" * 99)))
    line = await export(store)

    with pytest.raises(LimitExceededError) as caught:
        await transfer_of(store, Limits(max_item_bytes=50)).import_conversation(BOB, read(line))

    assert caught.value.field == "messages[1].original"
    assert caught.value.limit_name == "max_item_bytes"


async def test_a_deleted_message_leaves_no_original(store: StoreUnderTest) -> None:
    message = with_original()
    conversation = await store.start(message)
    await store.log.delete(ALICE, conversation.id, id_of(message))

    await store.append(conversation, new_message("again", id=id_of(message)))

    [found] = await store.history(conversation, originals=True)
    assert (found.format, found.original, found.metadata) == (None, None, EMPTY_OBJECT)
