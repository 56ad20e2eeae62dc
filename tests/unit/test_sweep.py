"""Durations, the batches of a sweep, and the daily sweep of the service."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from chatkeep.adapters.memory import MemoryLog, MemoryStore, MemorySweeps, MemorySweepSchedule
from chatkeep.domain.errors import InvalidValueError, StoreUnavailableError
from chatkeep.domain.idle import Cutoffs, IdleConversation, SweepResult
from chatkeep.domain.model import ConversationId
from chatkeep.domain.operations.selftest.builders import ALICE, new_conversation
from chatkeep.domain.operations.sweep import (
    BATCH_CONVERSATIONS,
    BATCH_MESSAGES,
    MOST_FOUND,
    Policy,
    Sweep,
    batches,
    parse_duration,
)
from chatkeep.entrypoints.scheduled_sweep import AT, DAY, SPREAD, DailySweep, latest_due
from chatkeep.entrypoints.settings import Settings, SettingsError

MORNING = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)
DUE = datetime.combine(MORNING.date(), AT)
POLICY = Policy(archive_after=90 * DAY)


# durations


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("12h", timedelta(hours=12)),
        ("1d", timedelta(days=1)),
        ("090d", timedelta(days=90)),
        ("2w", timedelta(days=14)),
        ("36500d", timedelta(days=36_500)),
    ],
)
def test_a_duration_is_hours_days_or_weeks(text: str, meant: timedelta) -> None:
    assert parse_duration(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("", "90", "d", "90D", "90 d", " 90d", "90d\n", "-1d", "+1d", "1.5d", "1m", "1y", "1d12h"),
        *("d90", "٩d", "1e3d", "0d", "00h", "36501d", "999999999w", "9999999999999999d", "P90D"),
    ],
)
def test_what_is_no_duration_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match="90d or 2w") as refused:
        parse_duration(text)

    assert repr(text) in str(refused.value)


def test_deleting_before_archiving_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="before they are archived"):
        Policy(archive_after=2 * DAY, delete_after=DAY)

    assert Policy(archive_after=DAY, delete_after=DAY).cutoffs(DUE) == Cutoffs(DUE - DAY, DUE - DAY)


# settings


def test_without_the_settings_nothing_is_swept() -> None:
    assert Settings.from_env({"CHATKEEP_DELETE_AFTER": " "}).sweep_policy.is_empty


def test_the_settings_are_durations() -> None:
    settings = {"CHATKEEP_ARCHIVE_AFTER": "90d", "CHATKEEP_DELETE_AFTER": "52w"}

    assert Settings.from_env(settings).sweep_policy == Policy(90 * DAY, 364 * DAY)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"CHATKEEP_ARCHIVE_AFTER": "soon"},
            "CHATKEEP_ARCHIVE_AFTER: 'soon' is not a valid duration",
        ),
        ({"CHATKEEP_DELETE_AFTER": "365"}, "CHATKEEP_DELETE_AFTER: '365' is not a valid duration"),
        ({"CHATKEEP_DELETE_AFTER": "0d"}, "CHATKEEP_DELETE_AFTER: '0d' would include every"),
        (
            {"CHATKEEP_ARCHIVE_AFTER": "2w", "CHATKEEP_DELETE_AFTER": "13d"},
            "CHATKEEP_DELETE_AFTER is shorter than",
        ),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(settings: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env(settings)

    assert str(refused.value).startswith(said)


# batches


def idle(messages: int) -> IdleConversation:
    return IdleConversation(ConversationId(uuid4()), ALICE, messages)


@pytest.mark.parametrize(
    ("counts", "cut"),
    [
        ([], []),
        ([0], [[0]]),
        ([BATCH_MESSAGES, 0], [[BATCH_MESSAGES, 0]]),
        ([BATCH_MESSAGES, 1], [[BATCH_MESSAGES], [1]]),
        ([3, BATCH_MESSAGES * 9, 4, 5], [[3], [BATCH_MESSAGES * 9], [4, 5]]),
        ([0] * (BATCH_CONVERSATIONS + 1), [[0] * BATCH_CONVERSATIONS, [0]]),
    ],
)
def test_batches_are_bounded_and_a_long_conversation_is_alone(
    counts: list[int], cut: list[list[int]]
) -> None:
    found = [idle(count) for count in counts]

    made = list(batches(found))

    assert [[each.message_count for each in batch] for batch in made] == cut
    assert [each for batch in made for each in batch] == found


class Unwilling(MemorySweeps):
    """Finds every conversation each time; all of them are locked by other transactions."""

    async def to_delete(self, before: datetime, *, limit: int) -> list[IdleConversation]:
        return [idle(0)] * limit

    to_archive = to_delete


async def test_a_sweep_ends_when_all_that_is_left_is_in_use() -> None:
    sweep = Sweep(Unwilling(MemoryStore()))

    once_each = 2 * MOST_FOUND // BATCH_CONVERSATIONS
    tried = 0
    async for swept in sweep.run(Cutoffs(MORNING, MORNING)):
        assert swept == SweepResult()
        tried += 1
        assert tried <= once_each

    assert tried == once_each


# once a day


class EndOfTestError(Exception):
    pass


@dataclass
class World:
    """A clock that advances by what is slept, and a service that runs by it."""

    now_: datetime = MORNING
    until: datetime = MORNING + timedelta(days=3, hours=1)
    awake_from: datetime = MORNING
    store: MemoryStore = field(default_factory=MemoryStore)
    schedule: MemorySweepSchedule = field(default_factory=MemorySweepSchedule)
    counted: list[SweepResult] = field(default_factory=list)

    def now(self) -> datetime:
        return self.now_

    async def sleep(self, seconds: float) -> None:
        self.now_ += timedelta(seconds=seconds)
        if self.now_ > self.until:
            raise EndOfTestError

    async def idle(self, *ages: timedelta) -> None:
        for age in ages:
            old = new_conversation(at=MORNING - age)
            await MemoryLog(self.store).create(old, (), provision=True)

    def service(self) -> DailySweep:
        return DailySweep(
            policy=POLICY,
            sweep=Sweep(MemorySweeps(self.store)),
            schedule=self.schedule,
            clock=self,
            ready=lambda: self.now_ >= self.awake_from,
            swept=self.counted.append,
            sleep=self.sleep,
        )


async def to_the_end(running: Coroutine[Any, Any, None]) -> None:
    with pytest.raises(EndOfTestError):
        await running


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (MORNING, DUE),
        (DUE, DUE),
        (DUE - timedelta(microseconds=1), DUE - DAY),
        (MORNING.replace(hour=0), DUE - DAY),
        (MORNING.replace(hour=23), DUE),
    ],
)
def test_a_sweep_is_due_once_a_day(now: datetime, due: datetime) -> None:
    assert latest_due(now) == due


async def test_what_becomes_idle_is_swept_on_its_day() -> None:
    world = World()
    await world.idle(91 * DAY, 89.5 * DAY, 88.5 * DAY, 3 * DAY)

    await to_the_end(world.service().run())

    assert [each.archived for each in world.counted] == [1, 1, 1, 0]
    assert list(world.schedule.started) == [DUE + number * DAY for number in range(4)]
    assert [swept.archived for _, swept in world.schedule.finished.values()] == [1, 1, 1, 0]


async def test_every_day_it_is_tried_in_the_same_minute() -> None:
    world = World()

    await to_the_end(world.service().run())

    spread = timedelta(seconds=SPREAD)
    for due, started in [*world.schedule.started.items()][1:]:
        assert due <= started <= due + spread


async def test_of_many_processes_one_sweeps() -> None:
    world = World(until=MORNING + timedelta(minutes=5))
    await world.idle(100 * DAY)

    await asyncio.gather(*(to_the_end(world.service().run()) for _ in range(4)))

    assert [each.archived for each in world.counted] == [1]


async def test_starting_again_does_not_sweep_again() -> None:
    world = World(until=MORNING + timedelta(minutes=1))
    await to_the_end(world.service().run())
    await world.idle(100 * DAY)

    for _ in range(3):
        world.now_ = MORNING + timedelta(minutes=10)
        world.until = MORNING + timedelta(hours=1)
        await to_the_end(world.service().run())

    assert [each.archived for each in world.counted] == [0]


async def test_the_database_is_not_asked_before_it_is_there() -> None:
    world = World(awake_from=MORNING + timedelta(minutes=10))

    await to_the_end(world.service().run())

    assert world.schedule.started[DUE] >= world.awake_from


@dataclass(frozen=True, slots=True)
class Failing(MemorySweeps):
    """Raises each of the errors once."""

    errors: list[Exception]

    async def to_archive(self, before: datetime, *, limit: int) -> Sequence[IdleConversation]:
        if self.errors:
            raise self.errors.pop()
        # `super()` does not work in a class with slots.
        return await MemorySweeps.to_archive(self, before, limit=limit)


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("The database is away."), RuntimeError("a fault of ours")]
)
async def test_what_fails_is_logged_and_done_a_day_later(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(until=MORNING + timedelta(days=1, hours=1))
    await world.idle(100 * DAY)
    service = replace(world.service(), sweep=Sweep(Failing(world.store, [error])))

    await to_the_end(service.run())

    assert [each.archived for each in world.counted] == [0, 1]
    [failed] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert str(error) in caplog.text
    assert failed.name == "chatkeep.sweep"
    assert DUE not in world.schedule.finished


async def test_what_comes_of_a_sweep_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    world = World(until=MORNING + timedelta(minutes=1))
    await world.idle(100 * DAY, 200 * DAY)

    with caplog.at_level(logging.INFO, "chatkeep.sweep"):
        await to_the_end(world.service().run())

    [line] = [each.message for each in caplog.records if each.message.startswith("swept: ")]
    assert "2 archived, 0 deleted with 0 messages, 0 on hold not deleted" in line


class Slow(MemorySweeps):
    async def archive(self, idle: Sequence[IdleConversation], before: datetime) -> SweepResult:
        await asyncio.sleep(0.05)
        return await MemorySweeps.archive(self, idle, before)


async def test_it_rests_after_a_batch_for_as_long_as_that_took() -> None:
    world, rests = World(), list[float]()
    await world.idle(100 * DAY)

    async def sleep(seconds: float) -> None:
        rests.append(seconds)

    service = replace(world.service(), sweep=Sweep(Slow(world.store)), sleep=sleep)
    await service.once(DUE)

    [rest] = rests
    assert rest >= 0.04
