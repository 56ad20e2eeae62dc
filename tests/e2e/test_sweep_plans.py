"""A sweep finds what is idle by its index, and reaches each row that it changes by another.

Sweeps are rare, so the plans are those made for the values at hand, on tables that look like those
of a million messages (see `test_plans`).
"""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from piccolo.query import Select

from chatkeep.adapters.piccolo import sweeps
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import Conversations
from chatkeep.domain.operations.sweep import BATCH_CONVERSATIONS, MOST_FOUND
from tests.e2e.test_plans import FILL, SCALED, nodes
from tests.support.postgres import Server, connect_args

pytestmark = pytest.mark.full

BRIN = "idx_conversations_updated_at"
DAY_2 = datetime(2026, 1, 2, tzinfo=UTC)
DAY_8 = datetime(2026, 1, 8, tzinfo=UTC)
DAY_20 = datetime(2026, 1, 20, tzinfo=UTC)
"""The conversations are of the first 28 days of January."""


@pytest.fixture(scope="module")
async def connection(postgres_server: Server) -> AsyncIterator[asyncpg.Connection]:
    async with postgres_server.database() as url:
        connection = await asyncpg.connect(**connect_args(url))
        await connection.set_type_codec(
            "json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )
        await connection.execute(FILL)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute(SCALED)
        yield connection
        await connection.close()


async def plan(
    connection: asyncpg.Connection, sql: str, *args: object, options: str = ""
) -> list[dict[str, Any]]:
    found = await connection.fetchval(f"EXPLAIN ({options} FORMAT JSON) {sql}", *args)
    return list(nodes(found[0]["Plan"]))


def compiled(query: Select[Conversations]) -> tuple[str, list[Any]]:
    [querystring] = query.querystrings
    return querystring.compile_string()


@pytest.mark.parametrize("before", [DAY_2, DAY_8, DAY_20])
@pytest.mark.parametrize("query", [sweeps.deletable, sweeps.archivable])
async def test_what_is_idle_is_found_by_the_index_and_without_a_sort(
    connection: asyncpg.Connection,
    query: Callable[[datetime, int], Select[Conversations]],
    before: datetime,
) -> None:
    sql, arguments = compiled(query(before, MOST_FOUND))

    found = await plan(connection, sql, *arguments)

    assert [node["Node Type"] for node in found] == [
        "Limit",
        "Bitmap Heap Scan",
        "Bitmap Index Scan",
    ]
    assert found[-1]["Index Name"] == BRIN


async def test_what_a_sweep_would_do_is_counted_by_the_index(
    connection: asyncpg.Connection,
) -> None:
    found = await plan(
        connection,
        sweeps.COUNT.sql,
        *sweeps.COUNT.bind({"archive_before": DAY_8, "delete_before": DAY_2, "latest": DAY_8}),
    )

    assert [node.get("Index Name") for node in found] == [None, None, BRIN]


@pytest.mark.parametrize("statement", [sweeps.DELETE, sweeps.ARCHIVE])
async def test_a_batch_reaches_its_conversations_one_by_one(
    connection: asyncpg.Connection, statement: Statement
) -> None:
    rows = await connection.fetch(
        "SELECT id::text, user_id FROM conversations LIMIT $1", BATCH_CONVERSATIONS
    )
    batch = {
        "ids": [row["id"] for row in rows],
        "user_ids": [row["user_id"] for row in rows],
        "before": DAY_20,
    }

    found = await plan(connection, statement.sql, *statement.bind(batch))

    used = {node["Index Name"] for node in found if "Index Name" in node}
    assert used - {"conversation_changes_pkey"} == {"conversations_pkey"}
    assert not {"Seq Scan", "Sort", "Hash Join"} & {node["Node Type"] for node in found}


async def test_a_sweep_of_the_oldest_reads_little_of_the_table(
    connection: asyncpg.Connection,
) -> None:
    """Run, not only planned: a day of 28 is read, and not the others."""
    [whole] = await connection.fetch(
        "SELECT pg_relation_size('conversations') / current_setting('block_size')::int AS pages"
    )

    sql, arguments = compiled(sweeps.deletable(DAY_2, MOST_FOUND))
    [found, *_] = await plan(connection, sql, *arguments, options="ANALYZE, BUFFERS,")

    pages = found["Shared Hit Blocks"] + found["Shared Read Blocks"]
    assert pages < whole["pages"] / 2
