"""The suite runs outside this project as docs/testing.md says, and finds a broken promise."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from chatkeep.testing import contract, suite
from tests.support.service_process import FULL

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
KEEPS_ITS_PROMISES = "from chatkeep.adapters.memory.stores import memory_stores as stores\n"
IGNORES_HOLDS = """
from dataclasses import replace

from chatkeep.adapters.memory import MemoryStore, MemoryUsers
from chatkeep.adapters.memory.stores import memory_stores


class IgnoresHolds(MemoryUsers):
    async def erase(self, user_id, *, even_retained=False):
        return await super().erase(user_id, even_retained=True)


def stores():
    kept = MemoryStore()
    return replace(memory_stores(kept), users=IgnoresHolds(kept))
"""


def run_as_documented(place: Path, my_store: str, *more: str) -> "subprocess.CompletedProcess[str]":
    """Follow the page in a project of its own."""
    (place / "my_store.py").write_text(my_store, encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    files = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.DOTALL))
    assert set(files) == {"conftest.py", "test_my_store.py"}
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    *_, command = re.findall(r"```sh\n(.*?)\n```", page, re.DOTALL)
    python, *arguments = command.split()
    assert python == "python"
    return subprocess.run(
        [sys.executable, *arguments, *more],
        cwd=place,
        env={name: value for name, value in os.environ.items() if "PYTEST" not in name},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.full
def test_a_store_that_keeps_its_promises_passes(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    done = run_as_documented(tmp_path, KEEPS_ITS_PROMISES)

    assert done.returncode == 0, done.stdout
    [passed] = re.findall(r"^=+ (\d+) passed in ", done.stdout, re.MULTILINE)
    assert int(passed) > 500


def test_the_tests_that_fail_name_the_promise_that_a_store_breaks(tmp_path: Path) -> None:
    # The other test runs all of them.
    some_of_them = () if FULL else ("-k", "hold or erase or sweep or delete")
    done = run_as_documented(tmp_path, IGNORES_HOLDS, *some_of_them)

    assert done.returncode == 1, done.stdout
    failed = re.findall(r"^FAILED test_my_store.py::(\S+)", done.stdout, re.MULTILINE)
    assert "test_nothing_of_a_user_is_erased_while_a_conversation_is_on_hold" in failed
    assert "BrokenPromiseError: deleting what is on hold was not refused" in done.stdout
    assert [name for name in failed if "hold" not in name] == []


def test_the_suite_has_every_test_and_fixture_of_its_modules() -> None:
    """Of two that have the same name, only one would be there."""
    modules = {
        info.name: import_module(info.name)
        for info in iter_modules(contract.__path__, f"{contract.__name__}.")
    }
    assert len(modules) > 15
    for name, module in modules.items():
        for each, value in vars(module).items():
            if getattr(value, "__module__", None) == name:
                assert getattr(suite, each) is value, f"{name}.{each}"


def test_every_module_of_the_suite_is_run_on_our_adapters() -> None:
    modules = {f"test_{info.name}.py" for info in iter_modules(contract.__path__)}
    here = {path.name for path in Path(__file__).parent.glob("test_*.py")}

    # The others compare our two adapters with each other, and judge what a search finds.
    assert here - {Path(__file__).name, "test_any_changes.py", "test_search_quality.py"} == modules
