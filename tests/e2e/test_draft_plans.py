"""Every statement of drafts finds its rows by an index, and every index has one that needs it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from chatkeep.adapters.piccolo import draft_statements
from chatkeep.adapters.piccolo import log_append_statements as appends
from chatkeep.adapters.piccolo.statement import Statement
from tests.e2e.test_plans import nodes, planned
from tests.support.postgres import Server, connect_args

FILL = """
INSERT INTO users SELECT 'user-' || u FROM generate_series(1, 100) u;
INSERT INTO conversations (user_id) SELECT 'user-' || u
FROM generate_series(1, 100) u, generate_series(1, 30) c;
INSERT INTO messages (conversation_id, user_id, role, content)
SELECT c.id, c.user_id, 'user', 'text' FROM conversations c;
INSERT INTO drafts
  (conversation_id, user_id, number, id, epoch, status, message_id, format, metadata, lease,
   next_chunk, bytes, chars, started_at, progress_at, ends_by, ended_at)
SELECT c.id, c.user_id, n, gen_random_uuid(), 1, CASE n WHEN 1 THEN 'active' ELSE 'finished' END,
       gen_random_uuid(), 'text', '{}', 60, 3, 100, 50, c.updated_at, c.updated_at, c.updated_at,
       CASE WHEN n > 1 THEN c.updated_at END
FROM conversations c, generate_series(1, 3) n
WHERE n > 1 OR c.user_id = 'user-7' ORDER BY n, c.id;
INSERT INTO draft_chunks (conversation_id, user_id, draft, seq, chunks, bytes)
SELECT d.conversation_id, d.user_id, d.number, s, ARRAY['text'], 20
FROM drafts d, generate_series(1, 3) s WHERE d.number = 2;
"""
CONVERSATION = "conversations_pkey"
MESSAGE = "messages_pkey"
ACTIVE = "idx_drafts_active"
ENDED = "idx_drafts_ended"
FORGOTTEN = "idx_drafts_forgotten"
CHUNKS = "draft_chunks_pkey"
OF_CONVERSATION = {"drafts_pkey", "idx_drafts_id", ACTIVE}
"""Any of them leads to the few drafts of a conversation."""

STATEMENTS: dict[str, tuple[Statement | str, set[str]]] = {
    "start": (draft_statements.START, {CONVERSATION, MESSAGE, ENDED}),
    "take over": (draft_statements.TAKE_OVER, set()),
    "write": (draft_statements.WRITE, set()),
    "end": (appends.END_DRAFT, {CONVERSATION}),
    "end at a place": (appends.END_DRAFT_PLACED, {CONVERSATION}),
    "end without a message": (draft_statements.END_EMPTY, {CONVERSATION}),
    "get": (draft_statements.GET, set()),
    "latest": (draft_statements.LATEST, {CONVERSATION}),
    "chunks": (draft_statements.CHUNKS, {CHUNKS}),
    "overdue": (draft_statements.OVERDUE, {ACTIVE}),
    "cascade": ("DELETE FROM drafts WHERE $1::uuid = conversation_id AND $2 = user_id", set()),
    "cascade to chunks": (
        "DELETE FROM draft_chunks WHERE $1 = conversation_id AND $2 = draft AND $3 = user_id",
        {CHUNKS},
    ),
}


@pytest.fixture(scope="module")
async def connection(postgres_server: Server) -> AsyncIterator[asyncpg.Connection]:
    async with postgres_server.database() as url:
        connection = await asyncpg.connect(**connect_args(url))
        await connection.execute(FILL)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        yield connection
        await connection.close()


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_statement_of_drafts_uses_indexes(
    connection: asyncpg.Connection, name: str
) -> None:
    statement, expected = STATEMENTS[name]

    plan = await planned(connection, statement)

    used = {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
    assert used - OF_CONVERSATION == expected - OF_CONVERSATION
    assert used & OF_CONVERSATION or CHUNKS in expected
    assert ACTIVE in used or ACTIVE not in expected
    scanned = [node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
    assert scanned == []


async def test_drafts_to_forget_are_found_by_an_index(connection: asyncpg.Connection) -> None:
    plan = await planned(connection, draft_statements.FORGET)

    assert FORGOTTEN in {node.get("Index Name") for node in nodes(plan)}


async def test_every_index_of_drafts_has_a_statement(connection: asyncpg.Connection) -> None:
    rows = await connection.fetch(
        "SELECT indexrelid::regclass::text AS name FROM pg_index "
        "WHERE indrelid IN ('drafts'::regclass, 'draft_chunks'::regclass)"
    )

    needed = set().union(*(indexes for _, indexes in STATEMENTS.values()))
    assert {row["name"] for row in rows} <= needed | OF_CONVERSATION | {FORGOTTEN}
