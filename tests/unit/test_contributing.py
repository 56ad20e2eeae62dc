"""CONTRIBUTING.md lists every file that a change touches: its example's word is nowhere else.

That each file it lists exists, `test_docs.py` checks.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (.*)\n\n(Example: (?:.*\n)+?)(?=^##|\Z)", PAGE, re.MULTILINE))


def files() -> Iterator[Path]:
    """Yield what the product and its documentation are made of."""
    for folder in ("adapters", "deploy", "docs", "domain", "entrypoints", "piccolo_migrations"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".md", ".yml", ".json"}:
                yield path
    yield ROOT / "README.md"


def test_there_are_examples() -> None:
    assert len(SECTIONS) >= 7


@pytest.mark.parametrize("title", SECTIONS)
def test_every_file_with_the_example_is_listed(title: str) -> None:
    first, _, text = SECTIONS[title].partition("\n")
    words = re.compile(r"\b(?:" + "|".join(re.findall(r"`(\w+)`", first)) + r")\b", re.IGNORECASE)
    listed = re.findall(r"[`(]([\w./*-]+\.\w+)[`)]", text)

    found = [
        path.relative_to(ROOT).as_posix()
        for path in files()
        if words.search(path.read_text(encoding="utf-8"))
    ]
    assert found
    missing = [path for path in found if not any(fnmatch(path, each) for each in listed)]
    assert not missing, f"list them under {title!r} in CONTRIBUTING.md"
