"""Holds and deletions that meet on Postgres, and deletions whose answer was lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.domain.errors import RetainedError, UserRetainedError
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import Changes, Conversation
from chatkeep.domain.operations.selftest.builders import ALICE
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import error_of, new_items, numbered_messages
from tests.support.postgres import query, replace_run
from tests.support.waiting import PATIENCE

HOLD, LIFT = Changes(retain=True), Changes(retain=False)

BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'"""


@pytest.fixture
async def watching(engine: Engine) -> AsyncIterator[asyncpg.Connection]:
    """Yield a connection that has nothing to do with the engine's."""
    connection = await asyncpg.connect(**engine.config)
    yield connection
    await connection.close()


async def with_an_item(store: StoreUnderTest) -> Conversation:
    conversation = await store.start(*numbered_messages(3))
    await store.append_items(conversation, *new_items('{"type": "reasoning", "id": "rs_1"}'))
    return conversation


async def blocked(watching: asyncpg.Connection, count: int) -> None:
    """Wait until so many statements wait for a lock."""
    async with asyncio.timeout(PATIENCE):
        while await watching.fetchval(BLOCKED) < count:  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.01)


def outside(engine: Engine, call: Any) -> asyncio.Task[Any]:  # noqa: ANN401 - any call
    """Start the call as another request would: not in the transaction of this task."""

    async def alone() -> Any:  # noqa: ANN401 - what it returns
        engine.current_transaction.set(None)
        return await call

    return asyncio.create_task(alone())


async def test_a_hold_that_is_set_while_a_deletion_waits_is_honoured(
    engine: Engine, postgres_store: StoreUnderTest, watching: asyncpg.Connection
) -> None:
    """Whoever looked at the hold before the row was theirs would delete it all the same."""
    store = postgres_store
    conversation = await with_an_item(store)
    await store.start(*numbered_messages(2))
    [first, *_] = await store.history(conversation)
    *_, item = await store.list_items(conversation)
    deletions = (
        store.users.erase(ALICE),
        store.conversations.delete(ALICE, conversation.id),
        store.log.delete(ALICE, conversation.id, first.id),
        store.items.delete(ALICE, conversation.id, item.id),
    )

    async with engine.transaction():
        await store.conversations.change(ALICE, conversation.id, HOLD)
        waiting = [outside(engine, error_of(each)) for each in deletions]
        await blocked(watching, len(deletions))
    errors = await asyncio.gather(*waiting)

    assert [type(each) for each in errors] == [UserRetainedError, *[RetainedError] * 3]
    assert len(await store.list_conversations()) == 2
    assert len(await store.list_items(conversation)) == 4


async def test_a_hold_that_is_lifted_while_a_deletion_waits_is_in_nobodys_way(
    engine: Engine, postgres_store: StoreUnderTest, watching: asyncpg.Connection
) -> None:
    store = postgres_store
    conversation = await with_an_item(store)
    await store.conversations.change(ALICE, conversation.id, HOLD)

    async with engine.transaction():
        await store.conversations.change(ALICE, conversation.id, LIFT)
        waiting = outside(engine, store.users.erase(ALICE))
        await blocked(watching, 1)
    erased = await waiting

    assert erased is not None
    assert (erased.conversations, erased.messages, erased.retained) == (1, 3, 0)
    assert await store.list_conversations() == []


async def test_what_is_appended_while_an_erasure_waits_is_counted_and_goes(
    engine: Engine, postgres_store: StoreUnderTest, watching: asyncpg.Connection
) -> None:
    store = postgres_store
    conversation = await store.start(*numbered_messages(1))

    async with engine.transaction():
        at = conversation.updated_at
        await store.log.append(ALICE, conversation.id, entries_of(numbered_messages(2)), at)
        waiting = outside(engine, store.users.erase(ALICE))
        await blocked(watching, 1)
    erased = await waiting

    assert erased is not None
    assert erased.messages == 3
    assert await query(engine, "SELECT FROM messages") == []


async def test_a_deletion_run_again_after_a_lost_answer_has_deleted(
    engine: Engine, postgres_store: StoreUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run finds nothing, since the first one did it."""
    store = postgres_store
    conversation = await with_an_item(store)
    [first, *_] = await store.history(conversation)
    *_, item = await store.list_items(conversation)
    run_once = engine.run

    async def run_twice(*args: Any, **options: Any) -> tuple[list[Any], bool]:  # noqa: ANN401
        await run_once(*args, **options)
        rows, _ = await run_once(*args, **options)
        return rows, True

    replace_run(engine, monkeypatch, run_twice)

    await store.log.delete(ALICE, conversation.id, first.id)
    await store.conversations.change(ALICE, conversation.id, HOLD)
    for deletion in (
        store.conversations.delete(ALICE, conversation.id),
        store.log.delete(ALICE, conversation.id, (await store.history(conversation))[0].id),
        store.items.delete(ALICE, conversation.id, item.id),
    ):
        with pytest.raises(RetainedError):  # else a lost answer would seem to have deleted it
            await deletion
    with pytest.raises(UserRetainedError):
        await store.users.erase(ALICE)
    await store.conversations.change(ALICE, conversation.id, LIFT)
    await store.conversations.delete(ALICE, conversation.id)
    assert await store.users.erase(ALICE) is not None
    monkeypatch.undo()
    assert await query(engine, "SELECT FROM users") == []
