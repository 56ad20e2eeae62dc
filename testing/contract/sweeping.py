"""Sweeps: conversations of all users that have been idle for long are archived or deleted."""

from asyncio import gather
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest

from chatkeep.domain.idle import Cutoffs, IdleConversation, SweepResult
from chatkeep.domain.model import Changes, Conversation, Status, UserId
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    HOUR,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.operations.sweep import Policy, Sweep
from chatkeep.domain.ports import Sweeps
from chatkeep.testing.builders import SECOND, everything_of, ids, numbered_messages

DAY = timedelta(days=1)
_days = count()
LONG_AGO = NOON - 400 * DAY
QUITE_LONG_AGO = NOON - 100 * DAY
ARCHIVE = Policy(archive_after=90 * DAY).cutoffs(NOON)
DELETE = Policy(delete_after=365 * DAY).cutoffs(NOON)
BOTH = Policy(90 * DAY, 365 * DAY).cutoffs(NOON)


@pytest.fixture
def due() -> datetime:
    """Return a time at which no other test has a sweep due."""
    return NOON + next(_days) * DAY


@pytest.fixture
def sweeps(store: StoreUnderTest) -> Sweeps:
    return store.sweeps


async def run(sweep: Sweep, cutoffs: Cutoffs) -> SweepResult:
    """Run the sweep and return the total."""
    total = SweepResult()
    async for each in sweep.run(cutoffs):
        total += each
    return total


async def put_on_hold(store: StoreUnderTest, conversation: Conversation) -> Conversation:
    return await store.conversations.change(
        conversation.user_id, conversation.id, Changes(retain=True)
    )


def as_found(conversation: Conversation) -> IdleConversation:
    return IdleConversation(conversation.id, conversation.user_id, conversation.message_count)


async def test_what_is_idle_for_long_is_archived_and_nothing_else_of_it_changes(
    store: StoreUnderTest, sweeps: Sweeps
) -> None:
    old = await store.start(*numbered_messages(3), at=QUITE_LONG_AGO)
    recent = await store.start(new_message("hello"), at=NOON)

    assert await run(Sweep(sweeps), ARCHIVE) == SweepResult(archived=1)

    assert await store.reload(old) == old._replace(status=Status.ARCHIVED, revision=2)
    assert await store.reload(recent) == recent
    assert len(await store.history(old)) == 3


async def test_what_is_idle_for_longer_is_deleted_with_its_messages_whatever_its_status(
    store: StoreUnderTest, sweeps: Sweeps
) -> None:
    await store.start(*numbered_messages(3), at=LONG_AGO)
    archived = new_conversation(status=Status.ARCHIVED, at=LONG_AGO)
    await store.create(archived, numbered_messages(2), provision=True)
    recent = await store.start(*numbered_messages(4), at=NOON)
    before = await store.history(recent)

    assert await run(Sweep(sweeps), DELETE) == SweepResult(deleted=2, messages=5)

    assert await store.list_conversations() == [recent]
    assert await store.history(recent) == before
    assert (await store.users.usage(ALICE)).messages == 4


async def test_a_deleted_message_id_may_be_used_again(
    store: StoreUnderTest, sweeps: Sweeps
) -> None:
    message = new_message("hello")
    await store.start(message, at=LONG_AGO)
    await run(Sweep(sweeps), DELETE)

    new = await store.start(message, at=NOON)

    assert (await store.history(new))[0].id == message.id


async def test_both_at_once_delete_what_is_older_and_archive_the_rest(
    store: StoreUnderTest, sweeps: Sweeps
) -> None:
    await store.start(*numbered_messages(2), at=LONG_AGO)
    old = await store.start(at=QUITE_LONG_AGO)

    assert await run(Sweep(sweeps), BOTH) == SweepResult(archived=1, deleted=1, messages=2)

    assert await store.list_conversations() == [old._replace(status=Status.ARCHIVED, revision=2)]


async def test_nothing_is_deleted_unless_it_is_asked_for(
    store: StoreUnderTest, sweeps: Sweeps
) -> None:
    old = await store.start(new_message("hello"), at=LONG_AGO)

    assert await run(Sweep(sweeps), ARCHIVE) == SweepResult(archived=1)
    assert await run(Sweep(sweeps), Cutoffs(None, None)) == SweepResult()

    assert ids(await store.list_conversations()) == [old.id]


async def test_sweeping_again_finds_nothing(store: StoreUnderTest, sweeps: Sweeps) -> None:
    await store.start(at=LONG_AGO)
    await store.start(at=QUITE_LONG_AGO)
    await run(Sweep(sweeps), BOTH)

    assert await sweeps.count(BOTH) == SweepResult()
    assert await run(Sweep(sweeps), BOTH) == SweepResult()


async def test_the_conversations_of_all_users_are_swept(
    store: StoreUnderTest, sweeps: Sweeps
) -> None:
    same_id = (await store.start(*numbered_messages(1), at=LONG_AGO)).id
    kept = await store.start(*numbered_messages(2), user_id=BOB, id=same_id, at=NOON)
    await store.start(*numbered_messages(3), user_id=BOB, at=LONG_AGO)
    bobs = await store.history(kept)

    assert await run(Sweep(sweeps), DELETE) == SweepResult(deleted=2, messages=4)

    assert await store.list_conversations() == []
    assert await store.list_conversations(BOB) == [kept]
    assert await store.history(kept) == bobs


@pytest.mark.parametrize("difference", [-SECOND, timedelta(0), timedelta(microseconds=1)])
async def test_idle_is_who_had_no_activity_since_before_the_time(
    store: StoreUnderTest, sweeps: Sweeps, difference: timedelta
) -> None:
    assert ARCHIVE.archive is not None
    await store.start(at=ARCHIVE.archive + difference)

    assert (await run(Sweep(sweeps), ARCHIVE)).archived == (difference < timedelta(0))


async def test_what_is_on_hold_is_archived_but_never_deleted(
    store: StoreUnderTest, sweeps: Sweeps
) -> None:
    held = await put_on_hold(store, await store.start(*numbered_messages(3), at=LONG_AGO))
    messages = await store.history(held)

    assert await sweeps.count(BOTH) == SweepResult(archived=1, retained=1)
    assert await run(Sweep(sweeps), BOTH) == SweepResult(archived=1)

    assert await store.reload(held) == held._replace(status=Status.ARCHIVED, revision=3)
    assert await store.history(held) == messages


async def test_what_is_on_hold_is_not_found_for_deletion(
    store: StoreUnderTest, sweeps: Sweeps
) -> None:
    """Otherwise many on hold would be found again and again, and nothing else."""
    await put_on_hold(store, await store.start(at=LONG_AGO))
    other = await store.start(at=LONG_AGO)

    assert await sweeps.to_delete(NOON, limit=1) == [as_found(other)]


async def test_what_was_put_on_hold_after_it_was_found_is_not_deleted(
    store: StoreUnderTest, sweeps: Sweeps
) -> None:
    old = await store.start(*numbered_messages(3), at=LONG_AGO)
    assert DELETE.delete is not None
    assert await sweeps.to_delete(DELETE.delete, limit=10) == [as_found(old)]
    await put_on_hold(store, old)

    assert await sweeps.delete([as_found(old)], DELETE.delete) == SweepResult()

    assert len(await store.history(old)) == 3


async def test_what_became_active_after_it_was_found_is_left_alone(
    store: StoreUnderTest, sweeps: Sweeps
) -> None:
    old = await store.start(*numbered_messages(2), at=LONG_AGO)
    await store.append(old, new_message("I am back"), at=NOON)
    assert DELETE.delete is not None
    assert ARCHIVE.archive is not None

    assert await sweeps.delete([as_found(old)], DELETE.delete) == SweepResult()
    assert await sweeps.archive([as_found(old)], ARCHIVE.archive) == SweepResult()

    assert (await store.reload(old)).status is Status.ACTIVE
    assert len(await store.history(old)) == 3


async def test_what_is_gone_or_archived_since_it_was_found_is_not_counted(
    store: StoreUnderTest, sweeps: Sweeps
) -> None:
    gone = await store.start(*numbered_messages(2), at=LONG_AGO)
    archived = await store.start(at=LONG_AGO)
    await store.conversations.delete(ALICE, gone.id)
    await store.conversations.change(ALICE, archived.id, Changes(status=Status.ARCHIVED))

    assert await sweeps.archive([as_found(gone), as_found(archived)], NOON) == SweepResult()
    assert await sweeps.delete([as_found(gone), as_found(archived)], NOON) == SweepResult(deleted=1)


@pytest.mark.parametrize("cutoffs", [ARCHIVE, DELETE, BOTH, Cutoffs(None, None)])
async def test_counting_says_what_a_sweep_then_does_and_changes_nothing(
    store: StoreUnderTest, sweeps: Sweeps, cutoffs: Cutoffs
) -> None:
    for number, at in enumerate((LONG_AGO, QUITE_LONG_AGO, NOON) * 3):
        user = UserId(f"user {number % 2}")
        conversation = await store.start(*numbered_messages(number), user_id=user, at=at)
        if number in (3, 4):
            await put_on_hold(store, conversation)
        if number in (4, 6, 7):
            archive = Changes(status=Status.ARCHIVED)
            await store.conversations.change(user, conversation.id, archive)
    before = [await everything_of(store, UserId(f"user {number}")) for number in range(2)]

    expected = await sweeps.count(cutoffs)

    assert [await everything_of(store, UserId(f"user {n}")) for n in range(2)] == before
    assert await run(Sweep(sweeps), cutoffs) == replace(expected, retained=0)


async def test_no_more_are_found_than_asked_for(store: StoreUnderTest, sweeps: Sweeps) -> None:
    for _ in range(3):
        await store.start(at=LONG_AGO)

    assert len(await sweeps.to_delete(NOON, limit=2)) == 2
    assert len(await sweeps.to_archive(NOON, limit=2)) == 2


@pytest.mark.parametrize("cutoffs", [ARCHIVE, DELETE])
async def test_a_sweep_goes_on_until_nothing_is_left(
    store: StoreUnderTest, sweeps: Sweeps, cutoffs: Cutoffs
) -> None:
    for _ in range(7):
        await store.start(*numbered_messages(2), at=LONG_AGO)

    total = await run(Sweep(sweeps, most_found=3, batch_conversations=2), cutoffs)

    assert (total.archived, total.deleted, total.messages) in [(7, 0, 0), (0, 7, 14)]


async def test_a_sweep_is_given_away_once(store: StoreUnderTest, due: datetime) -> None:
    assert await store.sweep_schedule.claim(due, due + SECOND)

    assert not await store.sweep_schedule.claim(due, due + 2 * SECOND)
    assert not await store.sweep_schedule.claim(due, due)


async def test_the_next_sweep_is_given_away_too(store: StoreUnderTest, due: datetime) -> None:
    assert await store.sweep_schedule.claim(due, due)
    assert await store.sweep_schedule.claim(due + HOUR, due + HOUR)


async def test_of_many_at_once_one_is_given_the_sweep(store: StoreUnderTest, due: datetime) -> None:
    claims = (store.sweep_schedule.claim(due, due + number * SECOND) for number in range(8))

    assert sum(await gather(*claims)) == 1


async def test_a_claim_whose_answer_was_lost_is_answered_again(
    store: StoreUnderTest, due: datetime
) -> None:
    assert await store.sweep_schedule.claim(due, due + SECOND)
    assert await store.sweep_schedule.claim(due, due + SECOND)


async def test_a_finished_sweep_is_not_given_away_again(
    store: StoreUnderTest, due: datetime
) -> None:
    await store.sweep_schedule.claim(due, due)
    await store.sweep_schedule.finish(
        due, due + HOUR, SweepResult(archived=1, deleted=2, messages=3, retained=4)
    )

    assert not await store.sweep_schedule.claim(due, due + HOUR)
