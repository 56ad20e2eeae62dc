"""A synchronous client, as tests of the asynchronous one call it."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from chatkeep_client import Chatkeep


class Threads:
    """A synchronous client with the methods of the asynchronous one, which run in threads."""

    def __init__(self, client: Chatkeep) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if inspect.isgeneratorfunction(method):
            return _in_steps(method)

        async def call(*arguments: Any, **options: Any) -> Any:
            given = [_for_thread(each) for each in arguments]
            return await asyncio.to_thread(method, *given, **options)

        return call


def _in_steps(method: Callable[..., Iterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    async def steps(*arguments: Any, **options: Any) -> AsyncIterator[Any]:
        for each in await asyncio.to_thread(lambda: list(method(*arguments, **options))):
            yield each

    return steps


def _for_thread(argument: Any) -> Any:
    """Return an asynchronous generator as one whose steps run in the loop of the test."""
    if not inspect.isasyncgen(argument):
        return argument
    items: AsyncIterator[Any] = argument
    loop, end = asyncio.get_running_loop(), object()

    async def step() -> Any:
        return await anext(items, end)

    return iter(lambda: asyncio.run_coroutine_threadsafe(step(), loop).result(), end)
