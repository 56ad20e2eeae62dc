"""Writes the synchronous client from the asynchronous one: `python sync_from_async.py`.

With `--check` it writes nothing, and fails if a file would change.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parent / "src" / "chatkeep_client"
HEADER: Final = "# Written by sync_from_async.py from _async/{name}; change that file.\n"

# In this order. Whole words, so that names that contain them stay.
RULES: Final = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"),
    (r"\bAsync(\w+)", r"\1"),
    (r"\b_async\b", "_sync"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\ba(iter|next)\b", r"\1"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bimport asyncio\n(import inspect\n|import time\n)?", "import time\n"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\b__aenter__\b", "__enter__"),
    (r"\b__aexit__\b", "__exit__"),
    (r"\baclose\b", "close"),
    (r"\baread\b", "read"),
    (r"\baiter_bytes\b", "iter_bytes"),
    (r"\bstr \| Awaitable\[str\]", "str"),
    (r", Awaitable, ", ", "),
    (
        r"given = token\(\)\n +token = given if inspect\.isawaitable\(given\) else given",
        "token = token()",
    ),
    (
        r"\bThe asynchronous client, of which `sync_from_async\.py` makes the other one\.",
        "The synchronous client.",
    ),
)


def convert(source: str, name: str) -> str:
    for pattern, replacement in RULES:
        source = re.sub(pattern, replacement, source)
    source = HEADER.format(name=name) + source
    for command in (
        ("check", "--quiet", "--fix-only", "--unsafe-fixes", "--select=I,UP028"),
        ("format", "--quiet"),
    ):
        ruff = (sys.executable, "-m", "ruff", *command, "--stdin-filename", PACKAGE / name, "-")
        source = subprocess.run(  # noqa: S603 - ruff, of this environment
            ruff, input=source, capture_output=True, encoding="utf-8", check=True
        ).stdout
    return source


def main() -> None:
    wrong = []
    for path in sorted((PACKAGE / "_async").glob("*.py")):
        made = convert(path.read_text(encoding="utf-8"), path.name)
        target = PACKAGE / "_sync" / path.name
        if target.exists() and target.read_text(encoding="utf-8") == made:
            continue
        wrong.append(target.name)
        if "--check" not in sys.argv:
            target.write_text(made, encoding="utf-8")
    if "--check" in sys.argv and wrong:
        sys.exit(f"run sync_from_async.py: {', '.join(wrong)} would change")


if __name__ == "__main__":
    main()
