#!/usr/bin/env python3
"""Searches a file of real conversations for what is in it, without a database.

Each message must be found by a sample of its words, their beginnings and its phrases. The index may
miss nothing, and highlights must be at places that have what was searched.

    .venv/bin/python .ci/check_search.py FILE
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from chatkeep.domain.search_parser import parse_query
from chatkeep.domain.search_query import merge
from chatkeep.domain.snippets import cut_snippet
from chatkeep.domain.terms import distinct_terms, find_tokens, index_term

MAX_CHARS = 20_000
TOKENS_OF_EACH = 2
PIECE = 25
SNIPPET = 120
_SYNTAX = str.maketrans('"*', "  ")


def main() -> int:
    began = time.monotonic()
    random = Random(14)  # noqa: S311 - the same sample each time
    messages = queries = 0
    for text in texts(Path(sys.argv[1])):
        messages += 1
        terms, tokens = distinct_terms(text), find_tokens(text)
        if terms != {index_term(token.term) for token in tokens}:
            return fail("the index has other terms than the text", text)
        for query in sample(text, random):
            queries += 1
            if problem := try_query(query, text, terms):
                return fail(f"{query!r}: {problem}", text)
    seconds = time.monotonic() - began
    print(f"{queries} queries found their {messages} messages in {seconds:.0f} seconds")  # noqa: T201
    return 0


def try_query(query: str, text: str, terms: set[str]) -> str | None:
    words = parse_query(query).words
    if not words:
        return None
    if not words.matches(text):
        return "the text is not found"
    for clause in words.clauses:
        if not any(sought.is_in(terms) for sought in clause):
            return f"the index misses {clause}"
    highlights = words.highlights(text)
    snippet = cut_snippet(text, highlights, SNIPPET)
    if not highlights or not snippet.highlights or len(snippet.text) > SNIPPET:
        return "nothing is highlighted"
    if any(not words.matches(text[start:end]) for start, end in merge(highlights)):
        return "what is highlighted is something else"
    return None


def sample(text: str, random: Random) -> Iterator[str]:
    """Yield queries, each of one phrase, that must find the text."""
    tokens = find_tokens(text)
    for token in random.sample(tokens, min(len(tokens), TOKENS_OF_EACH)):
        yield f'"{token.term}"'
        if len(token.term) > 1:
            yield f'"{token.term[: 1 + len(token.term) // 2]}"*'
        piece = text[token.start :][:PIECE].translate(_SYNTAX).rpartition(" ")[0]
        yield f'"{piece}"'


def texts(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            for message in json.loads(line)["messages"]:
                if isinstance(message.get("content"), str):
                    yield message["content"][:MAX_CHARS]


def fail(problem: str, text: str) -> int:
    print(f"FAILED {problem}\nin {text[:300]!r}")  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
