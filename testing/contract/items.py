"""Items: what OpenAI's API appends and reads, in one order with native messages."""

import asyncio
import json
from dataclasses import replace

import pytest

from chatkeep.domain.errors import (
    ItemNotFoundError,
    MessageNotFoundError,
)
from chatkeep.domain.items import ItemId
from chatkeep.domain.log import NewEntry, RequestKey
from chatkeep.domain.model import JsonText, Role
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, HOUR, KEY, NOON, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    CALLS,
    ITEM_TEXTS,
    contents,
    names,
    new_conversation_id,
    new_full_message,
    new_items,
    numbered_items,
    numbered_messages,
)


async def test_items_come_back_as_they_were_stored(store: StoreUnderTest) -> None:
    conversation = await store.start()
    new = new_items(*ITEM_TEXTS)

    answer = await store.append_items(conversation, *new)

    assert [(item.id, item.text) for item in answer] == [
        (entry.item_id, entry.item) for entry in new
    ]
    assert await store.list_items(conversation) == list(answer)
    for item in answer:
        assert await store.items.get(ALICE, conversation.id, item.id) == item
    assert {item.created_at for item in answer} == {NOON}
    first = answer[0].position
    assert [item.position for item in answer] == list(range(first, first + len(new)))


async def test_items_that_are_messages_are_messages(store: StoreUnderTest) -> None:
    conversation = await store.start()

    await store.append_items(conversation, *new_items(*ITEM_TEXTS), at=NOON + HOUR)

    found = await store.history(conversation)
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
    stored = await store.reload(conversation)
    assert (stored.message_count, stored.updated_at) == (4, NOON + HOUR)


async def test_messages_are_items(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("Be kind.", Role.DEVELOPER))
    [asked] = await store.append(
        conversation, new_message("a \x00", Role.ASSISTANT, tool_calls=CALLS)
    )
    [answered] = await store.append(conversation, new_message("x", Role.TOOL, tool_call_id="a"))
    [silent] = await store.append(conversation, new_message("", Role.ASSISTANT))

    found = await store.list_items(conversation)

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


async def test_a_message_that_says_nothing_is_still_an_item(store: StoreUnderTest) -> None:
    conversation = await store.start()
    await store.append(conversation, new_message(None, Role.ASSISTANT, tool_calls=JsonText("[]")))

    [item] = await store.list_items(conversation)

    assert json.loads(item.text)["content"][0]["text"] == ""


async def test_appends_of_both_kinds_share_one_order(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("0"))
    await store.append_items(conversation, *numbered_items(3), at=NOON - HOUR)
    [message] = await store.append(conversation, new_message("1"), at=NOON - HOUR)
    [item] = await store.append_items(conversation, *numbered_items(1), at=NOON - HOUR)

    found = await store.list_items(conversation)

    assert [each.position for each in found] == sorted({each.position for each in found})
    assert (found[-2].position, found[-1]) == (message.position, item)


async def test_the_place_of_a_deleted_item_is_not_given_away_again(store: StoreUnderTest) -> None:
    conversation = await store.start()
    stored = await store.append_items(conversation, *numbered_items(3))
    for item in stored:
        await store.items.delete(ALICE, conversation.id, item.id)

    [later] = await store.append_items(conversation, *numbered_items(1))

    assert later.position == stored[-1].position + 1
    assert (await store.reload(conversation)).message_count == 1


async def test_deleting_an_item_deletes_its_message(store: StoreUnderTest) -> None:
    conversation = await store.start()
    stored = await store.append_items(conversation, *new_items(*ITEM_TEXTS))
    [own, *_] = (message for message in await store.history(conversation) if not message.content)

    await store.items.delete(ALICE, conversation.id, ItemId("msg_own"))

    with pytest.raises(MessageNotFoundError):
        await store.log.get(ALICE, conversation.id, own.id)
    assert (await store.reload(conversation)).message_count == 3
    assert await store.list_items(conversation) == [stored[0], *stored[2:]]


async def test_deleting_a_message_deletes_its_item(store: StoreUnderTest) -> None:
    conversation = await store.start()
    stored = await store.append_items(conversation, *new_items(*ITEM_TEXTS))
    for message in await store.history(conversation):
        await store.log.delete(ALICE, conversation.id, message.id)

    assert await store.list_items(conversation) == list(stored[4:])
    with pytest.raises(ItemNotFoundError):
        await store.items.get(ALICE, conversation.id, stored[0].id)


async def test_deleting_an_item_that_is_no_message_leaves_the_count(store: StoreUnderTest) -> None:
    conversation = await store.start()
    await store.append_items(conversation, *numbered_items(3))

    await store.items.delete(ALICE, conversation.id, (await store.list_items(conversation))[2].id)

    assert (await store.reload(conversation)).message_count == 2
    assert names(await store.list_items(conversation)) == ["item 0", "item 1"]


async def test_the_items_of_one_native_message_go_together(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("hello"))
    await store.append(conversation, new_message("calling", Role.ASSISTANT, tool_calls=CALLS))
    last = (await store.list_items(conversation))[-1]

    await store.items.delete(ALICE, conversation.id, last.id)

    assert contents(await store.history(conversation)) == ["hello"]
    assert len(await store.list_items(conversation)) == 1


async def test_items_belong_to_their_user(store: StoreUnderTest) -> None:
    hers = await store.start(id=new_conversation_id())
    await store.append_items(hers, *new_items(*ITEM_TEXTS), key=KEY)
    before = await store.list_items(hers)
    his = await store.start(user_id=BOB, id=hers.id)

    assert await store.list_items(his) == []
    for item in before:
        with pytest.raises(ItemNotFoundError):
            await store.items.get(BOB, his.id, item.id)
        with pytest.raises(ItemNotFoundError):
            await store.items.delete(BOB, his.id, item.id)
        with pytest.raises(ItemNotFoundError):
            await store.list_items(his, after=item.id)
    await store.append_items(his, *new_items(*ITEM_TEXTS), key=replace(KEY, digest="his"))
    await store.conversations.delete(BOB, his.id)
    assert await store.list_items(hers) == before


async def test_deleting_a_conversation_takes_its_items_and_keys(store: StoreUnderTest) -> None:
    conversation = await store.start()
    await store.append_items(conversation, *new_items(*ITEM_TEXTS), key=KEY)
    await store.conversations.delete(ALICE, conversation.id)
    fresh = await store.start(id=conversation.id)

    assert await store.list_items(fresh) == []
    assert len(await store.append_items(fresh, *new_items(*ITEM_TEXTS), key=KEY)) == len(ITEM_TEXTS)


async def test_erasing_a_user_takes_their_items(store: StoreUnderTest) -> None:
    conversation = await store.start()
    await store.append_items(conversation, *new_items(*ITEM_TEXTS), key=KEY)
    await store.users.erase(ALICE)
    fresh = await store.start(id=conversation.id)

    assert await store.list_items(fresh) == []


async def test_a_long_output_comes_back_whole(store: StoreUnderTest) -> None:
    conversation = await store.start()
    output = '\x00\U0001f9f5\n"\\' * 200_000
    text = json.dumps({"type": "function_call_output", "call_id": "c", "output": output})

    await store.append_items(conversation, *new_items(text))

    [item] = await store.list_items(conversation)
    assert json.loads(item.text)["output"] == output
    [message] = await store.history(conversation)
    assert message.content == output


async def test_native_appends_and_items_stand_beside_each_other(store: StoreUnderTest) -> None:
    conversation = await store.start()

    await asyncio.gather(
        *(store.append_items(conversation, *numbered_items(3, f"w{n}")) for n in range(5)),
        *(store.append(conversation, *numbered_messages(3)) for _ in range(5)),
    )

    assert len(await store.list_items(conversation)) == 30
    assert (await store.reload(conversation)).message_count == 25


@pytest.mark.parametrize("key", [None, KEY])
async def test_items_and_messages_of_one_append_keep_all_that_they_have(
    store: StoreUnderTest, key: RequestKey | None
) -> None:
    conversation = await store.start()
    message = new_full_message()._replace(created_at=NOON - HOUR)
    entries = [*new_items(*ITEM_TEXTS[:2]), NewEntry(message), *new_items(ITEM_TEXTS[5])]

    first = await store.log.append(ALICE, conversation.id, entries, NOON, key=key)

    stored = await store.history(conversation)
    assert message.equals(stored[2])
    items = await store.list_items(conversation)
    assert [item.position for item in items[:2]] == [each.position for each in first.entries[:2]]
    assert items[-1].position == first.entries[-1].position
    assert (await store.reload(conversation)).message_count == first.message_count == 3
