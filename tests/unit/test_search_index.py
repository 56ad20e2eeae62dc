"""The filters of segments: what a text has is never missed, and little else is found."""

from itertools import pairwise
from random import Random

import pytest

from chatkeep.domain.model import Position
from chatkeep.domain.phrases import Phrase, make_phrase
from chatkeep.domain.search_index import (
    SEGMENT_BYTES,
    IndexedText,
    Segment,
    build_segments,
    hashes,
    keys_of,
    keys_of_prefix,
    latest_lane,
    title_filter,
)
from chatkeep.domain.search_query import Expression
from chatkeep.domain.search_use_cases import may_match
from chatkeep.domain.terms import distinct_terms

WORDS = (
    "don't e-mail 1,000.50 C++ F# getUserName snake_case a.b.c café Straße naïve x86-64 U.S.A. "
    "rock'n'roll 中国語の勉強 ภาษาไทย hello WORLD gpt4 user@example.org /usr/bin/env -- ... "
    "'quoted' "
    "well-known-thing v1.2.3 3,141,592 O'Brien's it's Größe 한국어 👩‍👩‍👧 🇩🇪 fooBar_baz.qux-42 "
    + "long"
    * 30
).split()


def texts_of(chance: Random, count: int, words: int = 12) -> list[IndexedText]:
    return [
        IndexedText(
            Position(1_000 * (n + 1)),
            " ".join(
                chance.choice([*WORDS, f"word{chance.randrange(5_000)}"]) for _ in range(words)
            ),
            n,
        )
        for n in range(count)
    ]


def lanes_of(segment: Segment, lanes: int) -> list[tuple[Position, Position]]:
    """Return where these lanes are, the latest first."""
    found = []
    while lanes:
        first, last, lanes = latest_lane(segment.first, segment.last, segment.places, lanes)
        found.append((first, last))
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 300])
def test_the_lanes_of_a_segment_follow_each_other(count: int) -> None:
    for segment in build_segments(texts_of(Random(count), count)):
        lanes = lanes_of(segment, (1 << segment.lanes) - 1)
        assert len(lanes) == segment.lanes
        assert lanes[0][1] == segment.last
        assert lanes[-1][0] == segment.first
        for later, earlier in pairwise(lanes):
            assert earlier[0] <= earlier[1] == later[0] - 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 40, 300])
def test_every_key_of_every_message_is_found_in_its_lane(count: int) -> None:
    texts = texts_of(Random(count), count)

    segments = build_segments(texts)

    assert [s.first for s in segments] == sorted(s.first for s in segments)
    covered = 0
    for segment in segments:
        assert 1 <= segment.lanes <= 8
        within = [each for each in texts if segment.first <= each.position <= segment.last]
        covered += len(within)
        for text in within:
            for key in keys_of(distinct_terms(text.text)):
                lanes = lanes_of(segment, segment.may_have(key))
                assert any(first <= text.position <= last for first, last in lanes)
    assert covered == count


def test_what_is_not_there_is_seldom_found() -> None:
    segments = build_segments(texts_of(Random(1), 2_000))
    lanes = sum(segment.lanes for segment in segments)

    found = sum(
        segment.may_have(f"absent{n}").bit_count() for segment in segments for n in range(20)
    )

    assert found / (lanes * 20) < 0.04


def test_segments_are_bounded_unless_a_message_is_long() -> None:
    long = IndexedText(Position(50_001), "long " * SEGMENT_BYTES)
    texts = [*texts_of(Random(2), 50), long, IndexedText(Position(50_002), "short")]

    segments = build_segments(texts)

    for segment in segments:
        within = [each for each in texts if segment.first <= each.position <= segment.last]
        size = sum(len(each.text.encode()) for each in within)
        assert size <= SEGMENT_BYTES or within == [long]


def test_a_mark_tells_apart_other_versions_of_the_messages() -> None:
    texts = texts_of(Random(3), 5)
    marks = {
        build_segments(each)[0].mark
        for each in (texts, texts[:-1], [*texts[:-1], texts[-1]._replace(version=77)])
    }

    assert len(marks) == 3


@pytest.mark.parametrize(
    ("prefix", "text", "is_found"),
    [
        ("comput", "a computer", True),
        ("comp", "a computer", True),
        ("comp", "comp", True),
        ("compu", "comp", False),
        ("中", "中国語", True),
        ("語", "中国語", True),
        ("国語", "中国語", True),
    ],
)
def test_a_beginning_is_looked_up(prefix: str, text: str, *, is_found: bool) -> None:
    keys = keys_of_prefix(prefix)

    assert keys is not None
    assert bool(keys & keys_of(distinct_terms(text))) is is_found
    assert keys_of_prefix("abc") is None


def test_the_places_of_a_key_are_the_same_for_ever() -> None:
    """They are stored: another hash would need another index."""
    assert hashes("apple") == (2872523676, 56502550, 3421599634, 2774229224)
    assert title_filter("Order 1043").hex()


def phrase_of(term: str) -> Phrase:
    phrase, _ = make_phrase(term, is_prefix=False, most=64)
    assert phrase is not None
    return phrase


@pytest.mark.parametrize("seed", range(20))
def test_the_quick_comparison_refuses_no_text_that_matches(seed: int) -> None:
    chance = Random(seed)
    ascii_words = [word for word in WORDS if word.isascii() and word.strip("-.")]
    for _ in range(20):
        text = chance.choice([" ", "", "-", "/"]).join(chance.choices(ascii_words, k=4))
        for word in ascii_words:
            expression = Expression(((phrase_of(word),),))
            if expression.matches(text):
                assert may_match(expression, text), (word, text)
