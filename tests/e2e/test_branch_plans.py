"""Pages of branches read few ranges, however many branches and messages the conversation has."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from chatkeep.adapters.piccolo.branch_statements import ENDS
from chatkeep.adapters.piccolo.log_pages import PAGE, POSITIONS
from chatkeep.adapters.piccolo.path_statements import PATH_PAGE, PATH_WINDOW
from chatkeep.domain.log import View
from chatkeep.domain.model import LAST_POSITION, Order
from tests.support.postgres import Server, connect_args
from tests.support.service_process import FULL

MESSAGES = 1_000_000 if FULL else 200_000
MANY, NESTED = UUID(int=1), UUID(int=2)
LIMIT = 21
COUNTED = 50

# A long conversation in which one answer was generated 2,000 times, and one of 50 branches, each of
# which left the one before it after its second message.
FILL = f"""
INSERT INTO users VALUES ('ann');
INSERT INTO conversations (id, user_id, message_count, last_position, branch)
VALUES ('{MANY}', 'ann', {MESSAGES} + 2000, {MESSAGES} + 2000, 2000),
       ('{NESTED}', 'ann', 200, 200, 49);
INSERT INTO messages (conversation_id, user_id, role, position, content)
SELECT '{MANY}', 'ann', 'user', n, 'message ' || n FROM generate_series(1, {MESSAGES} + 2000) n;
INSERT INTO messages (conversation_id, user_id, role, position, content)
SELECT '{NESTED}', 'ann', 'user', n, 'message ' || n FROM generate_series(1, 200) n;
INSERT INTO conversation_branches
  (conversation_id, user_id, number, parent, left_at, firsts, lasts)
SELECT '{MANY}', 'ann', n, CASE WHEN n > 0 THEN 0 END,
       CASE WHEN n > 0 THEN {MESSAGES} - 1 ELSE 0 END,
       ARRAY[CASE WHEN n > 0 THEN {MESSAGES} + n ELSE 1 END],
       CASE n WHEN 0 THEN ARRAY[{MESSAGES}] WHEN 2000 THEN '{{}}' ELSE ARRAY[{MESSAGES} + n] END
FROM generate_series(0, 2000) n;
INSERT INTO conversation_branches
  (conversation_id, user_id, number, parent, left_at, firsts, lasts)
SELECT '{NESTED}', 'ann', n, CASE WHEN n > 0 THEN n - 1 END,
       CASE WHEN n > 0 THEN n * 4 - 2 ELSE 0 END, ARRAY[n * 4 + 1],
       CASE n WHEN 49 THEN '{{}}' ELSE ARRAY[n * 4 + 4] END
FROM generate_series(0, 49) n;
"""


@pytest.fixture(scope="module")
async def connection(postgres_server: Server) -> AsyncIterator[asyncpg.Connection]:
    async with postgres_server.database() as url:
        connection = await asyncpg.connect(**connect_args(url))
        # Without checking a million times that the conversation exists.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(FILL)
        await connection.execute("RESET session_replication_role")
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection
        await connection.close()


@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize(
    ("conversation_id", "branch", "after", "before"),
    [
        (MANY, 2_000, 0, LAST_POSITION),
        (MANY, 2_000, MESSAGES - 10, LAST_POSITION),
        (MANY, 0, 0, LAST_POSITION),
        (MANY, 0, 100_000, LAST_POSITION),
        (MANY, 0, 0, 100_000),
        (NESTED, 49, 0, LAST_POSITION),
        (NESTED, 49, 90, LAST_POSITION),
        (NESTED, 49, 0, 101),
    ],
)
async def test_a_page_of_a_branch_reads_a_few_ranges(  # noqa: PLR0913, PLR0917 - the parts of a page
    connection: asyncpg.Connection,
    conversation_id: UUID,
    branch: int,
    after: int,
    before: int,
    order: Order,
    view: View,
) -> None:
    statement = PATH_PAGE[view, order, POSITIONS]
    plan = await analyzed(
        connection,
        statement.sql,
        statement.bind(
            {
                "conversation_id": conversation_id,
                "user_id": "ann",
                "branch": branch,
                "after": after,
                "before": before,
                "limit": LIMIT,
                "share": 10**6,
            }
        ),
    )

    assert read(plan, "messages") <= LIMIT + 4
    # Before version 18, Postgres rounds the rows of a loop: none of the last one counts as one.
    assert read(plan, "conversation_branches") <= 50 + 1


@pytest.mark.parametrize(("conversation_id", "branch"), [(MANY, 2_000), (MANY, 0), (NESTED, 49)])
async def test_the_window_of_a_branch_reads_its_ends(
    connection: asyncpg.Connection, conversation_id: UUID, branch: int
) -> None:
    plan = await analyzed(
        connection,
        PATH_WINDOW.sql,
        PATH_WINDOW.bind(
            {
                "conversation_id": conversation_id,
                "user_id": "ann",
                "branch": branch,
                "limit": LIMIT,
                "share": 10**6,
            }
        ),
    )

    # The first 20, the last 21, and as many as it counts.
    assert read(plan, "messages") <= 20 + LIMIT + COUNTED + 8


@pytest.mark.parametrize("order", Order)
async def test_a_page_of_all_branches_reads_only_its_messages(
    connection: asyncpg.Connection, order: Order
) -> None:
    statement = PAGE[View.MESSAGES, order, POSITIONS]
    values = {"after": 0, "before": LAST_POSITION, "limit": LIMIT, "share": 10**6, "whole": True}
    plan = await analyzed(
        connection,
        statement.sql,
        statement.bind({"conversation_id": MANY, "user_id": "ann", **values}),
    )

    assert read(plan, "messages") == LIMIT
    assert read(plan, "conversation_branches") == 0


async def test_the_alternatives_to_an_answer_are_read_one_by_one(
    connection: asyncpg.Connection,
) -> None:
    plan = await analyzed(
        connection,
        ENDS[Order.ASC].sql,
        ENDS[Order.ASC].bind(
            {
                "conversation_id": MANY,
                "user_id": "ann",
                "paths": [str(n) for n in range(2_000)],
                "lows": [str(MESSAGES + 1 + n) for n in range(2_000)],
                "highs": [str(MESSAGES + 1 + n) for n in range(2_000)],
            }
        ),
    )

    assert read(plan, "messages") == 2_000


async def analyzed(
    connection: asyncpg.Connection, sql: str, values: tuple[object, ...]
) -> dict[str, Any]:
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *values)
    plan: dict[str, Any] = json.loads(text)[0]["Plan"]
    return plan


def read(plan: dict[str, Any], table: str) -> int:
    """Return how many rows of a table were read in all."""
    return sum(
        round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes(plan)
        if node.get("Relation Name") == table
    )


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
