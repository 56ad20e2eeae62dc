"""A store that breaks the promise of events is found out by the self-test."""

# ruff: noqa: ANN401 - what breaks a promise passes on whatever it is called with

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest

from chatkeep.adapters.memory import MemoryStore
from chatkeep.adapters.memory.events import MemoryEvents
from chatkeep.adapters.memory.stores import memory_stores
from chatkeep.domain.events import EventKind, EventPage, Followed, Mark
from chatkeep.domain.operations.selftest.checks import BrokenPromiseError
from chatkeep.domain.operations.selftest.promises import PROMISES
from chatkeep.domain.operations.selftest.store import StoreUnderTest


class SkipsAPage(MemoryEvents):
    """Its mark is that of the latest message, not of the last one on the page."""

    async def read(self, *args: Any, **kwargs: Any) -> EventPage:
        page = await super().read(*args, **kwargs)
        latest = await self.latest(*args[:2])
        return replace(page, mark=page.mark._replace(position=latest.position))


class GivesTheLastAgain(MemoryEvents):
    async def read(self, *args: Any, **kwargs: Any) -> EventPage:
        user_id, conversation_id, after = args
        earlier = after._replace(position=max(0, after.position - 1))
        return await super().read(user_id, conversation_id, earlier, **kwargs)


class GivesTheLatestFirst(MemoryEvents):
    async def read(self, *args: Any, **kwargs: Any) -> EventPage:
        page = await super().read(*args, **kwargs)
        return replace(page, events=[*reversed(page.events)])


class ForgetsDeletions(MemoryEvents):
    async def read(self, *args: Any, **kwargs: Any) -> EventPage:
        page = await super().read(*args, **kwargs)
        events = [each for each in page.events if each.kind is not EventKind.MESSAGE_DELETED]
        return replace(page, events=events)


class ForgetsChanges(MemoryEvents):
    """Has read all changes as soon as it has read the messages."""

    async def read(self, *args: Any, **kwargs: Any) -> EventPage:
        user_id, conversation_id, after = args
        now = await self.latest(user_id, conversation_id)
        if after.began:
            after = after._replace(revision=now.revision, number=now.number)
        return await super().read(user_id, conversation_id, after, **kwargs)


class IsAlwaysBehind(MemoryEvents):
    async def latest(self, *args: Any) -> Mark:
        mark = await super().latest(*args)
        return mark._replace(position=type(mark.position)(0))


class NeverMoves(MemoryEvents):
    async def moved(self, followed: Sequence[Followed]) -> Collection[Followed]:
        return []


class AlwaysMoves(MemoryEvents):
    async def moved(self, followed: Sequence[Followed]) -> Collection[Followed]:
        return followed


class HasNoLimit(MemoryEvents):
    async def read(self, *args: Any, **kwargs: Any) -> EventPage:
        return await super().read(*args, **{**kwargs, "limit": 1_000})


@pytest.mark.parametrize(
    "broken",
    [
        SkipsAPage,
        GivesTheLastAgain,
        GivesTheLatestFirst,
        ForgetsDeletions,
        ForgetsChanges,
        IsAlwaysBehind,
        NeverMoves,
        AlwaysMoves,
        HasNoLimit,
    ],
)
async def test_a_store_that_breaks_the_promise_of_events_is_found_out(
    broken: type[MemoryEvents],
) -> None:
    dicts = MemoryStore()
    store = StoreUnderTest.of(memory_stores(dicts))

    with pytest.raises(BrokenPromiseError):
        await PROMISES["events"](replace(store, events=broken(dicts)))
