"""Words of a folded text, and what each is found by.

A word has one or two forms as a whole, and may have parts. Scripts that are written without spaces
have runs of characters instead. `chatkeep.domain.terms` says what becomes of both.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from chatkeep.domain.folding import EMOJI, JOINT, REGIONAL, SKIN_TONES, UNSPACED, fold_case

MAX_TERM_CHARS: Final = 64
"""Terms are as long as words are; an index has the beginning of a longer one."""

_PAIR: Final = 2
_MAX_PARTS: Final = 8


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


ASCII_WORD: Final = re.compile(_word_pattern(_ASCII_LETTERS, "['.,-]"))
WORD: Final = re.compile(
    _word_pattern(_LETTERS, f"(?:['.,-]|(?<={_HEBREW})\"(?={_HEBREW}))"),
)
RUN: Final = re.compile("|".join(f"[{ranges}]+" for ranges in UNSPACED))
EMOJI_SEQUENCE: Final = re.compile(
    f"[{REGIONAL}]{{1,2}}|[{EMOJI}][{SKIN_TONES}]*(?:{JOINT}[{EMOJI}][{SKIN_TONES}]*){{0,15}}"
    f"|[{SKIN_TONES}]"
)
_ANY: Final = re.compile(f"{WORD.pattern}|(?P<run>{RUN.pattern})|{EMOJI_SEQUENCE.pattern}")
_ATOM: Final = re.compile("""[^'".,#+-]+""")
_NUMBER: Final = re.compile(r"(?<![^'-])\d{1,3}(?:([.,'])\d{3})(?:\1\d{3})*(?=[.,'-]|$)")
_PIECE: Final = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def matches(folded: str) -> Iterator[re.Match[str]]:
    """Yield the words, the runs and the emoji of a folded text. Runs are in the group `run`."""
    return (ASCII_WORD if folded.isascii() else _ANY).finditer(folded)


def split(folded: str) -> Iterator[Word | Run]:
    """Yield the words and the runs of a folded text in order."""
    for match in matches(folded):
        if match.lastgroup == "run":
            yield Run(match.start(), match[0])
        else:
            for word in words_of(match[0]):
                yield word.moved(match.start())


def words_of(text: str) -> list[Word]:
    """Return the words of one match: more than one if dots, commas or hyphens join them."""
    if not text.isascii() and EMOJI_SEQUENCE.match(text):
        return [emoji_of(0, text)]
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


def emoji_of(start: int, text: str) -> Word:
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
