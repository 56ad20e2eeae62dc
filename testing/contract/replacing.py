"""Replacing a suffix: what is after a message is deleted and other messages appended, at once."""

import asyncio
from collections.abc import Sequence

import pytest

from chatkeep.domain.editing import MAX_NAMED_MORE, Replaced
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    KeyTakenError,
    MessageIdTakenError,
    MessageNotFoundError,
    RetainedError,
    SuffixDiffersError,
)
from chatkeep.domain.log import RequestKey
from chatkeep.domain.model import Changes, Message, MessageId, Role
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    HOUR,
    KEY,
    NOON,
    OTHER_KEY,
    REASONING_ITEM,
    new_conversation,
    new_item,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    assert_unchanged,
    contents,
    error_of,
    ids,
    new_full_message,
    new_message_id,
    new_messages,
    normalize,
    numbered_items,
    numbered_messages,
    start_numbered,
)

AFTER = NOON + HOUR


def ids_of(messages: Sequence[Message]) -> list[MessageId]:
    return [message.id for message in messages]


async def test_a_suffix_is_replaced(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)
    new = [new_full_message(), *new_messages("b", "c")]

    replaced = await store.replace(
        conversation, *new, after=history[1].id, suffix=ids_of(history[2:]), at=AFTER
    )

    assert (replaced.deleted, replaced.message_count) == (2, 5)
    assert [message.id for message in new] == ids(replaced.messages)
    assert {message.created_at for message in replaced.messages} == {AFTER}
    assert replaced.messages[0].position > history[-1].position
    stored = await store.history(conversation)
    assert [*map(normalize, stored)] == [*map(normalize, [*history[:2], *replaced.messages])]
    assert await store.reload(conversation) == conversation._replace(
        message_count=5, updated_at=AFTER, revision=2
    )


async def test_the_whole_log_is_replaced_by_one_message(store: StoreUnderTest) -> None:
    conversation = await store.start(*numbered_messages(4))
    await store.append_items(conversation, *numbered_items(3))
    everything = await store.history(conversation)

    replaced = await store.replace(
        conversation, new_message("in short"), after=None, suffix=ids_of(everything)
    )

    assert (replaced.deleted, replaced.message_count) == (6, 1)
    assert contents(await store.history(conversation)) == ["in short"]
    assert len(await store.list_items(conversation)) == 1
    assert replaced.messages[0].position > everything[-1].position


async def test_a_suffix_replaced_by_nothing_is_deleted(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)

    for deleted in (3, 0):
        replaced = await store.replace(
            conversation, after=history[0].id, suffix=ids_of(history[1:]), at=AFTER
        )
        assert (replaced.messages, replaced.deleted, replaced.message_count) == ((), deleted, 1)

    assert await store.history(conversation) == history[:1]
    assert await store.reload(conversation) == conversation._replace(message_count=1, revision=2)
    [added] = await store.append(conversation, new_message("next"), at=NOON - HOUR)
    assert added.position > history[-1].position


async def test_an_empty_suffix_is_replaced_only_while_it_is_empty(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)
    replace = [
        store.replace(conversation, new_message(text), after=history[-1].id, suffix=[])
        for text in ("first", "second")
    ]

    assert (await replace[0]).message_count == 5
    with pytest.raises(SuffixDiffersError):
        await replace[1]

    assert contents(await store.history(conversation))[-1] == "first"
    empty = await store.start()
    replaced = await store.replace(empty, new_message("first"), after=None, suffix=[])
    assert await store.history(empty) == list(replaced.messages)


@pytest.mark.parametrize(
    "expected",
    [[], [2], [3], [3, 2], [1, 2, 3], [2, 3, 3]],
    ids=["none", "too few", "the last", "in another order", "too many", "twice"],
)
async def test_a_suffix_that_is_not_the_expected_one_stays(
    store: StoreUnderTest, expected: list[int]
) -> None:
    conversation, history = await start_numbered(store, 4)

    async with assert_unchanged(store, ALICE):
        with pytest.raises(SuffixDiffersError) as refusal:
            await store.replace(
                conversation,
                new_message("anew"),
                after=history[1].id,
                suffix=[history[index].id for index in expected],
            )

    assert list(refusal.value.found) == ids(history[2:])


async def test_of_a_long_suffix_the_first_messages_are_named(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, MAX_NAMED_MORE + 10)

    with pytest.raises(SuffixDiffersError) as refusal:
        await store.replace(conversation, after=None, suffix=[history[0].id])

    assert list(refusal.value.found) == ids(history[: MAX_NAMED_MORE + 1])


async def test_a_replacement_can_be_repeated(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)
    new = [new_full_message(), *new_messages("b", "c")]

    async def replace() -> tuple[Sequence[Message], int, int]:
        found = await store.replace(
            conversation, *new, after=history[1].id, suffix=ids_of(history[2:]), at=AFTER
        )
        return [*map(normalize, found.messages)], found.deleted, found.message_count

    first = await replace()
    async with assert_unchanged(store, ALICE):
        assert await replace() == (first[0], 0, 5)
    await store.append(conversation, new_message("more"))
    async with assert_unchanged(store, ALICE):
        with pytest.raises(SuffixDiffersError):
            await replace()


async def test_a_repeated_replacement_with_another_content_is_refused(
    store: StoreUnderTest,
) -> None:
    conversation, history = await start_numbered(store, 4)
    new, expected = new_message("anew"), ids_of(history[2:])
    await store.replace(conversation, new, after=history[1].id, suffix=expected)

    async with assert_unchanged(store, ALICE):
        with pytest.raises(SuffixDiffersError):
            await store.replace(
                conversation,
                new._replace(content="other"),
                after=history[1].id,
                suffix=expected,
            )


async def test_messages_may_keep_their_ids_when_they_are_replaced(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)
    kept = new_message("user 3, edited", id=history[3].id)
    also = new_message("user 2", id=history[2].id)
    expected = ids_of(history[2:])

    replaced = await store.replace(
        conversation, kept, also, after=history[1].id, suffix=expected, at=AFTER
    )

    assert (replaced.deleted, replaced.message_count) == (2, 4)
    assert await store.history(conversation) == [*history[:2], *replaced.messages]
    assert (
        await store.log.get(ALICE, conversation.id, kept.id or new_message_id())
        == (replaced.messages[0])
    )
    # Now the expected ids are those of the new messages.
    async with assert_unchanged(store, ALICE):
        again = await store.replace(
            conversation, kept, also, after=history[1].id, suffix=ids_of(replaced.messages)
        )
        assert again.messages == replaced.messages
    edited = kept._replace(content="user 3, edited again")
    again = await store.replace(
        conversation, edited, also, after=history[1].id, suffix=ids_of(replaced.messages)
    )
    assert contents(await store.history(conversation))[2:] == [edited.content, "user 2"]


async def test_a_replacement_deletes_the_items_behind_too(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)
    await store.append_items(conversation, new_item(REASONING_ITEM), *numbered_items(3))
    messages = await store.history(conversation)

    replaced = await store.replace(
        conversation, new_message("anew"), after=history[3].id, suffix=ids_of(messages[4:])
    )

    assert (replaced.deleted, replaced.message_count) == (2, 5)
    assert len(await store.list_items(conversation)) == 5


async def test_an_id_of_a_message_that_stays_is_taken(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)
    _, others = await start_numbered(store, 4)
    twice = new_message("twice")

    async with assert_unchanged(store, ALICE):
        for new, taken in (
            ([new_message("x", id=history[0].id)], history[0].id),
            ([new_message("x"), new_message("x", id=others[0].id)], others[0].id),
            ([twice, twice], twice.id),
        ):
            with pytest.raises(MessageIdTakenError) as refusal:
                await store.replace(
                    conversation, *new, after=history[1].id, suffix=ids_of(history[2:])
                )
            assert refusal.value.message_id == taken


async def test_nothing_on_hold_is_replaced_but_it_is_appended_to(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)
    await store.conversations.change(ALICE, conversation.id, Changes(retain=True))

    async with assert_unchanged(store, ALICE):
        with pytest.raises(RetainedError):
            await store.replace(
                conversation, new_message("x"), after=history[2].id, suffix=[history[3].id]
            )
    for _ in range(2):
        new = new_message("x", id=MessageId(conversation.id))
        replaced = await store.replace(conversation, new, after=history[3].id, suffix=[])
        assert replaced.message_count == 5
    assert await store.history(conversation) == [*history, *replaced.messages]


async def test_what_is_not_there_is_not_replaced(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)
    _, others = await start_numbered(store, 4)
    await store.start(*numbered_messages(1), user_id=BOB, id=conversation.id)

    async with assert_unchanged(store, ALICE, BOB):
        for after in (new_message_id(), others[0].id):
            with pytest.raises(MessageNotFoundError) as refusal:
                await store.replace(conversation, new_message("x"), after=after, suffix=[])
            assert refusal.value.message_id == after
        with pytest.raises(MessageNotFoundError):
            await store.log.replace(BOB, conversation.id, history[0].id, [], [], NOON)
        for user in (ALICE, BOB):
            with pytest.raises(ConversationNotFoundError):
                await store.replace(new_conversation(user), new_message("x"), after=None, suffix=[])


async def test_of_replacements_at_once_one_succeeds(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)

    errors = await asyncio.gather(
        *(
            error_of(
                store.replace(
                    conversation,
                    new_message(f"answer {number}"),
                    after=history[1].id,
                    suffix=ids_of(history[2:]),
                )
            )
            for number in range(8)
        )
    )

    assert [type(error) for error in errors if error] == [SuffixDiffersError] * 7
    [*_, last] = await store.history(conversation)
    assert last.content == f"answer {errors.index(None)}"
    assert (await store.reload(conversation)).message_count == 3


async def test_an_equal_replacement_sent_several_times_at_once_is_done_once(
    store: StoreUnderTest,
) -> None:
    conversation, history = await start_numbered(store, 4)
    new = new_messages("a", "b")

    found = await asyncio.gather(
        *(
            store.replace(conversation, *new, after=history[1].id, suffix=ids_of(history[2:]))
            for _ in range(6)
        )
    )

    assert {each.messages for each in found} == {found[0].messages}
    assert sum(each.deleted for each in found) == 2
    assert await store.history(conversation) == [*history[:2], *found[0].messages]
    assert (await store.reload(conversation)).message_count == 4


@pytest.mark.parametrize("round_", range(4))
async def test_a_replacement_and_an_append_at_once_end_as_one_after_the_other(
    store: StoreUnderTest, round_: int
) -> None:
    """A message appended meanwhile is neither deleted unseen, nor left before the new ones."""
    conversation, history = await start_numbered(store, 4)
    calls = [
        store.append(conversation, new_message("appended", Role.ASSISTANT)),
        store.replace(
            conversation,
            new_message("replaced"),
            after=history[1].id,
            suffix=ids_of(history[2:]),
        ),
    ]
    order = [0, 1] if round_ % 2 else [1, 0]

    errors = await asyncio.gather(*(error_of(calls[which]) for which in order))

    found = contents(await store.history(conversation))[2:]
    if errors[order.index(1)] is None:
        assert found == ["replaced", "appended"]
    else:
        assert found == ["user 2", "user 3", "appended"]
    assert (await store.reload(conversation)).message_count == 2 + len(found)


async def test_with_a_key_a_replacement_is_repeated_after_other_changes(
    store: StoreUnderTest,
) -> None:
    conversation, history = await start_numbered(store, 4)

    async def replace(key: RequestKey = KEY) -> Replaced:
        """Replace by messages with new ids, as a request without ids has each time."""
        return await store.replace(
            conversation,
            *new_messages("a", "b"),
            after=history[1].id,
            suffix=ids_of(history[2:]),
            at=AFTER,
            key=key,
        )

    first = await replace()
    assert (await replace()).messages == first.messages
    await store.append(conversation, new_message("more"))
    await store.log.delete(ALICE, conversation.id, first.messages[0].id)
    await store.log.delete(ALICE, conversation.id, history[1].id)

    async with assert_unchanged(store, ALICE):
        again = await replace()
        assert (again.messages, again.deleted) == (first.messages[1:], 0)
        assert (again.message_count, again.revision) == (3, first.revision + 3)
        with pytest.raises(KeyTakenError):
            await replace(OTHER_KEY)


async def test_a_key_that_is_taken_replaces_nothing(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)
    await store.append_items(conversation, new_item(REASONING_ITEM), key=KEY)

    async with assert_unchanged(store, ALICE):
        with pytest.raises(KeyTakenError):
            await store.replace(
                conversation, new_message("x"), after=history[3].id, suffix=[], key=OTHER_KEY
            )
    assert len(await store.list_items(conversation)) == 5


async def test_a_replacement_by_nothing_is_repeated_with_its_key(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)

    for deleted in (3, 0):
        replaced = await store.replace(
            conversation, after=history[0].id, suffix=ids_of(history[1:]), key=KEY
        )
        assert (replaced.messages, replaced.deleted) == ((), deleted)
        await store.append(conversation, new_message("more"))
    assert (await store.reload(conversation)).message_count == 3


async def test_one_of_equal_replacements_with_a_key_at_once_is_made(store: StoreUnderTest) -> None:
    conversation, history = await start_numbered(store, 4)

    found = await asyncio.gather(
        *(
            store.replace(
                conversation,
                *new_messages("a", "b"),
                after=history[1].id,
                suffix=ids_of(history[2:]),
                key=KEY,
            )
            for _ in range(6)
        )
    )

    assert {each.messages for each in found} == {found[0].messages}
    assert sum(each.deleted for each in found) == 2
    assert await store.history(conversation) == [*history[:2], *found[0].messages]
