"""A word or a phrase of a query, and where a text has it.

A phrase is a graph. Its nodes are the borders between its positions, and each edge from one node to
a later one is a term that the text must have there: `getName` is one edge, `getname`, or two,
`get` and `name`. The text has the phrase where its successive terms make a way from the first node
to the last.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from chatkeep.domain.folding import fold
from chatkeep.domain.term_places import Sought, TermPlaces
from chatkeep.domain.terms import index_term
from chatkeep.domain.words import Run, Word, split

MIN_PREFIX_CHARS: Final = 2
"""The least characters of `prefix*` alone. A single one begins too many words."""


class Edge(NamedTuple):
    """A way from the node `start` to the node `end`: a term, and the positions to skip after it."""

    start: int
    end: int
    sought: Sought
    skipped: int = 0


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

    def is_in(self, text: TermPlaces) -> bool:
        """Return whether the text has the phrase. What is quickest to tell is asked first."""
        if not all(any(map(text.may_have, clause)) for clause in self.clauses):
            return False
        if self.is_term:
            return any(map(text.has_alone, self.clauses[0])) or any(
                sought.is_in(text.terms) for sought in self.clauses[0]
            )
        return self.may_be_in(text) and bool(self.find(text))

    def may_be_in(self, text: TermPlaces) -> bool:
        """Return False if the text does not have these words one after the other.

        It takes a hundredth of the time of finding them. Only texts with one spelling are told.
        """
        if len(text.spellings) > 1:
            return True
        succession = _succession(self.edges)
        return succession is None or succession.search(text.joined[0]) is not None

    def find(self, text: TermPlaces) -> list[tuple[int, int]]:
        """Return where the text has the phrase: offsets into the folded text, in order."""
        last = max(edge.end for edge in self.edges)
        # By node: the position to go on at, and where the way there began.
        ways: list[dict[int, int]] = [{} for _ in range(last + 1)]
        found: list[tuple[int, int]] = []
        for edge in self.edges:
            here, there = ways[edge.start], ways[edge.end]
            for place in text.of(edge.sought):
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
