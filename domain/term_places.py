"""The terms that a query asks for, and where a text has them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

from chatkeep.domain.folding import fold, fold_case, fold_with_offsets, folds_alike
from chatkeep.domain.terms import distinct_terms, index_term, terms_of_match
from chatkeep.domain.words import ASCII_WORD, JOINTS, MAX_TERM_CHARS, RUNS, matches

_JOINTS: Final = re.compile(f"[{re.escape(JOINTS)}]+")
_MOST_WORDS: Final = 16_384
_PAIR: Final = 2


class Sought(NamedTuple):
    """A term that a text must have, or the beginning of one if `is_prefix`."""

    term: str
    is_prefix: bool = False

    def is_in(self, terms: Iterable[str]) -> bool:
        """Return whether it is one of the terms of an index (`distinct_terms`)."""
        term = index_term(self.term)
        return term in terms or (self.is_prefix and any(each.startswith(term) for each in terms))


def _is_plain_word(sought: Sought) -> bool:
    return not sought.is_prefix and sought.term.isascii() and sought.term.isalnum()


def is_character(sought: Sought) -> bool:
    """Return whether it stands for one character of a script that is written without spaces."""
    return sought.is_prefix and len(sought.term) == 1 and RUNS.match(sought.term) is not None


class Place(NamedTuple):
    """Where a text has a term: its positions, and its offsets into the folded text."""

    first: int
    last: int
    start: int
    end: int


class _InWord(NamedTuple):
    """How many positions a word has, and where it has terms that are sought."""

    positions: int
    found: tuple[tuple[Sought, Place], ...]


class SoughtTerms:
    """The terms that a query asks for; each of them is `alone` if none must follow another.

    `words` has what was found in the words met so far: a query compares many texts, and most have
    the same words.
    """

    def __init__(self, sought: Iterable[Sought], *, alone: bool = False) -> None:
        self.each: Final = frozenset(sought)
        self.wholes: Final = {one.term: one for one in self.each if not one.is_prefix}
        self.characters: Final = {one.term: one for one in self.each if is_character(one)}
        self._prefixes = [one for one in self.each if one.is_prefix and not is_character(one)]
        self._beginnings = tuple(one.term for one in self._prefixes)
        self.are_plain_words: Final = alone and all(map(_is_plain_word, self.each))
        self.words: Final[dict[str, _InWord]] = {}

    def look_into(self, word: str) -> _InWord:
        """Return what a word of a folded text has, and remember it."""
        layout = terms_of_match(word)
        found = _InWord(layout.positions, tuple(self._among(layout.terms)))
        if len(word) <= MAX_TERM_CHARS:
            if len(self.words) >= _MOST_WORDS:
                self.words.clear()
            self.words[word] = found
        return found

    def _among(
        self, terms: Iterable[tuple[str, int, int, int, int]]
    ) -> Iterator[tuple[Sought, Place]]:
        for term, first, last, start, end in terms:
            if term in self.wholes:
                yield self.wholes[term], Place(first, last, start, end)
            if self._beginnings and term.startswith(self._beginnings):
                for one in self._prefixes:
                    if term.startswith(one.term):
                        yield one, Place(first, last, start, end)


class TermPlaces:
    """A text, and where it has the terms that a query asks for."""

    def __init__(self, text: str, sought: SoughtTerms) -> None:
        self.text = text
        self._sought = sought
        self._places: dict[Sought, list[Place]] | None = None

    @cached_property
    def folded(self) -> str:
        return fold(self.text)

    @cached_property
    def terms(self) -> set[str]:
        """The distinct terms of the text."""
        return distinct_terms(self.folded)

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """The folded text without case: twice if it has umlauts, which may be spelt out."""
        return tuple(dict.fromkeys(fold_case(self.folded)))

    @cached_property
    def joined(self) -> tuple[str, ...]:
        """The spellings without the signs that may join words."""
        return tuple(_JOINTS.sub("", each) for each in self.spellings)

    def may_have(self, sought: Sought) -> bool:
        """Return False if the text does not have a term. This is quick, and spares most texts.

        A word is in the text as it is, or divided by the signs that may join one.
        """
        term = sought.term
        return (
            not term.isalnum()
            or any(term in each for each in self.spellings)
            or any(term in each for each in self.joined)
        )

    def has_alone(self, sought: Sought) -> bool:
        """Return whether the text has a plain word between spaces, which decides quickly."""
        return _is_plain_word(sought) and _alone(sought.term).search(self.text) is not None

    def of(self, sought: Sought) -> Sequence[Place]:
        """Return where the text has a term, in order. Positions mean nothing for terms alone."""
        if self._places is None:
            self._places = self._find()
        return self._places.get(sought, ())

    def _find(self) -> dict[Sought, list[Place]]:
        found: dict[Sought, list[Place]] = {}
        words, look_into = self._sought.words, self._sought.look_into
        position = 0
        for match in self._matches():
            word = match[0]
            known = words.get(word)
            if known is None:
                if match.lastgroup == "run":
                    for sought, place in self._in_run(word, position, match.start()):
                        found.setdefault(sought, []).append(place)
                    position += len(word)
                    continue
                known = look_into(word)
            positions, here = known
            if here:
                offset = match.start()
                for sought, (first, last, start, end) in here:
                    place = Place(position + first, position + last, offset + start, offset + end)
                    found.setdefault(sought, []).append(place)
            position += positions
        return found

    def _matches(self) -> Iterator[re.Match[str]]:
        """Return the words, runs and emoji of the text: all, or those that have what is sought."""
        if self._sought.are_plain_words and self.folded.isascii():
            starts = self._starts()
            if starts is not None:
                return self._words_at(starts)
        return matches(self.folded)

    def _words_at(self, starts: Iterable[int]) -> Iterator[re.Match[str]]:
        text, end = self.folded, 0
        for start in starts:
            if start >= end:
                # No word goes across a space.
                words = ASCII_WORD.finditer(text, max(end, text.rfind(" ", end, start) + 1))
                found = next(word for word in words if word.end() > start)
                end = found.end()
                yield found

    def _starts(self) -> Sequence[int] | None:
        """Return where a text in ASCII has letters of plain words; None if signs divide some.

        It has as many then as without these signs: `don't` has one more of `dont`.
        """
        [lower], [joined] = self.spellings, self.joined
        starts: list[int] = []
        for term in self._sought.wholes:
            before = len(starts)
            at = lower.find(term)
            while at >= 0:
                starts.append(at)
                at = lower.find(term, at + len(term))
            if joined.count(term) != len(starts) - before:
                return None
        return sorted(starts)

    def _in_run(self, run: str, position: int, offset: int) -> Iterator[tuple[Sought, Place]]:
        """Yield the places of pairs and of single characters in a run."""
        wholes, characters = self._sought.wholes, self._sought.characters
        if wholes:
            for index in range(len(run)):
                term = run[index : index + _PAIR]
                if term in wholes:
                    at = position + index
                    yield wholes[term], Place(at, at, offset + index, offset + index + len(term))
        if characters:
            for index, char in enumerate(run):
                if char in characters:
                    at = position + index
                    yield characters[char], Place(at, at, offset + index, offset + index + 1)

    def offsets(self, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Yield spans of the folded text as offsets into the text itself."""
        if folds_alike(self.text):
            yield from spans
            return
        _, starts, ends = fold_with_offsets(self.text)
        for start, end in spans:
            yield starts[start], ends[end - 1]


@lru_cache(maxsize=256)
def _alone(term: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\S){term}(?![^\s,.!?]|[,.!?]\S)", re.IGNORECASE | re.ASCII)
