"""What the tests of items say in one word: an item, a page, a conversation of all kinds."""

import json
from collections.abc import Sequence
from datetime import datetime

from chatkeep.domain.formats.openai_items import drafted
from chatkeep.domain.items import Item, ItemId, ItemText, NewItem, RequestKey
from chatkeep.domain.model import Conversation, JsonText, Order, Role
from tests.contract.builders import (
    NOON,
    appended,
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
    return list(found.items)


async def paged(store: Store, conversation: Conversation, order: Order, limit: int) -> list[Item]:
    """Return all items, page by page, as a client asks for them."""
    found: list[Item] = []
    after = None
    while True:
        some = await store.items.list(
            conversation.user_id, conversation.id, order=order, after=after, limit=limit
        )
        found += some.items
        if not some.more:
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
