"""Ranges of positions: what a branch wrote, or what a reader of it sees."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from chatkeep.domain.model import FIRST_POSITION, LAST_POSITION, Position

START: Final = Position(FIRST_POSITION - 1)
"""Where a branch begins that shares nothing with others: before the first message."""


_first: Final = attrgetter("first")


class Range(NamedTuple):
    """Positions from `first` to `last`, both included."""

    first: Position
    last: Position = LAST_POSITION

    @property
    def is_open(self) -> bool:
        return self.last == LAST_POSITION


def clip(
    ranges: Iterable[Range], *, first: Position = START, last: Position = LAST_POSITION
) -> Iterator[Range]:
    """Yield the parts of ranges between two positions, both included."""
    for each in ranges:
        part = Range(max(each.first, first), min(each.last, last))
        if part.first <= part.last:
            yield part


def contains(ranges: Sequence[Range], position: Position) -> bool:
    """Return whether a position is in one of the ranges, which are in order."""
    at = bisect_right(ranges, position, key=_first) - 1
    return at >= 0 and position <= ranges[at].last


def merge(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Return ranges, which are in order, with adjacent ones joined."""
    found: list[Range] = []
    for each in ranges:
        if found and found[-1].last + 1 == each.first:
            found[-1] = Range(found[-1].first, each.last)
        else:
            found.append(each)
    return tuple(found)
