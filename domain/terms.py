"""Terms: what a text is found by.

    distinct_terms("Don't call getUserName()") ->
        {"dont", "don", "t", "call", "getusername", "get", "user", "name"}

A term is a folded word (`chatkeep.domain.folding`), one of the parts of a word, two successive
characters of a script that is written without spaces, or an emoji:

- `getUserName` and `gpt4` are also found by their parts, `snake_case` and `a.b.c` by their words.
- `don't`, `e-mail` and `1,000` are also found as `dont`, `email` and `1000`, and `C++` as `c++`.
- A run of n characters of Chinese has n - 1 pairs, and its last character is a term by itself. So
  one term begins with each character, and a prefix finds a single one.

Each term has a position. Successive words, parts and characters have successive positions; a whole
has the positions of its parts. That is how phrases are found.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from chatkeep.domain.folding import fold, fold_with_offsets
from chatkeep.domain.words import (
    ASCII_WORD,
    EMOJI_SEQUENCE,
    EMOJI_SEQUENCES,
    MAX_TERM_CHARS,
    RUN,
    RUNS,
    WORD,
    Word,
    emoji_of,
    matches,
    words_of,
)


class Token(NamedTuple):
    """A term in a text.

    It has the positions `first` to `last`. `start` and `end` are offsets into the text, in code
    points.
    """

    term: str
    first: int
    last: int
    start: int
    end: int


class TermsOfMatch(NamedTuple):
    """The terms of one match, with positions and offsets in it, and how many positions it has."""

    terms: tuple[tuple[str, int, int, int, int], ...]
    positions: int


def distinct_terms(text: str) -> set[str]:
    """Return the terms of a text for an index: each once, none over `MAX_TERM_CHARS`.

    They are the terms of `find_tokens`. None is empty, or has a NUL or an unpaired surrogate.
    """
    if not text.isascii():
        text = fold(text)
    if text.isascii():
        return _terms_of_words(set(ASCII_WORD.findall(text)))
    terms = _terms_of_words(set(WORD.findall(text)))
    for runs in RUNS.findall(text):
        for run in RUN.findall(runs):
            terms.update(map(str.__add__, run, run[1:]))
            terms.add(run[-1])
    for sequences in set(EMOJI_SEQUENCES.findall(text)):
        for emoji in set(EMOJI_SEQUENCE.findall(sequences)):
            terms.update(emoji_of(0, emoji).terms())
    return terms


def index_term(term: str) -> str:
    """Return the form of a term in an index: its first `MAX_TERM_CHARS` characters."""
    return term[:MAX_TERM_CHARS]


def find_tokens(text: str) -> list[Token]:
    """Return all terms of a text with their places, by position; a whole is before its parts."""
    folded, starts, ends = fold_with_offsets(text)
    return [
        Token(term, first, last, starts[start], ends[end - 1])
        for term, first, last, start, end in places(folded)
    ]


def places(folded: str) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield what `find_tokens` returns, with offsets into the folded text."""
    position = 0
    for match in matches(folded):
        start, text = match.start(), match[0]
        if match.lastgroup == "run":
            for index in range(len(text)):
                term = text[index : index + 2]
                offset = start + index
                yield term, position + index, position + index, offset, offset + len(term)
            position += len(text)
            continue
        found = terms_of_match(text)
        for term, first, last, begin, end in found.terms:
            yield term, position + first, position + last, start + begin, start + end
        position += found.positions


def terms_of_match(text: str) -> TermsOfMatch:
    """Return the terms of one match of words or emoji (`domain.words.matches`), not of a run."""
    return (_remembered if len(text) <= MAX_TERM_CHARS else _terms_of_match)(text)


def _terms_of_words(words: set[str]) -> set[str]:
    terms: set[str] = set()
    for word in words:
        lower = word.lower()
        if len(word) > MAX_TERM_CHARS:
            terms.update(index_term(term[0]) for term in _terms_of_match(word).terms)
        elif (word.isalpha() and word.isascii()) and (word[1:] == lower[1:] or word.isupper()):
            terms.add(lower)
        else:
            terms.update(term[0] for term in _remembered(word).terms)
    return terms


def _terms_of_match(text: str) -> TermsOfMatch:
    found: list[tuple[str, int, int, int, int]] = []
    position = 0
    for word in words_of(text):
        position = _place(word, position, found)
    return TermsOfMatch(tuple(found), position)


_remembered: Final = lru_cache(maxsize=16_384)(_terms_of_match)


def _place(word: Word, position: int, found: list[tuple[str, int, int, int, int]]) -> int:
    """Add the terms of a word, and return the position that follows it."""
    after = position + word.positions
    found.extend((form, position, after - 1, word.start, word.end) for form in word.forms)
    for part in word.parts:
        position = _place(part, position, found)
    return after
