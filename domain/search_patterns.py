"""Patterns that every text has which matches a query: a database rules out most texts by them.

They are regular expressions that Python and Postgres read alike. A word is looked for in a text as
it is written, with all letters that fold to the same one, and anything between two letters that
folding leaves out or that may join words. So a pattern never misses a match, and finds little else.
It says nothing of texts with characters that become several letters or digits (`ﬁ`, `½`): each
pattern also finds any such text.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

from chatkeep.domain.folding import fold, fold_case
from chatkeep.domain.phrases import Phrase
from chatkeep.domain.search_query import Expression
from chatkeep.domain.term_places import Sought
from chatkeep.domain.terms import index_term
from chatkeep.domain.words import JOINTS

MOST_PATTERNS: Final = 8
"""More would cost more than they rule out."""

_LATIN: Final = (*range(0x80, 0x250), *range(0x1E00, 0x1F00))
_DOUBLE: Final = {"ä": "ae", "ö": "oe", "ü": "ue", "æ": "ae", "œ": "oe", "þ": "th", "ß": "ss"}
_DOUBLES: Final = frozenset(_DOUBLE.values())

# Between the letters of a word: signs that join words, marks, and what folding leaves out.
_JOINING: Final = (
    "\u00ad\u00b7\u02bb\u02bc\u0300-\u036f\u200b-\u2011\u2018\u2019\u201b\u2024-\u2026\u2060-\u2064\ufe00-\ufe0f\ufeff"
    "\uff02\uff07\uff0c-\uff0e"
)
UNSPACED_SAME: Final = "\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
"""Ranges of characters of scripts without spaces which no other character folds to: kana, Han and
Hangul, but for forms that a pattern always lets pass."""

OTHER: Final = (
    "\u0375-\u0386\u0388-\u0482\u048a-\u052f\u05d0-\u05ea\u0621-\u063a\u0641-\u064a"
    "\u2000-\u200a\u2012-\u2017\u201a\u201c-\u2023\u2027-\u2029\u202f-\u205f\u20a0-\u20a7"
    f"\u20a9-\u20bf\u2190-\u23ff\u2500-\u2b73\u3000-\u3029{UNSPACED_SAME}"
    "\u30fb\uff01\uff03-\uff06\uff08-\uff0b\uff0f\uff1a-\uff20\uff3b-\uff3d\uff3f\uff5b-\uff5e"
    "\U0001f300-\U0001faff"
)
"""Ranges of characters that are neither Latin letters nor digits, whatever is next to them."""

_SOMETHING_JOINING: Final = f"[{JOINTS.replace('-', '')}{_JOINING}-]*"
_BETWEEN_WORDS: Final = "[^0-9A-Za-z]*"
_RUN: Final = re.compile(f"[{UNSPACED_SAME}]+")


@dataclass(frozen=True, slots=True)
class _Latin:
    """Letters by the ASCII letter that they fold to, and all characters that are known."""

    lower: dict[str, str]
    upper: dict[str, str]
    known: str


def patterns_of(expression: Expression) -> tuple[str, ...]:
    """Return patterns each of which a text has if it matches; the ones that rule out most first."""
    found: dict[str, int] = {}
    for group in expression.all_of:
        found |= dict(_of_phrase(group[0]) if len(group) == 1 else _of_several(group))
    best = sorted(found, key=lambda pattern: -found[pattern])[:MOST_PATTERNS]
    unknown = f"[^\x01-\x7f{_latin().known}{_JOINING}{OTHER}]"
    return tuple(f"{unknown}|{pattern}" for pattern in best)


def _of_several(phrases: Iterable[Phrase]) -> Iterator[tuple[str, int]]:
    """Yield the pattern of alternatives, if each has one."""
    each = [max(_of_phrase(phrase), key=lambda found: found[1], default=None) for phrase in phrases]
    known = [found for found in each if found is not None]
    if len(known) == len(each):
        yield "|".join(pattern for pattern, _ in known), min(length for _, length in known)


def _of_phrase(phrase: Phrase) -> Iterator[tuple[str, int]]:
    """Yield patterns of a phrase, each with a length: the longer, the fewer texts have it."""
    succession = _succession(phrase)
    if succession is not None:
        yield succession
        return
    for clause in phrase.clauses:
        each = [_of_sought(sought) for sought in clause]
        known = [pattern for pattern in each if pattern is not None]
        if len(known) == len(each):
            yield "|".join(known), min(len(sought.term) for sought in clause)


def _succession(phrase: Phrase) -> tuple[str, int] | None:
    """Return the pattern of what comes one after the other; None if some of it has none.

    That is plain words, and the characters of runs.
    """
    count = max(edge.end for edge in phrase.edges)
    if count == 1:
        return None
    nodes: list[list[str]] = [[] for _ in range(count)]
    within_run = set()
    for start, end, (term, _), skipped in phrase.edges:
        if _RUN.fullmatch(term):
            nodes[start].append(term[0])
            if len(term) > 1:
                within_run.add(start)
            if skipped:
                nodes[start + 1].append(term[1])
        elif end == start + 1 and _is_plain(term):
            nodes[start].append(term)
        else:
            return None
    pattern = ""
    for node, terms in enumerate(nodes):
        pattern += f"(?:{'|'.join(map(_letters, terms))})"
        if node + 1 < count:
            pattern += _SOMETHING_JOINING if node in within_run else _BETWEEN_WORDS
    return pattern, sum(min(map(len, terms)) for terms in nodes)


def _of_sought(sought: Sought) -> str | None:
    term = index_term(sought.term)
    if _RUN.fullmatch(term):
        return _letters(term)
    if not _is_plain(term):
        return None
    if not sought.is_prefix or term[0].isdigit():
        return _letters(term)
    # A word, or a part of one, begins after something else than a letter or with a capital one.
    rest = _letters(term)[len(_class(term[0])) :]
    return f"(?:^|[^A-Za-z]){_class(term[0])}{rest}|[{_latin().upper[term[0]]}]{rest}"


def _is_plain(term: str) -> bool:
    return term.isascii() and term.isalnum()


def _letters(term: str) -> str:
    """Return what a text has where it has this word, or these characters."""
    pattern = _class(term[0])
    for before, letter in pairwise(term):
        # One character may stand for both.
        may_lack = "?" if before + letter in _DOUBLES else ""
        pattern += f"{_SOMETHING_JOINING}{_class(letter)}{may_lack}"
    return pattern


def _class(letter: str) -> str:
    latin = _latin()
    return f"[{latin.lower.get(letter, letter)}{latin.upper.get(letter, '')}]"


@cache
def _latin() -> _Latin:
    lower = {chr(code): chr(code) for code in range(ord("a"), ord("z") + 1)}
    upper = {letter: letter.upper() for letter in lower}
    known: list[str] = []
    for char in map(chr, _LATIN):
        letter = _DOUBLE.get(char.lower(), "")[:1] or _folded(char)
        if letter is None:
            continue
        known.append(char)
        if letter.isascii() and letter.isalnum():
            side = upper if letter.isalpha() and not char.islower() else lower
            side[letter] = side.get(letter, letter) + char
    return _Latin(lower, upper, "".join(known))


def _folded(char: str) -> str | None:
    """Return the single letter or digit that it becomes, " " for a sign, or None."""
    folded = fold(f"x{char}x")
    if len(folded) != len("x x") or folded[1] in JOINTS:
        return None
    forms = fold_case(folded[1])
    return forms[0] if len(forms) == 1 and len(forms[0]) == 1 else None
