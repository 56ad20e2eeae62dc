"""How much is measured, and for how long: in full, or quickly."""

from dataclasses import dataclass
from typing import Final

from benchmarks.fill import Shape
from benchmarks.programs import Operation


@dataclass(frozen=True, slots=True)
class Scale:
    """Times are seconds of load. In each round every measurement is made once, in alternation."""

    rounds: int
    seconds: float
    warm_up: float
    compared: Shape
    """What each of the three programs has stored."""

    growth_rounds: int
    growth_seconds: float
    variants: tuple[Operation, ...]
    """What is measured of two workers, of the service as it is shipped, and at a moderate rate."""

    plan: Shape
    """What the size on disk is measured with."""
    long: Shape
    """Long conversations."""
    short: Shape
    """Conversations of 10 messages."""
    deep: Shape
    """One conversation of so many pages that `deep_page` is one of them."""
    deep_page: int
    many: Shape
    """A user with many conversations."""
    few: Shape
    small_table: Shape
    """What the other database has, to which all of the above together is compared."""

    starts: int
    requests: int
    """After so many requests the memory is to be what it was."""

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
    many=Shape(1, 100_000, 0),
    few=Shape(1, 100, 0),
    small_table=Shape(20, 10, 50),
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
    many=Shape(1, 10_000, 0),
    few=Shape(1, 100, 0),
    small_table=Shape(4, 10, 25),
    starts=1,
    requests=20_000,
)
