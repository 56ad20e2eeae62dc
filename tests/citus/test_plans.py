"""Every statement about one user is sent to one node, where it touches one shard of each table."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from chatkeep.adapters.piccolo.statement import Statement
from tests.unit.test_statements import EXCEPTED, STATEMENTS, TOUCHED

OF_MANY = {each.name for name, each in STATEMENTS if name in EXCEPTED}
OF_ONE_USER = {
    each.name: each
    for name, each in STATEMENTS
    if name.startswith("adapters.piccolo.")
    and each.name not in OF_MANY
    and TOUCHED.search(each.sql)
    and not each.name.startswith("statistics.")
}
VALUES = {
    "uuid": "'00000000-0000-0000-0000-000000000001'",
    "text": "'1'",
    "character varying": "'1'",
    "integer": "1",
    "bigint": "1",
    "boolean": "true",
    "timestamp with time zone": "'2026-01-01'",
    "jsonb": "'{}'",
    "json": "'{}'",
}

_EMPTY = "'{}'"


@pytest.fixture(scope="module")
async def connection(distributed: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(distributed)
    yield connection
    await connection.close()


@pytest.mark.parametrize("name", OF_ONE_USER)
async def test_the_statement_is_one_task(connection: asyncpg.Connection, name: str) -> None:
    plan = await planned(connection, OF_ONE_USER[name])

    counts = [*task_counts(plan)]
    assert counts
    assert set(counts) == {1}


def test_the_statements_are_found() -> None:
    """So that a change of how they are listed does not leave them out."""
    families = {name.partition(".")[0] for name in OF_ONE_USER}

    assert families >= {"branches", "conversations", "drafts", "events", "log", "search", "users"}
    assert len(OF_ONE_USER) > 100
    assert all(re.search(r"\$\d", each.sql) for each in OF_ONE_USER.values())


async def planned(connection: asyncpg.Connection, statement: Statement) -> Any:  # noqa: ANN401 - JSON
    """Return the plan for values of a call, since Citus needs the user's."""
    await connection.execute(f"PREPARE tried AS {statement.sql}")
    try:
        types = await connection.fetchval(
            "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'tried'"
        )
    finally:
        await connection.execute("DEALLOCATE tried")
    values = [f"({_EMPTY if each.endswith('[]') else VALUES[each]}::{each})" for each in types]
    sql = re.sub(r"\$(\d+)", lambda found: values[int(found[1]) - 1], statement.sql)
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}")
    return json.loads(text)


def task_counts(plan: Any) -> Iterator[int]:  # noqa: ANN401 - JSON
    """Yield how many tasks each part of a plan is that other nodes do."""
    if isinstance(plan, dict):
        if "Task Count" in plan:
            yield plan["Task Count"]
        for each in plan.values():
            yield from task_counts(each)
    elif isinstance(plan, list):
        for each in plan:
            yield from task_counts(each)
