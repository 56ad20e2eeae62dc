"""Words of a folded text, and what each is found by.

A word has one or two forms as a whole, and may have parts. Scripts that are written without spaces
have runs of characters instead. `chatkeep.domain.terms` says what becomes of both.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from chatkeep.domain.folding import EMOJI, JOINT, REGIONAL, SKIN_TONES, UNSPACED, fold_case

MAX_TERM_CHARS: Final = 64
"""Terms are as long as words are; an index has the beginning of a longer one."""

JOINTS: Final = "'\".,-"
"""What divides a word that is also found as a whole: `don't`."""

_PAIR: Final = 2
_MAX_PARTS: Final = 8


class Word(NamedTuple):
    """A word of a folded text: its terms as a whole, and its parts if it has any.

    `start` and `end` are offsets into the folded text. `exact` means that the parts alone are
    another word: who looks for `C` finds `C++`, but not the other way round.
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
# Finding a stretch that has runs or emoji, and then these in it, takes a third of the time.
RUNS: Final = re.compile(f"[{''.join(UNSPACED)}]+")
EMOJI_SEQUENCES: Final = re.compile(f"[{EMOJI}{SKIN_TONES}{REGIONAL}{JOINT}]+")
EMOJI_SEQUENCE: Final = re.compile(
    f"[{REGIONAL}]{{1,2}}|[{EMOJI}][{SKIN_TONES}]*(?:{JOINT}[{EMOJI}][{SKIN_TONES}]*){{0,15}}"
    f"|[{SKIN_TONES}]"
)
_ANY: Final = re.compile(f"{WORD.pattern}|(?P<run>{RUN.pattern})|{EMOJI_SEQUENCE.pattern}")
_ATOM: Final = re.compile("""[^'".,#+-]+""")
_NUMBER: Final = re.compile(r"(?<![^'-])\d{1,3}(?:([.,'])\d{3})(?:\1\d{3})*(?=[.,'-]|$)")
# What is left has at least three letters.
_ARABIC_ARTICLE: Final = re.compile(
    "(?:[\u0648\u0641\u0628\u0643]?\u0627\u0644|\u0644\u0644)(?=[\u0621-\u064a]{3})"
)
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
    """Put together what is also found as one: don't, e-mail, 1,000, U.S.A."""
    number = _NUMBER.search(text)
    chain: list[Word] = []
    for index, atom in enumerate(atoms):
        chain.append(atom)
        after = atoms[index + 1] if index + 1 < len(atoms) else None
        if after and (
            text[atom.end] in "'\"-"
            or (_is_letter(text, atom) and _is_letter(text, after))
            or (number and number.start() <= atom.start < atom.end < number.end())
        ):
            continue
        yield from _chain(text, chain)
        chain = []


def _chain(text: str, atoms: list[Word]) -> Iterator[Word]:
    """Yield the words of a chain, which apostrophes, hyphens or dots join, or digits of a number.

    It is one word, but for a long chain of hyphens: there, a single letter belongs to the word that
    follows it.
    """
    written = text[atoms[0].start : atoms[-1].end]
    if len(atoms) == 1:
        yield atoms[0]
    elif _NUMBER.fullmatch(written):
        yield _joined(atoms)
    elif any(char.isdigit() for char in written) or len(atoms) > _MAX_PARTS:
        yield from atoms
    elif "-" not in written or len(atoms) == _PAIR:
        yield _joined(atoms)
    else:
        letter: list[Word] = []
        for atom in atoms:
            if letter:
                yield _joined([*letter, atom])
                letter = []
            elif _is_letter(text, atom) and atom is not atoms[-1]:
                letter = [atom]
            else:
                yield atom


def _is_letter(text: str, atom: Word) -> bool:
    return atom.end - atom.start == 1 and text[atom.start].isalpha()


def _joined(atoms: list[Word]) -> Word:
    first = "".join(atom.forms[0] for atom in atoms)
    last = "".join(atom.forms[-1] for atom in atoms)
    forms = (first,) if first == last else (first, last)
    return Word(atoms[0].start, atoms[-1].end, forms, tuple(atoms))


def _word(start: int, text: str) -> Word:
    word = Word(start, start + len(text), fold_case(text))
    if len(text) > MAX_TERM_CHARS:
        return word
    if article := _ARABIC_ARTICLE.match(text):
        bare = Word(start + article.end(), word.end, (text[article.end() :],))
        return word._replace(parts=(bare,), exact=True)
    return word._replace(parts=_parts(start, text))


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
