"""What people find who search in many languages, on both adapters.

The messages are in conversations by language, and another user has the same ones.
"""

from itertools import groupby
from random import Random

import pytest

from chatkeep.domain.operations.selftest.builders import ALICE, BOB, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.search_parser import parse_query
from chatkeep.domain.search_use_cases import UsersQuery
from chatkeep.domain.terms import find_tokens
from tests.support.search_quality import CASES, MESSAGES
from tests.support.service_process import FULL

RANDOM = Random(14)
TEXTS = {text: name for name, text in MESSAGES.items()}
MADE_UP = 40


async def find(store: StoreUnderTest, query: str) -> set[str]:
    """Return the names of the messages that a query finds."""
    wanted = UsersQuery(parse_query(query), ALICE)
    found: list[str] = []
    after = None
    while True:
        page = await store.search.find(ALICE, wanted, after=after, limit=100)
        assert not page.left.conversations
        found += [TEXTS[hit.message.text] for hit in page.hits if hit.message]
        after = page.next
        if after is None:
            assert len(found) == len(set(found))
            return set(found)


def compare_all(query: str) -> set[str]:
    words = parse_query(query).words
    return {name for name, text in MESSAGES.items() if words.matches(text)}


def made_up() -> str:
    """Return a query of one to three parts, from two messages."""
    parts = []
    for text in RANDOM.sample(sorted(TEXTS), 2):
        token = RANDOM.choice(find_tokens(text))
        start = text[token.start :].replace('"', " ")
        term = token.term
        parts += [term, f'"{term}"', f'"{start[:12]}"', f"{term[:4]}*", f"{term[:2]}*", f"-{term}"]
    return RANDOM.choice((" ", " OR ")).join(RANDOM.sample(parts, RANDOM.randint(1, 3)))


@pytest.fixture
async def languages(store: StoreUnderTest) -> StoreUnderTest:
    for user_id in (ALICE, BOB):
        for _, names in groupby(MESSAGES, key=lambda name: name.partition("-")[0]):
            await store.start(*(new_message(MESSAGES[name]) for name in names), user_id=user_id)
    return store


async def test_each_query_finds_what_its_author_wants(
    languages: StoreUnderTest,
) -> None:
    for query in list(CASES)[:: 1 if FULL else 4]:
        assert await find(languages, query) == set(CASES[query].split()), query


async def test_any_query_finds_what_comparing_all_messages_finds(
    languages: StoreUnderTest,
) -> None:
    for query in {made_up() for _ in range(MADE_UP)}:
        assert await find(languages, query) == compare_all(query), query
