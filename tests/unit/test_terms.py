"""What a text is found by: its terms, their positions, and their places in the text."""

import unicodedata
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatkeep.domain.folding import fold, fold_case, fold_with_offsets
from chatkeep.domain.terms import distinct_terms, find_tokens, index_term, places
from chatkeep.domain.words import MAX_TERM_CHARS
from tests.unit.search_texts import TEXTS


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The cat sat.", "the cat sat"),
        ("Café CAFE cafe\u0301", "cafe"),
        ("Straße STRASSE", "strasse"),
        ("Müller", "muller mueller"),
        ("İSTANBUL ısı ISI", "istanbul isi"),
        ("Łódź Ærø", "lodz aero"),
        ("đường phố", "duong pho"),
        ("Ｆｕｌｌ ﬁne", "full fine"),
        ("٢٠٢٤ २०२४", "2024"),
        ("Мой мои ёлка", "мой мои елка"),
        ("Ὀδυσσεύς ΟΔΥΣΣΕΥΣ", "οδυσσευσ"),
        ("كِتَابٌ والمدرسة الله", "كتاب والمدرسه مدرسه الله"),
        ("שָׁלוֹם", "שלום"),
        ("हाँ क़लम हिन्दी", "हां कलम हिन्दी"),
        ("snake_case a.bc", "snake case a bc"),
        ("U.S.A. a.b.cd", "usa u s a ab b cd"),
        ("getUserName", "getusername get user name"),
        ("HTTPServer iPhone", "httpserver http server iphone i phone"),
        ("ORA-00942 0x7fff v1.2", "ora 00942 0x7fff v1 v 1 2"),
        ("gpt4 a1b2c3 aGVsbG8gd29ybGQ", "gpt4 gpt 4 a1b2c3 agvsbg8gd29ybgq"),
        ("/usr/lib?x=1", "usr lib x 1"),
        ("anna@example.com", "anna example com"),
        ("C++ and C#, A# b#c", "c++ c and c# a# a b"),
        ("don't user’s", "dont don t users user s"),
        ("e-mail T-Shirt-Größe x-y", "email e mail tshirt t shirt grosse groesse xy x y"),
        ("1,000,000 3.14", "1000000 1 000 3 14"),
        ('צה"ל', "צהל צה ל"),
        ("می‌خواهم", "ميخواهم مي خواهم"),
        ("日本語", "日本 本語 語"),
        ("学", "学"),
        ("食べる", "食べ べる る"),
        ("ｶﾞﾗｽ", "ガラ ラス ス"),
        ("학교에서", "학교 교에 에서 서"),
        ("ไทย", "ไท ทย ย"),
        ("Python入門", "python 入門 門"),
        ("👍🏽 ❤️", "👍 ❤"),
        ("🇩🇪🇫🇷", "🇩🇪 🇫🇷"),
        ("👩🏽‍💻", "👩‍💻 👩 💻"),
        ("!?… → \0\ud800", ""),
    ],
)
def test_a_text_is_found_by(text: str, terms: str) -> None:
    expected = set(terms.split())
    if "C#" in text:
        expected.add("c")
    assert distinct_terms(text) == expected


def test_successive_words_have_successive_positions_and_a_whole_has_those_of_its_parts() -> None:
    assert [tuple(token) for token in find_tokens("Call getName now")] == [
        ("call", 0, 0, 0, 4),
        ("getname", 1, 2, 5, 12),
        ("get", 1, 1, 5, 8),
        ("name", 2, 2, 8, 12),
        ("now", 3, 3, 13, 16),
    ]


def test_each_character_of_a_run_has_a_position() -> None:
    assert [(t.term, t.first, t.start, t.end) for t in find_tokens("a日本語 b")] == [
        ("a", 0, 0, 1),
        ("日本", 1, 1, 3),
        ("本語", 2, 2, 4),
        ("語", 3, 3, 4),
        ("b", 4, 5, 6),
    ]


def test_offsets_are_those_of_the_text_as_it_was_written() -> None:
    text = "ﷺ e\u0301te\u0301 ㎏ ｶﾞ"
    found = {token.term: text[token.start : token.end] for token in find_tokens(text)}
    assert found["ete"] == "e\u0301te\u0301"
    assert found["kg"] == "㎏"
    assert found["ガ"] == "ｶﾞ"
    assert found["صلي"] == "ﷺ"


def test_an_index_has_the_beginning_of_a_long_term() -> None:
    assert distinct_terms("x" * 1_000) == {"x" * MAX_TERM_CHARS}
    assert index_term("x" * 1_000) == "x" * MAX_TERM_CHARS
    assert [token.term for token in find_tokens("x" * 1_000)] == ["x" * 1_000]


def test_every_version_of_python_folds_alike_now_and_later() -> None:
    """An index is found by what folds a query later.

    With another digest, increase `domain.search_index.INDEX_VERSION`, so that indexes are made
    again.
    """
    # Without Han, Hangul and surrogates, and the capitals that Unicode 16 adds to old alphabets.
    codes = {*range(0x3400), *range(0xA000, 0xAC00), *range(0xE000, 0x10000)}
    digest = sha256()
    for code in sorted(codes - {0x1C89, 0xA7CB, 0xA7CC, 0xA7DA, 0xA7DC}):
        folded = fold(chr(code))
        digest.update(" ".join((folded, *fold_case(folded), "")).encode())
    assert digest.hexdigest() == "098011e3a815c94f8565af7dd353519c6dc9b8f305e2da7588a0a74916b6e94d"


@given(TEXTS)
@example("1\u20e3 \u09c7\u09be \u3131\u314f")
def test_folding_again_changes_nothing(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    for term in distinct_terms(text):
        assert term in distinct_terms(term)


@given(TEXTS)
@example("\uac00\u200b\u11a8 \u3131\u00ad\u314f")
def test_folding_with_offsets_folds_alike(text: str) -> None:
    folded, starts, ends = fold_with_offsets(text)
    assert folded == fold(text)
    assert len(folded) == len(starts) == len(ends)
    assert starts == sorted(starts)
    assert all(0 <= start < end <= len(text) for start, end in zip(starts, ends, strict=True))


@given(TEXTS)
def test_the_index_has_exactly_the_terms_that_have_places(text: str) -> None:
    assert distinct_terms(text) == {index_term(token.term) for token in find_tokens(text)}


@given(TEXTS)
def test_no_term_is_empty_long_or_refused_by_a_database(text: str) -> None:
    for term in distinct_terms(text):
        assert 1 <= len(term) <= MAX_TERM_CHARS
        assert "\0" not in term
        assert not any(char.isspace() for char in term)
        term.encode()


@given(TEXTS)
@example("aaa™a")
def test_the_place_of_a_term_yields_it_again(text: str) -> None:
    """A place is made of whole characters: that of `t` in `aaa™a` is the `™`, which yields `tm`."""
    folded, starts, ends = fold_with_offsets(text)
    for term, _, _, start, end in places(folded):
        place = text[starts[start] : ends[end - 1]]
        terms = {again.term for again in find_tokens(place)}
        is_whole = fold(place) == folded[start:end]
        assert term in terms if is_whole else any(term in each for each in terms)


@given(TEXTS)
def test_positions_leave_no_gap(text: str) -> None:
    tokens = find_tokens(text)
    taken = {place for token in tokens for place in range(token.first, token.last + 1)}
    assert taken == set(range(len(taken)))
    assert [token.first for token in tokens] == sorted(token.first for token in tokens)


@given(TEXTS, st.sampled_from(["NFC", "NFD"]))
def test_the_way_in_which_it_is_normalised_makes_no_difference(text: str, form: str) -> None:
    again = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    assert distinct_terms(again) == distinct_terms(text)


@given(st.text(alphabet="abcXYZäÖéßσςΣжЖіÇñ ", max_size=30))
def test_case_makes_no_difference_to_the_wholes(text: str) -> None:
    lower = distinct_terms(text.lower())
    assert lower <= distinct_terms(text)
    assert lower == distinct_terms(text.casefold())
