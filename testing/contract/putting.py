"""Putting a message under its id: appended, or in place of the message that has this id."""

import asyncio
from dataclasses import replace

import pytest

from chatkeep.domain.errors import (
    ConversationNotFoundError,
    ItemNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
    RetainedError,
)
from chatkeep.domain.log import EVERYTHING, View
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    Changes,
    JsonText,
    Message,
    MessageId,
    NewMessage,
    Order,
    OriginalText,
    Role,
)
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    HOUR,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    CALLS,
    SECOND,
    assert_unchanged,
    contents,
    error_of,
    ids,
    new_full_message,
    new_items,
    new_message_id,
    normalize,
    start_mixed,
    start_numbered,
)

AFTER = NOON + HOUR
PARTS = JsonText('[ {"type":"text","text":"a\\u0000"}, {"type":"x","n":1.10} ]')
ORIGINAL = OriginalText('{ "a": 1.10, "a": "\\u0000" }')


def as_new(message: Message, **changes: object) -> NewMessage:
    """Return what a caller sends to put a stored message, with changes."""
    given = {name: getattr(message, name) for name in NewMessage._fields}
    given |= {"created_at": None, "edited_at": None, **changes}
    return NewMessage(**given)


async def test_a_new_message_is_put_at_the_end(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)
    new = new_full_message()

    stored = await store.put(conversation, new, at=AFTER)

    assert stored.created
    assert new.equals(stored.message)
    assert (stored.message.created_at, stored.message.edited_at) == (AFTER, None)
    assert stored.message.position > history[-1].position
    found = await store.history(conversation)
    assert [*map(normalize, found)] == [*map(normalize, [*history, stored.message])]
    assert await store.reload(conversation) == conversation._replace(
        message_count=4, updated_at=AFTER, revision=2
    )


async def test_a_message_is_replaced_in_its_place(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)
    new = new_full_message()._replace(id=history[1].id)

    stored = await store.put(conversation, new, at=AFTER)

    assert not stored.created
    assert new.equals(stored.message)
    assert stored.message.edited_at == AFTER
    assert stored.message.created_at == history[1].created_at
    assert stored.message.position == history[1].position
    found = await store.history(conversation)
    expected = [history[0], stored.message, history[2]]
    assert [*map(normalize, found)] == [*map(normalize, expected)]
    assert normalize(await store.log.get(ALICE, conversation.id, history[1].id)) == normalize(
        stored.message
    )
    assert await store.reload(conversation) == conversation._replace(revision=2)


async def test_every_field_is_replaced(store: StoreUnderTest) -> None:
    conversation = await store.start()
    full = new_full_message()._replace(
        tokens=7, starts_context=True, format="own", original=ORIGINAL
    )
    plain = new_message("plain", id=full.id)
    answer = new_message("found", Role.TOOL, tool_call_id="a", id=full.id)

    for new in (full, plain, answer, full):
        await store.put(conversation, new, at=AFTER)

        [message] = (
            await store.log.page(
                ALICE, conversation.id, EVERYTHING, view=View.ORIGINALS, order=Order.ASC, limit=2
            )
        ).items
        assert message.message is not None
        assert new.equals(message.message)


@pytest.mark.parametrize(
    "change",
    [
        {"content": "other"},
        {"role": Role.ASSISTANT},
        {"role": Role.ASSISTANT, "tool_calls": CALLS},
        {"name": "Alice"},
        {"metadata": JsonText('{"n":1}')},
        {"metadata": JsonText('{"n":true}')},
        {"tokens": 5},
        {"starts_context": True},
        {"format": "own"},
        {"format": "own", "original": ORIGINAL},
        {"content": "a\x00", "parts": PARTS},
        {"content": None, "parts": JsonText('[{"type":"refusal","refusal":"no"}]')},
    ],
)
async def test_one_other_field_is_an_edit_and_the_same_again_is_not(
    store: StoreUnderTest, change: dict[str, object]
) -> None:
    conversation, history = await start_numbered(store, 3)
    new = as_new(history[0], **change)

    first = await store.put(conversation, new, at=AFTER)
    again = await store.put(conversation, new, at=AFTER + HOUR)

    assert first.message.edited_at == AFTER
    assert normalize(again.message) == normalize(first.message)
    assert not again.created


async def test_parts_are_replaced_as_they_are_written(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)

    for number, parts in enumerate((PARTS, JsonText(PARTS.replace(" ", "")), None, PARTS)):
        at = NOON + number * SECOND
        content = "plain" if parts is None else "a\x00"
        new = as_new(history[0], content=content, parts=parts)
        for _ in range(2):
            stored = await store.put(conversation, new, at=at)
            assert (stored.message.content, stored.message.parts) == (content, parts)
            assert stored.message.edited_at == at
        assert await store.log.get(ALICE, conversation.id, history[0].id) == stored.message


async def test_true_in_place_of_one_is_an_edit(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)

    for number, document in enumerate(('{"n":1}', '{"n":true}', '{"n":1}', '{"n":[false]}')):
        at = NOON + number * SECOND
        new = as_new(history[0], metadata=JsonText(document))
        stored = await store.put(conversation, new, at=at)
        assert stored.message.edited_at == at


async def test_an_equal_message_changes_nothing(store: StoreUnderTest) -> None:
    conversation = await store.start(
        new_full_message()._replace(metadata=JsonText('{"a":1.10,"b":["\\u0000",{}]}'))
    )
    [message] = await store.history(conversation)

    async with assert_unchanged(store, ALICE):
        for metadata in ('{"b":["\\u0000",{}],"a":1.1}', ' {"a" : 1.10,"b":["\\u0000",{ }]}'):
            new = as_new(message, metadata=JsonText(metadata))
            stored = await store.put(conversation, new, at=AFTER)
            assert (stored.created, stored.message) == (False, message)


async def test_a_put_can_be_repeated(store: StoreUnderTest) -> None:
    conversation = await store.start()
    new = new_full_message()

    first = await store.put(conversation, new, at=NOON)
    again = await store.put(conversation, new, at=AFTER)

    assert (first.created, again.created) == (True, False)
    assert normalize(again.message) == normalize(first.message)
    assert (await store.reload(conversation)).message_count == 1


async def test_a_message_of_another_conversation_is_not_replaced(store: StoreUnderTest) -> None:
    conversation, _ = await start_numbered(store, 3)
    other, others = await start_numbered(store, 3)

    async with assert_unchanged(store, ALICE):
        for new in (as_new(others[0]), as_new(others[0], content="other")):
            with pytest.raises(MessageIdTakenError) as refusal:
                await store.put(conversation, new, at=AFTER)
            assert refusal.value.message_id == others[0].id
    assert await store.history(other) == others


async def test_two_users_put_a_message_under_one_id(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)
    his = await store.start(user_id=BOB, id=conversation.id)

    assert (await store.put(his, as_new(history[0], content="Bob's"))).created

    assert await store.history(conversation) == history
    assert contents(await store.history(his)) == ["Bob's"]


async def test_nothing_is_put_where_there_is_no_conversation(store: StoreUnderTest) -> None:
    _, history = await start_numbered(store, 3)

    async with assert_unchanged(store, ALICE):
        for new in (new_message("lost"), as_new(history[0])):
            with pytest.raises(ConversationNotFoundError):
                await store.put(new_conversation(), new)


async def test_nothing_on_hold_is_replaced_but_a_new_message_is_put(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)
    await store.conversations.change(ALICE, conversation.id, Changes(retain=True))

    async with assert_unchanged(store, ALICE):
        with pytest.raises(RetainedError):
            await store.put(conversation, as_new(history[0], content="rewritten"))
        assert (await store.put(conversation, as_new(history[0]))).message == history[0]
    added = await store.put(conversation, new_message("one more"), at=AFTER)
    assert await store.history(conversation) == [*history, added.message]


async def test_a_put_message_is_not_an_item_as_it_was_sent_any_more(store: StoreUnderTest) -> None:
    """Its text is another now. The id that follows from the message stays."""
    conversation = await store.start()
    sent = await store.append_items(
        conversation,
        *new_items('{"role":"user","content":"a"}', '{"role":"user","content":"b","id":"msg_own"}'),
    )
    for message in await store.history(conversation):
        assert not (await store.put(conversation, as_new(message))).created
    assert await store.list_items(conversation) == sent

    for message in await store.history(conversation):
        await store.put(conversation, as_new(message, content=f"{message.content}, edited"))

    items = await store.list_items(conversation)
    assert ["a, edited" in items[0].text, "b, edited" in items[1].text] == [True, True]
    assert items[0].id == sent[0].id
    assert [item.position for item in items] == [item.position for item in sent]
    for item in items:
        assert await store.items.get(ALICE, conversation.id, item.id) == item
        assert (await store.list_items(conversation, after=item.id)) == items[
            items.index(item) + 1 :
        ]
    with pytest.raises(ItemNotFoundError):
        await store.items.get(ALICE, conversation.id, sent[1].id)
    # Its own id is free again.
    await store.append_items(
        conversation, *new_items('{"role":"user","content":"c","id":"msg_own"}')
    )


async def test_any_message_of_a_mixed_log_is_replaced(store: StoreUnderTest) -> None:
    conversation = await start_mixed(store)
    before = await store.history(conversation)
    items = len(await store.list_items(conversation))

    for message in before:
        await store.put(conversation, as_new(message, metadata=JsonText('{"edited":true}')))

    after = await store.history(conversation)
    assert [each._replace(metadata=EMPTY_OBJECT, edited_at=None) for each in after] == [
        each._replace(metadata=EMPTY_OBJECT) for each in before
    ]
    assert len(await store.list_items(conversation)) >= items
    assert (await store.reload(conversation)).message_count == len(before)


async def test_a_time_is_stored_with_a_new_message_only(store: StoreUnderTest) -> None:
    conversation = await store.start()
    new = new_message("old", created_at=NOON - HOUR)

    stored = await store.put(conversation, new, at=AFTER)
    edited = await store.put(
        conversation, new._replace(content="new", created_at=NOON - 2 * HOUR), at=AFTER
    )

    assert stored.message.created_at == edited.message.created_at == NOON - HOUR


async def test_edits_of_one_message_at_once_end_as_one_of_them(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 3)
    edits = [as_new(history[1], content=f"edit {number}", name=str(number)) for number in range(8)]

    found = await asyncio.gather(*(store.put(conversation, edit, at=AFTER) for edit in edits))

    assert all(
        edit.equals(each.message) and not each.created
        for edit, each in zip(edits, found, strict=True)
    )
    left = await store.history(conversation)
    assert left[1] in [each.message for each in found]
    assert ids(left) == ids(history)
    assert (await store.reload(conversation)).message_count == 3


async def test_a_new_message_put_several_times_at_once_is_stored_once(
    store: StoreUnderTest,
) -> None:
    conversation, history = await start_numbered(store, 3)
    message_id = new_message_id()
    calls = [
        store.put(conversation, new_message(f"version {number % 2}", id=message_id), at=AFTER)
        for number in range(8)
    ]

    found = await asyncio.gather(*calls)

    assert sum(each.created for each in found) == 1
    [*others, last] = await store.history(conversation)
    assert others == history
    assert last.content in {"version 0", "version 1"}
    assert (await store.reload(conversation)).message_count == 4


@pytest.mark.parametrize("round_", range(6))
async def test_a_put_and_a_deletion_at_once_end_as_one_after_the_other(
    store: StoreUnderTest, round_: int
) -> None:
    conversation, history = await start_numbered(store, 3)
    edit = as_new(history[2], content="edited")
    calls = [
        store.put(conversation, edit, at=AFTER),
        store.truncate(conversation, history[0].id)
        if round_ < 2
        else store.log.delete(ALICE, conversation.id, history[2].id),
    ]
    order = [0, 1] if round_ % 2 else [1, 0]

    errors = await asyncio.gather(*(error_of(calls[which]) for which in order))

    assert errors == [None, None]
    left = contents(await store.history(conversation))
    others = ["user 0"] if round_ < 2 else ["user 0", "user 1"]
    assert left in (others, [*others, "edited"])
    assert (await store.reload(conversation)).message_count == len(left)


async def test_puts_appends_and_deletions_at_once_keep_the_count_right(
    store: StoreUnderTest,
) -> None:
    conversation, history = await start_numbered(store, 6)
    fresh = [new_message(f"fresh {number}", Role.ASSISTANT) for number in range(3)]

    errors = await asyncio.gather(
        *(error_of(store.put(conversation, new)) for new in fresh),
        *(error_of(store.put(conversation, as_new(each, content="x"))) for each in history),
        *(error_of(store.log.delete(ALICE, conversation.id, each.id)) for each in history[:3]),
        *(error_of(store.append(conversation, new_message("more"))) for _ in range(3)),
        *(error_of(store.put(conversation, new)) for new in fresh),
    )

    assert {type(error) for error in errors} <= {type(None), MessageNotFoundError}
    left = await store.history(conversation)
    assert (await store.reload(conversation)).message_count == len(left)
    assert {*ids(history[3:]), *(each.id for each in fresh)} <= {*ids(left)}


async def test_an_id_chosen_elsewhere_at_once_is_stored_in_one_conversation(
    store: StoreUnderTest,
) -> None:
    conversations = [await store.start() for _ in range(4)]
    new = new_message("where?", id=MessageId(conversations[0].id))

    errors = await asyncio.gather(
        *(error_of(store.put(conversation, new)) for conversation in conversations)
    )

    assert [type(error) for error in errors if error] == [MessageIdTakenError] * 3
    counts = [(await store.reload(each)).message_count for each in conversations]
    assert sorted(counts) == [0, 0, 0, 1]
    usage = await store.users.usage(ALICE)
    assert replace(usage, messages=1) == usage
