"""How a query is read, and what it matches."""

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatkeep.domain.model import Role, Status
from chatkeep.domain.phrases import make_phrase
from chatkeep.domain.search_filters import Filters, Has
from chatkeep.domain.search_parser import (
    MAX_FILTERS,
    MAX_QUERY_CHARS,
    MAX_QUERY_TERMS,
    parse_query,
)
from chatkeep.domain.search_query import Kind, merge
from chatkeep.domain.snippets import cut_snippet
from chatkeep.domain.term_places import SoughtTerms, TermPlaces
from chatkeep.domain.terms import distinct_terms, find_tokens
from tests.unit.search_texts import PIECES, TEXTS

SYNTAX = st.sampled_from(
    [
        *(" ", " ", '"', "-", "OR", " OR ", "*", "role:", "role:user", "in:", "in:x", "title:"),
        *("has:file", "before:2024", "after:", "is:active", ":", "“", "”", "a", "b", "budget"),
        *("--", "\u3000"),
    ]
)
QUERIES = st.lists(SYNTAX | PIECES, max_size=20).map("".join)


def matches(query: str, text: str) -> bool:
    return parse_query(query).words.matches(text)


def shown(query: str, text: str) -> list[str]:
    return [text[start:end] for start, end in merge(parse_query(query).words.highlights(text))]


@pytest.mark.parametrize(
    ("query", "text", "marked"),
    [
        ("cat", "The Cat sat", ["Cat"]),
        ("cat sat", "sat the cat", ["sat", "cat"]),
        ('"the cat"', "see the cat", ["the cat"]),
        ("cat OR dog", "a dog", ["dog"]),
        ("cat OR dog hot", "a hot dog", ["hot", "dog"]),
        ("bud*", "the budget", ["budget"]),
        ('"annual bud*"', "the annual budget", ["annual budget"]),
        ("cat -dog", "the cat", ["cat"]),
        ("getUserName", "call get_user_name()", ["get_user_name"]),
        ("getusername", "call getUserName()", ["getUserName"]),
        ("UserName", "call getUserName()", ["UserName"]),
        ("iPhone", "my iphone", ["iphone"]),
        ("iphone", "my iPhone", ["iPhone"]),
        ('"iphone 12"', "my iPhone 12", ["iPhone 12"]),
        ('"iPhone 12"', "my IPHONE 12", ["IPHONE 12"]),
        ("iPh*", "my iphone", ["iphone"]),
        ("a.b.c", "in a.b.c now", ["a.b.c"]),
        ("C++", "C and C++", ["C++"]),
        ("C", "C++", ["C"]),
        ("ORA-00942", "error ORA-00942:", ["ORA-00942"]),
        ("1.2.3", "since v1.2.3", ["1.2.3"]),
        ("gpt-4", "GPT4 said", ["GPT4"]),
        ("email", "an E-Mail", ["E-Mail"]),
        ("e-mail", "an email", ["email"]),
        ("1000000", "1,000,000 rows", ["1,000,000"]),
        ("cafe", "un café", ["café"]),
        ("usa", "in the U.S.A.", ["U.S.A"]),
        ("كتاب", "هذا الكتاب", ["كتاب"]),
        ("ora-0*", "error ORA-00942:", ["ORA-00942"]),
        ("＂the cat＂ －dog", "see the cat", ["the cat"]),
        ("CAFÉ", "un cafe", ["cafe"]),
        ("Mueller", "Frau Müller", ["Müller"]),
        ("Müller", "Frau Mueller", ["Mueller"]),
        ("strasse", "Straße", ["Straße"]),
        ("日本語", "私は日本語を学ぶ", ["日本語"]),
        ("語", "私は日本語を学ぶ", ["語"]),
        ("日本語 学ぶ", "私は日本語を学ぶ", ["日本語", "学ぶ"]),
        ("日本語Python", "日本語 Python", ["日本語 Python"]),
        ("학교", "학교에서 공부", ["학교"]),
        ("ข้าว", "กินข้าวแล้ว", ["ข้าว"]),
        ("👩\u200d💻", "a 👩🏽\u200d💻!", ["👩🏽\u200d💻"]),
        ("👩", "a 👩🏽\u200d💻!", ["👩🏽"]),
        ("٢٠٢٤", "in 2024", ["2024"]),
    ],
)
def test_a_query_finds_and_marks(query: str, text: str, marked: list[str]) -> None:
    assert matches(query, text)
    assert shown(query, text) == marked


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("cat dog", "the cat"),
        ('"cat the"', "the cat"),
        ("cat OR dog", "the cow"),
        ("cat -sat", "the cat sat"),
        ("cat", "category"),
        ("get_name", "get the name"),
        ("C++", "C and ++"),
        ("الكتاب", "كتاب"),
        ("日学", "日本語を学ぶ"),
        ("мой", "мои"),
        ("🇩🇪", "🇫🇷"),
        ('"a b"', "a. x b"),
        ("-cat", "the cat"),
    ],
)
def test_a_query_does_not_find(query: str, text: str) -> None:
    assert not matches(query, text)


def test_filters_are_read() -> None:
    filters = parse_query(
        'role:user role:ASSISTANT -role:tool in:abc in:"a b" -in:d is:archived has:tool -has:file '
        "after:2024 before:2024-06"
    ).filters
    assert filters == Filters(
        roles=frozenset({Role.USER, Role.ASSISTANT}),
        not_roles=frozenset({Role.TOOL}),
        conversations=frozenset({"abc", "a b"}),
        not_conversations=frozenset({"d"}),
        statuses=frozenset({Status.ARCHIVED}),
        has=frozenset({Has.TOOL}),
        not_has=frozenset({Has.FILE}),
        after=datetime(2024, 1, 1, tzinfo=UTC),
        before=datetime(2024, 6, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024", datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-02", datetime(2024, 2, 1, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2024/02/29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2024-02-29T10:30", datetime(2024, 2, 29, 10, 30, tzinfo=UTC)),
        ("2024-02-29t10:30:00z", datetime(2024, 2, 29, 10, 30, tzinfo=UTC)),
        ("2024-02-29T10:30:00.5+02:00", datetime(2024, 2, 29, 8, 30, 0, 500_000, tzinfo=UTC)),
        ("２０２４", datetime(2024, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_those_of_utc(value: str, moment: datetime) -> None:
    assert parse_query(f"after:{value}").filters.after == moment
    assert parse_query(f"before:{value}").filters.before == moment
    assert parse_query(f'after:"{value}"').filters.after == moment


def test_of_several_times_the_narrowest_counts() -> None:
    filters = parse_query("after:2023 after:2024 before:2026 before:2025").filters
    assert filters.accept_time(datetime(2024, 1, 1, tzinfo=UTC))
    assert not filters.accept_time(datetime(2023, 12, 31, tzinfo=UTC))
    assert not filters.accept_time(datetime(2025, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "query",
    [
        *("role:king", "is:old", "has:teeth", "before:noon", "after:2024-02-30", "-before:2024"),
        *("after:0001-01-01T00:00+05:00", "before:99999", "after:20", f"in:{'x' * 256}", 'in:""'),
    ],
)
def test_what_is_not_a_filter_is_searched_as_text_and_said(query: str) -> None:
    parsed = parse_query(query)
    assert not parsed.filters
    (reading,) = parsed.readings
    assert reading.kind is Kind.TEXT
    assert reading.note
    assert "is not a filter" in reading.note
    assert parsed.words.matches(query) is not query.startswith("-")


def test_titles_are_searched_apart() -> None:
    parsed = parse_query('title:budget -title:"old plan" cost')
    assert parsed.title.matches("The Budget")
    assert not parsed.title.matches("The budget: old plan")
    assert parsed.words.matches("cost")
    assert not parsed.words.matches("budget")


def test_negatives_alone_match_all_else_and_have_no_clauses() -> None:
    parsed = parse_query("-cat")
    assert not parsed.is_empty
    assert parsed.words.clauses == ()
    assert parsed.words.matches("a dog")
    assert parsed.words.matches("")


def test_filters_alone_match_every_text() -> None:
    parsed = parse_query("role:user")
    assert not parsed.is_empty
    assert parsed.words.matches("anything")


@pytest.mark.parametrize("query", ["", "  ", "!!!", '""', "-", "*", "--", "\ud800", "\0"])
def test_without_anything_to_search_for_a_query_is_empty(query: str) -> None:
    parsed = parse_query(query)
    assert parsed.is_empty
    assert all(reading.kind is Kind.IGNORED for reading in parsed.readings)


def test_a_query_says_how_it_was_read() -> None:
    parsed = parse_query('bud* OR "annual plan" -draft role:user OR a*')
    assert [(r.kind, r.written, r.without, r.group) for r in parsed.readings] == [
        (Kind.PREFIX, "bud*", False, 1),
        (Kind.PHRASE, '"annual plan"', False, 1),
        (Kind.WORD, "-draft", True, 0),
        (Kind.FILTER, "role:user", False, 0),
        (Kind.TEXT, "OR", False, 0),
        (Kind.PREFIX, "a*", False, 0),
    ]
    assert parsed.notes == (
        "OR joins two words or phrases; here it was searched as a word.",
        "a* needs at least 2 characters before the star, so it was searched as it is.",
    )


def test_the_number_of_terms_is_bounded_and_what_is_ignored_is_said() -> None:
    parsed = parse_query(" ".join(f"w{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(500)))
    assert len(parsed.words.sought.each) == MAX_QUERY_TERMS
    assert parsed.notes == (
        f"A query has at most about {MAX_QUERY_TERMS} terms; the others are ignored.",
    )


def test_of_a_long_phrase_the_beginning_is_searched() -> None:
    text = "".join(chr(0x4E00 + n) for n in range(300))
    parsed = parse_query(text)
    assert len(parsed.words.sought.each) <= MAX_QUERY_TERMS + 1
    assert parsed.words.matches(text)
    assert "only the beginning" in parsed.notes[0]


def test_the_number_of_filters_is_bounded() -> None:
    parsed = parse_query(" ".join(f"in:{n}" for n in range(100)))
    assert len(parsed.filters.conversations) == MAX_FILTERS
    assert f"at most {MAX_FILTERS} filters" in parsed.notes[0]


def test_the_length_of_a_query_is_bounded() -> None:
    parsed = parse_query("a " * MAX_QUERY_CHARS)
    assert any("characters of the query" in note for note in parsed.notes)


@given(QUERIES)
@example(" OR - OR role:")
@example("a ! OR b")
@example("OR OR OR")
def test_a_query_is_never_an_error_and_reads_the_same_as_it_is_written(query: str) -> None:
    parsed = parse_query(query)
    again = parse_query(parsed.written)
    assert (again.words, again.title, again.filters) == (
        parsed.words,
        parsed.title,
        parsed.filters,
    )
    assert again.written == parsed.written


@given(TEXTS)
def test_every_term_of_a_text_finds_it(text: str) -> None:
    for token in find_tokens(text):
        query = parse_query(f'"{token.term}"').words
        assert query.matches(text), token
        assert query.highlights(text)


@given(TEXTS, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_a_text_finds_itself_however_it_is_normalised(text: str, form: str) -> None:
    quoted = text.translate(dict.fromkeys(map(ord, '"*')))
    query = parse_query(f'"{quoted[:60]}"').words
    assert query.matches(text.translate(dict.fromkeys(map(ord, '"*'))))
    if form in {"NFC", "NFD"}:
        assert query.matches(unicodedata.normalize(form, quoted))  # type: ignore[arg-type]


@given(QUERIES, TEXTS)
def test_the_index_misses_nothing(query: str, text: str) -> None:
    words = parse_query(query).words
    terms = distinct_terms(text)
    if words.matches(text):
        for clause in words.clauses:
            assert any(sought.is_in(terms) for sought in clause)


@given(QUERIES, TEXTS)
def test_what_matches_is_what_has_places(query: str, text: str) -> None:
    words = parse_query(query).words
    searched = TermPlaces(text, words.sought)
    wanted = all(any(phrase.find(searched) for phrase in group) for group in words.all_of)
    unwanted = any(phrase.find(searched) for phrase in words.none_of)
    assert words.matches(text) is (wanted and not unwanted)
    for sought in words.sought.each:
        if searched.of(sought):
            assert searched.may_have(sought)


@given(
    st.lists(st.tuples(PIECES, st.sampled_from([" ", "", "-", ". ", "_", ", ", "\u2014", "'"]))),
    st.integers(0, 10),
    st.integers(1, 4),
    st.sampled_from([" ", "-", "/"]),
    st.sampled_from(["swapcase", "strip"]),
)
@example([("getName", " "), ("e-mail", " "), ("a", "")], 0, 3, " ", "swapcase")
@example([("don't", " "), ("é", "_"), ("Z", "-"), ("a", "")], 1, 3, "/", "strip")
@example([("gpt4", ""), ("1,000", "."), ("a", "'"), ("C++", " "), ("z", "")], 0, 3, " ", "swapcase")
@example([("ß", " "), ("Ä", " "), ("Ö", " ")], 0, 3, " ", "strip")
@example([("a", " "), ("ﷺ", " "), ("z", " ")], 0, 3, " ", "strip")
def test_a_phrase_is_never_ruled_out_where_the_text_has_it(
    words: list[tuple[str, str]],
    start: int,
    count: int,
    between: str,
    change: str,
) -> None:
    text = "".join(word + after for word, after in words)
    written = between.join(word for word, _ in words[start : start + count])
    phrase, _ = make_phrase(getattr(written, change)(), is_prefix=False, most=64)
    if phrase is None:
        return
    searched = TermPlaces(text, SoughtTerms(edge.sought for edge in phrase.edges))
    quickly = all(any(map(searched.may_have, clause)) for clause in phrase.clauses)
    if phrase.find(searched):
        assert quickly
        assert phrase.may_be_in(searched)


def test_words_in_another_order_are_ruled_out_without_finding_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = parse_query('"annual budget report"').words
    monkeypatch.delattr(TermPlaces, "_find")

    for text in ("report budget annual", "annual budgets, report", "Café: annual report budget"):
        assert not words.matches(text)


@given(QUERIES, TEXTS)
def test_what_matches_is_highlighted_at_places_of_the_text(query: str, text: str) -> None:
    words = parse_query(query).words
    highlights = words.highlights(text)
    if words.all_of and words.matches(text):
        assert {highlight.phrase for highlight in highlights}
    for start, end in merge(highlights):
        assert 0 <= start < end <= len(text)


@given(QUERIES, TEXTS, st.integers(1, 40))
def test_a_snippet_is_a_part_of_the_text_with_its_highlights(
    query: str, text: str, length: int
) -> None:
    highlights = parse_query(query).words.highlights(text)
    snippet = cut_snippet(text, highlights, length)
    assert snippet.text == text[snippet.start : snippet.end]
    assert len(snippet.text) <= length
    whole = merge(highlights)
    for start, end in snippet.highlights:
        assert 0 <= start < end <= len(snippet.text)
        assert any(
            left <= snippet.start + start and snippet.start + end <= right for left, right in whole
        )
    if whole:
        assert snippet.highlights


def test_a_snippet_is_cut_between_words_around_most_of_the_query() -> None:
    text = "budget " + "filler words go here " * 20 + "the annual budget plan " + "and more " * 30
    snippet = cut_snippet(text, parse_query("annual budget").words.highlights(text), 60)
    assert "the annual budget plan" in snippet.text
    assert len(snippet.text) <= 60
    assert text[snippet.start - 1] == " "
    assert text[snippet.end] == " "
    assert [snippet.text[a:b] for a, b in snippet.highlights] == ["annual", "budget"]


def test_a_snippet_without_highlights_is_the_beginning() -> None:
    assert cut_snippet("one two three four", [], 10).text == "one two"
    assert cut_snippet("short", [], 10) == ("short", 0, 5, [])
    assert cut_snippet("", [], 10) == ("", 0, 0, [])
