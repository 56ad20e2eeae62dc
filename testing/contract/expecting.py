"""Changes that expect a revision: made again, and at the same time as others."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from chatkeep.domain.errors import (
    ConversationNotFoundError,
    MessageIdTakenError,
    RevisionConflictError,
)
from chatkeep.domain.log import NewEntry, entries_of, messages_of
from chatkeep.domain.model import (
    FIRST_REVISION,
    NO_REVISION,
    Changes,
)
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    HOUR,
    KEY,
    NOON,
    REASONING_ITEM,
    new_item,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    assert_unchanged,
    contents,
    error_of,
    id_of,
    new_message_id,
    numbered_messages,
)
from chatkeep.testing.changes import (
    Change,
    Target,
    append_item,
    append_one,
    remove_message,
    rename,
)

AT_ONCE = 5


@pytest.mark.parametrize("count", [1, 3])
async def test_an_append_again_is_a_success_whatever_it_expects(
    store: StoreUnderTest, count: int
) -> None:
    conversation = await store.start()
    batch = entries_of(numbered_messages(count))
    first = await store.log.append(ALICE, conversation.id, batch, NOON, expected=FIRST_REVISION)
    await store.append(conversation, new_message("somebody else"))

    async with assert_unchanged(store, ALICE):
        again = await store.log.append(
            ALICE, conversation.id, batch, NOON + HOUR, expected=FIRST_REVISION
        )

    assert again.messages == first.messages
    assert (again.message_count, again.revision) == (count + 1, 2)


@pytest.mark.parametrize(
    "entries",
    [
        entries_of(numbered_messages(2)),
        entries_of([new_message("named", name="Ann")]),
        [new_item(REASONING_ITEM), new_item(REASONING_ITEM)],
    ],
)
async def test_a_keyed_append_again_is_a_success_whatever_it_expects(
    store: StoreUnderTest, entries: Sequence[NewEntry]
) -> None:
    conversation = await store.start()

    async def append() -> Any:  # noqa: ANN401 - an `Appended`
        return await store.log.append(
            ALICE, conversation.id, entries, NOON, key=KEY, expected=FIRST_REVISION
        )

    first = await append()
    async with assert_unchanged(store, ALICE):
        again = await append()

    assert [entry.position for entry in again.entries] == [each.position for each in first.entries]
    assert again.messages == first.messages
    assert again.revision == first.revision == 2


async def test_a_keyed_append_of_messages_again_returns_those_that_are_left(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start()
    batch = entries_of([new_message("one", name="Ann"), new_message("two"), new_message("three")])
    first = await store.log.append(ALICE, conversation.id, batch, NOON, key=KEY)
    await store.log.delete(ALICE, conversation.id, first.messages[1].id)
    # Sent again without ids of the caller's, the messages get new ones.
    anew = [
        each._replace(message=message._replace(id=new_message_id()))
        for each, message in zip(batch, messages_of(batch), strict=True)
    ]

    again = await store.log.append(ALICE, conversation.id, anew, NOON + HOUR, key=KEY)

    assert again.messages == (first.messages[0], first.messages[2])
    assert contents(await store.history(conversation)) == ["one", "three"]


async def test_an_id_that_is_taken_is_refused_before_the_revision(store: StoreUnderTest) -> None:
    conversation = await store.start(message := new_message("first"))
    for batch in (
        [message._replace(content="another")],
        [new_message("new"), message],
        [twice := new_message("twice"), twice],
    ):
        async with assert_unchanged(store, ALICE):
            with pytest.raises(MessageIdTakenError) as refusal:
                await store.log.append(
                    ALICE, conversation.id, entries_of(batch), NOON, expected=NO_REVISION
                )
        assert refusal.value.message_id in {message.id, id_of(batch[0])}


async def test_of_changes_that_expect_the_same_revision_exactly_one_is_made(
    store: StoreUnderTest,
) -> None:
    for round_ in range(3):
        conversation = await store.start()
        calls = [
            store.conversations.change(
                ALICE, conversation.id, Changes(title=f"title {n}"), expected=FIRST_REVISION
            )
            for n in range(AT_ONCE)
        ]

        errors = await asyncio.gather(*map(error_of, calls))

        [winner] = [n for n, error in enumerate(errors) if error is None]
        assert sum(isinstance(each, RevisionConflictError) for each in errors) == AT_ONCE - 1
        kept = await store.reload(conversation)
        assert (kept.title, kept.revision) == (f"title {winner}", 2), round_


async def test_of_appends_that_expect_the_same_revision_exactly_one_is_made(
    store: StoreUnderTest,
) -> None:
    for size in (1, 2):
        conversation = await store.start()
        batches = [numbered_messages(size) for _ in range(AT_ONCE)]
        calls = [
            store.log.append(
                ALICE, conversation.id, entries_of(batch), NOON, expected=FIRST_REVISION
            )
            for batch in batches
        ]

        errors = await asyncio.gather(*map(error_of, calls))

        [winner] = [n for n, error in enumerate(errors) if error is None]
        assert sum(isinstance(each, RevisionConflictError) for each in errors) == AT_ONCE - 1
        stored = [message.id for message in await store.history(conversation)]
        assert stored == [message.id for message in batches[winner]]
        assert (await store.reload(conversation)).revision == 2


@pytest.mark.parametrize("change", [append_one, append_item, rename, remove_message])
async def test_of_an_append_and_a_change_that_expects_the_same_revision_the_first_counts(
    store: StoreUnderTest, change: Change
) -> None:
    for round_ in range(3):
        target = await Target.start(store)
        before = await store.reload(target.conversation)
        plain = new_message("plain")
        calls: list[Any] = [
            store.append(target.conversation, plain),
            change(target, target.revision),
        ]

        order = calls if round_ % 2 else calls[::-1]
        errors = await asyncio.gather(*map(error_of, order))

        not_appended, not_changed = errors if round_ % 2 else errors[::-1]
        assert not_appended is None
        assert not_changed is None or isinstance(not_changed, RevisionConflictError)
        made = 1 + (not_changed is None)
        kept = await store.reload(target.conversation)
        assert kept.revision == before.revision + made
        if isinstance(not_changed, RevisionConflictError):
            assert not_changed.current == target.revision + 1
            assert kept.message_count == before.message_count + 1
        assert plain.id in {message.id for message in await store.history(kept)}


async def test_of_a_deletion_and_an_append_at_once_nothing_is_lost(store: StoreUnderTest) -> None:
    for round_ in range(4):
        conversation = await store.start(*numbered_messages(1))
        calls: list[Any] = [
            store.conversations.delete(ALICE, conversation.id, expected=FIRST_REVISION),
            store.append(conversation, new_message("do not lose me")),
        ]

        order = calls if round_ % 2 else calls[::-1]
        errors = await asyncio.gather(*map(error_of, order))

        not_deleted, not_appended = errors if round_ % 2 else errors[::-1]
        if not_deleted is None:
            assert isinstance(not_appended, ConversationNotFoundError)
            assert await store.list_conversations() == []
        else:
            assert isinstance(not_deleted, RevisionConflictError)
            assert not_appended is None
            assert len(await store.history(conversation)) == 2
            await store.conversations.delete(ALICE, conversation.id)


async def test_equal_appends_that_expect_a_revision_at_once_store_one(
    store: StoreUnderTest,
) -> None:
    """One request sent several times at once, as by a client that did not wait for the answer."""
    conversation = await store.start()
    batch = entries_of(numbered_messages(2))

    found = await asyncio.gather(
        *(
            store.log.append(ALICE, conversation.id, batch, NOON, expected=FIRST_REVISION)
            for _ in range(AT_ONCE)
        )
    )

    assert len({each.messages for each in found}) == 1
    assert {each.revision for each in found} == {2}
    assert len(await store.history(conversation)) == 2
