"""The pages name only what exists: files, tests, modules, settings, commands."""

import os
import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import yaml

from chatkeep.entrypoints.cli import COMMANDS
from chatkeep.entrypoints.settings import RETIRED, Settings, variable

ROOT = Path(__file__).parents[2]
PATTERNS = ("*.md", "docs/*.md", "clients/*/*.md", "examples/*/*.md", ".github/**/*.md")
PAGES = sorted({page for pattern in PATTERNS for page in ROOT.glob(pattern)})
FOLDERS = (
    r"(?:adapters|benchmarks|clients|deploy|docs|domain|entrypoints|examples|piccolo_migrations|testing|tests"
    r"|\.ci|\.github)"
)
# A path of the repository, in code or in prose; `<name>` and `*` stand for any name.
PATH = re.compile(rf"(?<![\w./-]){FOLDERS}/[\w./<>*-]*[\w/>*]")
TEST_FILE = re.compile(r"(?<![\w/])test_\w+\.py")
MODULE = re.compile(r"\bchatkeep(?:\.(?:domain|adapters|entrypoints|testing)[\w.]*\w)")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")
VARIABLE = re.compile(r"\bCHATKEEP_[A-Z_]*[A-Z]\b")
OF_TESTS = {
    "CHATKEEP_CONVERSATIONS",
    "CHATKEEP_TEST_EXAMPLES",
    "CHATKEEP_TEST_FULL",
    "CHATKEEP_TEST_POSTGRES",
}
# What Kubernetes sets beside a Service of the name `chatkeep`.
OF_KUBERNETES = {"CHATKEEP_PORT", "CHATKEEP_SERVICE_HOST"}


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def named(page: Path, pattern: re.Pattern[str]) -> Iterator[str]:
    for found in pattern.finditer(page.read_text(encoding="utf-8")):
        yield found[found.lastindex or 0]


every_page = pytest.mark.parametrize("page", PAGES, ids=page_id)


@every_page
def test_every_path_on_a_page_exists(page: Path) -> None:
    for path in named(page, PATH):
        pattern = re.sub(r"<\w+>", "*", path)
        assert list(ROOT.glob(pattern.rstrip("/"))), path


@every_page
def test_every_test_on_a_page_exists(page: Path) -> None:
    names = {path.name for path in ROOT.glob("tests/**/test_*.py")}
    assert {each for each in named(page, TEST_FILE) if "_my_" not in each} <= names


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in named(page, LINK):
        assert (page.parent / target).exists(), target


@every_page
def test_every_module_on_a_page_exists(page: Path) -> None:
    for module in named(page, MODULE):
        # A name inside a module is one part longer than the module's own.
        parts = module.split(".")[1:]
        candidates = [ROOT.joinpath(*parts), ROOT.joinpath(*parts[:-1])]
        found = [each for each in candidates if each.is_dir() or each.with_suffix(".py").exists()]
        assert found, module


@every_page
def test_every_variable_on_a_page_is_a_setting(page: Path) -> None:
    settings = {variable(name) for name in Settings.__struct_fields__} | set(RETIRED)
    assert set(named(page, VARIABLE)) <= settings | OF_TESTS | OF_KUBERNETES


@every_page
def test_every_command_on_a_page_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
    code = re.sub(r"#.*", "", "\n".join(block or inline for block, inline in found))
    assert set(re.findall(r"(?:^|[ /])chatkeep ([a-z]+)\b", code, re.MULTILINE)) <= set(COMMANDS)
    assert set(re.findall(r"\bmake ([a-z-]+)", code)) <= targets


def test_the_index_lists_every_page() -> None:
    listed = set(named(ROOT / "docs" / "README.md", LINK))
    assert {page.name for page in ROOT.glob("docs/*.md")} - {"README.md"} <= listed


def test_each_decision_has_a_number_of_its_own() -> None:
    text = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    parts = re.findall(r"^## (.*)$", text, re.MULTILINE)
    titles = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert parts == ["Behaviour", "Storage", "Code", "Tried, and did not pay"]
    numbers = [int(number) for each in titles for number in re.findall(r"^(\d+)\. ", each)]
    assert len(set(numbers)) == len(numbers) == len(titles)


def test_the_page_of_benchmarks_has_the_notes() -> None:
    notes = (ROOT / "benchmarks" / "notes.md").read_text(encoding="utf-8")
    assert notes.strip() in (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_the_workflow_runs_what_exists() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    commands = [step["run"] for step in workflow["jobs"]["run"]["steps"] if "run" in step]
    assert commands[-1] == ".ci/run"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_changelog_has_the_form_it_names() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert first == "[Unreleased]"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\S+)", each) for each in versions]
    released = [(each[1], date.fromisoformat(each[2])) for each in found if each]
    assert len(released) == len(versions)
    assert released[0][0] == project["version"]
    days = [day for _, day in released]
    assert days == sorted(days, reverse=True)
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
