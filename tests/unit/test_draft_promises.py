"""A store that breaks the promise of drafts is found out by the self-test."""

# ruff: noqa: ANN401 - what breaks a promise passes on whatever it is called with

from dataclasses import replace
from typing import Any

import pytest

from chatkeep.adapters.memory import MemoryDrafts, MemoryStore
from chatkeep.adapters.memory.stores import memory_stores
from chatkeep.domain.drafts import Draft, EndedDraft
from chatkeep.domain.operations.selftest.checks import BrokenPromiseError
from chatkeep.domain.operations.selftest.promises import PROMISES
from chatkeep.domain.operations.selftest.store import StoreUnderTest


class StartsAnything(MemoryDrafts):
    async def start(self, draft: Draft, **kwargs: Any) -> Draft:
        kept = self.store.conversation(draft.user_id, draft.conversation_id)
        kept.drafts.clear()
        return await super().start(draft, **kwargs)


class AddsEveryChunk(MemoryDrafts):
    """Does not look at the numbers."""

    async def write(self, *args: Any) -> Draft:
        user_id, conversation_id, draft_id, epoch, _, *others = args
        now = await self.get(user_id, conversation_id, draft_id)
        return await super().write(user_id, conversation_id, draft_id, epoch, now.next, *others)


class EndsAnything(MemoryDrafts):
    """Does not look whether the draft is still as the caller has seen it."""

    async def end(self, draft: Draft, *args: Any, **kwargs: Any) -> EndedDraft | None:
        now = await self.get(draft.user_id, draft.conversation_id, draft.id)
        return await super().end(now, *args, **kwargs)


class EndsAgain(MemoryDrafts):
    async def end(self, draft: Draft, *args: Any, **kwargs: Any) -> EndedDraft | None:
        ended = await super().end(draft, *args, **kwargs)
        if ended is not None and ended.message is not None:
            kept = self.store.conversation(draft.user_id, draft.conversation_id)
            kept.drafts[draft.number].draft = draft
        return ended


class KeepsTheEpoch(MemoryDrafts):
    async def write(self, *args: Any) -> Draft:
        user_id, conversation_id, draft_id, _, *others = args
        now = await self.get(user_id, conversation_id, draft_id)
        return await super().write(user_id, conversation_id, draft_id, now.epoch, *others)


class UsesNumbersAgain(MemoryDrafts):
    async def start(self, draft: Draft, **kwargs: Any) -> Draft:
        kept = self.store.conversation(draft.user_id, draft.conversation_id)
        last = kept.last_position
        started = await super().start(draft, **kwargs)
        kept.last_position = last
        return replace(started, number=type(started.number)(last))


@pytest.mark.parametrize(
    "broken",
    [
        StartsAnything,
        AddsEveryChunk,
        EndsAnything,
        EndsAgain,
        KeepsTheEpoch,
        UsesNumbersAgain,
    ],
)
async def test_a_store_that_breaks_the_promise_of_drafts_is_found_out(
    broken: type[MemoryDrafts],
) -> None:
    dicts = MemoryStore()
    store = StoreUnderTest.of(memory_stores(dicts))

    with pytest.raises(BrokenPromiseError):
        await PROMISES["drafts"](replace(store, drafts=broken(dicts)))
