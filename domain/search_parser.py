"""Reads a query from what a user typed. Nothing is an error: the rest is searched as text.

    budget report                  both words
    "annual budget"                successive words
    budget OR estimate             one of the two; OR binds closer than a space
    budget -draft                  without a word; also -"a phrase" and -role:tool
    bud*                           words that begin so
    title:budget title:"a b"       in the title of the conversation
    role:user in:ID is:archived has:file
    after:2024 before:2024-06      from 2024-01-01 up to the end of May, in UTC

Several filters of one name are alternatives, but `has` and the times must all be true.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from chatkeep.domain.model import MAX_ID_CHARS
from chatkeep.domain.phrases import MIN_PREFIX_CHARS, Phrase, make_phrase
from chatkeep.domain.search_filters import FILTERS, Filters, add_filter
from chatkeep.domain.search_query import Expression, Kind, Query, Reading

MAX_QUERY_CHARS: Final = 4_000
MAX_QUERY_TERMS: Final = 64
"""About how many terms a query has at most: words, their parts, pairs of characters."""

MAX_FILTERS: Final = 32

_QUOTES: Final = {'"': '"', "\uff02": "\uff02", "\u201c": "\u201d", "\u201e": "\u201c\u201d"} | {
    "«": "»",
    "「": "」",
    "『": "』",
}
_MINUS: Final = "-\uff0d"
_STARS: Final = ("*", "\uff0a")
_SPACES: Final = re.compile(r"\s*")
_BARE: Final = re.compile(r"\S*")
_FIELD: Final = re.compile(r"([A-Za-z]{2,6})[:\uff1a](?=\S)")


class _Part(NamedTuple):
    """A part of a query: `-field:value`. `value` is without quotes and star.

    `written` is all of it.
    """

    written: str
    value: str
    field: str | None = None
    without: bool = False
    is_quoted: bool = False
    is_prefix: bool = False
    note: str | None = None


def parse_query(text: str) -> Query:
    """Read a query. This takes time linear in the length of the text."""
    builder = _Builder()
    parts = _parts(text[:MAX_QUERY_CHARS])
    for index, part in enumerate(parts):
        if _is_or(part):
            after = parts[index + 1] if index + 1 < len(parts) else None
            if after is not None and builder.joins(after):
                continue
        builder.add(part)
    query = builder.query()
    if len(text) > MAX_QUERY_CHARS:
        note = f"Only the first {MAX_QUERY_CHARS} characters of the query were read."
        rest = Reading(Kind.IGNORED, "", note=note)
        query = replace(query, readings=(*query.readings, rest))
    return query


def _is_or(part: _Part) -> bool:
    return part.written == "OR"


def _parts(text: str) -> list[_Part]:
    """Cut a query at its spaces, but for those in quotes."""
    parts: list[_Part] = []
    at = _end(_SPACES, text, 0)
    while at < len(text):
        part, at = _part(text, at)
        parts.append(part)
        at = _end(_SPACES, text, at)
    return parts


def _part(text: str, start: int) -> tuple[_Part, int]:
    """Return the part that begins at `start`, and where it ends."""
    at = start
    without = text[at] in _MINUS and not text.startswith("--", at) and text[at + 1 : at + 2].strip()
    if without:
        at += 1
    named = _FIELD.match(text, at)
    field = named[1].lower() if named and named[1].lower() in {*FILTERS, "title"} else None
    if named and field:
        at = named.end()
    closing = _QUOTES.get(text[at])
    if closing is None:
        end = _end(_BARE, text, at)
        written, value, note = text[start:end], text[at:end], None
        is_prefix = value.endswith(_STARS)
    else:
        ends = [found for quote in closing if (found := text.find(quote, at + 1)) >= 0]
        inner_end = min(ends, default=len(text))
        end = min(inner_end + 1, len(text))
        value = text[at + 1 : inner_end]
        written = text[start:inner_end] + closing[0]
        note = None if ends else "The quotation mark has no end: all of the rest is the phrase."
        is_prefix = value.endswith(_STARS) or text.startswith(_STARS, end)
        if text.startswith(_STARS, end):
            end, written = end + 1, written + text[end]
    return (
        _Part(
            written=written,
            value=value.rstrip("".join(_STARS)) if is_prefix else value,
            field=field,
            without=bool(without),
            is_quoted=closing is not None,
            is_prefix=is_prefix,
            note=note,
        ),
        end,
    )


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


class _Builder:
    """Puts a query together, part by part."""

    def __init__(self) -> None:
        self._groups: dict[bool, list[list[Phrase]]] = {True: [], False: []}
        self._excluded: dict[bool, list[Phrase]] = {True: [], False: []}
        self._filters = Filters()
        self._readings: list[Reading] = []
        self._left = MAX_QUERY_TERMS
        self._filters_left = MAX_FILTERS
        self._number = 0
        self._joins = False
        # Whether the part before is one that OR can join; the field of what it joins.
        self._before: _Part | None = None

    def joins(self, after: _Part) -> bool:
        """Return whether an OR joins the part before it with this one, and do so."""
        before = self._before
        if before is None or _is_or(after) or before.without or after.without:
            return False
        if before.field != after.field or before.field in {"has", "after", "before"}:
            return False
        self._joins = True
        return True

    def query(self) -> Query:
        words, title = (
            Expression(tuple(map(tuple, self._groups[of_title])), tuple(self._excluded[of_title]))
            for of_title in (False, True)
        )
        return Query(
            words=words, title=title, filters=self._filters, readings=tuple(self._readings)
        )

    def add(self, part: _Part) -> None:
        joins, self._joins, self._before = self._joins, False, None
        name = part.field
        if name is None or name == "title":
            self._add_phrase(part, joins=joins)
        elif self._filters_left == 0:
            note = f"A query has at most {MAX_FILTERS} filters; the others are ignored."
            self._read(Kind.IGNORED, part, note=note)
        elif filters := add_filter(self._filters, name, part.value, without=part.without):
            self._filters = filters
            self._filters_left -= 1
            self._before = part
            self._read(Kind.FILTER, part)
        else:
            # Its name is a word too then.
            text = part.written.lstrip(_MINUS if part.without else "")
            note = f"{_short(part.written)} is not a filter, so it was searched as text. "
            self._add_phrase(
                part._replace(field=None, value=text), kind=Kind.TEXT, note=note + FILTERS[name]
            )

    def _add_phrase(
        self,
        part: _Part,
        *,
        joins: bool = False,
        kind: Kind | None = None,
        note: str | None = None,
    ) -> None:
        if self._left <= 0:
            note = f"A query has at most about {MAX_QUERY_TERMS} terms; the others are ignored."
            self._read(Kind.IGNORED, part, note=note)
            return
        phrase, is_all = make_phrase(part.value, is_prefix=part.is_prefix, most=self._left)
        if phrase is None:
            note = f"{_short(part.written)} was ignored: there is nothing in it to search for."
            self._read(Kind.IGNORED, part, note=note)
            return
        self._left -= len(phrase.edges)
        group = self._put(phrase, part, joins=joins)
        self._before = part
        notes = (note, part.note, *_notes(part, phrase, is_all=is_all))
        if _is_or(part):
            kind = Kind.TEXT
        self._read(kind or _kind(part), part, group=group, note=" ".join(filter(None, notes)))

    def _put(self, phrase: Phrase, part: _Part, *, joins: bool) -> int:
        """Add a phrase, and return the number of its group if there are several in it."""
        of_title = part.field == "title"
        if part.without:
            self._excluded[of_title].append(phrase)
            return 0
        if not joins:
            self._groups[of_title].append([phrase])
            return 0
        self._groups[of_title][-1].append(phrase)
        first = self._readings[-1]
        if not first.group:
            self._number += 1
            self._readings[-1] = first._replace(group=self._number)
        return self._number

    def _read(self, kind: Kind, part: _Part, *, group: int = 0, note: str | None = None) -> None:
        self._readings.append(
            Reading(kind, part.written, part.field, part.without, group, note or None)
        )


def _notes(part: _Part, phrase: Phrase, *, is_all: bool) -> Iterator[str]:
    if not is_all:
        yield f"Of {_short(part.written)} only the beginning is searched."
    if part.is_prefix and not any(edge.sought.is_prefix for edge in phrase.edges):
        yield (
            f"{_short(part.written)} needs at least {MIN_PREFIX_CHARS} characters before the star, "
            "so it was searched as it is."
        )
    if _is_or(part):
        yield "OR joins two words or phrases; here it was searched as a word."


def _kind(part: _Part) -> Kind:
    if part.is_prefix:
        return Kind.PREFIX
    return Kind.PHRASE if part.is_quoted else Kind.WORD


def _short(written: str) -> str:
    return written if len(written) <= MAX_ID_CHARS else f"{written[:MAX_ID_CHARS]}…"
