"""Pages: some of what was asked for, and bounded in bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Generic, TypeVar

T = TypeVar("T")

NO_BOUND: Final = 2**62
"""More bytes than any page has."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of what was asked for, in its order. `more`: there is something after the last one."""

    items: Sequence[T]
    more: bool


def fitting(sizes: Iterable[int], max_bytes: int, *, least: int = 1) -> int:
    """Return how many of the first ones a page has room for.

    The first `least` of them are on it however large they are: a page that is empty leads nowhere.
    """
    fit = sum(total <= max_bytes for total in accumulate(sizes))
    return max(fit, least)
