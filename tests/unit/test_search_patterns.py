"""Patterns rule out texts before they are compared, and never one that matches."""

import re
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatkeep.domain import search_patterns
from chatkeep.domain.folding import fold, fold_case
from chatkeep.domain.search_parser import parse_query
from chatkeep.domain.search_patterns import MOST_PATTERNS, patterns_of
from chatkeep.domain.term_places import TermPlaces
from chatkeep.domain.terms import find_tokens
from tests.support.search_quality import CASES, MESSAGES
from tests.support.service_process import some
from tests.unit.test_search_index import WORDS


def may_match(query: str, text: str) -> bool:
    return all(re.search(pattern, text) for pattern in patterns_of(parse_query(query).words))


@pytest.mark.parametrize("query", some(CASES, every=4))
def test_what_a_query_finds_has_its_patterns(query: str) -> None:
    words = parse_query(query).words
    for text in MESSAGES.values():
        assert may_match(query, text) or not words.matches(text), text


PIECES = st.sampled_from(
    [
        *(
            "don't",
            "E-Mail",
            "getUserName",
            "HTTPServer",
            "Müller",
            "MUELLER",
            "Straße",
            "Æsir",
            "œuvre",
        ),
        *(
            "café",
            "cafe\u0301",
            "na\u00adive",
            "O\u2019Brien",
            "ﬁne",
            "x²",
            "½",
            "\uff21\uff22",
            "naïve",
            "İstanbul",
        ),
        *(
            "中国語",
            "Привет",
            "ёлка",
            "שלום",
            "😀",
            "❤\ufe0f",
            "gpt4",
            "1,000",
            "C++",
            "þing",
            "ŉa",
            "bu\u0308",
        ),
    ]
)
SIGNS = st.sampled_from(
    [" ", "", "-", "\u2019", "'", ".", ", ", "…", " — ", "\n", "_", "/", "\u200b", "\x00", "“"]
)


@given(
    st.lists(st.tuples(PIECES, SIGNS), min_size=1, max_size=6), st.randoms(use_true_random=False)
)
def test_any_text_that_matches_has_the_patterns(
    pieces: list[tuple[str, str]], chance: Random
) -> None:
    text = "".join(piece + sign for piece, sign in pieces)
    check(text, chance)


@given(
    st.text(
        alphabet="中国語东豈\uf900のがか\u3099\u309bカｶﾞガー・㈱㌔한국\u1112\u1161\u11abภาษาำa1- \n"
        "、。\uff0c\u0301\ufe0f\u200b\u3007",
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
@example("か\u3099く", Random(1))
@example("中\u200b国語", Random(2))
def test_any_characters_of_scripts_without_spaces_that_match_have_the_patterns(
    text: str, chance: Random
) -> None:
    check(text, chance)


@given(st.text(max_size=30), st.randoms(use_true_random=False))
@example("ﬁ", Random(0))
def test_any_characters_that_match_have_the_patterns(text: str, chance: Random) -> None:
    check(text, chance)


def check(text: str, chance: Random) -> None:
    """Search a text for parts of it."""
    tokens = find_tokens(text)
    if not tokens:
        return
    token, other = chance.choice(tokens), chance.choice(tokens)
    part = text[min(token.start, other.start) : max(token.end, other.end)].replace('"', " ")
    for query in (
        token.term,
        f"{token.term} {other.term}",
        f"{token.term[:2]}*",
        f"{token.term[:3]}*",
        f'"{part}"',
        f'"{token.term}" OR {other.term}',
        f"{other.term[:5]}* OR absent",
    ):
        if parse_query(query).words.matches(text):
            assert may_match(query, text), query


def test_texts_without_the_words_are_ruled_out() -> None:
    text = "The café\u2019s menu — we saw a volcano… 🌋 and O'Brien, 中国語"
    for query in ("vulcano", '"menu volcano"', "vol* xyz", "olc*", "ca* zz*", "absent OR missing"):
        assert not may_match(query, text), query
    for query in ("cafes", "vol*", "obrien", '"saw a volcano"', "absent OR saw", "brien"):
        assert may_match(query, text), query


def test_texts_with_other_characters_or_in_another_order_are_ruled_out() -> None:
    text = "のことがある。我们\uff0c可以 GPT 4 한국어 café"
    for query in (
        "のあること",
        "以可",
        "国어",
        "국한",
        '"GPT 我们"',
        '"我们 한국"',
        "外 OR 内",
        "犬",
    ):
        assert not may_match(query, text), query
    for query in (
        "あること OR ことがある",
        "可以",
        "국어",
        '"可以 GPT"',
        '"我们 可以"',
        "外 OR 我",
    ):
        assert may_match(query, text), query
    assert patterns_of(parse_query("ภาษา").words) == ()  # its vowels have several forms


def test_patterns_are_few_and_short() -> None:
    for query in ("word " * 800, " ".join(f"w{n}ord" for n in range(500)), "x" * 4_000):
        found = patterns_of(parse_query(query).words)
        assert len(found) <= MOST_PATTERNS
        assert sum(map(len, found)) < 100_000


def test_a_known_character_never_becomes_letters_of_ascii_or_joins_words() -> None:
    """Those of large blocks alike are sampled."""
    other = re.compile(f"[{search_patterns.OTHER}]")
    same = re.compile(f"[{search_patterns.UNSPACED_SAME}]")
    for code in (*range(0x80, 0x3400), *range(0x3400, 0xFB00, 7), *range(0xFB00, 0x20000)):
        char = chr(code)
        if other.match(char):
            folded = fold(f"xa{char}bx")
            assert folded.startswith("xa"), hex(code)
            assert folded.endswith("bx"), hex(code)
            between = folded[2:-2].strip("'\".,-")
            assert between, hex(code)
            assert not re.search("[0-9a-z]", "".join(fold_case(between))), hex(code)
            assert set(same.findall(between)) <= {char}, hex(code)


@pytest.mark.parametrize("seed", range(5))
def test_a_word_between_spaces_is_found_without_its_terms(seed: int) -> None:
    chance = Random(seed)
    for _ in range(40):
        text = "".join(
            chance.choice(WORDS) + chance.choice([" ", "", "-", "/", ". ", "\n"]) for _ in range(4)
        )
        terms = {token.term for token in find_tokens(text)}
        for word in {word.lower() for word in WORDS}:
            words = parse_query(f'"{word}"').words
            for sought in words.sought.each:
                searched = TermPlaces(text, words.sought)
                assert not searched.has_alone(sought) or sought.term in terms, (sought, text)
