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

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from chatkeep.domain.folding import (
    EMOJI,
    JOINT,
    REGIONAL,
    SKIN_TONES,
    UNSPACED,
    fold,
    fold_case,
    fold_with_offsets,
)

MAX_TERM_CHARS: Final = 64
"""An index has the beginning of a term that is longer; see `index_term`."""

_PAIR: Final = 2
_MAX_PARTS: Final = 8


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


class Word(NamedTuple):
    """A word of a folded text: its terms as a whole, and its parts if it has any.

    `start` and `end` are offsets into the folded text. `exact` means that the parts alone are
    another word: someone who looks for `C++` does not mean `C`.
    """

    start: int
    end: int
    forms: tuple[str, ...]
    parts: tuple["Word", ...] = ()
    exact: bool = False

    @property
    def positions(self) -> int:
        return sum(part.positions for part in self.parts) or 1

    def moved(self, offset: int) -> "Word":
        parts = tuple(part.moved(offset) for part in self.parts)
        return self._replace(start=self.start + offset, end=self.end + offset, parts=parts)

    def terms(self) -> Iterator[str]:
        yield from self.forms
        for part in self.parts:
            yield from part.terms()


class Run(NamedTuple):
    """A run of characters of a script without spaces. The offset is one into the folded text."""

    start: int
    chars: str

    def terms(self) -> Iterator[str]:
        yield from map(str.__add__, self.chars, self.chars[1:])
        yield self.chars[-1]


_LETTERS: Final = f"[^\x00-/:-@\\[-`{{-\x7f{''.join(UNSPACED)}{EMOJI}{SKIN_TONES}{REGIONAL}{JOINT}]"
_ASCII_LETTERS: Final = "[0-9A-Za-z]"
_HEBREW: Final = "[\u05d0-\u05ea]"


def _word_pattern(letters: str, joints: str) -> str:
    # The bound keeps what one match costs small.
    return rf"{letters}+(?:{joints}{letters}+){{0,15}}(?:\+\+|#(?!{letters}))?"


_ASCII_WORD: Final = re.compile(_word_pattern(_ASCII_LETTERS, "['.,-]"))
_WORD: Final = re.compile(
    _word_pattern(_LETTERS, f"(?:['.,-]|(?<={_HEBREW})\"(?={_HEBREW}))"),
)
_RUN: Final = re.compile("|".join(f"[{ranges}]+" for ranges in UNSPACED))
_EMOJI: Final = re.compile(
    f"[{REGIONAL}]{{1,2}}|[{EMOJI}][{SKIN_TONES}]*(?:{JOINT}[{EMOJI}][{SKIN_TONES}]*){{0,15}}"
    f"|[{SKIN_TONES}]"
)
_ANY: Final = re.compile(f"(?P<word>{_WORD.pattern})|(?P<run>{_RUN.pattern})|{_EMOJI.pattern}")
_ATOM: Final = re.compile("""[^'".,#+-]+""")
_NUMBER: Final = re.compile(r"(?<![^'-])\d{1,3}(?:([.,'])\d{3})(?:\1\d{3})*(?=[.,'-]|$)")
_PIECE: Final = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def distinct_terms(text: str) -> set[str]:
    """Return the terms of a text for an index: each once, none over `MAX_TERM_CHARS`.

    They are the terms of `find_tokens`. None is empty, or has a NUL or an unpaired surrogate.
    """
    terms: set[str] = set()
    if text.isascii():
        words = set(_ASCII_WORD.findall(text))
    else:
        text = fold(text)
        words = set(_WORD.findall(text))
        for run in set(_RUN.findall(text)):
            terms.update(Run(0, run).terms())
        for emoji in set(_EMOJI.findall(text)):
            terms.update(_emoji(0, emoji).terms())
    for word in words:
        lower = word.lower()
        if len(word) <= MAX_TERM_CHARS:
            if word.isascii() and word.isalpha() and (word[1:] == lower[1:] or word.isupper()):
                terms.add(lower)
            else:
                terms.update(_terms_of_word(word))
        else:
            terms.update(index_term(term) for part in _words(word) for term in part.terms())
    terms.discard("")
    return terms


def index_term(term: str) -> str:
    """Return the form of a term in an index: its first `MAX_TERM_CHARS` characters."""
    return term[:MAX_TERM_CHARS]


def find_tokens(text: str) -> list[Token]:
    """Return all terms of a text with their places, by position; a whole is before its parts."""
    folded, starts, ends = fold_with_offsets(text)
    tokens: list[Token] = []
    position = 0
    for element in split(folded):
        if isinstance(element, Run):
            for index, term in enumerate(element.terms()):
                start = element.start + index
                tokens.append(
                    Token(
                        term,
                        position + index,
                        position + index,
                        starts[start],
                        ends[start + len(term) - 1],
                    )
                )
            position += len(element.chars)
        else:
            position = _place(element, position, starts, ends, tokens)
    return tokens


def _place(
    word: Word, position: int, starts: list[int], ends: list[int], tokens: list[Token]
) -> int:
    """Add the tokens of a word, and return the position that follows it."""
    after = position + word.positions
    start, end = starts[word.start], ends[word.end - 1]
    tokens.extend(Token(form, position, after - 1, start, end) for form in word.forms)
    for part in word.parts:
        position = _place(part, position, starts, ends, tokens)
    return after


def split(folded: str) -> Iterator[Word | Run]:
    """Yield the words and the runs of a folded text in order."""
    pattern = _ASCII_WORD if folded.isascii() else _ANY
    for match in pattern.finditer(folded):
        start = match.start()
        if pattern is _ASCII_WORD or match["word"] is not None:
            for word in _words(match[0]):
                if word.forms[0]:
                    yield word.moved(start)
        elif match["run"] is not None:
            yield Run(start, match[0])
        else:
            yield _emoji(start, match[0])


@lru_cache(maxsize=16_384)
def _terms_of_word(word: str) -> tuple[str, ...]:
    return tuple(term for part in _words(word) for term in part.terms())


def _words(text: str) -> list[Word]:
    """Return the words of a match of `_WORD`: one, or more if dots, commas or hyphens join them."""
    found = list(_ATOM.finditer(text))
    atoms = [_word(atom.start(), atom[0]) for atom in found]
    end = found[-1].end()
    if end < len(text):
        forms = tuple(form + text[end:] for form in atoms[-1].forms)
        atoms[-1] = Word(atoms[-1].start, len(text), forms, (atoms[-1],), exact=True)
    if len(atoms) == 1:
        return atoms
    return list(_join(text, atoms))


def _join(text: str, atoms: list[Word]) -> Iterator[Word]:
    """Put together what is also found as one: don't, e-mail, 1,000."""
    number = _NUMBER.search(text)
    chain: list[Word] = []
    for index, atom in enumerate(atoms):
        chain.append(atom)
        sign = text[atom.end] if index + 1 < len(atoms) else " "
        if sign in "'\"-" or (number and number.start() <= atom.start < atom.end < number.end()):
            continue
        yield from _chain(text, chain)
        chain = []


def _chain(text: str, atoms: list[Word]) -> Iterable[Word]:
    """Join the words of a chain with apostrophes or hyphens, or the groups of a number."""
    if len(atoms) == 1:
        return atoms
    start, end = atoms[0].start, atoms[-1].end
    written = text[start:end]
    number = _NUMBER.fullmatch(written)
    letters = not any(char.isdigit() for char in written)
    words = letters and (written.count("-") == 0 or len(atoms) == _PAIR)
    if number is None and not (words and len(atoms) <= _MAX_PARTS):
        return atoms
    first = "".join(atom.forms[0] for atom in atoms)
    last = "".join(atom.forms[-1] for atom in atoms)
    return [Word(start, end, (first,) if first == last else (first, last), tuple(atoms))]


def _word(start: int, text: str) -> Word:
    forms = fold_case(text)
    parts = _parts(start, text) if len(text) <= MAX_TERM_CHARS else ()
    return Word(start, start + len(text), forms, parts)


def _parts(start: int, text: str) -> tuple[Word, ...]:
    """Return the parts of a word: at changes of case, or one change of letters to digits.

    Identifiers like `a1b2c3` are not divided, nor what looks like encoded bytes.
    """
    ascii_ = text.isascii()
    if ascii_ and text.isalpha() and (text[1:].islower() or text.isupper()):
        return ()
    shape = text if ascii_ else "".join(map(_shape, text))
    pieces = [match.span() for match in _PIECE.finditer(shape)]
    count = len(pieces)
    if count == 1 or count > _MAX_PARTS:
        return ()
    if count > _PAIR and (
        len(text) < 2 * count or shape[1:].lower() == shape[1:] or shape.upper() == shape
    ):
        return ()
    return tuple(
        Word(start + begin, start + end, fold_case(text[begin:end])) for begin, end in pieces
    )


def _shape(char: str) -> str:
    if char.isascii():
        return char
    return "A" if char.isupper() else "a"


def _emoji(start: int, text: str) -> Word:
    """Return an emoji without its skin tones, and its parts if it is a sequence."""
    bare = _SKIN_TONES.sub("", text) or text
    whole = Word(start, start + len(text), (bare.replace(JOINT, "\u200d"),))
    if JOINT not in bare:
        return whole
    parts = []
    for piece in text.split(JOINT):
        parts.append(Word(start, start + len(piece), (_SKIN_TONES.sub("", piece),)))
        start += len(piece) + 1
    return whole._replace(parts=tuple(parts))


_SKIN_TONES: Final = re.compile(f"[{SKIN_TONES}]+")
