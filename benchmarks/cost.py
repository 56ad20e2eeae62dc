"""Measures memory, start time, statements and disk of chatkeep, and the gain of two workers."""

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import cycle, product
from statistics import median
from typing import Final

from benchmarks.client import open_client
from benchmarks.load import load
from benchmarks.programs import CHATKEEP, CHATKEEP_AS_SHIPPED, Operation, Program
from benchmarks.results import Cost, Disk, Load, Speed, Wires, median_of
from benchmarks.scale import Scale
from benchmarks.services import running
from benchmarks.speed import Filled, plan_for
from benchmarks.wire import open_relay

MODERATE: Final = 1 / 3
"""The share of the measured throughput at which latencies are measured again."""

_MIXED: Final = (
    Operation.APPEND,
    Operation.HISTORY,
    Operation.CONTEXT,
    Operation.LIST,
    Operation.APPEND_AND_CONTEXT,
)
_COUNTED: Final = 20  # operations with counted statements, after as many to warm up


def measure_cost(
    scale: Scale, programs: Sequence[Filled], speeds: Sequence[Speed], disk: Disk
) -> Cost:
    """Measure on the databases of the comparison. The programs must still be running."""
    [ours] = [filled for filled in programs if filled.program is CHATKEEP]
    throughput = {
        Operation(speed.operation): median_of(speed.loads[CHATKEEP.name], "operations")
        for speed in speeds
    }
    return Cost(
        memory=_measure_memory(scale, ours),
        start_seconds=_measure_start(scale, ours),
        moderate=_measure_moderate(scale, ours, throughput),
        two_workers=_measure_variant(scale, ours, CHATKEEP, workers=2),
        as_shipped=_measure_variant(scale, ours, CHATKEEP_AS_SHIPPED, workers=1),
        wires=_count_statements(programs),
        disk=disk,
    )


def _measure_memory(scale: Scale, ours: Filled) -> list[tuple[int, int]]:
    """Put more load on the compared service until it has served `scale.requests`."""
    found = list(ours.memory)
    for operation in cycle(_MIXED):
        if found[-1][0] >= scale.requests:
            break
        done = load(ours.service, plan_for(ours, operation), max(1, scale.seconds))
        found.append((found[-1][0] + done.requests, ours.service.memory()))
    return found


def _measure_start(scale: Scale, ours: Filled) -> float:
    found = [ours.service.started_in]
    for _ in range(scale.starts - 1):
        with running(CHATKEEP, ours.database_url) as service:
            found.append(service.started_in)
    return median(found)


def _measure_moderate(
    scale: Scale, ours: Filled, throughput: dict[Operation, float]
) -> dict[str, tuple[float, Load]]:
    found: dict[str, tuple[float, Load]] = {}
    for operation in scale.variants:
        rate = round(throughput[operation] * MODERATE)
        done = load(ours.service, plan_for(ours, operation), max(1, scale.seconds), rate=rate)
        found[operation.value] = (rate, done)
    return found


def _measure_variant(
    scale: Scale, ours: Filled, program: Program, *, workers: int
) -> dict[str, tuple[float, ...]]:
    """Return the throughput of a variant on the same database, as a ratio for each round."""
    found: dict[str, list[float]] = {}
    with running(program, ours.database_url, workers=workers) as other:
        for operation, number in product(scale.variants, range(scale.rounds)):
            chosen = plan_for(ours, operation)
            warm_up = 0 if number else scale.warm_up
            one = load(ours.service, chosen, scale.seconds, warm_up=warm_up)
            both = load(other, chosen, scale.seconds, warm_up=warm_up)
            found.setdefault(operation.value, []).append(both.operations / one.operations)
    return {name: tuple(values) for name, values in found.items()}


def _count_statements(programs: Sequence[Filled]) -> list[Wires]:
    found = [Wires(operation.value, {}, {}) for operation in _MIXED]
    for filled in programs:
        with ExitStack() as stack:
            url, wire = stack.enter_context(open_relay(filled.database_url))
            service = stack.enter_context(running(filled.program, url))
            connection = stack.enter_context(open_client(service))
            for operation, counted in zip(_MIXED, found, strict=True):
                calls = [
                    call
                    for at in filled.conversations[:_COUNTED]
                    for call in filled.program.calls(operation, at, ["Hello"])
                ]
                for call in calls:  # the first ones connect and prepare statements
                    connection.call(call)
                statements, round_trips = wire.statements, wire.round_trips
                for call in calls:
                    connection.call(call)
                name = filled.program.name
                counted.statements[name] = (wire.statements - statements) / _COUNTED
                counted.round_trips[name] = (wire.round_trips - round_trips) / _COUNTED
    return found
