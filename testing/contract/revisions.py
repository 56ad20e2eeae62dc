"""Revisions: every change raises it, and a change may expect one (`If-Match`)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from chatkeep.domain.editing import MessagePatch, Replaced, Stored, Truncated
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
    RetainedError,
    RevisionConflictError,
    SuffixDiffersError,
)
from chatkeep.domain.log import EVERYTHING, View, entries_of
from chatkeep.domain.model import (
    FIRST_REVISION,
    NO_REVISION,
    Changes,
    JsonText,
    Order,
    Position,
    Status,
)
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import (
    assert_unchanged,
    error_of,
    new_conversation_id,
    new_message_id,
    numbered_messages,
)
from chatkeep.testing.changes import (
    CHANGES,
    REMOVALS,
    REWRITES,
    Change,
    Target,
)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("expects", [True, False])
async def test_every_change_raises_the_revision_by_one(
    store: StoreUnderTest, change: Change, *, expects: bool
) -> None:
    target = await Target.start(store)

    revision = await change(target, target.revision if expects else None)

    assert revision == target.revision + 1
    assert (await store.reload(target.conversation)).revision == revision


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_of_another_revision_is_refused_and_changes_nothing(
    store: StoreUnderTest, change: Change
) -> None:
    target = await Target.start(store)
    items = await store.list_items(target.conversation)

    for expected in (target.revision - 1, target.revision + 1, 0, NO_REVISION):
        async with assert_unchanged(store, ALICE):
            with pytest.raises(RevisionConflictError) as refusal:
                await change(target, expected)
        assert refusal.value.current == target.revision
        assert refusal.value.conversation_id == target.conversation.id

    assert await store.list_items(target.conversation) == items


async def test_a_conversation_is_deleted_only_in_the_revision_that_is_expected(
    store: StoreUnderTest,
) -> None:
    conversation = await store.start(*numbered_messages(1))

    async with assert_unchanged(store, ALICE):
        with pytest.raises(RevisionConflictError) as refusal:
            await store.conversations.delete(ALICE, conversation.id, expected=2)
    assert refusal.value.current == FIRST_REVISION
    await store.conversations.delete(ALICE, conversation.id, expected=FIRST_REVISION)

    assert await store.list_conversations() == []


async def test_a_new_conversation_has_the_first_revision(store: StoreUnderTest) -> None:
    with_messages = await store.start(*numbered_messages(3))
    found = await store.conversations.get_or_create(new_conversation(), provision=True)

    assert with_messages.revision == FIRST_REVISION
    assert await store.reload(with_messages) == with_messages
    assert found.conversation.revision == FIRST_REVISION
    assert await store.reload(found.conversation) == found.conversation


async def test_a_conversation_may_be_stored_with_its_revision(store: StoreUnderTest) -> None:
    new = new_conversation()._replace(revision=41)

    created = await store.create(new, numbered_messages(2), provision=True)
    await store.append(new, new_message("more"))

    assert created.conversation.revision == 41
    assert (await store.reload(new)).revision == 42


async def test_a_create_again_does_not_raise_the_revision(store: StoreUnderTest) -> None:
    new, messages = new_conversation(), numbered_messages(2)
    await store.create(new, messages, provision=True)
    await store.append(new, new_message("more"))

    again = await store.create(new, messages, provision=True)
    found = await store.conversations.get_or_create(new, provision=True)

    assert again.conversation.revision == found.conversation.revision == 2
    assert (await store.reload(new)).revision == 2


async def test_what_reads_a_log_returns_the_revision_and_leaves_it(store: StoreUnderTest) -> None:
    target = await Target.start(store)
    its_id = target.conversation.id

    for view in View:
        for order in Order:
            for limit in (1, 100):
                page = await store.log.page(
                    ALICE, its_id, EVERYTHING, view=view, order=order, limit=limit
                )
                assert page.revision == target.revision
    window = await store.log.window(ALICE, its_id, limit=2)
    assert window.revision == target.revision
    empty = await store.start()
    page = await store.log.page(
        ALICE, empty.id, EVERYTHING, view=View.MESSAGES, order=Order.ASC, limit=1
    )
    assert page.revision == (await store.log.window(ALICE, empty.id, limit=1)).revision == 1

    assert await store.reload(target.conversation) == target.conversation
    assert target.conversation in await store.list_conversations()


async def test_changes_of_one_conversation_leave_the_revisions_of_others(
    store: StoreUnderTest,
) -> None:
    target = await Target.start(store)
    other = await store.start(*numbered_messages(2))
    bobs = await store.start(*numbered_messages(2), user_id=BOB)

    for change in CHANGES:
        await error_of(change(target, None))  # type: ignore[arg-type] # some find nothing any more

    assert await store.reload(other) == other
    assert await store.reload(bobs) == bobs


@pytest.mark.parametrize("expected", [NO_REVISION, FIRST_REVISION])
async def test_what_is_not_there_is_not_found_whatever_is_expected(
    store: StoreUnderTest, expected: int
) -> None:
    conversation = await store.start(*numbered_messages(1))
    bobs = await store.start(*numbered_messages(1), user_id=BOB)
    [theirs] = await store.history(bobs)

    for unknown in (new_conversation_id(), bobs.id):
        for call in (
            store.conversations.change(ALICE, unknown, Changes(title="x"), expected=expected),
            store.conversations.delete(ALICE, unknown, expected=expected),
            store.log.append(
                ALICE, unknown, entries_of(numbered_messages(1)), NOON, expected=expected
            ),
            store.log.put(ALICE, unknown, new_message("x"), NOON, expected=expected),
            store.log.replace(ALICE, unknown, None, [], [], NOON, expected=expected),
        ):
            assert isinstance(await error_of(call), ConversationNotFoundError)
        assert await store.log.delete_at(ALICE, unknown, theirs.position, expected=expected) is None
    for message_id in (new_message_id(), theirs.id):
        with pytest.raises(MessageNotFoundError):
            await store.log.delete(ALICE, conversation.id, message_id, expected=expected)
        with pytest.raises(MessageNotFoundError):
            await store.log.truncate(
                ALICE, conversation.id, message_id, keep=True, expected=expected
            )
        with pytest.raises(MessageNotFoundError):
            await store.log.patch(
                ALICE, conversation.id, message_id, MessagePatch(tokens=1), expected=expected
            )
    assert await store.log.delete_at(ALICE, conversation.id, Position(1), expected=expected) is None


async def test_a_hold_is_refused_before_the_revision(store: StoreUnderTest) -> None:
    target = await Target.start(store)
    await store.conversations.change(ALICE, target.conversation.id, Changes(retain=True))

    for expected in (NO_REVISION, target.revision + 1):
        for change in (*REMOVALS, *REWRITES):
            with pytest.raises(RetainedError):
                await change(target, expected)
        with pytest.raises(RetainedError):
            await store.conversations.delete(ALICE, target.conversation.id, expected=expected)


async def test_an_edit_again_is_a_success_whatever_it_expects(store: StoreUnderTest) -> None:
    """There is nothing to change any more: the answer to the first call may have been lost."""
    target = await Target.start(store)
    user, its_id, [first, second, third] = ALICE, target.conversation.id, target.messages
    edited = new_message("edited", id=second.id)
    noted = MessagePatch(metadata=JsonText('{"a":1}'), tokens=5)
    new = numbered_messages(2)
    log = store.log
    calls: list[Callable[[int], Awaitable[Stored | Truncated | Replaced]]] = [
        lambda expected: log.put(user, its_id, edited, NOON, expected=expected),
        lambda expected: log.patch(user, its_id, first.id, noted, expected=expected),
        lambda expected: log.truncate(user, its_id, third.id, keep=True, expected=expected),
        lambda expected: log.replace(
            user, its_id, second.id, [third.id], new, NOON, expected=expected
        ),
    ]

    current = target.revision
    for call in calls:
        current += 1
        assert (await call(current - 1)).revision == current
        for expected in (current - 1, NO_REVISION):
            async with assert_unchanged(store, ALICE):
                assert (await call(expected)).revision == current
        # A caller is never given a revision with changes that they have not seen.
        await store.conversations.change(user, its_id, Changes(title="somebody else's"))
        assert (await call(current - 1)).revision == current
        current += 1


async def test_an_id_that_is_taken_and_another_suffix_are_refused_before_the_revision(
    store: StoreUnderTest,
) -> None:
    target = await Target.start(store)
    its_id, [first, second, third] = target.conversation.id, target.messages
    other = await store.start(taken := new_message("taken"))

    async with assert_unchanged(store, ALICE):
        with pytest.raises(MessageIdTakenError):
            await store.log.put(ALICE, its_id, taken, NOON, expected=NO_REVISION)
        for suffix, error in (
            ([third.id], MessageIdTakenError),
            ([first.id], SuffixDiffersError),
        ):
            with pytest.raises(error):
                await store.log.replace(
                    ALICE, its_id, second.id, suffix, [taken], NOON, expected=NO_REVISION
                )
    assert len(await store.history(other)) == 1


@pytest.mark.parametrize("change", REWRITES)
async def test_of_equal_rewrites_at_once_that_expect_a_revision_at_least_one_is_made(
    store: StoreUnderTest, change: Change
) -> None:
    target = await Target.start(store)

    errors = await asyncio.gather(
        *(error_of(change(target, target.revision)) for _ in range(5))  # type: ignore[arg-type]
    )

    assert None in errors
    allowed = {type(None), RevisionConflictError, SuffixDiffersError}
    assert {type(error) for error in errors} <= allowed
    assert (await store.reload(target.conversation)).revision == target.revision + 1


async def test_an_archived_conversation_has_a_revision_too(store: StoreUnderTest) -> None:
    conversation = await store.start()

    archived = await store.conversations.change(
        ALICE, conversation.id, Changes(status=Status.ARCHIVED), expected=1
    )

    assert (archived.status, archived.revision) == (Status.ARCHIVED, 2)
    assert await store.list_conversations(status=Status.ARCHIVED) == [archived]
