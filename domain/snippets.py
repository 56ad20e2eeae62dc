"""Snippets: the part of a text that shows why it was found."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple
from unicodedata import category

from chatkeep.domain.search_query import Highlight, merge

_MOST_MOVED: Final = 24
"""The most characters that an end is moved, to a space."""


class Snippet(NamedTuple):
    """A part of a text: its characters from `start` to `end`, as they are.

    `highlights` are pairs of offsets into `text`, in code points, in order and without overlaps.
    """

    text: str
    start: int
    end: int
    highlights: list[tuple[int, int]]


def cut_snippet(text: str, highlights: Sequence[Highlight], length: int) -> Snippet:
    """Return at most `length` characters, around the highlights with most of the query's words.

    It begins and ends between words if there is a space close by, and never before a mark or in the
    middle of an emoji sequence. Without highlights it is the beginning of the text.
    """
    first, last = _best(highlights, length)
    spare = max(0, length - (last - first))
    start = max(0, first - spare // 3)
    end = min(len(text), start + length)
    start = max(0, min(start, end - length))
    if start > 0:
        start = _start_of_word(text, start, min(first, start + _MOST_MOVED))
    if end < len(text):
        end = _end_of_word(text, max(last, end - _MOST_MOVED, start + 1), end)
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    shown = [
        (max(left, start) - start, min(right, end) - start)
        for left, right in merge(highlights)
        if left < end and right > start
    ]
    return Snippet(text[start:end], start, end, shown)


def _best(highlights: Sequence[Highlight], length: int) -> tuple[int, int]:
    """Return the part to show: of those that fit, the one with the most different phrases.

    Of equal ones it is the one with the most highlights, then the first.
    """
    if not highlights:
        return 0, 0
    found = sorted(highlights)
    within: Counter[int] = Counter()
    best, first = (0, 0), 0
    part = (found[0].start, min(found[0].end, found[0].start + length))
    for last, highlight in enumerate(found):
        within[highlight.phrase] += 1
        while first < last and highlight.end - found[first].start > length:
            within[found[first].phrase] -= 1
            if not within[found[first].phrase]:
                del within[found[first].phrase]
            first += 1
        value = (len(within), last - first + 1)
        start = found[first].start
        if value > best and highlight.end - start <= length:
            best, part = value, (start, highlight.end)
    return part


def _start_of_word(text: str, start: int, latest: int) -> int:
    for at in range(start, latest + 1):
        if text[at - 1].isspace():
            return at
    while start < latest and _continues(text, start):
        start += 1
    return start


def _end_of_word(text: str, earliest: int, end: int) -> int:
    for at in range(end, earliest - 1, -1):
        if text[at].isspace():
            return at
    while end > earliest and _continues(text, end):
        end -= 1
    return end


def _continues(text: str, at: int) -> bool:
    """Return whether a character belongs to the one before it."""
    return (
        category(text[at])[0] == "M"
        or text[at] == "\u200d"
        or text[at - 1] == "\u200d"
        or "\U0001f3fb" <= text[at] <= "\U0001f3ff"
    )
