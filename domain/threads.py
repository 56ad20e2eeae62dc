"""Runs work on large input in threads, so that it does not delay other requests."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

_T = TypeVar("_T")

SMALL: Final = 65_536
"""Up to this many bytes or characters, work takes less time than a switch to a thread."""

# Threads compete with the event loop for the interpreter lock, so there are few.
_threads: Final = ThreadPoolExecutor(2, thread_name_prefix="chatkeep-large-input")


async def run_in_thread(work: Callable[[], _T]) -> _T:
    """Return the result of `work`, which runs in a thread.

    It must not use objects of the event loop. It must consist of many small calls into C, since
    each of them blocks the loop.
    """
    return await asyncio.get_running_loop().run_in_executor(_threads, work)


async def run_aside(size: int, work: Callable[[], _T]) -> _T:
    """Return the result of `work`. It runs in a thread if `size`, that of its input, is large."""
    return work() if size <= SMALL else await run_in_thread(work)
