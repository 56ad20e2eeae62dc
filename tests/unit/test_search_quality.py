"""What people find who search in many languages."""

import pytest

from chatkeep.domain.search_parser import parse_query
from chatkeep.domain.terms import distinct_terms
from tests.support.search_quality import CASES, MESSAGES

TERMS = {name: distinct_terms(text) for name, text in MESSAGES.items()}


@pytest.mark.parametrize("query", CASES)
def test_a_query_finds_what_its_author_wants(query: str) -> None:
    words = parse_query(query).words
    found = {name for name, text in MESSAGES.items() if words.matches(text)}
    assert found == set(CASES[query].split())
    for name in found:
        assert words.highlights(MESSAGES[name])
        for clause in words.clauses:
            assert any(sought.is_in(TERMS[name]) for sought in clause)


def test_there_is_enough_of_it() -> None:
    assert len(CASES) >= 150
    assert len(MESSAGES) >= 120
    assert set(" ".join(CASES.values()).split()) <= MESSAGES.keys()
