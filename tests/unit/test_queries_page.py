"""What docs/queries.md says is so."""

import re
from pathlib import Path

import pytest

from chatkeep.domain.search_parser import MAX_FILTERS, MAX_QUERY_CHARS, MAX_QUERY_TERMS, parse_query
from chatkeep.domain.search_query import Kind

PAGE = (Path(__file__).parents[2] / "docs/queries.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[tuple[list[str], list[str]]]:
    """Return what is in backquotes in the first two columns of the table below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line.split("|") for line in section.splitlines() if line.startswith("| ")][2:]
    return [(re.findall("`([^`]+)`", row[1]), re.findall("`([^`]+)`", row[2])) for row in table]


LANGUAGE, WORDS = rows("The language"), rows("What a word is")


@pytest.mark.parametrize("query", [query for queries, _ in LANGUAGE for query in queries])
def test_an_example_of_the_language_is_read_as_it_is_meant(query: str) -> None:
    parsed = parse_query(query)
    assert parsed.notes == ()
    assert not {reading.kind for reading in parsed.readings} & {Kind.TEXT, Kind.IGNORED}
    assert parsed.written == query


@pytest.mark.parametrize(("texts", "queries"), WORDS)
def test_an_example_of_a_word_is_found(texts: list[str], queries: list[str]) -> None:
    for query in queries:
        assert any(parse_query(query).words.matches(text) for text in texts), query


def test_the_tables_and_limits_are_there() -> None:
    assert len(LANGUAGE) >= 12
    assert len(WORDS) >= 15
    assert sum(bool(queries) for _, queries in WORDS) >= 14
    assert f"about {MAX_QUERY_TERMS} terms, {MAX_FILTERS} filters and {MAX_QUERY_CHARS:,}" in PAGE
