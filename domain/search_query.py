"""A query, and what it asks of a message, a title or a conversation.

`chatkeep.domain.search_parser` reads one from what a user typed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from chatkeep.domain.phrases import Phrase
from chatkeep.domain.search_filters import Filters
from chatkeep.domain.term_places import Sought, SoughtTerms, TermPlaces


class Kind(StrEnum):
    """How a part of a query was read."""

    WORD = "word"
    PHRASE = "phrase"
    PREFIX = "prefix"
    FILTER = "filter"
    TEXT = "text"
    """Looks like a filter or an operator but is not one: it was searched as text."""

    IGNORED = "ignored"


class Reading(NamedTuple):
    """How one part of a query was read.

    `written` is the part in the query language, `field` the name of a filter or `title`, and
    `without` whether it excludes. `group` is the same number for those of which one is enough. A
    `note` says in a sentence what the user should know.
    """

    kind: Kind
    written: str
    field: str | None = None
    without: bool = False
    group: int = 0
    note: str | None = None


class Highlight(NamedTuple):
    """Where a text has a phrase: offsets in code points. `phrase` is its number in the query."""

    start: int
    end: int
    phrase: int


@dataclass(frozen=True)
class Expression:
    """The phrases of texts that match: one of each group of `all_of`, and none of `none_of`."""

    all_of: tuple[tuple[Phrase, ...], ...] = ()
    none_of: tuple[Phrase, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.all_of or self.none_of)

    @cached_property
    def clauses(self) -> tuple[frozenset[Sought], ...]:
        """Sets of terms: a text that matches has at least one term of each. An index looks here.

        The converse is not true: a text that has them may have them in another order. A query that
        only excludes has no clauses.
        """
        found: dict[frozenset[Sought], None] = {}
        for group in self.all_of:
            if len(group) == 1:
                found.update(dict.fromkeys(group[0].clauses))
            else:
                found[frozenset().union(*(_rarest(phrase.clauses) for phrase in group))] = None
        return tuple(found)

    @cached_property
    def sought(self) -> SoughtTerms:
        phrases = list(self._phrases())
        return SoughtTerms(
            (edge.sought for phrase in phrases for edge in phrase.edges),
            alone=all(phrase.is_term for phrase in phrases),
        )

    def matches(self, text: str) -> bool:
        if not self:
            return True
        places = TermPlaces(text, self.sought)
        return all(
            any(phrase.is_in(places) for phrase in group) for group in self.all_of
        ) and not any(phrase.is_in(places) for phrase in self.none_of)

    def highlights(self, text: str) -> list[Highlight]:
        """Return where the text has what the query looks for, in order; they may overlap."""
        places = TermPlaces(text, self.sought)
        found = [
            (start, end, number)
            for number, phrase in enumerate(phrase for group in self.all_of for phrase in group)
            for start, end in phrase.find(places)
        ]
        offsets = places.offsets((start, end) for start, end, _ in found)
        return sorted(
            Highlight(start, end, number)
            for (start, end), (_, _, number) in zip(offsets, found, strict=True)
        )

    def _phrases(self) -> Iterator[Phrase]:
        for group in (*self.all_of, self.none_of):
            yield from group


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search that a user asked for.

    `words` are what the text of a message, or a title, must have; `title` is what the title of its
    conversation must have. `readings` say how each part of the query was read.
    """

    words: Expression = field(default_factory=Expression)
    title: Expression = field(default_factory=Expression)
    filters: Filters = field(default_factory=Filters)
    readings: tuple[Reading, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to look for, so that nothing is found."""
        return not (self.words or self.title or self.filters)

    @property
    def written(self) -> str:
        """The query as it was understood, in the query language."""
        parts: list[str] = []
        for before, reading in zip((None, *self.readings), self.readings, strict=False):
            if reading.kind is Kind.IGNORED:
                continue
            if before is not None and reading.group and before.group == reading.group:
                parts.append("OR")
            # In quotes, an OR that was searched as a word joins nothing when it is read again.
            is_word = reading.kind is Kind.TEXT and reading.written == "OR"
            parts.append('"OR"' if is_word else reading.written)
        return " ".join(parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about how the query was read, for the user."""
        return tuple(
            dict.fromkeys(reading.note for reading in self.readings if reading.note is not None)
        )


def merge(highlights: Sequence[Highlight]) -> list[tuple[int, int]]:
    """Return the highlights as pairs of offsets, in order, without overlaps."""
    merged: list[tuple[int, int]] = []
    for start, end, _ in sorted(highlights):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _rarest(clauses: Sequence[frozenset[Sought]]) -> frozenset[Sought]:
    """Return the clause that probably the fewest texts have: the one with the longest words."""
    return max(clauses, key=lambda clause: min(len(each.term) for each in clause))
