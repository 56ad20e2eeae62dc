"""Native tool results, read as items: each has the kind of the call that it answers."""

import json

import pytest

from chatkeep.domain.errors import ItemNotFoundError
from chatkeep.domain.items import ItemId
from chatkeep.domain.model import Conversation, JsonText, Order, Role
from chatkeep.domain.operations.selftest.builders import ALICE, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import new_items, numbered_messages, page_through_items

CUSTOM = "custom_tool_call_output"
FUNCTION = "function_call_output"


def call(call_id: str, *, custom: bool) -> dict[str, object]:
    if custom:
        return {"id": call_id, "type": "custom", "custom": {"name": "python", "input": "1 + 1"}}
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def tool_calls(*calls: object) -> JsonText:
    return JsonText(json.dumps(calls))


async def kinds_of_results(store: StoreUnderTest, conversation: Conversation) -> list[str]:
    """Return the kinds of the results; check that they do not depend on page size or order."""
    everything = await store.list_items(conversation)
    for order in Order:
        for limit in (1, 2, 3, 50):
            found = await page_through_items(store, conversation, order, limit)
            assert (found if order is Order.ASC else found[::-1]) == everything
    parsed = [json.loads(item.text) for item in everything]
    return [each["type"] for each in parsed if "output" in each]


async def test_a_result_is_of_the_kind_of_its_call(store: StoreUnderTest) -> None:
    conversation = await store.start(
        new_message("Add", Role.USER),
        new_message(
            None,
            Role.ASSISTANT,
            tool_calls=tool_calls(call("a", custom=True), call("\0b\ufdd0", custom=False)),
        ),
        new_message("2", Role.TOOL, tool_call_id="a"),
        new_message("ok", Role.TOOL, tool_call_id="\0b\ufdd0"),
        new_message("lost", Role.TOOL, tool_call_id="never made"),
        new_message("late", Role.TOOL, tool_call_id="a"),
    )

    assert await kinds_of_results(store, conversation) == [CUSTOM, FUNCTION, FUNCTION, CUSTOM]
    [first] = [
        json.loads(item.text)
        for item in await store.list_items(conversation)
        if '"output":"2"' in item.text
    ]
    assert first == {"id": first["id"], "type": CUSTOM, "call_id": "a", "output": "2"}
    assert first["id"].startswith("ctco_")


async def test_a_result_answers_the_last_call_of_its_id(store: StoreUnderTest) -> None:
    conversation = await store.start()
    for custom in (True, False, True):
        await store.append(
            conversation,
            new_message(None, Role.ASSISTANT, tool_calls=tool_calls(call("a", custom=custom))),
        )
        await store.append(conversation, new_message("1", Role.TOOL, tool_call_id="a"))

    assert await kinds_of_results(store, conversation) == [CUSTOM, FUNCTION, CUSTOM]


@pytest.mark.parametrize(
    "malformed",
    [
        "5",
        '{"id":"a","type":"custom","custom":{"name":"p","input":""}}',
        '[{"id":"a","type":"custom","custom":{"name":"","input":""}}]',
        '[{"id":"a","type":"custom","custom":{"name":"p","input":5}}]',
        '[{"id":"a","type":"custom"}]',
        '[null, 5, [{"id":"a","type":"custom","custom":{"name":"p","input":""}}]]',
        '[{"id":5,"type":"custom","custom":{"name":"p","input":""}}]',
        f"[{json.dumps(call('a', custom=False))}, {json.dumps(call('a', custom=True))}]",
    ],
)
async def test_what_is_no_call_has_no_result(store: StoreUnderTest, malformed: str) -> None:
    conversation = await store.start(
        new_message("text", Role.ASSISTANT, tool_calls=JsonText(malformed)),
        new_message("1", Role.TOOL, tool_call_id="a"),
    )

    assert await kinds_of_results(store, conversation) == [FUNCTION]


async def test_a_call_on_an_earlier_page_is_found(store: StoreUnderTest) -> None:
    calls = tool_calls(*(call(f"call {n}", custom=True) for n in range(60)))
    conversation = await store.start(
        new_message(None, Role.ASSISTANT, tool_calls=calls),
        *(new_message(str(n), Role.TOOL, tool_call_id=f"call {n}") for n in range(60)),
        *numbered_messages(3),
    )

    assert await kinds_of_results(store, conversation) == [CUSTOM] * 60


async def test_the_result_of_a_custom_tool_is_found_and_deleted_by_its_id(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start(
        new_message(None, Role.ASSISTANT, tool_calls=tool_calls(call("a", custom=True))),
        new_message("2", Role.TOOL, tool_call_id="a"),
    )
    _, output = await store.list_items(conversation)

    assert await store.items.get(ALICE, conversation.id, output.id) == output
    copy = new_items(output.text)
    assert [each.text for each in await store.append_items(await store.start(), *copy)] == [
        output.text
    ]
    await store.items.delete(ALICE, conversation.id, output.id)

    assert len(await store.list_items(conversation)) == 1
    with pytest.raises(ItemNotFoundError):
        await store.items.get(ALICE, conversation.id, ItemId(output.id))
