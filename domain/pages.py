"""Pages of lists, bounded in number and bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Generic, TypeVar

T = TypeVar("T")

NO_BOUND: Final = 2**62
"""More bytes than any page has."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some elements of a list, in its order. `more` means that others follow."""

    items: Sequence[T]
    more: bool


def count_fitting(sizes: Iterable[int], max_bytes: int, *, least: int = 1) -> int:
    """Return how many of the first elements fit on a page.

    The first `least` elements are always on it: an empty page would not advance.
    """
    fit = sum(total <= max_bytes for total in accumulate(sizes))
    return max(fit, least)
