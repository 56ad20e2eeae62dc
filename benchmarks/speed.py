"""Measures the speed of chatkeep, the peer and the limit, in alternation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from benchmarks.fill import Shape, fill
from benchmarks.load import load
from benchmarks.plan import Plan
from benchmarks.planning import plan
from benchmarks.postgres import Server, migrate, vacuum
from benchmarks.programs import (
    CHATKEEP,
    LIMIT,
    PEER,
    Conversation,
    Operation,
    Program,
)
from benchmarks.results import Load, Ratio, Speed
from benchmarks.scale import Scale
from benchmarks.services import Service

# The number of conversations in a plan: many, since in real use paths rarely repeat, and caches by
# path must not help here.
PLANNED: Final = 2_000
PLANNED_BATCHES: Final = 100

# The minimum throughput relative to the peer and to the limit.
TARGETS: Final = {
    Operation.APPEND: (6.0, 0.70),
    Operation.HISTORY: (6.0, 0.70),
    Operation.CONTEXT: (6.0, 0.70),
    Operation.LIST: (5.0, 0.70),
    Operation.APPEND_AND_CONTEXT: (8.0, 0.70),
    Operation.BATCH: (20.0, None),
}


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """A running program, its database, and the conversations in it.

    `memory` has pairs of the requests served so far and the memory then, in bytes.
    """

    program: Program
    database_url: str
    service: Service
    conversations: Sequence[Conversation]
    memory: list[tuple[int, int]]


def compare(scale: Scale, server: Server, programs: Sequence[Filled]) -> list[Speed]:
    """Measure each operation on each of the programs, round by round."""
    loads: dict[Operation, dict[str, list[Load]]] = {operation: {} for operation in Operation}
    for number in range(scale.rounds):
        for operation in Operation:
            server.checkpoint()
            turn = number % len(programs)
            for each in (*programs[turn:], *programs[:turn]):
                if TARGETS[operation][1] is None and each.program is LIMIT:
                    continue
                chosen = plan_for(each, operation)
                warm_up = 0 if number else scale.warm_up
                done = load(each.service, chosen, scale.seconds, warm_up=warm_up)
                loads[operation].setdefault(each.program.name, []).append(done)
                served = each.memory[-1][0] + done.requests
                each.memory.append((served, each.service.memory()))
    return [
        Speed(operation.value, by_name, _ratios(operation, by_name))
        for operation, by_name in loads.items()
    ]


def sample(conversations: Sequence[Conversation], wanted: int = PLANNED) -> Sequence[Conversation]:
    """Return about `wanted` of the conversations, evenly spaced."""
    return conversations[:: max(1, len(conversations) // wanted)]


@cache
def plan_for(filled: Filled, operation: Operation) -> Plan:
    wanted = PLANNED_BATCHES if operation is Operation.BATCH else PLANNED
    return plan(filled.program, operation, sample(filled.conversations, wanted))


def fill_program(program: Program, url: str, service: Service, shape: Shape) -> Filled:
    """Fill the tables of a program that has just started."""
    memory = service.memory()
    conversations = fill(program, url, "compared", shape)
    vacuum(url)
    return Filled(program, url, service, conversations, [(0, memory)])


def create_database(program: Program, server: Server, name: str) -> str:
    """Create a database. The other programs create their tables when they start."""
    url = server.create(f"bench_{name}")
    if program is CHATKEEP:
        migrate(url)
    return url


def _ratios(operation: Operation, loads: dict[str, list[Load]]) -> tuple[Ratio, ...]:
    found = []
    for program, target in zip((PEER, LIMIT), TARGETS[operation], strict=True):
        if target is not None:
            pairs = zip(loads[CHATKEEP.name], loads[program.name], strict=True)
            values = tuple(ours.operations / theirs.operations for ours, theirs in pairs)
            name = f"{operation.value}: chatkeep to {program.name}"
            found.append(Ratio(name, values, at_least=target))
    return tuple(found)
