"""Where work on large input is done, so that it holds up nobody else's."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

_T = TypeVar("_T")

SMALL: Final = 65_536
"""So many bytes or characters take less time than it takes to hand them to a thread and back."""

# Threads take turns with the event loop, which waits for each of them: so there are few.
_threads: Final = ThreadPoolExecutor(2, thread_name_prefix="chatkeep-large-input")


async def run_in_thread(work: Callable[[], _T]) -> _T:
    """Return what `work` returns, run in a thread while the event loop goes on.

    It must not touch what belongs to the loop. A single call into C holds up the loop all the same:
    `work` is to consist of many small ones.
    """
    return await asyncio.get_running_loop().run_in_executor(_threads, work)


async def run_aside(size: int, work: Callable[[], _T]) -> _T:
    """Return what `work` returns; run it in a thread if its input, of `size`, is large."""
    return work() if size <= SMALL else await run_in_thread(work)
