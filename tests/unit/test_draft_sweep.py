"""A sweep ends the drafts of producers that are gone, and deletes those that ended long ago."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from chatkeep.adapters.memory.stores import memory_stores
from chatkeep.adapters.memory.sweeps import MemorySweeps
from chatkeep.domain import draft_endings
from chatkeep.domain.draft_use_cases import DraftUseCases
from chatkeep.domain.drafts import DraftStatus, NewChunks
from chatkeep.domain.forgetting import Forgetting
from chatkeep.domain.idle import Cutoffs
from chatkeep.domain.operations.selftest.builders import ALICE, HOUR, NOON
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.operations.sweep import Sweep
from chatkeep.entrypoints.bootstrap.use_cases import memory_chatkeep
from chatkeep.testing.builders import SECOND, contents


class Clock:
    time = NOON

    def now(self) -> datetime:
        return self.time


async def test_a_sweep_ends_and_deletes_drafts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_endings, "SWEPT_AT_ONCE", 2)
    store, clock = StoreUnderTest.of(memory_stores()), Clock()
    drafts = DraftUseCases(store.drafts, store.log, store.conversations, clock)
    conversations = [await store.start() for _ in range(5)]
    for each in conversations:
        draft = await drafts.start(ALICE, each.id)
        await drafts.write(ALICE, each.id, draft.id, 1, 1, NewChunks(["text"]))
    sweep = Sweep(MemorySweeps(store.users.store), drafts)  # type: ignore[attr-defined]

    clock.time = NOON + HOUR / 2
    assert [each async for each in sweep.run(Cutoffs(None, None))] == []

    for each in conversations:
        [draft] = await store.drafts.latest(ALICE, each.id, limit=9)
        assert draft.status is DraftStatus.INTERRUPTED
        assert contents(await store.history(each)) == ["text"]
    clock.time += HOUR + SECOND
    await drafts.sweep()
    for each in conversations:
        assert await store.drafts.latest(ALICE, each.id, limit=9) == []
        assert contents(await store.history(each)) == ["text"]


async def test_a_draft_whose_conversation_is_gone_is_no_obstacle() -> None:
    store, clock = StoreUnderTest.of(memory_stores()), Clock()
    drafts = DraftUseCases(store.drafts, store.log, store.conversations, clock)
    conversation = await store.start()
    draft = await drafts.start(ALICE, conversation.id)
    clock.time += HOUR

    class Late:
        """Finds the draft that has just been deleted."""

        async def overdue(self, _: datetime, *, limit: int) -> Sequence[object]:
            await store.conversations.delete(ALICE, conversation.id)
            return [draft][:limit]

        def __getattr__(self, name: str) -> object:
            return getattr(store.drafts, name)

    await replace(drafts, drafts=Late()).sweep()  # type: ignore[arg-type]


async def test_what_ended_is_forgotten_after_the_time_that_is_set() -> None:
    clock = Clock()
    chatkeep = memory_chatkeep(clock=clock, drafts_kept=2 * HOUR)
    created = await chatkeep.create_conversation(ALICE)
    draft = await chatkeep.drafts.start(ALICE, created.conversation.id)
    await chatkeep.drafts.finish(ALICE, created.conversation.id, draft.id, 1)

    clock.time = NOON + 2 * HOUR
    await Forgetting(chatkeep).forget()
    assert await chatkeep.drafts.latest(ALICE, created.conversation.id) != []

    clock.time += SECOND
    await Forgetting(chatkeep).forget()
    assert await chatkeep.drafts.latest(ALICE, created.conversation.id) == []
