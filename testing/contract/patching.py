"""Patching what is noted about a message: its metadata as a merge patch, and its tokens."""

import asyncio
import json
from typing import Any

import pytest

from chatkeep.domain.editing import MessagePatch
from chatkeep.domain.errors import LimitExceededError, MessageNotFoundError, RetainedError
from chatkeep.domain.model import Changes, Conversation, JsonText, Limits, Message, same_json
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    assert_unchanged,
    error_of,
    new_items,
    new_message_id,
    normalize,
    numbered_messages,
)

# From RFC 7396, appendix A, as far as both are objects; then what JSON can be.
MERGES = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
    ('{"a":1}', '{"a":{"b":null,"c":{"d":[null]}}}', '{"a":{"c":{"d":[null]}}}'),
    ('{"a":1}', "{}", '{"a":1}'),
    ('{"a":1,"b":2}', "null", "{}"),
    ('{"a":1}', '{"a":true}', '{"a":true}'),
    (
        '{"a":{"b":1.10}}',
        '{"a":{"c":123456789012345678901234567890.5}}',
        '{"a":{"b":1.10,"c":123456789012345678901234567890.5}}',
    ),
    ('{"":{"\\u0000":1}}', '{"":{"\ufdd0":"\\u0000"}}', '{"":{"\\u0000":1,"\ufdd0":"\\u0000"}}'),
    ('{"a b\\"c":1}', '{"a b\\"c":"{\\"x\\": [1, null]}"}', '{"a b\\"c":"{\\"x\\": [1, null]}"}'),
]


def patch_of(metadata: str, **fields: Any) -> MessagePatch:  # noqa: ANN401 - of any kind
    return MessagePatch(metadata=JsonText(metadata), **fields)


async def start_noted(store: StoreUnderTest, metadata: str = "{}") -> tuple[Conversation, Message]:
    """Store a conversation of two messages; return it with the first."""
    first, second = numbered_messages(2)
    conversation = await store.start(first._replace(metadata=JsonText(metadata)), second)
    [message, _] = await store.history(conversation)
    return conversation, message


@pytest.mark.parametrize(("metadata", "patch", "merged"), MERGES)
async def test_metadata_are_merged(
    store: StoreUnderTest, metadata: str, patch: str, merged: str
) -> None:
    conversation, message = await start_noted(store, metadata)

    for _ in range(2):
        patched = await store.patch(conversation, message.id, patch_of(patch))

        assert same_json(patched.metadata, JsonText(merged))
        assert patched._replace(metadata=message.metadata) == message
        found = await store.log.get(ALICE, conversation.id, message.id)
        assert normalize(found) == normalize(patched)
    kept = await store.reload(conversation)
    assert kept._replace(revision=conversation.revision) == conversation
    assert kept.revision == 1 + (not same_json(JsonText(metadata), JsonText(merged)))


async def test_numbers_stay_as_they_are_written(store: StoreUnderTest) -> None:
    conversation, message = await start_noted(store, '{"price":1.10,"big":12345678901234567890.0}')

    patched = await store.patch(conversation, message.id, patch_of('{"more":2.50}'))

    for number in ("1.10", "12345678901234567890.0", "2.50"):
        assert number in patched.metadata


async def test_tokens_are_set_and_removed(store: StoreUnderTest) -> None:
    conversation, message = await start_noted(store, '{"a":1}')

    for tokens in (5, 0, None, 2**31 - 1):
        patched = await store.patch(conversation, message.id, MessagePatch(tokens=tokens))
        assert patched == message._replace(tokens=tokens)
        assert (await store.history(conversation))[0] == patched
    both = await store.patch(conversation, message.id, patch_of('{"b":2}', tokens=7))
    assert both.tokens == 7
    assert json.loads(both.metadata) == {"a": 1, "b": 2}
    assert (await store.patch(conversation, message.id, patch_of('{"b":3}'))).tokens == 7


async def test_a_patch_that_changes_nothing_is_accepted(store: StoreUnderTest) -> None:
    conversation, message = await start_noted(store, '{"a":{"b":1}}')

    async with assert_unchanged(store, ALICE):
        for patch in (MessagePatch(), patch_of("{}"), patch_of('{"a":{"b":1.0},"c":null}')):
            assert await store.patch(conversation, message.id, patch) == message


async def test_metadata_do_not_grow_beyond_the_limit(store: StoreUnderTest) -> None:
    conversation, message = await start_noted(store, '{"a":"x"}')
    limits = Limits(max_metadata_bytes=20)

    fits = patch_of('{"b":"\u00e9"}', limits=limits)  # 18 bytes together, compact
    await store.patch(conversation, message.id, fits)
    async with assert_unchanged(store, ALICE):
        with pytest.raises(LimitExceededError) as refusal:
            await store.patch(conversation, message.id, patch_of('{"c":""}', limits=limits))

    error = refusal.value
    assert (error.field, error.limit_name) == ("metadata", "max_metadata_bytes")
    assert (error.limit, error.actual) == (20, 25)


async def test_metadata_beyond_the_limit_may_shrink(store: StoreUnderTest) -> None:
    """Those of an import may be larger than the limit."""
    conversation, message = await start_noted(store, '{"a":"xxxxxxxxxxxxxxxxxxxx","b":"y"}')
    limits = Limits(max_metadata_bytes=20)

    await store.patch(conversation, message.id, patch_of('{"b":null}', limits=limits))
    with pytest.raises(LimitExceededError):
        await store.patch(conversation, message.id, patch_of('{"b":"yy"}', limits=limits))

    assert set(json.loads((await store.history(conversation))[0].metadata)) == {"a"}


async def test_a_patch_leaves_an_item_as_it_was_sent(store: StoreUnderTest) -> None:
    conversation = await store.start()
    await store.append_items(conversation, *new_items('{"role":"user","content":"a"}'))
    items = await store.list_items(conversation)
    [message] = await store.history(conversation)

    patched = await store.patch(conversation, message.id, patch_of('{"feedback":"up"}'))

    assert json.loads(patched.metadata) == {"feedback": "up"}
    assert await store.list_items(conversation) == items


async def test_nothing_on_hold_is_patched(store: StoreUnderTest) -> None:
    conversation, message = await start_noted(store, '{"a":1}')
    await store.conversations.change(ALICE, conversation.id, Changes(retain=True))

    async with assert_unchanged(store, ALICE):
        for patch in (patch_of('{"a":2}'), MessagePatch(tokens=1)):
            with pytest.raises(RetainedError):
                await store.patch(conversation, message.id, patch)
        assert await store.patch(conversation, message.id, patch_of('{"a":1}')) == message


async def test_a_message_that_is_not_there_is_not_patched(store: StoreUnderTest) -> None:
    conversation, message = await start_noted(store)
    other, _ = await start_noted(store)
    await store.start(user_id=BOB, id=conversation.id)
    patch = patch_of('{"a":1}')

    async with assert_unchanged(store, ALICE, BOB):
        for user, where, message_id in (
            (ALICE, conversation, new_message_id()),
            (ALICE, other, message.id),
            (BOB, conversation, message.id),
        ):
            with pytest.raises(MessageNotFoundError) as refusal:
                await store.log.patch(user, where.id, message_id, patch)
            assert refusal.value.message_id == message_id


async def test_patches_of_different_members_at_once_all_take_effect(store: StoreUnderTest) -> None:
    conversation, message = await start_noted(store, '{"kept":1,"removed":2,"usage":{"in":1}}')
    patches = [
        *(patch_of(json.dumps({f"label {n}": n})) for n in range(12)),
        *(patch_of(json.dumps({"usage": {f"out {n}": n}})) for n in range(4)),
        patch_of('{"removed":null}'),
        MessagePatch(tokens=9),
    ]

    await asyncio.gather(*(store.patch(conversation, message.id, patch) for patch in patches))

    [found, _] = await store.history(conversation)
    assert json.loads(found.metadata) == {
        "kept": 1,
        **{f"label {n}": n for n in range(12)},
        "usage": {"in": 1, **{f"out {n}": n for n in range(4)}},
    }
    assert found.tokens == 9


async def test_a_patch_and_a_deletion_at_once_end_as_one_after_the_other(
    store: StoreUnderTest,
) -> None:
    conversation, message = await start_noted(store)

    not_patched, not_deleted = await asyncio.gather(
        error_of(store.patch(conversation, message.id, patch_of('{"a":1}'))),
        error_of(store.log.delete(ALICE, conversation.id, message.id)),
    )

    assert not_deleted is None
    assert not_patched is None or isinstance(not_patched, MessageNotFoundError)
    assert (await store.reload(conversation)).message_count == 1


async def test_a_patch_and_a_put_at_once_end_as_one_after_the_other(store: StoreUnderTest) -> None:
    conversation, message = await start_noted(store, '{"a":1}')
    edited = new_message("edited", id=message.id, metadata=JsonText('{"b":1}'))

    await asyncio.gather(
        store.patch(conversation, message.id, patch_of('{"c":1}')),
        store.put(conversation, edited),
    )

    [found, _] = await store.history(conversation)
    assert found.content == "edited"
    assert json.loads(found.metadata) in ({"b": 1}, {"b": 1, "c": 1})
