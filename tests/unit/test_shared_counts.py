"""Several processes that serve together have one answer for Prometheus, and it never goes back."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from chatkeep.domain.operations.metrics import MetricFamily
from chatkeep.entrypoints.http import snapshots
from chatkeep.entrypoints.http.metrics import multiprocess
from chatkeep.entrypoints.http.metrics.metric_families import format_families, merge_families
from chatkeep.entrypoints.http.metrics.multiprocess import MultiprocessMetrics
from tests.support.waiting import PATIENCE

ENDED = 2**22 + 1  # one more than the largest process id that Linux gives


def counter(value: float) -> MetricFamily:
    return MetricFamily.counter("chatkeep_things", "Things", [({"kind": "a"}, value)])


def value(families: list[MetricFamily], name: str) -> float:
    [found] = [v for family in families for sample, _, v in family.samples if sample == name]
    return found


class Process:
    """One that has counted so much; `pid` is that of a living one unless said otherwise."""

    def __init__(self, directory: Path, count: float, pid: int) -> None:
        self.count = count
        self.workers = MultiprocessMetrics(directory, self.own, pid)

    def own(self) -> Iterator[MetricFamily]:
        yield counter(self.count)
        yield MetricFamily.gauge("chatkeep_workers", "Processes", 1)

    async def things(self) -> float:
        return value(await self.workers.collect(), "chatkeep_things_total")


def cut_off(directory: Path, pid: int) -> None:
    (directory / f"{pid}.sock").unlink()


def processes_in(directory: Path) -> set[int]:
    return {int(path.stem) for path in directory.iterdir()}


def move(directory: Path, to: Path) -> None:
    directory.rename(to)


@pytest.fixture(autouse=True)
def each_answer_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "FRESH_SECONDS", 0)
    monkeypatch.setattr(multiprocess, "WORKER_TIMEOUT_SECONDS", PATIENCE)  # on a busy machine


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chatkeep-test-") as path:
        yield Path(path)  # a short one: sockets are put into it


async def test_each_answers_for_all(directory: Path) -> None:
    async with AsyncExitStack() as stack:
        pair = [Process(directory, 3, os.getpid()), Process(directory, 4, os.getppid())]
        for each in pair:
            await each.workers.start()
            stack.push_async_callback(each.workers.stop)
        assert [await each.things() for each in pair] == [7, 7]
        assert value(await pair[0].workers.collect(), "chatkeep_workers") == 2
        pair[1].count = 5
        assert [await each.things() for each in pair] == [8, 8]


async def test_what_one_that_ended_had_counted_stays_and_its_gauges_go(directory: Path) -> None:
    ended, living = Process(directory, 3, ENDED), Process(directory, 4, os.getpid())
    await ended.workers.start()
    await living.workers.start()
    ended.count = 5
    await ended.workers.stop()
    assert await living.things() == 9
    assert value(await living.workers.collect(), "chatkeep_workers") == 1
    await living.workers.stop()


async def test_of_one_that_was_killed_all_stays_that_was_ever_seen(directory: Path) -> None:
    killed, living = Process(directory, 3, ENDED), Process(directory, 4, os.getpid())
    await killed.workers.start()
    await living.workers.start()
    assert await living.things() == 7
    killed.count = 100  # which nobody sees
    cut_off(directory, ENDED)
    assert await living.things() == 7
    await living.workers.stop()
    await killed.workers.stop()


async def test_a_new_one_goes_on_from_one_that_ended(directory: Path) -> None:
    ended = Process(directory, 3, ENDED)
    await ended.workers.start()
    await ended.workers.stop()
    new = Process(directory, 1, os.getpid())
    await new.workers.start()
    assert await new.things() == 4
    assert value(await new.workers.collect(), "chatkeep_workers") == 1
    assert processes_in(directory) == {os.getpid()}
    await new.workers.stop()


async def test_one_that_does_not_answer_in_time_counts_as_it_was_last_seen(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, asked = Process(directory, 3, os.getppid()), Process(directory, 4, os.getpid())
    await stuck.workers.start()
    await asked.workers.start()
    assert await asked.things() == 7

    monkeypatch.setattr(multiprocess, "WORKER_TIMEOUT_SECONDS", 0.0)
    stuck.count = 10
    assert await asked.things() == 7
    await stuck.workers.stop()
    await asked.workers.stop()


async def test_a_directory_that_is_gone_is_no_reason_to_fail(directory: Path) -> None:
    alone = Process(directory, 3, os.getpid())
    await alone.workers.start()
    moved = directory.with_name(f"{directory.name}-moved")
    move(directory, moved)
    assert await alone.things() == 3
    move(moved, directory)
    await alone.workers.stop()


def test_values_with_the_same_labels_become_one_and_others_stay() -> None:
    one = MetricFamily.counter(
        "chatkeep_things", "Things", [({"kind": "a"}, 1), ({"kind": "b"}, 2)]
    )
    other = MetricFamily.counter(
        "chatkeep_things", "Things", [({"kind": "b"}, 3), ({"kind": "c"}, 4)]
    )
    [both] = merge_families([[one], [other]])
    assert [(labels["kind"], count) for _, labels, count in both.samples] == [
        ("a", 1),
        ("b", 5),
        ("c", 4),
    ]


def test_each_metric_says_how_several_become_one() -> None:
    def several(name: str, one: float, other: float, **options: object) -> float:
        families = [
            [MetricFamily.gauge(name, "", each, **options)]  # type: ignore[arg-type] # `combine`
            for each in (one, other)
        ]
        return value(merge_families(families), name)

    assert several("pool", 2, 3) == 5
    assert several("ready", 1, 0, combine="min") == 0
    assert several("away", 4, 9, combine="max") == 9


def test_of_what_all_know_the_newest_is_taken_whole() -> None:
    def sizes(at: float, **bytes_: int) -> MetricFamily:
        samples = [("size", {"table": name}, size) for name, size in bytes_.items()]
        return MetricFamily(
            name="size", kind="gauge", help="", samples=samples, combine="newest", at=at
        )

    newer = sizes(2, messages=50)
    for order in ([newer, sizes(1, messages=80, gone=9)], [sizes(1, messages=80, gone=9), newer]):
        assert merge_families([[each] for each in order]) == [newer]


def test_a_histogram_is_written_as_prometheus_reads_it() -> None:
    text = format_families(
        [MetricFamily.histogram("took", "Time", (0.5, 1.0), [2, 0, 1], 7.25)]
    ).decode()
    assert text.splitlines()[2:] == [
        'took_bucket{le="0.5"} 2.0',
        'took_bucket{le="1.0"} 2.0',
        'took_bucket{le="+Inf"} 3.0',
        "took_count 3.0",
        "took_sum 7.25",
    ]
