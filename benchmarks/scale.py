"""How much to measure, and for how long: the full or the quick run."""

from dataclasses import dataclass
from typing import Final

from benchmarks.fill import Shape
from benchmarks.programs import Operation


@dataclass(frozen=True, slots=True)
class Scale:
    """Times are in seconds of load. Each round makes every measurement once, in alternation."""

    rounds: int
    seconds: float
    warm_up: float
    compared: Shape
    """The data of each of the three programs."""

    growth_rounds: int
    growth_seconds: float
    variants: tuple[Operation, ...]
    """The operations to measure with two workers, with `chatkeep serve`, and at a moderate rate."""

    plan: Shape
    """The data for measuring the size on disk."""
    long: Shape
    """Long conversations."""
    short: Shape
    """Conversations of 10 messages."""
    deep: Shape
    """One conversation with at least `deep_page` pages."""
    deep_page: int
    branched: Shape
    """Conversations that get branches, and as many that get the same messages without."""
    many: Shape
    """A user with many conversations."""
    few: Shape
    small_table: Shape
    """The data of the small database, which is compared to all of the above together."""

    searched: tuple[Shape, ...]
    """Users who search, with few messages to many."""
    search_targets: tuple[float, ...]
    """By user: the most milliseconds of all but one in a hundred searches."""
    searches: int
    """The number of searches of each user."""
    appended: Shape
    """Users whose appends are compared: half of them have searched."""

    streams: int
    """The streams that are open at once."""
    written: int
    """The drafts that are written meanwhile."""
    following_rounds: int

    starts: int
    requests: int
    """The number of requests after which memory is measured again."""

    @property
    def large_table(self) -> int:
        return sum(shape.rows for shape in (self.plan, self.long, self.short, self.deep))


FULL: Final = Scale(
    rounds=3,
    seconds=3,
    warm_up=0.5,
    compared=Shape(50, 40, 50),
    growth_rounds=3,
    growth_seconds=1,
    variants=(Operation.APPEND, Operation.HISTORY, Operation.APPEND_AND_CONTEXT),
    plan=Shape(1_000, 10, 50),
    long=Shape(10, 5, 10_000),
    short=Shape(100, 10, 10),
    deep=Shape(1, 1, 20_100),
    deep_page=1_000,
    branched=Shape(5, 2, 10),
    many=Shape(1, 100_000, 0),
    few=Shape(1, 100, 0),
    small_table=Shape(20, 10, 50),
    searched=(Shape(1, 20, 50), Shape(1, 200, 50), Shape(1, 1_000, 100)),
    search_targets=(20, 50, 200),
    searches=240,
    appended=Shape(100, 10, 50),
    streams=1_000,
    written=50,
    following_rounds=3,
    starts=3,
    requests=200_000,
)

QUICK: Final = Scale(
    rounds=2,
    seconds=0.3,
    warm_up=0.15,
    compared=Shape(50, 40, 20),
    growth_rounds=2,
    growth_seconds=0.2,
    variants=(Operation.APPEND,),
    plan=Shape(100, 10, 50),
    long=Shape(5, 4, 1_000),
    short=Shape(100, 10, 10),
    deep=Shape(1, 1, 2_010),
    deep_page=100,
    branched=Shape(2, 2, 10),
    many=Shape(1, 10_000, 0),
    few=Shape(1, 100, 0),
    small_table=Shape(4, 10, 25),
    searched=(Shape(1, 20, 10), Shape(1, 20, 25), Shape(1, 40, 50)),
    search_targets=(20, 50, 200),
    searches=18,
    appended=Shape(20, 10, 10),
    streams=100,
    written=5,
    following_rounds=1,
    starts=1,
    requests=20_000,
)
