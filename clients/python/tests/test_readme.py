"""The examples of the README run as they are written."""

import asyncio
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import CoroutineType
from typing import Any

import pytest

from chatkeep_client.testing import MemoryService

PAGE = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
TESTS = [each for each in EXAMPLES if "def test_" in each]


def test_the_examples_run(service: MemoryService, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"URL": service.url, "KEY": service.service_key}
    for example in EXAMPLES:
        if example in TESTS:
            continue
        code = re.sub(r"^URL = .*\n|^KEY = .*\n", "", example, flags=re.MULTILINE)
        exec(compile(code, str(PAGE), "exec"), names)
        main = names.pop("main", None)
        if inspect.iscoroutinefunction(main):
            made: CoroutineType[Any, Any, Any] = main()
            asyncio.run(made)
    names["chatkeep"].close()
    assert "There is soup." in capsys.readouterr().out


def test_the_example_of_a_test_runs(tmp_path: Path) -> None:
    [example] = TESTS
    (tmp_path / "test_page.py").write_text(example, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
