"""Searching takes a number of steps that is linear in the text and in the query.

Lines of Python that are run are counted, not time. What runs within one line is a regular
expression (tests/unit/test_regular_expressions.py) or one pass over a text.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from chatkeep.domain.folding import fold_with_offsets
from chatkeep.domain.search_parser import parse_query
from chatkeep.domain.snippets import cut_snippet
from chatkeep.domain.terms import distinct_terms, find_tokens

FEW, MANY = 100, 800

PIECES = {
    "one letter": "a",
    "words": "word ",
    "marks": "\u0301",
    "letters with marks": "e\u0301",
    "scripts by turns": "aあ",
    "Hangul letters": "\u1100\u1161",
    "Thai": "กิน",
    "joiners": "\u200d",
    "joined emoji": "👩\u200d",
    "emoji": "👍🏽",
    "hyphens": "a-",
    "apostrophes": "a'b-",
    "numbers": "1,000",
    "case": "aB",
    "signs": "a++",
    "Hebrew": 'א"',
    "ligatures": "\ufdfa",
    "NUL": "\0",
    "surrogates": "\ud800",
    "quotes": '"a',
    "parts of a query": 'a OR "b" -c* role:user ',
}


def steps(work: Callable[[str], object], text: str) -> int:
    work(text[:20])  # so that what is computed once is
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ANN401 - as sys.settrace has it
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work(text)
    finally:
        sys.settrace(before)
    return count


def show(text: str) -> object:
    words = parse_query('a "a a" 1* あ* -"x y" 가 กิ 👩').words
    words.matches(text)
    return cut_snippet(text, words.highlights(text), 200)


@pytest.mark.parametrize(
    "work", [distinct_terms, find_tokens, fold_with_offsets, parse_query, show]
)
@pytest.mark.parametrize("kind", PIECES)
def test_eight_times_as_much_takes_about_eight_times_as_many_steps(
    work: Callable[[str], object], kind: str
) -> None:
    few, many = steps(work, PIECES[kind] * FEW), steps(work, PIECES[kind] * MANY)
    assert many <= 12 * few + 500


def test_the_steps_of_other_work_are_counted() -> None:
    def compare_all(text: str) -> None:
        for _ in text:
            for _ in text:
                pass

    assert steps(compare_all, "a" * 400) > 12 * steps(compare_all, "a" * 50) + 500
