"""Sweeps: what is idle for long is archived or deleted, whoever it belongs to."""

from asyncio import gather
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import pytest

from chatkeep.adapters.memory import (
    MemoryConversations,
    MemoryDiary,
    MemoryItems,
    MemoryMessages,
    MemoryStore,
    MemorySweeps,
    MemoryUsers,
)
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.sweeps import PiccoloDiary, PiccoloSweeps
from chatkeep.domain.model import Changes, Conversation, Status, UserId
from chatkeep.domain.operations import sweep
from chatkeep.domain.operations.sweep import Cutoffs, Diary, Idle, Policy, Sweep, Sweeps, Swept
from tests.contract.builders import (
    ALICE,
    BOB,
    HOUR,
    NOON,
    SECOND,
    a_conversation,
    again,
    appended,
    everything_of,
    history,
    ids,
    listed,
    numbered,
    says,
    started,
)
from tests.contract.store import Store

DAY = timedelta(days=1)
_days = count()
LONG_AGO = NOON - 400 * DAY
QUITE_LONG_AGO = NOON - 100 * DAY
ARCHIVE = Policy(archive_after=90 * DAY).cutoffs(NOON)
DELETE = Policy(delete_after=365 * DAY).cutoffs(NOON)
BOTH = Policy(90 * DAY, 365 * DAY).cutoffs(NOON)


@dataclass(frozen=True, slots=True)
class Kept:
    """A store, and what sweeps it."""

    store: Store
    sweeps: Sweeps
    diary: Diary


@pytest.fixture(params=["memory", "postgres"])
def kept(request: pytest.FixtureRequest) -> Kept:
    if request.param == "memory":
        memory = MemoryStore()
        store = Store(
            MemoryUsers(memory),
            MemoryConversations(memory),
            MemoryMessages(memory),
            MemoryItems(memory),
        )
        return Kept(store, MemorySweeps(memory), MemoryDiary())
    store = request.getfixturevalue("postgres_store")
    engine: Engine = request.getfixturevalue("engine")
    return Kept(store, PiccoloSweeps(engine), PiccoloDiary(engine))


@pytest.fixture
def due() -> datetime:
    """Return when no sweep of another test was due."""
    return NOON + next(_days) * DAY


@pytest.fixture
def store(kept: Kept) -> Store:
    return kept.store


@pytest.fixture
def sweeps(kept: Kept) -> Sweeps:
    return kept.sweeps


async def swept(sweeps: Sweeps, cutoffs: Cutoffs) -> Swept:
    """Sweep, and return what was done in all."""
    total = Swept()
    async for each in Sweep(sweeps).run(cutoffs):
        total += each
    return total


async def on_hold(store: Store, conversation: Conversation) -> Conversation:
    return await store.conversations.change(
        conversation.user_id, conversation.id, Changes(retain=True)
    )


def found(conversation: Conversation) -> Idle:
    return Idle(conversation.id, conversation.user_id, conversation.message_count)


async def test_what_is_idle_for_long_is_archived_and_nothing_else_of_it_changes(
    store: Store, sweeps: Sweeps
) -> None:
    old = await started(store, *numbered(3), at=QUITE_LONG_AGO)
    recent = await started(store, says("hello"), at=NOON)

    assert await swept(sweeps, ARCHIVE) == Swept(archived=1)

    assert await again(store, old) == old._replace(status=Status.ARCHIVED)
    assert await again(store, recent) == recent
    assert len(await history(store, old)) == 3


async def test_what_is_idle_for_longer_is_deleted_with_its_messages_whatever_its_status(
    store: Store, sweeps: Sweeps
) -> None:
    await started(store, *numbered(3), at=LONG_AGO)
    archived = a_conversation(status=Status.ARCHIVED, at=LONG_AGO)
    await store.conversations.create(archived, numbered(2), provision=True)
    recent = await started(store, *numbered(4), at=NOON)
    before = await history(store, recent)

    assert await swept(sweeps, DELETE) == Swept(deleted=2, messages=5)

    assert await listed(store) == [recent]
    assert await history(store, recent) == before
    assert (await store.users.usage(ALICE)).messages == 4


async def test_a_deleted_message_id_may_be_used_again(store: Store, sweeps: Sweeps) -> None:
    message = says("hello")
    await started(store, message, at=LONG_AGO)
    await swept(sweeps, DELETE)

    new = await started(store, message, at=NOON)

    assert (await history(store, new))[0].id == message.id


async def test_both_at_once_delete_what_is_older_and_archive_the_rest(
    store: Store, sweeps: Sweeps
) -> None:
    await started(store, *numbered(2), at=LONG_AGO)
    old = await started(store, at=QUITE_LONG_AGO)

    assert await swept(sweeps, BOTH) == Swept(archived=1, deleted=1, messages=2)

    assert await listed(store) == [old._replace(status=Status.ARCHIVED)]


async def test_nothing_is_deleted_unless_it_is_asked_for(store: Store, sweeps: Sweeps) -> None:
    old = await started(store, says("hello"), at=LONG_AGO)

    assert await swept(sweeps, ARCHIVE) == Swept(archived=1)
    assert await swept(sweeps, Cutoffs(None, None)) == Swept()

    assert ids(await listed(store)) == [old.id]


async def test_sweeping_again_finds_nothing(store: Store, sweeps: Sweeps) -> None:
    await started(store, at=LONG_AGO)
    await started(store, at=QUITE_LONG_AGO)
    await swept(sweeps, BOTH)

    assert await sweeps.count(BOTH) == Swept()
    assert await swept(sweeps, BOTH) == Swept()


async def test_the_conversations_of_all_users_are_swept(store: Store, sweeps: Sweeps) -> None:
    same_id = (await started(store, *numbered(1), at=LONG_AGO)).id
    kept = await started(store, *numbered(2), user_id=BOB, id=same_id, at=NOON)
    await started(store, *numbered(3), user_id=BOB, at=LONG_AGO)
    bobs = await history(store, kept)

    assert await swept(sweeps, DELETE) == Swept(deleted=2, messages=4)

    assert await listed(store) == []
    assert await listed(store, BOB) == [kept]
    assert await history(store, kept) == bobs


@pytest.mark.parametrize("difference", [-SECOND, timedelta(0), timedelta(microseconds=1)])
async def test_idle_is_who_had_no_activity_since_before_the_time(
    store: Store, sweeps: Sweeps, difference: timedelta
) -> None:
    assert ARCHIVE.archive is not None
    await started(store, at=ARCHIVE.archive + difference)

    assert (await swept(sweeps, ARCHIVE)).archived == (difference < timedelta(0))


async def test_what_is_on_hold_is_archived_but_never_deleted(store: Store, sweeps: Sweeps) -> None:
    held = await on_hold(store, await started(store, *numbered(3), at=LONG_AGO))
    messages = await history(store, held)

    assert await sweeps.count(BOTH) == Swept(archived=1, retained=1)
    assert await swept(sweeps, BOTH) == Swept(archived=1)

    assert await again(store, held) == held._replace(status=Status.ARCHIVED)
    assert await history(store, held) == messages


async def test_what_is_on_hold_is_not_found_for_deletion(store: Store, sweeps: Sweeps) -> None:
    """Many on hold would be found again and again, and nothing else be found."""
    await on_hold(store, await started(store, at=LONG_AGO))
    other = await started(store, at=LONG_AGO)

    assert await sweeps.to_delete(NOON, limit=1) == [found(other)]


async def test_what_was_put_on_hold_after_it_was_found_is_not_deleted(
    store: Store, sweeps: Sweeps
) -> None:
    old = await started(store, *numbered(3), at=LONG_AGO)
    assert DELETE.delete is not None
    assert await sweeps.to_delete(DELETE.delete, limit=10) == [found(old)]
    await on_hold(store, old)

    assert await sweeps.delete([found(old)], DELETE.delete) == Swept()

    assert len(await history(store, old)) == 3


async def test_what_became_active_after_it_was_found_is_left_alone(
    store: Store, sweeps: Sweeps
) -> None:
    old = await started(store, *numbered(2), at=LONG_AGO)
    await appended(store, old, says("I am back"), at=NOON)
    assert DELETE.delete is not None
    assert ARCHIVE.archive is not None

    assert await sweeps.delete([found(old)], DELETE.delete) == Swept()
    assert await sweeps.archive([found(old)], ARCHIVE.archive) == Swept()

    assert (await again(store, old)).status is Status.ACTIVE
    assert len(await history(store, old)) == 3


async def test_what_is_gone_or_archived_since_it_was_found_is_not_counted(
    store: Store, sweeps: Sweeps
) -> None:
    gone = await started(store, *numbered(2), at=LONG_AGO)
    archived = await started(store, at=LONG_AGO)
    await store.conversations.delete(ALICE, gone.id)
    await store.conversations.change(ALICE, archived.id, Changes(status=Status.ARCHIVED))

    assert await sweeps.archive([found(gone), found(archived)], NOON) == Swept()
    assert await sweeps.delete([found(gone), found(archived)], NOON) == Swept(deleted=1)


@pytest.mark.parametrize("cutoffs", [ARCHIVE, DELETE, BOTH, Cutoffs(None, None)])
async def test_counting_says_what_a_sweep_then_does_and_changes_nothing(
    store: Store, sweeps: Sweeps, cutoffs: Cutoffs
) -> None:
    for number, at in enumerate((LONG_AGO, QUITE_LONG_AGO, NOON) * 3):
        user = UserId(f"user {number % 2}")
        conversation = await started(store, *numbered(number), user_id=user, at=at)
        if number in (3, 4):
            await on_hold(store, conversation)
        if number in (4, 6, 7):
            archive = Changes(status=Status.ARCHIVED)
            await store.conversations.change(user, conversation.id, archive)
    before = [await everything_of(store, UserId(f"user {number}")) for number in range(2)]

    expected = await sweeps.count(cutoffs)

    assert [await everything_of(store, UserId(f"user {n}")) for n in range(2)] == before
    assert await swept(sweeps, cutoffs) == replace(expected, retained=0)


async def test_no_more_are_found_than_asked_for(store: Store, sweeps: Sweeps) -> None:
    for _ in range(3):
        await started(store, at=LONG_AGO)

    assert len(await sweeps.to_delete(NOON, limit=2)) == 2
    assert len(await sweeps.to_archive(NOON, limit=2)) == 2


@pytest.mark.parametrize("cutoffs", [ARCHIVE, DELETE])
async def test_a_sweep_goes_on_until_nothing_is_left(
    store: Store, sweeps: Sweeps, cutoffs: Cutoffs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MOST_FOUND", 3)
    monkeypatch.setattr(sweep, "BATCH_CONVERSATIONS", 2)
    for _ in range(7):
        await started(store, *numbered(2), at=LONG_AGO)

    total = await swept(sweeps, cutoffs)

    assert (total.archived, total.deleted, total.messages) in [(7, 0, 0), (0, 7, 14)]


async def test_a_sweep_is_given_away_once(kept: Kept, due: datetime) -> None:
    assert await kept.diary.claim(due, due + SECOND)

    assert not await kept.diary.claim(due, due + 2 * SECOND)
    assert not await kept.diary.claim(due, due)


async def test_the_next_sweep_is_given_away_too(kept: Kept, due: datetime) -> None:
    assert await kept.diary.claim(due, due)
    assert await kept.diary.claim(due + HOUR, due + HOUR)


async def test_of_many_at_once_one_is_given_the_sweep(kept: Kept, due: datetime) -> None:
    claims = (kept.diary.claim(due, due + number * SECOND) for number in range(8))

    assert sum(await gather(*claims)) == 1


async def test_a_claim_whose_answer_was_lost_is_answered_again(kept: Kept, due: datetime) -> None:
    assert await kept.diary.claim(due, due + SECOND)
    assert await kept.diary.claim(due, due + SECOND)


async def test_a_finished_sweep_is_not_given_away_again(kept: Kept, due: datetime) -> None:
    await kept.diary.claim(due, due)
    await kept.diary.finish(due, due + HOUR, Swept(archived=1, deleted=2, messages=3, retained=4))

    assert not await kept.diary.claim(due, due + HOUR)
