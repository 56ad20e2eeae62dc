"""Content parts come back as they were given, wherever a message does."""

import json

import pytest

from chatkeep.domain.context import select
from chatkeep.domain.errors import (
    ConversationIdTakenError,
    LimitExceededError,
    MessageIdTakenError,
)
from chatkeep.domain.items import Item
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import EMPTY_OBJECT, JsonText, Limits, Message, NewMessage, Order, Role
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    KEY,
    MESSAGE_ITEM,
    NOON,
    new_conversation,
    new_item,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.parts import parse_parts
from chatkeep.testing.builders import CALLS, contents, numbered_messages
from chatkeep.testing.contract.entries import export, list_entries, read, transfer_of

KB = 1_000
IMAGE = '{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}'
LISTS = {
    "a text": '[{"type":"text","text":"a"}]',
    "an image": f"[{IMAGE}]",
    "an order of keys": f'[{{"z":1,"type":"text","a":2,"text":"a","b":3}},{IMAGE}]',
    "digits": '[{"type":"of_tomorrow","n":[1.10,-0,1E5,0.0,12345678901234567890123]}]',
    "NUL and noncharacters": '[{"type":"text","text":"a\\u0000 \ufdd0 \ufdd00 \ufdd01 \uffff 🧵"}]',
    "a key with NUL": '[{"type":"a","\\u0000":{"\ufdd0":"\\u0000"}}]',
    "many": f"[{','.join([IMAGE] * 500)}]",
    "nested": f'[{{"type":"a","n":{"[" * 400}{"]" * 400}}}]',
    "placeholders": '[{"type":"text","text":"%s {} $1 :parts ? \'"}]',
}
any_list = pytest.mark.parametrize("parts", LISTS.values(), ids=LISTS)


def in_parts(parts: str, role: Role = Role.USER) -> NewMessage:
    content = parse_parts(parts, field="content")
    return new_message(content.text, role)._replace(parts=content.parts)


@any_list
async def test_parts_come_back_exactly_everywhere(store: StoreUnderTest, parts: str) -> None:
    created, alone, *several = (in_parts(parts) for _ in range(4))
    conversation = await store.start(created)

    [appended] = await store.append(conversation, alone)
    await store.append(conversation, *several)

    found = await store.history(conversation)
    assert [each.parts for each in found] == [parts] * 4
    assert [each.content for each in found] == [created.content] * 4
    assert appended == found[1]
    assert await store.history(conversation, order=Order.DESC) == found[::-1]
    assert await store.log.get(ALICE, conversation.id, appended.id) == appended
    window = await store.log.window(ALICE, conversation.id, limit=3)
    assert list(window.tail) == found[1:]
    assert [each.message for each in await list_entries(store, conversation)] == found


async def test_a_plain_message_has_no_parts(store: StoreUnderTest) -> None:
    conversation = await store.start(new_message("a"), in_parts(LISTS["a text"]))

    found = await store.history(conversation)

    assert [each.parts for each in found] == [None, LISTS["a text"]]
    assert contents(found) == ["a", "a"]


async def test_an_append_with_a_window_has_the_parts_of_both(store: StoreUnderTest) -> None:
    opening = in_parts(LISTS["a text"], Role.SYSTEM)
    conversation = await store.start(opening, in_parts(LISTS["an image"]))

    for batch in ([in_parts(LISTS["digits"])], [in_parts(LISTS["a text"]), new_message("b")]):
        appended = await store.log.append(ALICE, conversation.id, entries_of(batch), NOON, window=2)

        assert [each.parts for each in appended.messages] == [each.parts for each in batch]
        assert appended.window == await store.log.window(ALICE, conversation.id, limit=2)
        assert [each.parts for each in appended.window.head] == [opening.parts]


async def test_a_message_of_images_alone_is_in_the_context(store: StoreUnderTest) -> None:
    conversation = await store.start(in_parts(LISTS["an image"]), new_message("what?"))

    window = await store.log.window(ALICE, conversation.id, limit=5)

    assert list(select(window).messages) == await store.history(conversation)


async def test_parts_sent_again_are_the_same_if_they_are_equal_as_json(
    store: StoreUnderTest,
) -> None:
    message = in_parts('[{"type":"a","x":1,"y":[1.0]}]')
    conversation = await store.start()
    first = await store.append(conversation, message)

    reordered = message._replace(parts=JsonText('[{"y":[1.00],"x":1,"type":"a"}]'))
    assert await store.append(conversation, reordered) == first
    for other in ('[{"type":"a","x":1,"y":[1.5]}]', '[{"type":"a","x":1}]', None):
        changed = message._replace(parts=None if other is None else JsonText(other), content="a")
        with pytest.raises(MessageIdTakenError):
            await store.append(conversation, changed)
    assert len(await store.history(conversation)) == 1


async def test_a_create_sent_again_compares_parts(store: StoreUnderTest) -> None:
    new, message = new_conversation(), in_parts(LISTS["digits"])
    created = await store.create(new, [message], provision=True)

    again = await store.create(new, [message], provision=True)

    assert (again.created, again.messages) == (False, created.messages)
    with pytest.raises(ConversationIdTakenError):
        await store.create(new, [message._replace(parts=JsonText("[]"))], provision=True)


async def test_parts_become_those_of_items(store: StoreUnderTest) -> None:
    text, image, file = (
        '{"type":"text","text":"see"}',
        IMAGE,
        '{"type":"file","file":{"file_id":"file-1"}}',
    )
    unknown = '{"type":"of_tomorrow"}'
    conversation = await store.start(
        in_parts(f"[{text},{image},{file},{unknown}]"),
        in_parts(f"[{text},{image}]", Role.ASSISTANT),
    )
    await store.append_items(conversation, new_item(MESSAGE_ITEM))

    asked, said, _ = await store.list_items(conversation)

    assert [part["type"] for part in parts_of(asked)] == [
        "input_text",
        "input_image",
        "input_file",
    ]
    assert parts_of(asked)[1]["image_url"] == "https://example.com/a.png"
    assert [part["type"] for part in parts_of(said)] == ["output_text"]


async def test_an_item_with_an_image_has_parts_as_a_message(store: StoreUnderTest) -> None:
    sent = [
        new_item(text)
        for text in (
            (
                '{"role":"user","content":[{"type":"input_text","text":"see"},'
                '{"type":"input_image","image_url":"https://example.com/\\u0061.png"}]}'
            ),
            MESSAGE_ITEM,
            (
                '{"type":"function_call_output","call_id":"c","output":[{"type":"input_file",'
                '"file_id":"file-1"}]}'
            ),
        )
    ]
    conversation = await store.start(new_message("before"))

    await store.append_items(conversation, *sent[:2], key=KEY)
    await store.append_items(conversation, sent[2])

    assert await store.append_items(conversation, *sent[:2], key=KEY)
    items = await store.list_items(conversation)
    assert [item.text for item in items[1:]] == [entry.item for entry in sent]
    _, shown, plain, result = await store.history(conversation)
    assert shown.parts == f'[{{"type":"text","text":"see"}},{IMAGE}]'
    assert (shown.content, plain.content, plain.parts) == ("see", "a", None)
    assert result.parts == '[{"type":"file","file":{"file_id":"file-1"}}]'
    before, exported = await list_entries(store, conversation), await export(store)
    await store.users.erase(ALICE)
    assert await transfer_of(store).import_conversation(ALICE, read(exported))
    assert await list_entries(store, conversation) == before


def parts_of(item: Item) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(item.text)["content"]
    return found


async def test_the_size_of_a_page_counts_parts(store: StoreUnderTest) -> None:
    url = f"data:image/png;base64,{'iVBO' * 750}"
    large = f'[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]'
    of_one_letter = f'[{{"type":"a","n":"{"x" * 50 * KB}"}}]'
    messages = [new_message("a"), *(in_parts(each) for each in (large, large, of_one_letter))]
    conversation = await store.start(*messages)

    found: list[Message] = []
    pages = []
    last = None
    while True:
        page = await store.page_history(conversation, after=last, limit=100, max_bytes=5 * KB)
        pages.append(len(page.items))
        found += page.items
        if not page.more:
            break
        last = page.items[-1].position

    assert pages == [2, 1, 1]
    assert [each.parts for each in found] == [each.parts for each in messages]
    window = await store.log.window(ALICE, conversation.id, limit=5, max_bytes=20 * KB)
    assert [each.parts for each in window.tail] == [of_one_letter]
    [appended] = await store.append(conversation, messages[3])
    assert appended.parts == of_one_letter


async def test_the_size_of_a_page_of_items_counts_parts(store: StoreUnderTest) -> None:
    url = f"data:image/png;base64,{'iVBO' * 750}"
    image = f'[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]'
    conversation = await store.start(*(in_parts(image) for _ in range(3)))

    page = await store.items.list(
        ALICE, conversation.id, order=Order.ASC, after=None, limit=100, max_bytes=7 * KB
    )

    assert (len(page.items), page.more) == (2, True)
    assert all(parts_of(item)[0]["image_url"] == url for item in page.items)
    assert len(await store.list_items(conversation)) == 3


async def test_what_is_exported_is_imported_with_the_same_parts(store: StoreUnderTest) -> None:
    messages = [
        *(in_parts(each) for each in LISTS.values()),
        in_parts(LISTS["an image"], Role.ASSISTANT)._replace(tool_calls=CALLS),
        new_message("plain"),
    ]
    conversation = await store.start(*messages)
    before = await list_entries(store, conversation)
    exported = await export(store)

    await store.users.erase(ALICE)
    assert await transfer_of(store).import_conversation(ALICE, read(exported))

    assert await list_entries(store, conversation) == before
    assert await export(store) == exported


async def test_an_import_may_enforce_the_limit_of_bytes(store: StoreUnderTest) -> None:
    line = json.dumps({"messages": [{"role": "user", "content": json.loads(LISTS["many"])}]})

    with pytest.raises(LimitExceededError) as caught:
        await transfer_of(store, Limits(max_item_bytes=100)).import_conversation(
            BOB, read(line.encode())
        )

    found = (caught.value.field, caught.value.limit_name, caught.value.unit)
    assert found == ("messages[0].content", "max_item_bytes", "bytes")
    assert await transfer_of(store).import_conversation(BOB, read(line.encode()))


async def test_parts_beside_other_fields_and_items(store: StoreUnderTest) -> None:
    full = in_parts(LISTS["a text"])._replace(name="ada", metadata=JsonText('{"a":1}'), tokens=3)
    conversation = await store.start(*numbered_messages(2))
    await store.append_items(conversation, new_item(MESSAGE_ITEM))
    await store.append(conversation, full, new_message("after"))

    found = (await store.history(conversation))[-2:]

    assert (found[0].parts, found[0].tokens, found[0].name) == (full.parts, 3, "ada")
    assert (found[1].parts, found[1].metadata) == (None, EMPTY_OBJECT)
