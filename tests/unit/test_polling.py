"""Polls for events: few, all of a process together, and fewer the longer nothing happens."""

import inspect
from collections.abc import Collection, Sequence
from typing import Any
from uuid import uuid4

import pytest

from chatkeep.adapters.memory.stores import memory_stores
from chatkeep.domain import polling
from chatkeep.domain.drafts import DraftStatus, NewChunks
from chatkeep.domain.events import NO_DRAFTS, Followed
from chatkeep.domain.hub import Hub, Watch
from chatkeep.domain.model import ConversationId, Limits, UserId
from chatkeep.domain.notifying import (
    CHANGES,
    CHANGES_OF_DRAFTS,
    notifying_drafts,
    notifying_log,
)
from chatkeep.domain.operations.selftest.builders import ALICE, NOON, new_conversation
from chatkeep.domain.polling import Poller
from chatkeep.domain.ports import Conversations, Drafts, Log
from chatkeep.testing.contract.drafts import new_draft

READS = {
    *(
        "tree",
        "ends",
        "page",
        "branch_page",
        "window",
        "get",
        "find",
        "calls_before",
        "position_since",
        "list",
        "count",
    ),
}


class CountingEvents:
    """Says that the conversations of `moved_ids` have moved, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Followed]] = []
        self.moved_ids: set[ConversationId] = set()

    async def moved(self, followed: Sequence[Followed]) -> Collection[Followed]:
        self.asked.append(followed)
        return [each for each in followed if each.conversation_id in self.moved_ids]


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def events() -> CountingEvents:
    return CountingEvents()


@pytest.fixture
def poller(hub: Hub, events: CountingEvents) -> Poller:
    stub: Any = events
    return Poller(hub, stub)


class _Watch(Watch):
    conversation_id: ConversationId


def watch(hub: Hub, *, idle: float = 0, conversation_id: ConversationId | None = None) -> _Watch:
    made = _Watch(ALICE, conversation_id or ConversationId(uuid4()))
    made.active_at -= idle
    hub.add(made)
    return made


async def test_one_statement_asks_for_all_that_is_followed(
    hub: Hub, poller: Poller, events: CountingEvents
) -> None:
    watches = [watch(hub) for _ in range(1_000)]
    events.moved_ids = {watches[7].conversation_id}

    await poller.poll(1)

    [asked] = events.asked
    assert len(asked) == 1_000
    assert [await each.wait(0) for each in watches[6:9]] == [False, True, False]


async def test_those_who_follow_the_same_are_asked_for_once(
    hub: Hub, poller: Poller, events: CountingEvents
) -> None:
    one = watch(hub)
    other = watch(hub, conversation_id=one.conversation_id)
    events.moved_ids = {one.conversation_id}

    await poller.poll(1)

    assert [len(asked) for asked in events.asked] == [1]
    assert await one.wait(0)
    assert await other.wait(0)


@pytest.mark.parametrize(("idle", "polls"), [(0, 40), (9, 40), (11, 10), (59, 10), (61, 4)])
async def test_the_longer_nothing_happens_the_fewer_are_the_polls(
    hub: Hub, poller: Poller, events: CountingEvents, idle: float, polls: int
) -> None:
    watch(hub, idle=idle)

    for tick in range(40):
        await poller.poll(tick)

    assert len(events.asked) == polls


async def test_nobody_follows_and_nothing_is_asked(
    hub: Hub, poller: Poller, events: CountingEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "TICK", 0.001)
    one = watch(hub)
    async with poller.running():
        events.moved_ids = {one.conversation_id}
        assert await one.wait(10)
        hub.remove(one)
        events.asked.clear()
        assert not await one.wait(0.02)
    assert len(events.asked) <= 1  # a poll may have been under way


async def test_a_wake_up_that_came_before_the_wait_is_not_lost(hub: Hub) -> None:
    one = watch(hub)
    hub.notify(ALICE, one.conversation_id)
    hub.notify(UserId("bob"), one.conversation_id)

    assert await one.wait(0)
    assert not await one.wait(0)


async def test_chunks_wake_only_those_who_want_drafts(
    hub: Hub, poller: Poller, events: CountingEvents
) -> None:
    one = watch(hub)
    other = watch(hub, conversation_id=one.conversation_id)
    other.wants_drafts = False
    feed = Watch(ALICE, None, NOON)
    hub.add(feed)

    hub.notify(ALICE, one.conversation_id, of_draft=True)
    assert [await each.wait(0) for each in (one, other, feed)] == [True, False, False]
    hub.notify(ALICE, one.conversation_id)
    assert [await each.wait(0) for each in (one, other, feed)] == [True, True, True]

    hub.remove(feed)
    await poller.poll(1)
    [asked] = events.asked
    assert {(each.draft, each.chunk) for each in asked} == {one.mark.unread_draft, NO_DRAFTS}


@pytest.mark.parametrize(("call", "wakes"), [("write", False), ("end", True)])
async def test_only_the_end_of_a_draft_is_news_for_those_who_want_none(
    hub: Hub, call: str, *, wakes: bool
) -> None:
    stores = memory_stores()
    new = new_conversation()
    await stores.log.create(new, [], provision=True)
    drafts = notifying_drafts(stores.drafts, hub)
    one = watch(hub, conversation_id=new.id)
    one.wants_drafts = False

    draft = await drafts.start(new_draft(new), forget_before=NOON)
    if call == "write":
        chunks = NewChunks(["a"])
        await drafts.write(ALICE, new.id, draft.id, 1, 1, chunks, NOON, Limits())
    else:
        await drafts.end(draft, DraftStatus.CANCELLED, NOON, None, place=None)

    assert await one.wait(0) == wakes


def test_every_method_of_the_ports_either_notifies_or_reads() -> None:
    methods = {
        name
        for port in (Conversations, Log)
        for name, _ in inspect.getmembers(port, inspect.iscoroutinefunction)
    }

    assert methods == CHANGES | READS
    assert not CHANGES & READS


def test_every_method_of_drafts_either_notifies_or_reads() -> None:
    methods = {name for name, _ in inspect.getmembers(Drafts, inspect.iscoroutinefunction)}

    assert methods - CHANGES_OF_DRAFTS == {"chunks", "forget", "get", "latest", "overdue"}
    assert methods > CHANGES_OF_DRAFTS


async def test_a_change_that_fails_or_is_lost_wakes_too(hub: Hub) -> None:
    log = notifying_log(memory_stores().log, hub)
    new = new_conversation()
    one = watch(hub, conversation_id=new.id)

    await log.create(new, [], provision=True)
    assert await one.wait(0)
    with pytest.raises(TypeError):
        await log.append(ALICE, new.id, nothing=True)  # type: ignore[call-arg]
    assert await one.wait(0)
