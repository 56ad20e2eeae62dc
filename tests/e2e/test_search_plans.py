"""Every statement of a search finds its rows by an index of the user's own."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from chatkeep.adapters.piccolo import search_index_statements as index
from chatkeep.adapters.piccolo import search_statements as search
from chatkeep.adapters.piccolo import search_users
from chatkeep.adapters.piccolo.statement import Statement
from tests.e2e.test_plans import nodes, planned
from tests.support.postgres import Server, connect_args, scaled

USERS, CONVERSATIONS = 200, 20
FILL = f"""
INSERT INTO users SELECT 'user-' || u FROM generate_series(1, {USERS}) u;
INSERT INTO conversations (id, user_id, title, message_count, updated_at)
SELECT gen_random_uuid(), 'user-' || u, 'title', 3,
       timestamptz '2026-01-01' + make_interval(mins => c * 1000 + u)
FROM generate_series(1, {USERS}) u, generate_series(1, {CONVERSATIONS}) c ORDER BY c, u;
INSERT INTO messages (conversation_id, user_id, role, position, content)
SELECT c.id, c.user_id, 'user', p, repeat('x', 240)
FROM conversations c, generate_series(1, 3) p ORDER BY c.updated_at, p;
INSERT INTO conversation_items (conversation_id, user_id, position, item_id, item)
SELECT id, user_id, p, p::text, '[]' FROM conversations, generate_series(4, 9) p;
INSERT INTO search_conversations
  (user_id, conversation_id, version, revision, title_filter)
SELECT user_id, id, 1, 0, '\\x01020304' FROM conversations;
INSERT INTO search_segments (user_id, conversation_id, first, last, mark, places, filter)
SELECT user_id, id, s, s, 1, '', convert_to(repeat('x', 600), 'UTF8')
FROM conversations, generate_series(1, 3) s;
"""
SCALED = scaled(50, "conversation|messages")

OF_USER, CONVERSATION = "idx_conversations_user_id", "conversations_pkey"
IN_ORDER = "idx_messages_conversation_id"
ITEMS = "conversation_items_pkey"
INDEXED, SEGMENT, LATEST = (
    "search_conversations_pkey",
    "search_segments_pkey",
    "idx_search_segments_last",
)
STATEMENTS: dict[str, tuple[Statement, set[str]]] = {
    "stale": (index.STALE, {OF_USER, INDEXED}),
    "segments": (index.SEGMENTS, {SEGMENT, IN_ORDER, ITEMS}),
    "read back": (index.READ_BACK, {CONVERSATION, IN_ORDER, ITEMS}),
    "read on": (index.READ_ON, {CONVERSATION, IN_ORDER, ITEMS}),
    "users who have searched": (search_users.WITH_INDEX, {INDEXED}),
    "write": (index.WRITE, {CONVERSATION, SEGMENT}),
    "candidates": (search.CANDIDATES[False, False], {LATEST}),
    "candidates with alternatives": (search.CANDIDATES[True, False], {LATEST}),
    "lanes": (search.LANES, {CONVERSATION, IN_ORDER, ITEMS}),
    "titles": (search.TITLES[False], {OF_USER, INDEXED}),
}
WITHIN = {
    "candidates": (search.CANDIDATES[False, True], {LATEST, SEGMENT}),
    "candidates with alternatives": (search.CANDIDATES[True, True], {LATEST, SEGMENT}),
    "titles": (search.TITLES[True], {OF_USER, CONVERSATION, INDEXED}),
}


@pytest.fixture(scope="module")
async def connection(postgres_server: Server) -> AsyncIterator[asyncpg.Connection]:
    async with postgres_server.database() as url:
        connection = await asyncpg.connect(**connect_args(url))
        await connection.execute(FILL)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute(SCALED)
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection
        await connection.close()


async def used_by(connection: asyncpg.Connection, statement: Statement) -> set[str]:
    """Return the indexes that the statement uses. It reads no table without one."""
    plan = await planned(connection, statement)
    assert [node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"] == []
    return {node["Index Name"] for node in nodes(plan) if "Index Name" in node}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_the_statement_uses_its_indexes(connection: asyncpg.Connection, name: str) -> None:
    statement, expected = STATEMENTS[name]

    assert await used_by(connection, statement) == expected


@pytest.mark.parametrize("name", WITHIN)
async def test_within_a_conversation_an_index_is_used_too(
    connection: asyncpg.Connection, name: str
) -> None:
    statement, possible = WITHIN[name]

    used = await used_by(connection, statement)

    assert used
    assert used <= possible


async def test_cascades_find_the_rows_by_indexes(connection: asyncpg.Connection) -> None:
    """What the foreign keys run when a conversation is deleted."""
    for table, its_index in (("search_conversations", INDEXED), ("search_segments", SEGMENT)):
        plan = await planned(
            connection, f"DELETE FROM {table} WHERE $1::uuid = conversation_id AND $2 = user_id"
        )

        assert {node["Index Name"] for node in nodes(plan) if "Index Name" in node} == {its_index}
