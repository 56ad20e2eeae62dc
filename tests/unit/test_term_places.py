"""Where a text has plain words is found without looking at its other words."""

from hypothesis import example, given
from hypothesis import strategies as st

from chatkeep.domain.folding import fold_with_offsets, folds_alike
from chatkeep.domain.search_parser import parse_query
from chatkeep.domain.term_places import Sought, SoughtTerms, TermPlaces
from chatkeep.domain.terms import places

WORDS = st.sampled_from([
    "a", "aa", "way", "away", "always", "don't", "dont", "e-mail", "email", "getName", "name",
    "a-a", "a,a", "1,000", "1000", "000", "U.S.A.", "usa", "café", "x-y-zed", "yzed", "n", "C++",
    "rock'n'roll", "c", "é",
])  # fmt: skip
JOINTS = st.sampled_from([" ", " ", "", "-", ".", ",", "'", '"', "/", "\n", "_", "."])


@given(st.lists(st.tuples(WORDS, JOINTS), max_size=12), st.lists(WORDS, min_size=1, max_size=3))
@example([("a", "-"), ("aa", " ")], ["aa"])
@example([("x-y-zed", "-"), ("a", "")], ["yzed"])
def test_words_alone_are_where_all_words_would_show_them(
    words: list[tuple[str, str]], wanted: list[str]
) -> None:
    text = "".join(word + joint for word, joint in words)
    sought = [Sought(word.lower()) for word in wanted]
    alone, among_all = (
        TermPlaces(text, SoughtTerms(sought, alone=is_alone)) for is_alone in (True, False)
    )
    for each in sought:
        expected = [(start, end) for _, _, start, end in among_all.of(each)]
        assert [(start, end) for _, _, start, end in alone.of(each)] == expected
        assert expected == [
            (start, end) for term, _, _, start, end in places(among_all.folded) if term == each.term
        ]


def test_words_of_a_query_are_alone_unless_one_must_follow_another() -> None:
    for query, is_alone in {"way home": True, "-way OR": True, '"way home"': False, "e-mail": False,
                            "way*": False, "c++": False}.items():  # fmt: skip
        assert parse_query(query).words.sought.are_plain_words is is_alone, query


def test_a_word_in_a_long_text_without_spaces_is_found_in_one_pass() -> None:
    text = "way/" * 20_000
    found = TermPlaces(text, SoughtTerms([Sought("way")], alone=True)).of(Sought("way"))
    assert [start for _, _, start, _ in found] == list(range(0, len(text), 4))


@given(st.text(alphabet="aé\u0301ßﬁ\u00ad½中가\u1100\u1161👩\u200d \ud800\0€", max_size=12))
def test_offsets_stay_where_each_character_becomes_one(text: str) -> None:
    if folds_alike(text):
        size = len(text)
        assert fold_with_offsets(text)[1:] == ([*range(size)], [*range(1, size + 1)])
