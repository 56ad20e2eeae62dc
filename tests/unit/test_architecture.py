"""What may import what: the contracts of import-linter, and the domain's standard library.

Each contract is tried with a fault of the kind that it is there for: one that lets it pass holds
nothing.
"""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.service_process import some

PROJECT = Path(__file__).parents[2]
ROOTS = ("chatkeep", "domain", "adapters", "entrypoints", "piccolo_migrations", "testing")


def imports(path: Path) -> Iterator[str]:
    """Yield the `root` of what a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (root(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "chatkeep.domain" if node.level else root(node.module or "")


def root(module: str) -> str:
    """Return the top-level package of a module; of ours, which of its packages."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "chatkeep" else 1])


def foreign(domain: Path) -> set[tuple[str, str]]:
    """Return what modules of the domain import that is neither theirs nor standard library."""
    allowed = sys.stdlib_module_names | {"chatkeep.domain"}
    found = ((path.name, name) for path in domain.rglob("*.py") for name in imports(path))
    return {(module, name) for module, name in found if name not in allowed}


def test_the_domain_imports_the_standard_library_only() -> None:
    assert foreign(PROJECT / "domain") == set()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("copy")
    for name in ROOTS:
        shutil.copytree(
            PROJECT / name,
            place / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    shutil.copy(PROJECT / "pyproject.toml", place)
    return place


def broken(place: Path) -> list[str]:
    """Return the names of the contracts that are broken."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=place,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    lines = done.stdout.splitlines()
    assert any(line.startswith("Contracts: ") for line in lines), done.stdout + done.stderr
    return [line.removesuffix(" BROKEN") for line in lines if line.endswith(" BROKEN")]


@pytest.mark.parametrize(
    ("module", "text", "contract"),
    some(
        [
            (
                "entrypoints/http/new.py",
                "import asyncpg",
                "Only adapters know the database's driver",
            ),
            (
                "entrypoints/bootstrap/new.py",
                "import asyncpg",
                "Only adapters know the database's driver",
            ),
            (
                "entrypoints/new/__init__.py",
                "import chatkeep.adapters.memory",
                "Only bootstrap picks",
            ),
            (
                "entrypoints/new.py",
                "from chatkeep.adapters.piccolo.engine import Engine",
                "Only bootstrap picks",
            ),
            ("adapters/new.py", "import chatkeep.entrypoints.settings", "Hexagon"),
            ("domain/new.py", "import chatkeep.adapters.clock", "Hexagon"),
            ("domain/new.py", "import chatkeep.testing.builders", "Hexagon"),
            ("adapters/new.py", "import pytest", "Only the tests of adapters need"),
            (
                "adapters/memory/new.py",
                "import chatkeep.adapters.piccolo.rows",
                "Adapters do not know",
            ),
            ("entrypoints/http/new.py", "import chatkeep.entrypoints.openai.errors", "No cycles"),
            ("domain/errors.py", "import chatkeep.domain.use_cases", "No cycles"),
        ],
        every=4,
    ),
)
def test_an_import_that_is_not_allowed_breaks_a_contract(
    copy: Path, module: str, text: str, contract: str
) -> None:
    path = copy / module
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{before or ''}\n{text}\n", encoding="utf-8")
    try:
        assert any(name.startswith(contract) for name in broken(copy))
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")


def test_as_it_is_no_contract_is_broken(copy: Path) -> None:
    assert broken(copy) == []


def test_a_package_of_others_in_the_domain_is_found(copy: Path) -> None:
    path = copy / "domain" / "new.py"
    path.write_text("def parse() -> None:\n    import httptools\n", encoding="utf-8")
    try:
        assert foreign(copy / "domain") == {("new.py", "httptools")}
    finally:
        path.unlink()


def test_every_package_is_installed() -> None:
    """One that pyproject.toml does not list works here, and is missing from the wheel."""
    listed = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {
        path.parent.relative_to(PROJECT)
        for name in ROOTS
        for path in (PROJECT / name).rglob("*.py")
    }
    written = {
        ".".join(folder.parts if folder.parts[0] == "chatkeep" else ("chatkeep", *folder.parts))
        for folder in folders
    }
    assert written == set(listed["tool"]["setuptools"]["packages"])
