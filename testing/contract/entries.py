"""Entries: everything in a conversation, read in pages and stored again exactly."""

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from chatkeep.domain.errors import (
    ConversationIdTakenError,
    ConversationNotFoundError,
    LimitExceededError,
    MessageIdTakenError,
    UserNotProvisionedError,
)
from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.codec import Line
from chatkeep.domain.items import ItemId, ItemText
from chatkeep.domain.log import Bounds, Entry, NewEntry, View
from chatkeep.domain.model import Conversation, JsonText, Limits, Order, Position, Role, Status
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    HOUR,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.operations.transfer import Transfer
from chatkeep.domain.pages import Page
from chatkeep.entrypoints.formats.decoding import decode
from chatkeep.entrypoints.formats.json_lines import JsonLines
from chatkeep.testing.builders import (
    CALLS,
    SECOND,
    new_conversation_id,
    new_items,
    numbered_items,
    numbered_messages,
    start_mixed,
)

MANY = 1_000_000


def transfer_of(store: StoreUnderTest, limits: Limits | None = None) -> Transfer:
    clock = type("Clock", (), {"now": lambda _: NOON + HOUR})()
    return Transfer(store.users, store.conversations, store.log, clock, limits)


def read(line: bytes) -> Line:
    return chatkeep.read(decode(line))


async def export(store: StoreUnderTest) -> bytes:
    """Return an export of everything that Alice has."""
    writer = JsonLines()
    return b"".join([writer.write(piece) async for piece in transfer_of(store).export(ALICE)])


async def page(
    store: StoreUnderTest,
    conversation: Conversation,
    *,
    after: Position | None = None,
    limit: int = 1_000,
    max_bytes: int = MANY,
) -> Page[Entry]:
    return await store.log.page(
        conversation.user_id,
        conversation.id,
        Bounds(after=after),
        view=View.WHOLE,
        order=Order.ASC,
        limit=limit,
        max_bytes=max_bytes,
    )


async def restore(
    store: StoreUnderTest, new: Conversation, entries: Sequence[NewEntry], *, provision: bool = True
) -> bool:
    """Store a conversation with its entries; return whether it is new."""
    return (await store.log.create(new, entries, provision=provision)).created


async def list_entries(store: StoreUnderTest, conversation: Conversation) -> list[Entry]:
    return [*(await page(store, conversation)).items]


async def test_a_page_has_messages_and_items_in_their_order(store: StoreUnderTest) -> None:
    conversation = await start_mixed(store)
    found = await list_entries(store, conversation)
    positions = [entry.position for entry in found]
    assert positions == sorted(set(positions))
    messages = await store.history(conversation, order=Order.ASC)
    assert [entry.message for entry in found if entry.message is not None] == messages
    items = await store.list_items(conversation)
    exact = {entry.position: entry.item for entry in found if entry.item is not None}
    assert exact == {item.position: item.text for item in items if item.position in exact}
    assert len(exact) == 12
    assert sum(entry.message is None for entry in found) > 3


async def test_pages_of_any_size_have_everything_once(store: StoreUnderTest) -> None:
    conversation = await start_mixed(store)
    everything = await list_entries(store, conversation)
    for limit, max_bytes in ((1, MANY), (3, MANY), (1_000, 1), (4, 60)):
        found: list[Entry] = []
        more = True
        while more:
            after = found[-1].position if found else None
            some = await page(store, conversation, after=after, limit=limit, max_bytes=max_bytes)
            assert 0 < len(some.items) <= limit or not some.more
            found += some.items
            more = some.more
        assert found == everything


async def test_a_page_ends_when_it_is_large_enough(store: StoreUnderTest) -> None:
    texts = [new_message("x" * 1000) for _ in range(10)]
    conversation = await store.start(*texts)
    some = await page(store, conversation, limit=100, max_bytes=3_500)
    assert len(some.items) == 3
    assert some.more


async def test_a_conversation_without_entries_has_one_empty_page(store: StoreUnderTest) -> None:
    conversation = await store.start()
    some = await page(store, conversation, limit=5)
    assert ([*some.items], some.more) == ([], False)


async def test_a_page_of_somebody_else_does_not_exist(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(2))
    hers = conversation
    for absent in (hers._replace(user_id=BOB), hers._replace(id=new_conversation_id())):
        with pytest.raises(ConversationNotFoundError):
            await page(store, absent)


async def test_what_was_exported_and_erased_is_the_same_when_it_is_imported(
    store: StoreUnderTest,
) -> None:
    conversation = await start_mixed(store)
    called = new_message("x", Role.ASSISTANT, name="helper", tool_calls=CALLS)
    await store.start(called, new_message("nul \0 \ufdd0", metadata=JsonText('{"a":1}')))
    items, before = await store.list_items(conversation), await export(store)
    assert before.count(b"\n") == 2
    await store.users.erase(ALICE)

    for line in before.splitlines():
        assert await transfer_of(store).import_conversation(ALICE, read(line))
    assert await export(store) == before
    restored = await store.list_items(conversation)
    assert [(item.id, item.text) for item in restored] == [(item.id, item.text) for item in items]
    assert [item.created_at for item in restored] == [item.created_at for item in items]
    for line in before.splitlines():
        assert not await transfer_of(store).import_conversation(ALICE, read(line))
    assert await export(store) == before


async def test_what_is_appended_after_an_import_stands_after_it(store: StoreUnderTest) -> None:
    conversation = await start_mixed(store)
    line = await export(store)
    await store.users.erase(ALICE)
    await transfer_of(store).import_conversation(ALICE, read(line))

    await store.append_items(conversation, *numbered_items(3, "new"), at=NOON - HOUR)
    await store.append(conversation, new_message("last"), at=NOON - HOUR)
    found = await list_entries(store, conversation)
    positions = [entry.position for entry in found]
    assert positions == sorted(set(positions))
    assert found[-1].message is not None
    assert found[-1].message.content == "last"
    stored = await store.reload(conversation)
    assert stored.message_count == sum(entry.message is not None for entry in found)


async def test_a_conversation_comes_back_with_all_its_fields(store: StoreUnderTest) -> None:
    new = new_conversation(
        title="t \0", status=Status.ARCHIVED, metadata=JsonText('{"k": "\ufdd0"}')
    )._replace(
        retain=True,
        created_at=NOON - HOUR,
    )
    assert await restore(store, new, ())
    assert await store.reload(new) == new


async def test_entries_without_a_time_have_that_of_the_conversation(store: StoreUnderTest) -> None:
    new = new_conversation(at=NOON)
    item = ItemText('{"id":"rs_1","type":"reasoning"}')
    entries = [
        NewEntry(message=None, item=item, item_id=ItemId("rs_1")),
        NewEntry(message=new_message("a")),
        NewEntry(message=new_message("b", created_at=NOON + SECOND)),
    ]
    assert await restore(store, new, entries)
    found = await list_entries(store, new)
    assert [entry.created_at - NOON for entry in found] == [timedelta(), timedelta(), SECOND]


async def test_restoring_something_else_under_an_id_is_refused(store: StoreUnderTest) -> None:
    new = new_conversation()
    message = new_message("a", role=Role.USER)
    item = ItemText('{"id":"rs_1","type":"reasoning"}')
    entries = [
        NewEntry(message=message),
        NewEntry(message=None, item=item, item_id=ItemId("rs_1")),
    ]
    assert await restore(store, new, entries)
    assert not await restore(store, new, entries)
    other = entries[1]._replace(item=ItemText('{"id":"rs_1","type":"reasoning","a":1}'))
    for different in (
        [entries[0], other],
        [*reversed(entries)],
        [*entries, NewEntry(message=new_message("b"))],
    ):
        with pytest.raises(ConversationIdTakenError):
            await restore(store, new, different)
    with pytest.raises(MessageIdTakenError):
        await restore(store, new_conversation(), entries)
    assert await restore(store, new._replace(user_id=BOB), entries)
    assert len(await list_entries(store, new)) == 2


async def test_nothing_is_stored_of_a_user_who_is_not_provisioned(store: StoreUnderTest) -> None:
    new = new_conversation()
    with pytest.raises(UserNotProvisionedError):
        await restore(store, new, [NewEntry(message=new_message("a"))], provision=False)
    assert await export(store) == b""


async def test_an_item_that_no_message_could_be_made_of_natively_comes_back_too(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start()
    call = {"type": "function_call", "call_id": "", "name": "", "arguments": ""}
    output = {"type": "function_call_output", "call_id": "c" * 300, "output": "x" * 20_000}
    await store.append_items(conversation, *new_items(json.dumps(call), json.dumps(output)))
    before = await export(store)
    await store.users.erase(ALICE)
    assert await transfer_of(store, Limits()).import_conversation(ALICE, read(before))
    assert await export(store) == before


async def test_an_item_over_the_limit_is_refused_by_its_place(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("hello"))
    await store.append_items(
        conversation, *new_items(json.dumps({"type": "reasoning", "x": "y" * 99}))
    )
    line = await export(store)
    with pytest.raises(LimitExceededError) as caught:
        await transfer_of(store, Limits(max_item_bytes=50)).import_conversation(BOB, read(line))
    assert (caught.value.field, caught.value.limit_name) == ("messages[1].item", "max_item_bytes")
