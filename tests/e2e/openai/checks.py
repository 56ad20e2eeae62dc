"""Runs the functions of a module whose names begin with `check_`, in an environment of its own.

`python MODULE.py` prints `{name: error or null}`. What they check against is in the environment:
the URL, the tokens of two users, the first one's name, and a service key.
"""

import asyncio
import inspect
import json
import os
import sys
import traceback
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any

URL = os.environ.get("CHECKED_URL", "")
ALICE = os.environ.get("CHECKED_ALICE", "")
BOB = os.environ.get("CHECKED_BOB", "")
SERVICE_KEY = os.environ.get("CHECKED_SERVICE_KEY", "")
USER = os.environ.get("CHECKED_USER", "")
API = f"{URL}/openai/v1"


def equal(found: object, expected: object) -> None:
    """Compare, in the order of keys too."""
    one, other = json.dumps(found), json.dumps(expected)
    if one != other:
        raise AssertionError(f"{one[:2000]}\n  is not\n{other[:2000]}")


async def now(value: Any) -> Any:  # noqa: ANN401 - of any call
    """Return the value, of a client that waits for it or of one that does not."""
    return await value if inspect.isawaitable(value) else value


async def every(pages: Any) -> list[Any]:  # noqa: ANN401 - of any client
    """Return what a client that goes from page to page by itself yields."""
    if isinstance(pages, AsyncIterable):
        return [each async for each in pages]
    if not isinstance(pages, Iterable):
        raise TypeError(f"{pages!r} are no pages")
    return list(pages)


async def refused(call: Callable[[], Any], kind: type[Exception]) -> Any:  # noqa: ANN401 - its own
    """Return the error that a call is refused with."""
    try:
        await now(call())
    except kind as error:
        return error
    raise AssertionError(f"not refused with {kind.__name__}")


def run(module: dict[str, Any], variants: dict[str, tuple[Any, ...]]) -> None:
    """Run all checks, each with the arguments of each variant, and print what came of them."""

    async def outcomes() -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for name, check in list(module.items()):
            if not name.startswith("check_"):
                continue
            for variant, arguments in variants.items():
                try:
                    await check(*arguments)
                except Exception:  # noqa: BLE001 - whatever it is, the test fails with it
                    found[f"{name}[{variant}]"] = traceback.format_exc()
                else:
                    found[f"{name}[{variant}]"] = None
        return found

    json.dump(asyncio.run(outcomes()), sys.stdout)
