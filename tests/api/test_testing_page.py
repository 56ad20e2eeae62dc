"""docs/testing.md shows code; it runs here as it stands there."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


async def test_the_example_inside_a_python_test_runs() -> None:
    _, example, *_ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}

    exec(compile(example, str(PAGE), "exec"), names)
    test: Callable[[], Awaitable[None]] = names["test_the_bot_remembers"]

    await test()
