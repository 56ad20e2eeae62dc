"""Folds text for search: what users type alike becomes the same text.

    fold("Ｃａｆé  Straße")    -> "Cafe Straße"
    fold_case("Straße")       -> "strasse"

Folding has two steps. `fold` works on a whole text: compatibility forms (NFKC), accents, digits,
apostrophes and hyphens become one of their kind, and all other signs become spaces. Letters keep
their case, and ä, ö and ü their dots, since the words of `chatkeep.domain.terms` depend on them.
`fold_case` does the rest for one word.

The versions of Python know different versions of Unicode: 3.11 has Unicode 14, 3.14 has Unicode 16.
What Unicode 14 assigned is folded alike by all of them, since Unicode never changes how a character
is normalised. Characters that are newer are letters in every version, unless `_NEW_SIGNS` has them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from unicodedata import category, decimal, is_normalized, normalize

JOINT: Final = "\ufdd0"
"""Joins the emoji of one sequence in folded text. Unicode assigns no meaning to it."""

EMOJI: Final = (
    "\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u2600-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff"
)
SKIN_TONES: Final = "\U0001f3fb-\U0001f3ff"
REGIONAL: Final = "\U0001f1e6-\U0001f1ff"
"""Letters of which two are a flag."""

UNSPACED: Final = (
    # Han, Hiragana, Katakana, Bopomofo, Yi, Tangut, Khitan, Nushu; all planes of Han.
    (
        "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3041-\u30fa\u30fc-\u312f"
        "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\ua4cf\uf900-\ufaff"
        "\U00016fe0-\U00018dff\U0001aff0-\U0001b2ff\U00020000-\U0003fffd"
    ),
    # Hangul is written with spaces, but particles follow a word without one.
    "\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff",
    "\u0e00-\u0e7f",  # Thai
    "\u0e80-\u0eff",  # Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f",  # Myanmar
    "\u1780-\u17ff",  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf\uaa80-\uaadf",  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    "\u1b00-\u1b7f\ua980-\ua9df",  # Balinese, Javanese
)
"""Ranges of the scripts whose runs are found by their pairs of characters."""

# Marks that users leave out: accents, stress, vowel points. Others are part of a word, like the
# vowel signs of Indic scripts and of Thai.
_OPTIONAL_MARKS: Final = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0711\u0730-\u074a\u0898-\u089f"
    "\u08ca-\u08e1\u08e3-\u08ff\u093c\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u2cef-\u2cf1"
    "\u2de0-\u2dff\u302a-\u302d\ua66f-\ua672\ua674-\ua67d\ua69e\ua69f\ufe00-\ufe0f\ufe20-\ufe2f"
    "\U000e0100-\U000e01ef]"
)
_UNSPACED: Final = re.compile(f"[{''.join(UNSPACED)}]")
_EMOJI: Final = re.compile(f"[{EMOJI}{SKIN_TONES}{REGIONAL}]")
_EMOJI_JOINER: Final = re.compile(f"\u200d(?=[{EMOJI}])")
# Assigned after Unicode 14, and neither letters nor marks.
_NEW_SIGNS: Final = re.compile(
    "[\u1b4e\u1b4f\u1b7f\u2427-\u2429\u2ffc-\u2fff\u31e4\u31e5\u31ef\U00010ec5-\U00010ec7\U00011b00-\U00011b0f"
    "\U00011f43-\U00011f4f\U0001cc00-\U0001cebf\U0001d2c0-\U0001d2df\U0001fb00-\U0001fbef]"
)

# With a mark that is never left out.
_OTHER_LETTERS: Final = frozenset("йЙўЎїЇ")
_UMLAUTS: Final = frozenset("äöüÄÖÜ")
_APOSTROPHES: Final = "\u2018\u2019\u201b\u02b9\u02bb\u02bc\u02be\u02bf\u055a\u05f3\ua78c"
_HYPHENS: Final = "\u2010\u2011\u058a\u05be"
_SAME: Final = {
    **dict.fromkeys(_APOSTROPHES, "'"),
    **dict.fromkeys(_HYPHENS, "-"),
    "\u200c": "'",  # joins parts of Persian words, which many write with a space or joined
    "\u00b7": "'",  # col·lecció
    "\u05f4": '"',  # in Hebrew acronyms
    "\u0640": "",  # stretches Arabic letters
    "\u200b": "",  # where Khmer and Thai lines may be broken
    JOINT: JOINT,
    "\u0131": "i",  # Turkish dotless i
    "ø": "o",
    "Ø": "O",
    "đ": "d",
    "Đ": "D",
    "ð": "d",
    "Ð": "D",
    "ł": "l",
    "Ł": "L",
    "ħ": "h",
    "Ħ": "H",
    "ŧ": "t",
    "Ŧ": "T",
    "æ": "ae",
    "Æ": "Ae",
    "œ": "oe",
    "Œ": "Oe",
    "þ": "th",
    "Þ": "Th",
    "\u0451": "\u0435",  # Russian yo, which most write as ye
    "\u0401": "\u0415",
    # Arabic, Persian and Urdu keyboards have different letters for the same one.
    "\u0671": "\u0627",
    "\u0649": "\u064a",
    "\u06cc": "\u064a",
    "\u06d2": "\u064a",
    "\u0629": "\u0647",
    "\u06c1": "\u0647",
    "\u06c3": "\u0647",
    "\u06d5": "\u0647",
    "\u06a9": "\u0643",
    "\u0901": "\u0902",  # हाँ and हां
}
_MOST_REMEMBERED: Final = 20_000


class _Folds(dict[int, str]):
    """The text that each character becomes; `str.translate` asks for those that are missing."""

    def __missing__(self, code: int) -> str:
        folded = _fold_char(chr(code))
        if len(self) < _MOST_REMEMBERED:
            self[code] = folded
        return folded


class _CaseFolds(dict[int, str]):
    def __missing__(self, code: int) -> str:
        folded = _without_marks(chr(code))
        if len(self) < _MOST_REMEMBERED:
            self[code] = folded
        return folded


def _fold_char(char: str) -> str:  # noqa: PLR0911 - a table of cases
    """Return what a character of normalised text becomes."""
    if char.isascii():
        return char
    if char in _SAME:
        return _SAME[char]
    if char in _UMLAUTS or _EMOJI.match(char):
        return char
    kind = category(char)
    if kind == "Nd":
        return str(decimal(char))
    if kind[0] in "PSZ" or kind in {"Cc", "Cs"} or _NEW_SIGNS.match(char):
        return " "
    if kind == "Cf" or _OPTIONAL_MARKS.match(char):
        return ""
    if _UNSPACED.match(char):
        return char
    return _without_marks(char)


def _without_marks(char: str) -> str:
    if char.isascii() or char in _OTHER_LETTERS or _UNSPACED.match(char):
        return char
    bare = _OPTIONAL_MARKS.sub("", normalize("NFD", char))
    return normalize("NFC", "".join(_SAME.get(letter, letter) for letter in bare))


class _Alone(dict[int, str]):
    """The text that each character becomes where no other belongs to it."""

    def __missing__(self, code: int) -> str:
        folded = normalize("NFC", normalize("NFKC", chr(code)).translate(_FOLDS))
        if len(self) < _MOST_REMEMBERED:
            self[code] = folded
        return folded


_FOLDS: Final = _Folds()
_ALONE: Final = _Alone()
_CASE_FOLDS: Final = _CaseFolds()
_SPELT_OUT: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
_HAS_UMLAUT: Final = re.compile("[äöü]")


def fold(text: str) -> str:
    """Return the text with characters that users type alike made the same. Its case stays.

    Other than ASCII it only has letters, marks, emoji and `JOINT`. Folding it again changes
    nothing.
    """
    if text.isascii():
        return text
    if "\u200d" in text:
        text = _EMOJI_JOINER.sub(JOINT, text)
    return normalize("NFC", _translate(normalize("NFKC", text), _FOLDS))


def fold_case(word: str) -> tuple[str, ...]:
    """Return the forms under which a folded word is found: "müller" and "mueller" for "Müller".

    The first has no accents. There is a second one if the word has umlauts.
    """
    if word.isascii():
        return (word.lower(),)
    word = word.casefold()
    plain = normalize("NFC", _translate(word, _CASE_FOLDS))
    if _HAS_UMLAUT.search(word):
        spelt_out = _translate(_translate(word, _SPELT_OUT), _CASE_FOLDS)
        return plain, normalize("NFC", spelt_out)
    return (plain,)


def _translate(text: str, table: Mapping[int, str]) -> str:
    """Return the text with characters replaced that are not ASCII: most texts have few."""
    return _NOT_ASCII.sub(lambda found: found[0].translate(table), text)


def fold_with_offsets(text: str) -> tuple[str, list[int], list[int]]:
    """Return `fold(text)`, and for each of its characters where it comes from in `text`.

    The two lists are the offsets of the first code point, and of the one after the last.
    """
    if text.isascii():
        offsets = list(range(len(text) + 1))
        return text, offsets[:-1], offsets[1:]
    marked = _EMOJI_JOINER.sub(JOINT, text)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for line in _LINE.finditer(marked):
        offset, end = line.span()
        folded = _fold_alike(line[0])
        if folded is not None:
            pieces.append(folded)
            starts.extend(range(offset, end))
            ends.extend(range(offset + 1, end + 1))
            continue
        for first, last in _clusters(line[0]):
            folded = normalize("NFC", normalize("NFKC", line[0][first:last]).translate(_FOLDS))
            pieces.append(folded)
            starts.extend([offset + first] * len(folded))
            ends.extend([offset + last] * len(folded))
    return "".join(pieces), starts, ends


def folds_alike(text: str) -> bool:
    """Return whether each character becomes one, so that folding moves none."""
    return _fold_alike(_EMOJI_JOINER.sub(JOINT, text)) is not None


def _fold_alike(line: str) -> str | None:
    """Return the line folded, if each of its characters becomes one; else None."""
    if line.isascii():
        return line
    others = set("".join(_NOT_ASCII.findall(line)))
    if all(len(_ALONE[ord(char)]) == 1 and not _continues(char) for char in others):
        return _translate(line, _ALONE)
    if all(len(_FOLDS[ord(char)]) == 1 for char in others) and is_normalized("NFKC", line):
        folded = _translate(line, _FOLDS)
        return folded if is_normalized("NFC", folded) else None
    return None


# Besides marks: Hangul letters that NFKC puts together, and half-width marks of Katakana.
_JOINS: Final = re.compile("[\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\ud7b0-\ud7ff\uff9e-\uffdc]")
_LINE: Final = re.compile(r"[^\n]*\n?")


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the pieces are that can be folded one by one: characters with their marks."""
    start, size = 0, len(text)
    while start < size:
        end = start + 1
        while end < size and _continues(text[end]):
            end += 1
        yield start, end
        start = end


def _continues(char: str) -> bool:
    """Return whether a character may become one with what is before it, or becomes nothing."""
    return not char.isascii() and (
        category(char)[0] == "M" or not _FOLDS[ord(char)] or _JOINS.match(char) is not None
    )
