"""OpenAI's own packages, unmodified, against the running service: each check is a test here."""

import ast
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import pytest

from entrypoints.http.tokens import sign
from tests.e2e.openai.environments import FOLDER, python
from tests.e2e.processes import CHATKEEP, PROJECT, SECRET, environment
from tests.postgres import Server

SERVICE_KEY = "sk_one_0123456789abcdef0123456789"
CHECKS = {"first": ["client_checks.py"], "current": ["client_checks.py", "agents_checks.py"]}


def checks_of(module: str) -> list[str]:
    tree = ast.parse((FOLDER / module).read_text())
    names = [each.name for each in tree.body if isinstance(each, ast.AsyncFunctionDef)]
    variants = ["async"] if module == "agents_checks.py" else ["sync", "async"]
    return [
        f"{name}[{variant}]" for name in names if name.startswith("check_") for variant in variants
    ]


CASES = [
    (packages, module, check)
    for packages, modules in CHECKS.items()
    for module in modules
    for check in checks_of(module)
]


@pytest.fixture(scope="module")
async def url(postgres_server: Server) -> AsyncIterator[str]:
    """Yield where a service of its own process listens."""
    async with postgres_server.database() as database_url:
        process = subprocess.Popen(  # noqa: ASYNC220 - it is only started
            [CHATKEEP, "serve", "--port", "0"],
            cwd=PROJECT,
            env=environment(
                DATABASE_URL=database_url,
                CHATKEEP_JWT_SECRET=SECRET,
                CHATKEEP_SERVICE_KEYS=SERVICE_KEY,
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        assert process.stdout is not None
        with process, process.stdout:
            found = re.search(r"http://\S+(?=,)", process.stdout.readline())
            try:
                assert found
                yield found[0]
            finally:
                process.terminate()


@cache
def outcomes(packages: str, module: str, url: str) -> dict[str, str | None]:
    """Run all checks of a module, once."""
    # Users of their own: some checks are about all that a user has.
    users = {name: f"{name} of {packages} {module}" for name in ("alice", "bob")}
    tokens = {
        f"CHECKED_{name.upper()}": sign(SECRET, user, expires_in=900)
        for name, user in users.items()
    }
    done = subprocess.run(
        [python(packages), FOLDER / module],
        env={
            **os.environ,
            **tokens,
            "CHECKED_URL": url,
            "CHECKED_USER": users["alice"],
            "CHECKED_SERVICE_KEY": SERVICE_KEY,
            "OPENAI_API_KEY": "unused",
        },
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


def test_there_are_checks_of_each_package() -> None:
    assert all(Path(FOLDER / module).exists() for modules in CHECKS.values() for module in modules)
    assert {packages for packages, _, _ in CASES} == set(CHECKS)
