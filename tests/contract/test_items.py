"""Items: what OpenAI's API appends and reads, in one order with what is appended natively."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from domain.errors import (
    ConversationNotFoundError,
    ItemIdTakenError,
    ItemNotFoundError,
    KeyTakenError,
    MessageNotFoundError,
    UserNotProvisionedError,
)
from domain.item_shapes import drafted
from domain.items import Item, ItemId, ItemText, NewItem, RequestKey
from domain.model import Conversation, JsonText, Order, Position, Role, UserId
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
    contents,
    everything_of,
    history,
    listed,
    numbered,
    says,
    started,
)
from tests.contract.store import Store

KEY = RequestKey("key", "digest")
CALLS = JsonText(
    '[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},'
    '{"id":"b","type":"custom","custom":{"name":"g","input":"in"}}]'
)
TEXTS = [
    '{"role": "user", "content": "a \\u0000 b \\ud83e\\uddf5 \ufdd0 \U0001f9f5"}',
    '{"type":"message","role":"assistant","id":"msg_own","phase":"final_answer","content":[]}',
    '{"n":1.10,"type":"function_call","call_id":"c","name":"f","arguments":"{\\"x\\": 1}","b":[ ]}',
    '{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"1"}]}',
    '{"type":"function_call_output","call_id":null,"output":""}',
    '{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":null}',
    '{"z":1e999,"type":"of a later day","a":123456789012345678901234567890}',
    '{"type":"message","role":"critic","content":"no native role"}',
]


def an_item(text: str, at: datetime = NOON) -> NewItem:
    return drafted(ItemText(text), field="items[0]").new(at)


def items_of(*texts: str) -> list[NewItem]:
    return [an_item(text) for text in texts]


def said(count: int, name: str = "item") -> list[NewItem]:
    """Return so many items, every third of which is no message."""
    return items_of(
        *(
            json.dumps(
                {"type": "reasoning", "summary": [], "name": f"{name} {n}"}
                if n % 3 == 2
                else {"role": "user", "content": f"{name} {n}", "name": f"{name} {n}"}
            )
            for n in range(count)
        )
    )


def names(items: Sequence[Item]) -> list[str]:
    return [json.loads(item.text)["name"] for item in items]


async def append(
    store: Store,
    conversation: Conversation,
    *items: NewItem,
    at: datetime = NOON,
    key: RequestKey | None = None,
) -> Sequence[Item]:
    found = await store.items.append(conversation.user_id, conversation.id, items, at, key=key)
    assert found is not None
    return found


async def page(
    store: Store,
    conversation: Conversation,
    *,
    order: Order = Order.ASC,
    after: ItemId | None = None,
    limit: int = 1_000,
) -> list[Item]:
    found = await store.items.list(
        conversation.user_id, conversation.id, order=order, after=after, limit=limit
    )
    return list(found)


async def paged(store: Store, conversation: Conversation, order: Order, limit: int) -> list[Item]:
    """Return all items, page by page, as a client asks for them."""
    found: list[Item] = []
    after = None
    while True:
        some = await page(store, conversation, order=order, after=after, limit=limit + 1)
        found += some[:limit]
        if len(some) <= limit:
            return found
        after = found[-1].id


async def mixed(store: Store) -> Conversation:
    """Store a conversation of items, and of native messages that are one item or several."""
    conversation = await started(store, says("Be kind.", Role.SYSTEM), says("hello"))
    await append(store, conversation, *said(4))
    await appended(store, conversation, says("calling", Role.ASSISTANT, tool_calls=CALLS))
    await appended(store, conversation, says("found", Role.TOOL, tool_call_id="a"))
    await append(store, conversation, *items_of(*TEXTS))
    await appended(store, conversation, says(None, Role.ASSISTANT, tool_calls=CALLS))
    return conversation


async def test_items_come_back_as_they_were_stored(store: Store) -> None:
    conversation = await started(store)
    new = items_of(*TEXTS)

    answer = await append(store, conversation, *new)

    assert [(item.id, item.text) for item in answer] == [(item.id, item.text) for item in new]
    assert await page(store, conversation) == list(answer)
    for item in answer:
        assert await store.items.get(ALICE, conversation.id, item.id) == item
    assert {item.created_at for item in answer} == {NOON}
    first = answer[0].position
    assert [item.position for item in answer] == list(range(first, first + len(new)))


async def test_items_that_are_messages_are_messages(store: Store) -> None:
    conversation = await started(store)

    await append(store, conversation, *items_of(*TEXTS), at=NOON + HOUR)

    found = await history(store, conversation)
    assert [(each.role, each.content, each.tool_call_id) for each in found] == [
        (Role.USER, "a \x00 b \U0001f9f5 \ufdd0 \U0001f9f5", None),
        (Role.ASSISTANT, "", None),
        (Role.ASSISTANT, None, None),
        (Role.TOOL, "1", "c"),
    ]
    assert found[2].tool_calls is not None
    assert json.loads(found[2].tool_calls) == [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    ]
    stored = await again(store, conversation)
    assert (stored.message_count, stored.updated_at) == (4, NOON + HOUR)


async def test_messages_are_items(store: Store) -> None:
    conversation = await started(store, says("Be kind.", Role.DEVELOPER))
    [asked] = await appended(store, conversation, says("a \x00", Role.ASSISTANT, tool_calls=CALLS))
    [answered] = await appended(store, conversation, says("x", Role.TOOL, tool_call_id="a"))
    [silent] = await appended(store, conversation, says("", Role.ASSISTANT))

    found = await page(store, conversation)

    part: dict[str, object] = {"annotations": [], "logprobs": []}
    assert [json.loads(item.text) for item in found[1:]] == [
        {
            "id": f"msg_{asked.id.hex}",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a \x00", **part}],
        },
        {
            "id": f"fc_{asked.id.hex}_0",
            "type": "function_call",
            "call_id": "a",
            "name": "f",
            "arguments": "{}",
            "status": "completed",
        },
        {
            "id": f"ctc_{asked.id.hex}_1",
            "type": "custom_tool_call",
            "call_id": "b",
            "name": "g",
            "input": "in",
        },
        {
            "id": f"fco_{answered.id.hex}",
            "type": "function_call_output",
            "call_id": "a",
            "output": "x",
            "status": "completed",
        },
        {
            "id": f"msg_{silent.id.hex}",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "", **part}],
        },
    ]
    opening = json.loads(found[0].text)
    assert (opening["role"], opening["content"][0]["type"]) == ("developer", "input_text")
    assert [item.id for item in found] == [json.loads(item.text)["id"] for item in found]


async def test_a_message_that_says_nothing_is_still_an_item(store: Store) -> None:
    conversation = await started(store)
    await appended(store, conversation, says(None, Role.ASSISTANT, tool_calls=JsonText("[]")))

    [item] = await page(store, conversation)

    assert json.loads(item.text)["content"][0]["text"] == ""


@pytest.mark.parametrize("order", list(Order))
async def test_pages_of_any_size_have_every_item_once(store: Store, order: Order) -> None:
    conversation = await mixed(store)
    everything = await page(store, conversation)
    assert len({item.id for item in everything}) == len(everything) == 20
    if order is Order.DESC:
        everything.reverse()

    for limit in range(1, 22):
        assert await paged(store, conversation, order, limit) == everything


async def test_every_item_is_found_by_its_id(store: Store) -> None:
    conversation = await mixed(store)

    for item in await page(store, conversation):
        assert await store.items.get(ALICE, conversation.id, item.id) == item


@pytest.mark.parametrize("order", list(Order))
async def test_nothing_comes_after_the_last_item(store: Store, order: Order) -> None:
    conversation = await mixed(store)
    last = (await page(store, conversation, order=order))[-1]

    assert await page(store, conversation, order=order, after=last.id) == []


async def test_an_empty_conversation_has_no_items(store: Store) -> None:
    conversation = await started(store)

    assert await page(store, conversation) == []
    assert (await store.items.tail(ALICE, conversation.id, limit=3)).items == ()


async def test_the_tail_is_the_last_items_latest_first(store: Store) -> None:
    conversation = await mixed(store)
    everything = await page(store, conversation)

    tail = await store.items.tail(ALICE, conversation.id, limit=5)

    assert list(tail.items) == everything[:-6:-1]
    assert tail.last_position == everything[-1].position


async def test_appends_of_both_kinds_share_one_order(store: Store) -> None:
    conversation = await started(store, says("0"))
    await append(store, conversation, *said(3), at=NOON - HOUR)
    [message] = await appended(store, conversation, says("1"), at=NOON - HOUR)
    [item] = await append(store, conversation, *said(1), at=NOON - HOUR)

    found = await page(store, conversation)

    assert [each.position for each in found] == sorted({each.position for each in found})
    assert (found[-2].position, found[-1]) == (message.position, item)


async def test_the_place_of_a_deleted_item_is_not_given_away_again(store: Store) -> None:
    conversation = await started(store)
    stored = await append(store, conversation, *said(3))
    for item in stored:
        await store.items.delete(ALICE, conversation.id, item.id)

    [later] = await append(store, conversation, *said(1))

    assert later.position == stored[-1].position + 1
    assert (await again(store, conversation)).message_count == 1


async def test_deleting_an_item_deletes_its_message(store: Store) -> None:
    conversation = await started(store)
    stored = await append(store, conversation, *items_of(*TEXTS))
    [own, *_] = (message for message in await history(store, conversation) if not message.content)

    await store.items.delete(ALICE, conversation.id, ItemId("msg_own"))

    with pytest.raises(MessageNotFoundError):
        await store.messages.get(ALICE, conversation.id, own.id)
    assert (await again(store, conversation)).message_count == 3
    assert await page(store, conversation) == [stored[0], *stored[2:]]


async def test_deleting_a_message_deletes_its_item(store: Store) -> None:
    conversation = await started(store)
    stored = await append(store, conversation, *items_of(*TEXTS))
    for message in await history(store, conversation):
        await store.messages.delete(ALICE, conversation.id, message.id)

    assert await page(store, conversation) == list(stored[4:])
    with pytest.raises(ItemNotFoundError):
        await store.items.get(ALICE, conversation.id, stored[0].id)


async def test_deleting_an_item_that_is_no_message_leaves_the_count(store: Store) -> None:
    conversation = await started(store)
    await append(store, conversation, *said(3))

    await store.items.delete(ALICE, conversation.id, (await page(store, conversation))[2].id)

    assert (await again(store, conversation)).message_count == 2
    assert names(await page(store, conversation)) == ["item 0", "item 1"]


async def test_the_items_of_one_native_message_go_together(store: Store) -> None:
    conversation = await started(store, says("hello"))
    await appended(store, conversation, says("calling", Role.ASSISTANT, tool_calls=CALLS))
    last = (await page(store, conversation))[-1]

    await store.items.delete(ALICE, conversation.id, last.id)

    assert contents(await history(store, conversation)) == ["hello"]
    assert len(await page(store, conversation)) == 1


@pytest.mark.parametrize(
    "unknown", ["", "rs_2", "msg_" + "0" * 32, "fc_" + "f" * 32 + "_7", "x" * 300, "\U0001f9f5"]
)
async def test_an_unknown_item_is_not_found(store: Store, unknown: str) -> None:
    conversation = await mixed(store)
    before = await everything_of(store)

    for call in (store.items.get, store.items.delete):
        with pytest.raises(ItemNotFoundError) as missing:
            await call(ALICE, conversation.id, ItemId(unknown))
        assert missing.value.item_id == unknown
    for order in Order:
        with pytest.raises(ItemNotFoundError):
            await page(store, conversation, order=order, after=ItemId(unknown))
    assert await everything_of(store) == before


async def test_an_item_that_a_message_does_not_have_is_not_found(store: Store) -> None:
    conversation = await started(store, says("hello", Role.ASSISTANT, tool_calls=CALLS))
    [message] = await history(store, conversation)

    for unknown in (f"fc_{message.id.hex}_2", f"fco_{message.id.hex}", f"fc_{message.id.hex}_1"):
        with pytest.raises(ItemNotFoundError):
            await store.items.get(ALICE, conversation.id, ItemId(unknown))
        with pytest.raises(ItemNotFoundError):
            await page(store, conversation, after=ItemId(unknown))


async def test_an_unknown_conversation_is_not_found(store: Store) -> None:
    unknown = a_conversation()

    with pytest.raises(ConversationNotFoundError):
        await append(store, unknown, *said(3))
    with pytest.raises(ConversationNotFoundError):
        await append(store, unknown, *items_of(*TEXTS), key=KEY)
    with pytest.raises(ConversationNotFoundError):
        await page(store, unknown)
    with pytest.raises(ConversationNotFoundError):
        await page(store, unknown, after=ItemId("rs_1"))
    with pytest.raises(ConversationNotFoundError):
        await store.items.tail(ALICE, unknown.id, limit=1)


OWN = '{"type":"reasoning","id":"own","summary":[]}'
OWN_MESSAGE = '{"type":"message","id":"own","role":"user","content":"again"}'


@pytest.mark.parametrize("first", [OWN, OWN_MESSAGE])
@pytest.mark.parametrize("second", [OWN, OWN_MESSAGE])
async def test_an_id_comes_once_in_a_conversation(store: Store, first: str, second: str) -> None:
    conversation = await started(store)
    await append(store, conversation, *items_of(first))
    before = await everything_of(store), await page(store, conversation)

    with pytest.raises(ItemIdTakenError) as refusal:
        await append(store, conversation, *said(3), *items_of(second), at=NOON + HOUR)

    assert refusal.value.item_id == "own"
    assert (await everything_of(store), await page(store, conversation)) == before
    other = await started(store)
    await append(store, other, *items_of(second))
    assert len(await page(store, other)) == 1


async def test_an_id_comes_once_in_a_batch(store: Store) -> None:
    conversation = await started(store)

    with pytest.raises(ItemIdTakenError):
        await append(store, conversation, *items_of(OWN, OWN_MESSAGE))
    with pytest.raises(ItemIdTakenError):
        await store.items.create(a_conversation(), items_of(OWN, OWN), key=None, provision=True)

    assert await page(store, conversation) == []
    assert await listed(store) == [conversation]


async def test_an_id_that_a_native_message_has_is_taken(store: Store) -> None:
    conversation = await started(store, says("hello"))
    [item] = await page(store, conversation)
    copy = items_of(item.text)

    with pytest.raises(ItemIdTakenError) as refusal:
        await append(store, conversation, *copy, at=NOON + SECOND)

    assert refusal.value.item_id == item.id
    other = await started(store)
    assert [each.text for each in await append(store, other, *copy)] == [item.text]
    assert (await page(store, other))[0].id == item.id
    assert (await store.items.get(ALICE, other.id, item.id)).text == item.text


async def test_a_conversation_is_created_with_its_items(store: Store) -> None:
    new = a_conversation(metadata=JsonText('{"a": "b"}'))
    items = items_of(*TEXTS)

    created = await store.items.create(new, items, key=None, provision=True)

    assert created == replace(new, message_count=4)
    assert await again(store, new) == created
    assert [(item.id, item.text) for item in await page(store, new)] == [
        (item.id, item.text) for item in items
    ]


async def test_an_unknown_user_creates_nothing_unless_they_may_be_added(store: Store) -> None:
    nobody = a_conversation(UserId("nobody"))

    with pytest.raises(UserNotProvisionedError):
        await store.items.create(nobody, said(2), key=None, provision=False)

    assert await listed(store, UserId("nobody")) == []


async def test_the_same_key_again_answers_what_is_stored(store: Store) -> None:
    conversation = await started(store, says("hello"))
    first = await append(store, conversation, *said(4), key=KEY)
    await append(store, conversation, *said(2, "later"))
    before = await everything_of(store)

    second = await append(store, conversation, *said(4), at=NOON + HOUR, key=KEY)

    assert list(second) == list(first)
    assert await everything_of(store) == before


async def test_a_key_holds_for_its_conversation_and_its_request(store: Store) -> None:
    one, other = await started(store), await started(store)
    await append(store, one, *said(2), key=KEY)

    await append(store, other, *said(3), key=KEY)
    await append(store, other, *said(3), key=replace(KEY, key="another"))
    with pytest.raises(KeyTakenError) as refusal:
        await append(store, one, *said(2), key=replace(KEY, digest="of another request"))

    assert refusal.value.key == "key"
    assert len(await page(store, one)) == 2
    assert len(await page(store, other)) == 6


async def test_of_a_deleted_item_the_same_key_answers_the_others(store: Store) -> None:
    conversation = await started(store)
    first = await append(store, conversation, *said(3), key=KEY)
    await store.items.delete(ALICE, conversation.id, first[1].id)
    await append(store, conversation, *said(3, "later"))

    assert list(await append(store, conversation, *said(3), key=KEY)) == [first[0], first[2]]


async def test_the_same_key_many_times_at_once_stores_once(store: Store) -> None:
    conversation = await started(store)

    answers = await asyncio.gather(
        *(append(store, conversation, *said(3), at=NOON + n * SECOND, key=KEY) for n in range(10))
    )

    stored = await page(store, conversation)
    assert len(stored) == 3
    assert all(list(answer) == stored for answer in answers)


async def test_a_create_with_the_same_key_is_one(store: Store) -> None:
    new = a_conversation()
    created = await store.items.create(new, said(3), key=KEY, provision=True)

    later = replace(new, created_at=NOON + HOUR, updated_at=NOON + HOUR)
    assert await store.items.create(later, said(3), key=KEY, provision=True) == created
    with pytest.raises(KeyTakenError):
        await store.items.create(later, said(2), key=replace(KEY, digest="another"), provision=True)

    assert len(await page(store, new)) == 3
    assert await listed(store) == [created]


async def test_an_append_may_ask_to_be_the_next_one(store: Store) -> None:
    conversation = await started(store, says("hello"))
    last = (await store.items.tail(ALICE, conversation.id, limit=1)).last_position

    async def next_one(last: Position) -> Sequence[Item] | None:
        return await store.items.append(
            ALICE, conversation.id, said(2), NOON + SECOND, last_position=last
        )

    assert await next_one(last) is not None
    assert await next_one(last) is None
    assert len(await page(store, conversation)) == 3


async def test_many_appends_at_once_lose_double_and_mix_nothing(store: Store) -> None:
    """While they go on, a reader sees what there is, in order, with no hole in it."""
    conversation = await started(store)
    batches = {f"writer {n} batch {b}": 1 + (n * 7 + b * 5) % 20 for n in range(30) for b in (0, 1)}
    done = asyncio.Event()

    async def read(limit: int, order: Order) -> None:
        while not done.is_set():
            seen = names(await paged(store, conversation, order, limit))
            assert len(set(seen)) == len(seen)
            if order is Order.ASC:
                assert seen == names(await page(store, conversation))[: len(seen)]
            await asyncio.sleep(0.01)

    async def write(writer: int) -> None:
        for batch in (0, 1):
            name = f"writer {writer} batch {batch}"
            await append(store, conversation, *said(batches[name], name))

    readers = [
        asyncio.create_task(read(limit, order))
        for limit, order in ((1, Order.DESC), (3, Order.ASC), (20, Order.ASC), (7, Order.DESC))
    ]
    await asyncio.gather(*(write(n) for n in range(30)))
    done.set()
    await asyncio.gather(*readers)

    stored = names(await page(store, conversation, limit=10_000))
    assert len(stored) == sum(batches.values())
    at = 0
    while at < len(stored):
        name = stored[at].removesuffix(" 0")
        size = batches.pop(name)
        assert stored[at : at + size] == [f"{name} {n}" for n in range(size)]
        at += size
    assert batches == {}


async def test_items_belong_to_their_user(store: Store) -> None:
    hers = await started(store, id=a_conversation_id())
    await append(store, hers, *items_of(*TEXTS), key=KEY)
    before = await page(store, hers)
    his = await started(store, user_id=BOB, id=hers.id)

    assert await page(store, his) == []
    for item in before:
        with pytest.raises(ItemNotFoundError):
            await store.items.get(BOB, his.id, item.id)
        with pytest.raises(ItemNotFoundError):
            await store.items.delete(BOB, his.id, item.id)
        with pytest.raises(ItemNotFoundError):
            await page(store, his, after=item.id)
    await append(store, his, *items_of(*TEXTS), key=replace(KEY, digest="his"))
    await store.conversations.delete(BOB, his.id)
    assert await page(store, hers) == before


async def test_deleting_a_conversation_takes_its_items_and_keys(store: Store) -> None:
    conversation = await started(store)
    await append(store, conversation, *items_of(*TEXTS), key=KEY)
    await store.conversations.delete(ALICE, conversation.id)
    fresh = await started(store, id=conversation.id)

    assert await page(store, fresh) == []
    assert len(await append(store, fresh, *items_of(*TEXTS), key=KEY)) == len(TEXTS)


async def test_erasing_a_user_takes_their_items(store: Store) -> None:
    conversation = await started(store)
    await append(store, conversation, *items_of(*TEXTS), key=KEY)
    await store.users.erase(ALICE)
    fresh = await started(store, id=conversation.id)

    assert await page(store, fresh) == []


async def test_a_long_output_comes_back_whole(store: Store) -> None:
    conversation = await started(store)
    output = '\x00\U0001f9f5\n"\\' * 200_000
    text = json.dumps({"type": "function_call_output", "call_id": "c", "output": output})

    await append(store, conversation, *items_of(text))

    [item] = await page(store, conversation)
    assert json.loads(item.text)["output"] == output
    [message] = await history(store, conversation)
    assert message.content == output


async def test_native_appends_and_items_stand_beside_each_other(store: Store) -> None:
    conversation = await started(store)

    await asyncio.gather(
        *(append(store, conversation, *said(3, f"w{n}")) for n in range(5)),
        *(appended(store, conversation, *numbered(3)) for _ in range(5)),
    )

    assert len(await page(store, conversation)) == 30
    assert (await again(store, conversation)).message_count == 25
