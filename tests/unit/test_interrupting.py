"""Drafts whose producers are gone are interrupted, by the process that wrote them or another."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from chatkeep.domain import interrupting
from chatkeep.domain.deadlines import Deadlines
from chatkeep.domain.draft_use_cases import DraftUseCases
from chatkeep.domain.drafts import Draft, DraftStatus, NewChunks
from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.domain.hub import Hub
from chatkeep.domain.interrupting import Interrupting
from chatkeep.domain.model import ConversationId, Limits
from chatkeep.domain.operations.selftest.builders import ALICE, NOON
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.bootstrap.use_cases import memory_chatkeep
from tests.support.waiting import until

LEASE = 60
NIL_ID = ConversationId(UUID(int=0))


class _Clock:
    time = NOON

    def now(self) -> object:
        return self.time


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def chatkeep(clock: _Clock) -> Chatkeep:
    return memory_chatkeep(clock=clock)  # type: ignore[arg-type]


async def written(chatkeep: Chatkeep) -> Draft:
    """Return a draft with a chunk, in a conversation of its own."""
    created = await chatkeep.create_conversation(ALICE)
    draft = await chatkeep.drafts.start(ALICE, created.conversation.id, lease=LEASE)
    return await chatkeep.drafts.write(
        ALICE, draft.conversation_id, draft.id, 1, 1, NewChunks(["It was"])
    )


async def status(chatkeep: Chatkeep, draft: Draft) -> DraftStatus:
    """Return what the store has, without a reader who interrupts it."""
    found = await chatkeep.drafts.drafts.get(ALICE, draft.conversation_id, draft.id)
    return found.status


async def test_an_overdue_draft_becomes_a_message_though_nobody_looks(
    chatkeep: Chatkeep, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupting, "TICK", 0.001)
    async with Interrupting(chatkeep.drafts, chatkeep.hub).running():
        draft, other = await written(chatkeep), await written(chatkeep)
        await chatkeep.drafts.finish(ALICE, other.conversation_id, other.id, 1)
        clock.time += timedelta(seconds=LEASE)

        async def is_interrupted() -> bool:
            return await status(chatkeep, draft) is DraftStatus.INTERRUPTED

        await until(is_interrupted)
    assert await status(chatkeep, other) is DraftStatus.FINISHED
    conversation = await chatkeep.get_conversation(ALICE, draft.conversation_id)
    assert conversation.message_count == 1
    assert not chatkeep.drafts.deadlines.is_needed.is_set()


async def test_a_draft_is_left_alone_until_its_deadline(chatkeep: Chatkeep, clock: _Clock) -> None:
    draft = await written(chatkeep)
    clock.time += timedelta(seconds=LEASE / 2)
    more = NewChunks([" shipped"])
    await chatkeep.drafts.write(ALICE, draft.conversation_id, draft.id, 1, 2, more)
    clock.time += timedelta(seconds=LEASE - 1)

    assert await Interrupting(chatkeep.drafts, chatkeep.hub).interrupt_overdue()

    assert await status(chatkeep, draft) is DraftStatus.ACTIVE
    assert chatkeep.drafts.deadlines.is_needed.is_set()


async def test_a_draft_that_another_process_goes_on_with_is_left_to_that_one(
    chatkeep: Chatkeep, clock: _Clock
) -> None:
    draft = await written(chatkeep)
    clock.time += timedelta(seconds=LEASE)
    await chatkeep.drafts.drafts.write(
        ALICE,
        draft.conversation_id,
        draft.id,
        1,
        2,
        NewChunks([" shipped"]),
        clock.time,
        Limits(),
    )

    assert await Interrupting(chatkeep.drafts, chatkeep.hub).interrupt_overdue()

    assert await status(chatkeep, draft) is DraftStatus.ACTIVE
    assert not chatkeep.drafts.deadlines.is_needed.is_set()


async def test_drafts_of_conversations_that_are_gone_are_forgotten(
    chatkeep: Chatkeep, clock: _Clock
) -> None:
    draft = await written(chatkeep)
    await chatkeep.conversations.delete(ALICE, draft.conversation_id)
    clock.time += timedelta(seconds=LEASE)

    assert await Interrupting(chatkeep.drafts, chatkeep.hub).interrupt_overdue()

    assert not chatkeep.drafts.deadlines.is_needed.is_set()


async def test_while_the_store_is_away_drafts_are_remembered(
    chatkeep: Chatkeep, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = await written(chatkeep)
    clock.time += timedelta(seconds=LEASE)

    async def away(*_: object) -> Draft:
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(type(chatkeep.drafts), "get", away)
        assert not await Interrupting(chatkeep.drafts, chatkeep.hub).interrupt_overdue()
    assert await Interrupting(chatkeep.drafts, chatkeep.hub).interrupt_overdue()

    assert await status(chatkeep, draft) is DraftStatus.INTERRUPTED


async def test_an_error_with_one_draft_keeps_no_other_from_being_interrupted(
    chatkeep: Chatkeep, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, draft = await written(chatkeep), await written(chatkeep)
    clock.time += timedelta(seconds=LEASE)
    get = type(chatkeep.drafts).get

    async def fail(drafts: object, user: object, conversation: object, draft: object) -> Draft:
        if draft == broken.id:
            raise ValueError(draft)
        return await get(drafts, user, conversation, draft)  # type: ignore[arg-type]

    monkeypatch.setattr(type(chatkeep.drafts), "get", fail)
    assert await Interrupting(chatkeep.drafts, chatkeep.hub).interrupt_overdue()

    assert await status(chatkeep, draft) is DraftStatus.INTERRUPTED


def other_process(chatkeep: Chatkeep) -> Chatkeep:
    """Return the use cases of another process on the same store."""
    drafts = replace(chatkeep.drafts, deadlines=Deadlines())
    return replace(chatkeep, drafts=drafts, hub=Hub())


async def test_a_draft_of_a_process_that_is_gone_is_interrupted_by_one_that_is_in_use(
    chatkeep: Chatkeep, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupting, "EVERY", 0.001)
    draft, other = await written(chatkeep), other_process(chatkeep)
    clock.time += timedelta(seconds=LEASE)

    async with Interrupting(other.drafts, other.hub).running():
        other.hub.notify(ALICE, NIL_ID)

        async def is_interrupted() -> bool:
            return await status(chatkeep, draft) is DraftStatus.INTERRUPTED

        await until(is_interrupted)


async def test_a_process_that_nobody_uses_asks_the_store_for_nothing(
    chatkeep: Chatkeep, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupting, "EVERY", 0.001)
    draft, other = await written(chatkeep), other_process(chatkeep)
    clock.time += timedelta(seconds=LEASE)
    asked = []
    monkeypatch.setattr(type(chatkeep.drafts), "overdue", lambda _: asked.append(1))

    async with Interrupting(other.drafts, other.hub).running():
        await asyncio.sleep(0.05)

    assert asked == []
    assert await status(chatkeep, draft) is DraftStatus.ACTIVE


async def test_what_others_left_overdue_waits_while_the_store_is_away(
    chatkeep: Chatkeep, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupting, "EVERY", 0.001)
    draft, other = await written(chatkeep), other_process(chatkeep)
    clock.time += timedelta(seconds=LEASE)
    overdue, failures = type(chatkeep.drafts).overdue, [StoreUnavailableError("away"), ValueError()]

    async def find(drafts: DraftUseCases) -> Sequence[Draft]:
        if failures:
            raise failures.pop()
        return await overdue(drafts)

    monkeypatch.setattr(type(chatkeep.drafts), "overdue", find)
    async with Interrupting(other.drafts, other.hub).running():

        async def is_interrupted() -> bool:
            other.hub.notify(ALICE, NIL_ID)
            return await status(chatkeep, draft) is DraftStatus.INTERRUPTED

        await until(is_interrupted)
