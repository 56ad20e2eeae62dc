"""Items: what OpenAI's API appends and reads, in one order with what is appended natively."""

import asyncio
import json
from dataclasses import replace

import pytest

from chatkeep.domain.errors import (
    ItemNotFoundError,
    MessageNotFoundError,
)
from chatkeep.domain.items import ItemId
from chatkeep.domain.model import JsonText, Role
from tests.contract.builders import (
    ALICE,
    BOB,
    HOUR,
    NOON,
    a_conversation_id,
    again,
    appended,
    contents,
    history,
    numbered,
    says,
    started,
)
from tests.contract.items import (
    CALLS,
    KEY,
    TEXTS,
    append,
    items_of,
    names,
    page,
    said,
)
from tests.contract.store import Store


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
