"""CONTRIBUTING.md lists every file that a change touches, and its walks name what is there.

A list is complete when the example's word is in no other file. `test_docs.py` checks that each file
of it exists.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (.*)\n\n(Example: (?:.*\n)+?)(?=^##|\Z)", PAGE, re.MULTILINE))


WALKS = PAGE.partition("## Walks through the code")[2]
STEPS = re.findall(r"^\d\. (.*(?:\n   .*)*)", WALKS, re.MULTILINE)


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


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_a_walk_names_what_is_in_its_files(step: str) -> None:
    quoted = re.findall(r"`([^`]+)`", step)
    paths = [each for each in quoted if "/" in each]
    code = "\n".join((ROOT / path).read_text(encoding="utf-8") for path in paths)
    for name in set(quoted) - set(paths):
        for part in name.split("."):
            assert re.search(rf"\b{re.escape(part)}\b", code), name


def test_each_walk_has_five_steps() -> None:
    assert len(STEPS) == 5 * WALKS.count("\n### ") == 25
