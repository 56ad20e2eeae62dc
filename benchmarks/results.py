"""What was measured, and what was to be reached."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Load:
    """What a load gave. Latencies are of single requests, in milliseconds.

    `operations` a second: requests, or a fraction of them where an operation takes several.
    `worker_ms`: processor time of the program for each operation, Postgres not included; None where
    it cannot be told. `generator_share`: how much of one core the load generator took.
    """

    requests: int
    operations: float
    p50: float
    p95: float
    p99: float
    worker_ms: float | None
    generator_share: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio, one value for each round, and its target. What counts is the median."""

    name: str
    values: tuple[float, ...]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None where there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    @property
    def far_off(self) -> bool:
        """Whether the best round is only half of the target, or double where less is better.

        On a busy machine a single round may be far off for no reason of ours.
        """
        if self.at_least is not None:
            return max(self.values) <= self.at_least / 2
        return self.at_most is not None and min(self.values) >= self.at_most * 2


@dataclass(frozen=True, slots=True)
class Speed:
    """One operation: the loads of each program, one a round, by the program's name."""

    operation: str
    loads: dict[str, list[Load]]
    ratios: tuple[Ratio, ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """The same operation on little data and on much, one load a round each."""

    name: str
    little: list[Load]
    much: list[Load]
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class Wires:
    """Statements and round trips of one operation, of each program."""

    operation: str
    statements: dict[str, float]
    round_trips: dict[str, float]


@dataclass(frozen=True, slots=True)
class Disk:
    """A filled database. `bytes` are those of the whole database, of the tables with indexes."""

    conversations: int
    messages: int
    average_chars: float
    database_bytes: int
    message_bytes: int
    message_index_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    memory: list[tuple[int, int]]
    """Requests served so far, and resident memory then, in bytes; first of all when started."""
    start_seconds: float
    moderate: dict[str, tuple[float, Load]]
    """By operation: the rate, in requests a second, and the latencies at it."""
    two_workers: dict[str, tuple[float, ...]]
    """By operation: the throughput of two workers to that of one, of each round."""
    as_shipped: dict[str, tuple[float, ...]]
    """The same of `chatkeep serve`, with its line of log for each request, to uvicorn alone."""
    wires: list[Wires]
    disk: Disk


@dataclass(slots=True)
class Results:
    quick: bool
    machine: dict[str, str]
    ceiling: Load
    speeds: list[Speed] = field(default_factory=list)
    growths: list[Growth] = field(default_factory=list)
    cost: Cost | None = None

    @property
    def ratios(self) -> list[Ratio]:
        found = [ratio for speed in self.speeds for ratio in speed.ratios]
        return found + [growth.ratio for growth in self.growths]


def middle(loads: Sequence[Load], what: str) -> float:
    """Return the median of one field of the loads."""
    values: list[float] = [getattr(load, what) for load in loads]
    return median(values)
