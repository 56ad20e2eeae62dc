"""The measurements and their targets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Load:
    """The measurements of one load. Latencies are for single requests, in milliseconds.

    `operations` is their number per second; one operation may take several requests. `worker_ms` is
    the processor time of the program per operation, without Postgres; None if it is unknown.
    `generator_share` is the share of one core that the load generator used.
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
    """A ratio with one value for each round, and its target. The median counts."""

    name: str
    values: tuple[float, ...]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Return whether the target was met; None if there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    @property
    def far_off(self) -> bool:
        """Return whether even the best round missed the target by a factor of two.

        On a busy machine a single round may be far off by chance.
        """
        if self.at_least is not None:
            return max(self.values) <= self.at_least / 2
        return self.at_most is not None and min(self.values) >= self.at_most * 2


@dataclass(frozen=True, slots=True)
class Speed:
    """One operation: the loads of each program by its name, one per round."""

    operation: str
    loads: dict[str, list[Load]]
    ratios: tuple[Ratio, ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """The same operation on little and on much data, each with one load per round."""

    name: str
    little: list[Load]
    much: list[Load]
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class Wires:
    """The number of statements and round trips of one operation, by program."""

    operation: str
    statements: dict[str, float]
    round_trips: dict[str, float]


@dataclass(frozen=True, slots=True)
class Disk:
    """The size of a filled database, of its table of messages, and of that table's indexes."""

    conversations: int
    messages: int
    average_chars: float
    database_bytes: int
    message_bytes: int
    message_index_bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    memory: list[tuple[int, int]]
    """Pairs of requests served and resident memory in bytes; the first is at the start."""
    start_seconds: float
    moderate: dict[str, tuple[float, Load]]
    """By operation: a rate in requests per second, and the load at that rate."""
    two_workers: dict[str, tuple[float, ...]]
    """By operation: the throughput of two workers relative to one, for each round."""
    as_shipped: dict[str, tuple[float, ...]]
    """By operation: the throughput of `chatkeep serve` with its log, relative to plain uvicorn."""
    wires: list[Wires]
    disk: Disk


@dataclass(frozen=True, slots=True)
class SearchLatency:
    """Times of the searches of one user, in milliseconds, one after the other.

    `by_kind` and `ilike` are medians by the kind of query.
    """

    messages: int
    p50: float
    p99: Ratio
    by_kind: dict[str, float]
    ilike: dict[str, float]


@dataclass(frozen=True, slots=True)
class Search:
    """The measurements of search. Times say more about the machine than ratios do.

    `first` is the time of the first page of a first search, in seconds, and `complete_seconds` how
    long it took until all was indexed.
    """

    latencies: list[SearchLatency]
    first: Ratio
    complete_seconds: float
    ratios: tuple[Ratio, ...]


@dataclass(frozen=True, slots=True)
class FollowingShape:
    """Readers in one arrangement. Lags are from the call that writes a chunk, in milliseconds.

    Those that are `loaded` were measured while appends saturated the worker. `memory` are bytes a
    stream, `statements` are a second, and `core` is the share of one that the worker used without
    appends.
    """

    name: str
    p50: float
    p99: float
    loaded_p50: float
    loaded_p99: float
    deliveries: int
    memory: float
    statements: float
    core: float
    appends: Ratio


@dataclass(frozen=True, slots=True)
class Following:
    """Open streams, and drafts that are written meanwhile at `rate` chunks a second in all."""

    streams: int
    drafts: int
    rate: float
    shapes: list[FollowingShape]


@dataclass(slots=True)
class Results:
    quick: bool
    machine: dict[str, str]
    ceiling: Load
    speeds: list[Speed] = field(default_factory=list)
    growths: list[Growth] = field(default_factory=list)
    cost: Cost | None = None
    search: Search | None = None
    following: Following | None = None

    @property
    def ratios(self) -> list[Ratio]:
        found = [ratio for speed in self.speeds for ratio in speed.ratios]
        found += [growth.ratio for growth in self.growths]
        found += self.search.ratios if self.search else ()
        return [
            *found,
            *(each.appends for each in (self.following.shapes if self.following else ())),
        ]


def median_of(loads: Sequence[Load], field_name: str) -> float:
    """Return the median of one field of the loads."""
    values: list[float] = [getattr(load, field_name) for load in loads]
    return median(values)
