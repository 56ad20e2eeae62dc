"""Entries: all that stands in a conversation, read in pages and stored again exactly."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from chatkeep.adapters.memory import (
    MemoryConversations,
    MemoryItems,
    MemoryMessages,
    MemoryStore,
    MemoryUsers,
)
from chatkeep.adapters.memory.entries import MemoryEntries
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.entries import PiccoloEntries
from chatkeep.domain.entries import BEFORE_FIRST, Entries, Entry, GivenEntry
from chatkeep.domain.errors import (
    ConversationIdTakenError,
    ConversationNotFoundError,
    LimitExceededError,
    MessageIdTakenError,
    UserNotProvisionedError,
)
from chatkeep.domain.items import ItemId, ItemText
from chatkeep.domain.model import Conversation, JsonText, Limits, Order, Role, Status
from chatkeep.domain.operations.transfer import Transfer
from chatkeep.entrypoints.formats.jsonl import JsonLines, read
from tests.contract.builders import (
    ALICE,
    BOB,
    HOUR,
    NOON,
    SECOND,
    a_conversation,
    a_conversation_id,
    again,
    appended,
    history,
    numbered,
    says,
    started,
)
from tests.contract.items import CALLS, append, items_of, mixed, page, said
from tests.contract.store import Store

MANY = 1_000_000


@dataclass
class House:
    """A store, and the entries in it."""

    store: Store
    entries: Entries

    def transfer(self, limits: Limits | None = None) -> Transfer:
        clock = type("Clock", (), {"now": lambda _: NOON + HOUR})()
        return Transfer(self.store.users, self.store.conversations, self.entries, clock, limits)

    async def all(self, conversation: Conversation) -> list[Entry]:
        found = await self.entries.page(
            conversation.user_id,
            conversation.id,
            after=BEFORE_FIRST,
            limit=1_000,
            max_bytes=MANY,
        )
        return [*found.entries]

    async def exported(self, user_id: object = ALICE) -> bytes:
        writer = JsonLines()
        pieces = self.transfer().export(ALICE if user_id is ALICE else BOB)
        return b"".join([writer.write(piece) async for piece in pieces])


@pytest.fixture(params=["memory", "postgres"])
def house(request: pytest.FixtureRequest) -> House:
    if request.param == "memory":
        kept = MemoryStore()
        return House(
            Store(
                MemoryUsers(kept),
                MemoryConversations(kept),
                MemoryMessages(kept),
                MemoryItems(kept),
            ),
            MemoryEntries(kept),
        )
    engine: Engine = request.getfixturevalue("engine")
    return House(request.getfixturevalue("postgres_store"), PiccoloEntries(engine))


async def test_a_page_has_messages_and_items_in_their_order(house: House) -> None:
    conversation = await mixed(house.store)
    found = await house.all(conversation)
    positions = [entry.position for entry in found]
    assert positions == sorted(set(positions))
    messages = await history(house.store, conversation, order=Order.ASC)
    assert [entry.message for entry in found if entry.message is not None] == messages
    items = await page(house.store, conversation)
    exact = {entry.position: entry.item for entry in found if entry.item is not None}
    assert exact == {item.position: item.text for item in items if item.position in exact}
    assert len(exact) == 12
    assert sum(entry.message is None for entry in found) > 3


async def test_pages_of_any_size_have_everything_once(house: House) -> None:
    conversation = await mixed(house.store)
    everything = await house.all(conversation)
    for limit, max_bytes in ((1, MANY), (3, MANY), (1_000, 1), (4, 60)):
        found: list[Entry] = []
        more, after = True, BEFORE_FIRST
        while more:
            some = await house.entries.page(
                ALICE, conversation.id, after=after, limit=limit, max_bytes=max_bytes
            )
            assert 0 < len(some.entries) <= limit or not some.more
            found += some.entries
            more, after = some.more, found[-1].position
        assert found == everything


async def test_a_page_ends_when_it_is_large_enough(house: House) -> None:
    texts = [says("x" * 1000) for _ in range(10)]
    conversation = await started(house.store, *texts)
    some = await house.entries.page(
        ALICE, conversation.id, after=BEFORE_FIRST, limit=100, max_bytes=3_500
    )
    assert len(some.entries) == 4
    assert some.more


async def test_a_conversation_without_entries_has_one_empty_page(house: House) -> None:
    conversation = await started(house.store)
    some = await house.entries.page(
        ALICE, conversation.id, after=BEFORE_FIRST, limit=5, max_bytes=MANY
    )
    assert (some.entries, some.more) == ((), False)


async def test_a_page_of_somebody_else_does_not_exist(house: House) -> None:
    conversation = await started(house.store, *numbered(2))
    for user_id, conversation_id in ((BOB, conversation.id), (ALICE, a_conversation_id())):
        with pytest.raises(ConversationNotFoundError):
            await house.entries.page(
                user_id, conversation_id, after=BEFORE_FIRST, limit=5, max_bytes=MANY
            )


async def test_what_was_exported_and_erased_is_the_same_when_it_is_imported(house: House) -> None:
    conversation = await mixed(house.store)
    called = says("x", Role.ASSISTANT, name="helper", tool_calls=CALLS)
    await started(house.store, called, says("nul \0 \ufdd0", metadata=JsonText('{"a":1}')))
    items, before = await page(house.store, conversation), await house.exported()
    assert before.count(b"\n") == 2
    await house.store.users.erase(ALICE)

    for line in before.splitlines():
        assert await house.transfer().import_conversation(ALICE, read(line))
    assert await house.exported() == before
    restored = await page(house.store, conversation)
    assert [(item.id, item.text) for item in restored] == [(item.id, item.text) for item in items]
    assert [item.created_at for item in restored] == [item.created_at for item in items]
    for line in before.splitlines():
        assert not await house.transfer().import_conversation(ALICE, read(line))
    assert await house.exported() == before


async def test_what_is_appended_after_an_import_stands_after_it(house: House) -> None:
    conversation = await mixed(house.store)
    line = await house.exported()
    await house.store.users.erase(ALICE)
    await house.transfer().import_conversation(ALICE, read(line))

    await append(house.store, conversation, *said(3, "new"), at=NOON - HOUR)
    await appended(house.store, conversation, says("last"), at=NOON - HOUR)
    found = await house.all(conversation)
    positions = [entry.position for entry in found]
    assert positions == sorted(set(positions))
    assert found[-1].message is not None
    assert found[-1].message.content == "last"
    stored = await again(house.store, conversation)
    assert stored.message_count == sum(entry.message is not None for entry in found)


async def test_a_conversation_comes_back_with_all_its_fields(house: House) -> None:
    new = a_conversation(
        title="t \0", status=Status.ARCHIVED, metadata=JsonText('{"k": "\ufdd0"}')
    )._replace(
        retain=True,
        created_at=NOON - HOUR,
    )
    assert await house.entries.restore(new, (), provision=True)
    assert await again(house.store, new) == new


async def test_entries_without_a_time_have_that_of_the_conversation(house: House) -> None:
    new = a_conversation(at=NOON)
    item = ItemText('{"id":"rs_1","type":"reasoning"}')
    entries = [
        GivenEntry(message=None, item=item, item_id=ItemId("rs_1")),
        GivenEntry(message=says("a")),
        GivenEntry(message=says("b", created_at=NOON + SECOND)),
    ]
    assert await house.entries.restore(new, entries, provision=True)
    found = await house.all(new)
    assert [entry.created_at - NOON for entry in found] == [timedelta(), timedelta(), SECOND]


async def test_restoring_something_else_under_an_id_is_refused(house: House) -> None:
    new = a_conversation()
    message = says("a", role=Role.USER)
    item = ItemText('{"id":"rs_1","type":"reasoning"}')
    entries = [
        GivenEntry(message=message),
        GivenEntry(message=None, item=item, item_id=ItemId("rs_1")),
    ]
    assert await house.entries.restore(new, entries, provision=True)
    assert not await house.entries.restore(new, entries, provision=True)
    other = replace(entries[1], item=ItemText('{"id":"rs_1","type":"reasoning","a":1}'))
    for different in (
        [entries[0], other],
        [*reversed(entries)],
        [*entries, GivenEntry(message=says("b"))],
    ):
        with pytest.raises(ConversationIdTakenError):
            await house.entries.restore(new, different, provision=True)
    with pytest.raises(MessageIdTakenError):
        await house.entries.restore(a_conversation(), entries, provision=True)
    assert await house.entries.restore(new._replace(user_id=BOB), entries, provision=True)
    assert len(await house.all(new)) == 2


async def test_nothing_is_stored_of_a_user_who_is_not_provisioned(house: House) -> None:
    new = a_conversation()
    with pytest.raises(UserNotProvisionedError):
        await house.entries.restore(new, [GivenEntry(message=says("a"))], provision=False)
    assert await house.exported() == b""


async def test_an_item_that_no_message_could_be_made_of_natively_comes_back_too(
    house: House,
) -> None:
    conversation = await started(house.store)
    call = {"type": "function_call", "call_id": "", "name": "", "arguments": ""}
    output = {"type": "function_call_output", "call_id": "c" * 300, "output": "x" * 20_000}
    await append(house.store, conversation, *items_of(json.dumps(call), json.dumps(output)))
    before = await house.exported()
    await house.store.users.erase(ALICE)
    assert await house.transfer(Limits()).import_conversation(ALICE, read(before))
    assert await house.exported() == before


async def test_an_item_over_the_limit_is_refused_by_its_place(house: House) -> None:
    conversation = await started(house.store, says("hello"))
    await append(
        house.store, conversation, *items_of(json.dumps({"type": "reasoning", "x": "y" * 99}))
    )
    line = await house.exported()
    with pytest.raises(LimitExceededError) as caught:
        await house.transfer(Limits(max_item_bytes=50)).import_conversation(BOB, read(line))
    assert (caught.value.field, caught.value.limit_name) == ("messages[1].item", "max_item_bytes")
