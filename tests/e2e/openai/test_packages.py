"""OpenAI's own packages, unmodified, against the running service: each check is a test here."""

import ast
import json
import shutil
import subprocess
from functools import cache

import pytest

from tests.e2e.openai.conftest import checked
from tests.e2e.openai.environments import FOLDER, node_folder, python

CHECKS = {
    "first": ["client_checks.py"],
    "current": ["client_checks.py", "agents_checks.py", "strict_checks.py"],
}


def checks_of(module: str) -> list[str]:
    tree = ast.parse((FOLDER / module).read_text())
    names = [each.name for each in tree.body if isinstance(each, ast.AsyncFunctionDef)]
    variants = ["sync", "async"] if module == "client_checks.py" else ["async"]
    return [
        f"{name}[{variant}]" for name in names if name.startswith("check_") for variant in variants
    ]


CASES = [
    (packages, module, check)
    for packages, modules in CHECKS.items()
    for module in modules
    for check in checks_of(module)
]


@cache
def outcomes(packages: str, module: str, url: str) -> dict[str, str | None]:
    """Run all checks of a module, once."""
    done = subprocess.run(
        [python(packages), FOLDER / module],
        env=checked(url, f"{packages} {module}"),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(600)  # the first one installs the packages
@pytest.mark.parametrize(("packages", "module", "check"), CASES)
def test_the_package_gets_what_it_expects(url: str, packages: str, module: str, check: str) -> None:
    outcome = outcomes(packages, module, url)[check]

    assert outcome is None, outcome


@pytest.mark.timeout(600)
def test_the_npm_package_gets_what_it_expects(url: str) -> None:
    folder = node_folder()
    shutil.copy(FOLDER / "client.mjs", folder)

    done = subprocess.run(
        ["node", "--test", "client.mjs"],
        cwd=folder,
        env=checked(url, "npm"),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "# pass 5\n" in done.stdout
