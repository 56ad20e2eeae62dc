"""chatkeep index, as an operator runs it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.domain.operations.selftest.builders import ALICE, BOB
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.search import Left
from chatkeep.testing.builders import new_messages
from chatkeep.testing.contract.search import Words, search
from tests.support import postgres
from tests.support.postgres import query
from tests.support.processes import chatkeep


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """Yield an engine on the database of the command."""
    async with postgres.pool(database_url) as engine:
        yield engine


def index(url: str, *options: str) -> dict[str, Any]:
    result = chatkeep("index", "--json", *options, DATABASE_URL=url)
    assert result.returncode == 0, result.stderr
    done: dict[str, Any] = json.loads(result.stdout)
    assert done.pop("seconds") >= 0
    return done


async def indexed(engine: Engine) -> dict[str, int]:
    """Return how many conversations of each user are in the index."""
    counted = "SELECT user_id, count(*) AS n FROM search_conversations GROUP BY user_id"
    return {row["user_id"]: row["n"] for row in await query(engine, counted)}


async def test_the_index_of_those_who_search_is_brought_up_to_date(
    engine: Engine, postgres_store: StoreUnderTest, database_url: str
) -> None:
    for user_id in (ALICE, BOB):
        await postgres_store.start(*new_messages("apple 1", "apple 2"), user_id=user_id)
    assert len(await search(postgres_store, "apple")) == 2
    await postgres_store.start(*new_messages("apple 3"))

    to_do = {"users": 1, "conversations": 1, "messages": 1}
    assert index(database_url, "--dry-run") == {**to_do, "dry_run": True, "complete": True}
    assert await indexed(engine) == {ALICE: 1}
    assert index(database_url) == {**to_do, "dry_run": False, "complete": True}
    assert await indexed(engine) == {ALICE: 2}
    assert index(database_url)["conversations"] == 0

    assert index(database_url, "--all")["messages"] == 2
    assert await indexed(engine) == {ALICE: 2, BOB: 1}
    found = await postgres_store.search.find(BOB, Words("apple"), limit=5)
    assert (len(found.hits), found.left) == (2, Left())


async def test_one_user_is_indexed_alone_and_only_that_is_said(
    engine: Engine, postgres_store: StoreUnderTest, database_url: str
) -> None:
    for user_id in (ALICE, BOB):
        await postgres_store.start(*new_messages("apple 1"), user_id=user_id)

    result = chatkeep("index", "--user", BOB, DATABASE_URL=database_url)

    assert result.stdout.startswith("indexed 1 conversations with 1 messages, of 1 users;")
    assert await indexed(engine) == {BOB: 1}
    refused = chatkeep("index", "--user", BOB, "--all", DATABASE_URL=database_url)
    assert refused.returncode == 2
    assert "not both" in refused.stderr
