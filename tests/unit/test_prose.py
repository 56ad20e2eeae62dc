"""Docstrings, comments, messages and pages avoid constructions that must be read twice."""

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "domain",
    "adapters",
    "entrypoints",
    "testing",
    "benchmarks",
    ".ci",
    "clients/python/src",
)
PAGES = ("*.md", "docs/*.md", "clients/*/*.md", "examples/*/*.md")

# Patterns of text in lower case. What to write instead is in the name.
ANYWHERE = {
    "`so many` for a number: name the number": r"\bso (?:many|long|often|few)\b",
    "`is no X`: `is not an X`": r"(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b)\w+",
    "`whoever`, `nobody`: say who": r"\b(?:whoever|whomever|nobody)\b",
    "`stands`: `is`": r"\bstands\b(?! for\b)|\bstand (?:in|beside|before|at)\b",
    "`told of`: `gets`, `is called with`": r"\b(?:told|tell|tells) of\b",
    "`elsewhere than`: name the place": r"\belsewhere than\b",
    "`what is X, is`: name the thing": (
        r"\bwhat (?:is|was) (?:\w+ ){0,4}\w+, (?:it |they )?(?:is|are)\b"
    ),
    "`as X has it`: `like X`, `in the form of X`": r"\bas (?:[\w']+ ){1,5}ha(?:s|ve) (?:it|them)\b",
    "`to be had`: `available`": r"\b(?:be|been) had\b",
}
IN_CODE = ANYWHERE | {
    "`of its own`: `separate`, `its own X`": r"\bof (?:its|their|our|one's|my|your) own\b",
    "`of theirs`: `their X`": r"\bof (?:theirs|ours|yours)\b",
    "`beside`: `besides`, `with`, `next to`": r"\bbeside\b",
}
DOCSTRING = {
    "a question word begins it: `Return whether`, a noun": (
        r"\A(?:what|who|whose|which|whether)\b(?![^.]*\?)"
    )
}

ALLOWED = {
    ("adapters/embedded/binaries.py", "nobody"): "the name of a Unix account",
    ("adapters/embedded/cluster.py", "nobody"): "the name of a Unix account",
    ("domain/operations/selftest/chat.py", "stands"): "a clock stands still",
}
"""By file and text: why this is plain English there."""


class Text(NamedTuple):
    """A text of a file. `is_docstring` is true for docstrings of modules, classes, functions."""

    line: int
    text: str
    is_docstring: bool = False


def texts_of_module(source: str) -> Iterator[Text]:
    """Yield docstrings, other strings and comments. Values in f-strings become X."""
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    parts: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(part) for part in node.values}
            pieces = [
                str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values
            ]
            yield Text(node.lineno, "".join(pieces))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield Text(node.lineno, node.value, id(node) in docstrings)
    yield from _comments(source)


def _comments(source: str) -> Iterator[Text]:
    """Yield the comments; those on successive lines are one text."""
    lines = iter(source.splitlines(keepends=True))
    words: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(lambda: next(lines, "")):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1:
            yield Text(first, " ".join(words))
            words, first = [], token.start[0]
        words.append(token.string.lstrip("# "))
        last = token.start[0]
    yield Text(first, " ".join(words))


def texts_of_page(source: str) -> Iterator[Text]:
    """Yield the paragraphs of a page, without code."""
    source = re.sub(
        r"^```.*?^```$",
        lambda code: "\n" * code[0].count("\n"),
        source,
        flags=re.MULTILINE | re.DOTALL,
    )
    line = 1
    for paragraph in re.split(r"(\n\n+)", source):
        yield Text(line, re.sub(r"`[^`]*`", "X", paragraph))
        line += paragraph.count("\n")


def riddles(text: Text, patterns: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the advice and the words of each construction to avoid."""
    plain = " ".join(text.text.split()).lower()
    for advice, pattern in (patterns | (DOCSTRING if text.is_docstring else {})).items():
        for match in re.finditer(pattern, plain):
            yield advice, match[0]


MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
DOCUMENTS = sorted(path for pattern in PAGES for path in ROOT.glob(pattern))


@pytest.mark.parametrize(
    "path", [*MODULES, *DOCUMENTS], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_a_file_is_in_plain_english(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    is_code = path.suffix == ".py"
    source = path.read_text(encoding="utf-8")
    found = [
        f"{name}:{text.line}: {words!r}: {advice}"
        for text in (texts_of_module(source) if is_code else texts_of_page(source))
        for advice, words in riddles(text, IN_CODE if is_code else ANYWHERE)
        if (name, words) not in ALLOWED
    ]
    assert not found, "\n".join(found)


def test_every_exception_is_still_needed() -> None:
    for name, words in ALLOWED:
        texts = texts_of_module((ROOT / name).read_text(encoding="utf-8"))
        assert any(words == each for text in texts for _, each in riddles(text, IN_CODE)), name


@pytest.mark.parametrize(
    "source",
    [
        '"""So many seconds may a body take."""',
        'def f():\n    """Whether it is."""',
        'def f(field):\n    raise ValueError(f"{field} is no number")',
        "x = 1  # whoever\n# calls",
        '"""A value.\n\nWhat is nested deeper, is left out."""',
        'LIMIT = 1\n"""Stands\nin the way."""',
    ],
)
def test_each_kind_of_text_is_read(source: str) -> None:
    assert [each for text in texts_of_module(source) for each in riddles(text, IN_CODE)]


def test_code_in_a_page_is_not_read() -> None:
    page = "Plain.\n\n```sh\necho whoever\n```\n\nA `whoever` in code, and a nobody.\n"
    found = [
        (text.line, words) for text in texts_of_page(page) for _, words in riddles(text, ANYWHERE)
    ]
    assert found == [(7, "nobody")]
