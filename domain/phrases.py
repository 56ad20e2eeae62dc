"""A word or a phrase of a query, and where a text has it.

A phrase is a graph. Its nodes are the borders between its positions, and each edge from one node to
a later one is a term that the text must have there: `getName` is one edge, `getname`, or two,
`get` and `name`. The text has the phrase where its successive terms make a way from the first node
to the last.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from chatkeep.domain.folding import fold, fold_case, fold_with_offsets
from chatkeep.domain.terms import distinct_terms, index_term, places
from chatkeep.domain.words import JOINTS, RUNS, Run, Word, split

MIN_PREFIX_CHARS: Final = 2
"""The least characters of `prefix*` alone. A single one begins too many words."""

_WITHOUT_JOINTS: Final = dict.fromkeys(map(ord, JOINTS))


class Sought(NamedTuple):
    """A term that a text must have, or the beginning of one if `is_prefix`."""

    term: str
    is_prefix: bool = False

    def is_in(self, terms: Iterable[str]) -> bool:
        """Return whether it is one of the terms of an index (`distinct_terms`)."""
        term = index_term(self.term)
        return term in terms or (self.is_prefix and any(each.startswith(term) for each in terms))


class Edge(NamedTuple):
    """A way from the node `start` to the node `end`: a term, and the positions to skip after it."""

    start: int
    end: int
    sought: Sought
    skipped: int = 0


class Place(NamedTuple):
    """Where a text has a term: its positions, and its offsets into the folded text."""

    first: int
    last: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Phrase:
    """One word, or successive ones, that a text must have.

    `edges` are in the order of their starts. Each of the `clauses` has terms of which the text has
    one at least if it has the phrase.
    """

    edges: tuple[Edge, ...]
    clauses: tuple[frozenset[Sought], ...]

    @property
    def is_term(self) -> bool:
        """Return whether the clauses alone decide."""
        return (
            len(self.clauses) == 1
            and all(not edge.start for edge in self.edges)
            and all(index_term(edge.sought.term) == edge.sought.term for edge in self.edges)
        )

    def find(self, text: "SearchedText") -> list[tuple[int, int]]:
        """Return where the text has the phrase: offsets into the folded text, in order."""
        last = max(edge.end for edge in self.edges)
        # By node: the position to go on at, and where the way there began.
        ways: list[dict[int, int]] = [{} for _ in range(last + 1)]
        found: list[tuple[int, int]] = []
        for edge in self.edges:
            here, there = ways[edge.start], ways[edge.end]
            for place in text.places(edge.sought):
                if edge.start == 0:
                    start = place.start
                elif place.first in here:
                    start = here[place.first]
                else:
                    continue
                after = place.last + 1 + edge.skipped
                there[after] = max(start, there.get(after, start))
                if edge.end == last:
                    found.append((start, place.end))
        return sorted(found)


class SearchedText:
    """A text with the places of those terms that a query asks for."""

    def __init__(self, text: str, sought: Iterable[Sought]) -> None:
        self.text = text
        self._sought = frozenset(sought)
        self._places: dict[Sought, list[Place]] | None = None
        self._terms: set[str] | None = None
        self._spellings: tuple[str, ...] | None = None
        self._is_ambiguous = False

    @property
    def terms(self) -> set[str]:
        """The distinct terms of the text."""
        if self._terms is None:
            self._terms = distinct_terms(self.text)
        return self._terms

    def may_have(self, sought: Sought) -> bool:
        """Return False if the text does not have a term. This is quick, and spares most texts.

        A word is in the text as it is, or divided by the signs that may join one.
        """
        if self._spellings is None:
            forms = fold_case(fold(self.text))
            self._is_ambiguous = len(forms) > 1
            self._spellings = tuple(
                dict.fromkeys((*forms, *(form.translate(_WITHOUT_JOINTS) for form in forms)))
            )
        return not sought.term.isalnum() or any(sought.term in form for form in self._spellings)

    def has_alone(self, sought: Sought) -> bool:
        """Return whether the text has a plain word between spaces, which decides quickly."""
        if sought.is_prefix or not (sought.term.isascii() and sought.term.isalnum()):
            return False
        return _alone(sought.term).search(self.text) is not None

    def may_have_in_succession(self, phrase: Phrase) -> bool:
        """Return False if the text does not have the words of a phrase one after the other.

        It takes a hundredth of the time of finding them. Only texts with one spelling are told.
        """
        if self._spellings is None or self._is_ambiguous:
            return True
        succession = _succession(phrase.edges)
        return succession is None or succession.search(self._spellings[-1]) is not None

    def places(self, sought: Sought) -> Sequence[Place]:
        if self._places is None:
            self._places = self._find()
        return self._places.get(sought, ())

    def _find(self) -> dict[Sought, list[Place]]:
        wholes = {each.term: each for each in self._sought if not each.is_prefix}
        prefixes = [each for each in self._sought if each.is_prefix]
        beginnings = tuple(each.term for each in prefixes)
        found: dict[Sought, list[Place]] = {}
        for term, first, last, start, end in places(fold(self.text)):
            place = Place(first, last, start, end)
            if term in wholes:
                found.setdefault(wholes[term], []).append(place)
            if beginnings and term.startswith(beginnings):
                for each in prefixes:
                    if term.startswith(each.term):
                        # One character of a script without spaces is not the pair it begins.
                        shown = place._replace(end=start + 1) if is_character(each) else place
                        found.setdefault(each, []).append(shown)
        return found

    def offsets(self, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Yield spans of the folded text as offsets into the text itself."""
        _, starts, ends = fold_with_offsets(self.text)
        for start, end in spans:
            yield starts[start], ends[end - 1]


@lru_cache(maxsize=256)
def _alone(term: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\S){term}(?![^\s,.!?]|[,.!?]\S)", re.IGNORECASE | re.ASCII)


@lru_cache(maxsize=256)
def _succession(edges: tuple[Edge, ...]) -> re.Pattern[str] | None:
    """Return what a text without joints has wherever it has the phrase; None if that is unknown.

    It is known of plain words: then only other signs, or none, are between two of them.
    """
    words: list[list[str]] = [[] for _ in range(max(edge.end for edge in edges))]
    for edge in edges:
        term = edge.sought.term
        if edge.end != edge.start + 1 or not (term.isascii() and term.isalnum()):
            return None
        words[edge.start].append(term)
    return re.compile(r"[\W_]*+".join(f"(?:{'|'.join(terms)})" for terms in words))


def is_character(sought: Sought) -> bool:
    """Return whether it stands for one character of a script that is written without spaces."""
    return sought.is_prefix and len(sought.term) == 1 and RUNS.match(sought.term) is not None


def make_phrase(text: str, *, is_prefix: bool, most: int) -> tuple[Phrase | None, bool]:
    """Return the phrase that a text is, and whether all of it is in the phrase.

    None if the text has no terms. `is_prefix` means that its last word is the beginning of one. The
    phrase has about `most` edges at most, so that the end of a long text is not in it.
    """
    edges: list[Edge] = []
    clauses: list[frozenset[Sought]] = []
    node = 0
    elements = list(split(fold(text)))
    for index, element in enumerate(elements):
        if len(edges) >= most:
            return _phrase(edges, clauses), False
        begins = is_prefix and index == len(elements) - 1 and not _is_short(elements)
        if isinstance(element, Run):
            chars = element.chars[: most - len(edges) + 1]
            edges += _edges_of_run(chars, node)
            node += len(chars)
            clauses += [frozenset({edge.sought}) for edge in _edges_of_run(chars, 0)]
            if len(chars) < len(element.chars):
                return _phrase(edges, clauses), False
        else:
            edges += _edges_of_word(element, node, begins=begins)
            node += _nodes(element)
            clauses += _clauses_of_word(element, begins=begins)
    return _phrase(edges, clauses), True


def _phrase(edges: list[Edge], clauses: list[frozenset[Sought]]) -> Phrase | None:
    if not edges:
        return None
    edges.sort(key=lambda edge: edge.start)
    return Phrase(tuple(edges), tuple(dict.fromkeys(clauses)))


def _edges_of_run(chars: str, node: int) -> list[Edge]:
    """Return the pairs of a run. The last character of several is one that a pair already has."""
    if len(chars) == 1:
        return [Edge(node, node + 1, Sought(chars, is_prefix=True))]
    edges = [
        Edge(node + index, node + index + 1, Sought(chars[index : index + 2]))
        for index in range(len(chars) - 1)
    ]
    return [*edges[:-1], edges[-1]._replace(end=node + len(chars), skipped=1)]


def _nodes(word: Word) -> int:
    return 1 if word.exact else word.positions


def _edges_of_word(word: Word, node: int, *, begins: bool) -> Iterator[Edge]:
    end = node + _nodes(word)
    for form in word.forms:
        yield Edge(node, end, Sought(form, is_prefix=begins))
    for part in _parts(word):
        yield from _edges_of_word(part, node, begins=begins and part is word.parts[-1])
        node += _nodes(part)


def _clauses_of_word(word: Word, *, begins: bool) -> Iterator[frozenset[Sought]]:
    """Yield that the text has a whole or the first part, a whole or the second part, and so on."""
    wholes = frozenset(Sought(form, is_prefix=begins) for form in word.forms)
    parts = _parts(word)
    if not parts:
        yield wholes
    for part in parts:
        for clause in _clauses_of_word(part, begins=begins and part is parts[-1]):
            yield wholes | clause


def _parts(word: Word) -> tuple[Word, ...]:
    return () if word.exact else word.parts


def _is_short(elements: Sequence[Word | Run]) -> bool:
    """Return whether this is a single word, which begins too many others."""
    first = elements[0]
    return (
        len(elements) == 1
        and isinstance(first, Word)
        and not _parts(first)
        and len(first.forms[0]) < MIN_PREFIX_CHARS
    )
