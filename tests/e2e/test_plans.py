"""Every statement finds its rows by an index, and every index has a statement that needs it.

The tables are filled a little and their statistics scaled to a million messages: the planner then
chooses as it would there. Plans are generic ones, as those of statements that run again and again.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from chatkeep.adapters.piccolo import (
    audit,
    branch_statements,
    conversations,
    event_statements,
    finding,
    fork_statements,
    log_pages,
    log_times,
    overview,
    user_list,
    users,
)
from chatkeep.adapters.piccolo import log_append_statements as appends
from chatkeep.adapters.piccolo import log_change_statements as changes
from chatkeep.adapters.piccolo import log_statements as log
from chatkeep.adapters.piccolo.log_pages import ITEM, MESSAGES, PAGE, POSITIONS
from chatkeep.adapters.piccolo.path_statements import (
    BRANCH_PAGE,
    DEEP_PAGE,
    DEEP_WINDOW,
    PATH_PAGE,
    PATH_WINDOW,
    PLACE,
)
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.window_statements import WINDOW
from chatkeep.domain.log import View
from chatkeep.domain.model import Order, Status
from chatkeep.domain.steps import STEP
from chatkeep.domain.user_list import end_of_prefix
from tests.support.postgres import Server, connect_args, scaled

FILL = """
INSERT INTO audit_lines (id, user_id, operator, action, at)
SELECT gen_random_uuid(), 'user-' || n % 1000, 'anna', 'getHistory', now() - n * interval '1 s'
FROM generate_series(1, 5000) n;
INSERT INTO users SELECT 'user-' || u FROM generate_series(1, 1000) u;
INSERT INTO conversations (id, user_id, status, message_count, updated_at)
SELECT gen_random_uuid(), 'user-' || u, CASE WHEN c % 5 = 0 THEN 'archived' ELSE 'active' END, 3,
       timestamptz '2026-01-01' + make_interval(mins => c * 1000 + u)
FROM generate_series(1, 1000) u, generate_series(1, 40) c ORDER BY c, u;
INSERT INTO messages (conversation_id, user_id, role, position, content, created_at)
SELECT c.id, c.user_id, CASE WHEN p % 2 = 0 THEN 'user' ELSE 'assistant' END, p, repeat('x', 240),
       c.updated_at + make_interval(secs => p)
FROM conversations c, generate_series(1, 3) p ORDER BY c.updated_at, p;
INSERT INTO conversation_changes (conversation_id, user_id, revision, number, kind, changed_at)
SELECT c.id, c.user_id, n, 1, 'message.deleted', c.updated_at
FROM conversations c, generate_series(1, 2) n;
INSERT INTO drafts (conversation_id, user_id, number, id, epoch, status, message_id, format,
                    metadata, lease, next_chunk, bytes, chars, started_at, progress_at, ends_by)
SELECT c.id, c.user_id, 9, gen_random_uuid(), 1, 'finished', gen_random_uuid(), 'text', '{}', 60, 2,
       1, 1, c.updated_at, c.updated_at, c.updated_at
FROM conversations c WHERE c.user_id LIKE '%1';
INSERT INTO draft_chunks (conversation_id, user_id, draft, seq, chunks, bytes)
SELECT d.conversation_id, d.user_id, d.number, s, ARRAY['text'], 20
FROM drafts d, generate_series(1, 3) s;
UPDATE messages SET item = '{}', item_id = CASE WHEN position = 2 THEN 'own' END
WHERE position > 1 AND user_id LIKE '%1';
INSERT INTO conversation_items (conversation_id, user_id, position, item_id, item)
SELECT c.id, c.user_id, 10 + p, 'rs_' || p, '{}'
FROM conversations c, generate_series(1, 2) p ORDER BY c.updated_at, p;
INSERT INTO conversation_keys (conversation_id, user_id, key, digest, first_position, last_position)
SELECT c.id, c.user_id, 'key ' || c.id, 'digest', 1, 1 FROM conversations c;
INSERT INTO conversation_branches
  (conversation_id, user_id, number, parent, left_at, firsts, lasts)
SELECT c.id, c.user_id, n, CASE WHEN n > 0 THEN 0 END, 1, '{1}', '{}'
FROM conversations c, generate_series(0, 1) n WHERE c.user_id LIKE '%1';
"""
SCALE = 8
SCALED = f"{scaled(SCALE, 'conversation|messages')}; {scaled(100, 'audit')}"

USER_IDS = "idx_users_id"
AUDIT = "idx_audit_lines_at"
AUDIT_OF_USER = "idx_audit_lines_user_id"
OF_USER = "idx_conversations_user_id"
ARCHIVED = "idx_conversations_user_status"
CONVERSATION = "conversations_pkey"
CHUNKS_OF_DRAFT = "draft_chunks_pkey"
IN_ORDER = "idx_messages_conversation_id"
MESSAGE = "messages_pkey"
ITEM_ID = "idx_messages_item_id"
STARTS = "idx_messages_starts_context"
ITEM_IN_ORDER = "conversation_items_pkey"
OTHER_ITEM_ID = "idx_conversation_items_item_id"
KEY = "conversation_keys_pkey"
BRANCH = "conversation_branches_pkey"
CHANGE = "conversation_changes_pkey"
CHANGES_OF_USER = "idx_conversation_changes_user_id"
DRAFT = "drafts_pkey"
ACTIVE_DRAFT = "idx_drafts_active"
OLD_CHANGES = "idx_conversation_changes_changed_at"
ENTRIES_IN_ORDER = {CONVERSATION, IN_ORDER, ITEM_IN_ORDER}
BY_ITEM_ID = {MESSAGE, ITEM_ID, OTHER_ITEM_ID}

STATEMENTS: dict[str, tuple[Statement | str, set[str]]] = {
    "append": (appends.APPEND_PLAIN.one, {CONVERSATION}),
    "append with window": (appends.APPEND_PLAIN.one_window, {CONVERSATION, IN_ORDER, STARTS}),
    "append several": (appends.APPEND_PLAIN.many, {CONVERSATION}),
    "append several with window": (
        appends.APPEND_PLAIN.many_window,
        {CONVERSATION, IN_ORDER, STARTS},
    ),
    "append with all fields": (appends.APPEND_WHOLE.one, {CONVERSATION}),
    "append with all fields and window": (
        appends.APPEND_WHOLE.one_window,
        {CONVERSATION, IN_ORDER, STARTS},
    ),
    "append several with all fields": (appends.APPEND_WHOLE.many, {CONVERSATION}),
    "append several with all fields and window": (
        appends.APPEND_WHOLE.many_window,
        {CONVERSATION, IN_ORDER, STARTS},
    ),
    "append items": (appends.APPEND_ITEMS, {CONVERSATION}),
    "append items with ids": (appends.APPEND_ITEMS_WITH_IDS, {CONVERSATION, *BY_ITEM_ID}),
    "append items with key": (appends.APPEND_ITEMS_WITH_KEY, {CONVERSATION, *BY_ITEM_ID}),
    "append of both kinds": (appends.APPEND_MIXED, {CONVERSATION, *BY_ITEM_ID}),
    "create": (appends.CREATE, set()),
    "create with all fields": (appends.CREATE_WHOLE, set()),
    "create with items": (appends.CREATE_WITH_ITEMS, set()),
    "window": (WINDOW, {CONVERSATION, IN_ORDER, STARTS}),
    "history asc": (PAGE[View.MESSAGES, Order.ASC, POSITIONS], {CONVERSATION, IN_ORDER}),
    "history desc": (PAGE[View.MESSAGES, Order.DESC, POSITIONS], {CONVERSATION, IN_ORDER}),
    "history between asc": (
        PAGE[View.MESSAGES, Order.ASC, MESSAGES],
        {CONVERSATION, IN_ORDER, MESSAGE},
    ),
    "history between desc": (
        PAGE[View.MESSAGES, Order.DESC, MESSAGES],
        {CONVERSATION, IN_ORDER, MESSAGE},
    ),
    "originals asc": (PAGE[View.ORIGINALS, Order.ASC, POSITIONS], {CONVERSATION, IN_ORDER}),
    "originals desc": (PAGE[View.ORIGINALS, Order.DESC, POSITIONS], {CONVERSATION, IN_ORDER}),
    "originals between": (
        PAGE[View.ORIGINALS, Order.ASC, MESSAGES],
        {CONVERSATION, IN_ORDER, MESSAGE},
    ),
    "items asc": (PAGE[View.ITEMS, Order.ASC, POSITIONS], ENTRIES_IN_ORDER),
    "items desc": (PAGE[View.ITEMS, Order.DESC, POSITIONS], ENTRIES_IN_ORDER),
    "items after asc": (PAGE[View.ITEMS, Order.ASC, ITEM], ENTRIES_IN_ORDER | BY_ITEM_ID),
    "items after desc": (PAGE[View.ITEMS, Order.DESC, ITEM], ENTRIES_IN_ORDER | BY_ITEM_ID),
    "everything": (PAGE[View.WHOLE, Order.ASC, POSITIONS], ENTRIES_IN_ORDER),
    **{
        f"page of a branch {view} {order} {kind}": (
            PATH_PAGE[view, order, kind],
            {CONVERSATION, BRANCH, IN_ORDER}
            | ({MESSAGE} if kind == MESSAGES else set())
            | ({ITEM_IN_ORDER} if view in {View.ITEMS, View.WHOLE} else set())
            | (BY_ITEM_ID if kind == ITEM else set()),
        )
        for view, order, kind in PATH_PAGE
    },
    **{
        f"page of a branch with parents {view} {order} {kind}": (
            BRANCH_PAGE[view, order, kind],
            {CONVERSATION, BRANCH, IN_ORDER} | ({MESSAGE} if kind == MESSAGES else set()),
        )
        for view, order, kind in BRANCH_PAGE
    },
    "window of a deep branch": (DEEP_WINDOW, {CONVERSATION, BRANCH, IN_ORDER, STARTS}),
    "page of a deep branch": (
        DEEP_PAGE[View.MESSAGES, Order.ASC, POSITIONS],
        {CONVERSATION, BRANCH, IN_ORDER},
    ),
    "window of a branch": (PATH_WINDOW, {CONVERSATION, BRANCH, IN_ORDER, STARTS}),
    "place of an append": (
        PLACE,
        {CONVERSATION, BRANCH, IN_ORDER, MESSAGE},
    ),
    "branches": (branch_statements.TREE, {CONVERSATION, BRANCH, MESSAGE}),
    "ends of branches": (branch_statements.ENDS[Order.DESC], {IN_ORDER}),
    "starts of branches": (branch_statements.ENDS[Order.ASC], {IN_ORDER}),
    "save branches": (branch_statements.SAVE, {CONVERSATION}),
    "append at a place": (appends.APPEND_PLACED, {CONVERSATION, *BY_ITEM_ID}),
    "create with branches": (appends.CREATE_WITH_BRANCHES, set()),
    "messages at positions": (log_pages.AT[View.MESSAGES], {IN_ORDER}),
    "originals at positions": (log_pages.AT[View.ORIGINALS], {IN_ORDER}),
    "items at positions": (log_pages.AT[View.ITEMS], {IN_ORDER, ITEM_IN_ORDER}),
    "everything at positions": (log_pages.AT[View.WHOLE], {IN_ORDER, ITEM_IN_ORDER}),
    "latest event": (event_statements.LATEST, {CONVERSATION, ACTIVE_DRAFT}),
    "events": (
        event_statements.READ,
        {CONVERSATION, IN_ORDER, CHANGE, MESSAGE, DRAFT, CHUNKS_OF_DRAFT},
    ),
    "conversations that moved since": (
        event_statements.MOVED_SINCE,
        {CONVERSATION, OF_USER, CHANGES_OF_USER},
    ),
    "activity of users": (event_statements.ACTIVITY, {OF_USER, CHANGES_OF_USER}),
    "forget changes": (event_statements.FORGET, {CHANGE, OLD_CHANGES}),
    "moved conversations": (event_statements.MOVED, {CONVERSATION, DRAFT}),
    "get message": (log.GET, {MESSAGE}),
    "get message with original": (log.GET_WHOLE, {MESSAGE}),
    "find item": (log_pages.FIND, BY_ITEM_ID),
    "retry": (log.STORED, {MESSAGE}),
    "taken item ids": (log.TAKEN, BY_ITEM_ID),
    "idempotency key": (log.KEY, {KEY}),
    "calls before": (log.CALLS_BEFORE, {IN_ORDER}),
    "since a time": (log_times.SINCE, {IN_ORDER}),
    "delete message": (log.DELETE, {CONVERSATION, MESSAGE}),
    "delete entry": (log.DELETE_AT, ENTRIES_IN_ORDER),
    "put": (changes.PUT, {CONVERSATION, MESSAGE}),
    "patch": (changes.PATCH, {CONVERSATION, MESSAGE}),
    "truncate": (changes.TRUNCATE, {*ENTRIES_IN_ORDER, MESSAGE}),
    "replace": (changes.REPLACE, {*ENTRIES_IN_ORDER, MESSAGE}),
    "get conversation": (conversations.GET, {CONVERSATION}),
    "get or create": (conversations.GET_OR_CREATE, {CONVERSATION}),
    "change": (conversations.CHANGE, {CONVERSATION}),
    "delete conversation": (conversations.DELETE, {CONVERSATION, CHANGE}),
    "list": (conversations.LIST, {OF_USER}),
    "list after": (conversations.LIST_AFTER, {OF_USER}),
    "list active": (conversations.LIST_STATUS[Status.ACTIVE], {OF_USER}),
    "list archived": (conversations.LIST_STATUS[Status.ARCHIVED], {ARCHIVED}),
    "list archived after": (conversations.LIST_STATUS_AFTER[Status.ARCHIVED], {ARCHIVED}),
    "find": (finding.FIND[None], {OF_USER}),
    "find by creation": (finding.FIND_BY_CREATION, {OF_USER, CONVERSATION}),
    "count conversations": (finding.COUNT, {OF_USER}),
    "find active": (finding.FIND[Status.ACTIVE], {OF_USER}),
    "find active without metadata": (finding.FIND_ACTIVE, {OF_USER}),
    "find archived": (finding.FIND[Status.ARCHIVED], {ARCHIVED}),
    "overview": (overview.RECENT_DAYS, {"idx_messages_created_at"}),
    "audit": (audit.PAGE, {AUDIT}),
    "audit of a user": (audit.PAGE_OF_USER, {AUDIT_OF_USER}),
    # With an unknown limit a plan that reads all lines costs about as much.
    "old lines of the audit": (
        re.sub(r"LIMIT \$\d", f"LIMIT {STEP}", audit.FORGET.sql),
        {AUDIT, "audit_lines_pkey"},
    ),
    "users": (user_list.PAGE, {OF_USER, USER_IDS}),
    "usage": (users.USAGE, {OF_USER}),
    "erase conversations": (users.ERASE_CONVERSATIONS, {OF_USER, CHANGES_OF_USER}),
    "sweep of conversations": (
        "SELECT id FROM conversations WHERE updated_at < timestamptz '2026-01-01 18:00'",
        {"idx_conversations_updated_at"},
    ),
    "growth": (
        "SELECT count(*) FROM messages WHERE created_at < timestamptz '2026-01-01 18:00'",
        {"idx_messages_created_at"},
    ),
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


@pytest.mark.parametrize("name", STATEMENTS)
async def test_the_statement_uses_its_index(connection: asyncpg.Connection, name: str) -> None:
    statement, expected = STATEMENTS[name]

    plan = await planned(connection, statement)

    assert {node["Index Name"] for node in nodes(plan) if "Index Name" in node} == expected
    scanned = [node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
    assert scanned == []


@pytest.mark.parametrize(
    "name",
    [
        "list",
        "list after",
        "list active",
        "list archived",
        "find",
        "find active",
        "find active without metadata",
        "find archived",
        "count conversations",
        "history asc",
        "history desc",
        "items asc",
        "items desc",
        "everything",
    ],
)
async def test_a_page_is_read_in_order_and_no_further(
    connection: asyncpg.Connection, name: str
) -> None:
    """A sort would have to read all there is before it gives the first row."""
    plan = await planned(connection, STATEMENTS[name][0])

    limits = [node for node in nodes(plan) if node["Node Type"] == "Limit"]
    assert limits
    below = [node["Node Type"] for limit in limits for node in nodes(limit)]
    assert not {"Sort", "Incremental Sort", "Bitmap Heap Scan"} & set(below)


async def test_a_filter_that_matches_nothing_reads_no_more_rows_than_its_bound(
    connection: asyncpg.Connection,
) -> None:
    most = 30
    nothing = {"keys": ["agent"], "texts": ['"none"'], "scalars": [None]}
    start = {"after": None, "after_id": UUID(int=0), "updated_after": None}
    for status in (None, *Status):
        statement = finding.FIND[status]
        values = {"user_id": "user-7", "max_read": most, "limit": 21, "share": 10**6}
        text = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}",
            *statement.bind(values | start | nothing),
        )

        [scan] = [node for node in nodes(json.loads(text)[0]["Plan"]) if "Index Name" in node]
        # Older versions of Postgres read a row ahead to number those before it.
        assert scan["Actual Rows"] in ({8} if status is Status.ARCHIVED else {most, most + 1})
        assert not scan.get("Rows Removed by Filter")


async def test_active_conversations_behind_many_archived_ones_are_found_within_the_bound(
    connection: asyncpg.Connection,
) -> None:
    most = 30
    values = {"user_id": "hoarder", "max_read": most, "limit": 21, "share": 10**6}
    start = {"after": None, "after_id": UUID(int=0), "updated_after": None}
    statement = finding.FIND_ACTIVE
    async with rolled_back(connection):
        await connection.execute("""
            INSERT INTO users VALUES ('hoarder');
            INSERT INTO conversations (id, user_id, status, updated_at)
            SELECT gen_random_uuid(), 'hoarder', CASE WHEN n > 3 THEN 'archived' ELSE 'active' END,
                   timestamptz '2026-01-01' + n * interval '1 second'
            FROM generate_series(1, 500) n""")
        text = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", *statement.bind(values | start)
        )
        rows = await connection.fetch(statement.sql, *statement.bind(values | start))

    [scan] = [node for node in nodes(json.loads(text)[0]["Plan"]) if "Index Name" in node]
    assert scan["Actual Rows"] in {most, most + 1}
    assert not scan.get("Rows Removed by Filter")
    [last] = rows  # none matches so far: it says where to go on
    assert (last["matches"], last["number"]) == (False, most)


@asynccontextmanager
async def rolled_back(connection: asyncpg.Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


async def test_a_list_by_creation_reads_no_more_rows_than_its_bound(
    connection: asyncpg.Connection,
) -> None:
    most = 30
    values = {
        "user_id": "user-7",
        "max_read": most,
        "limit": 21,
        "share": 10**6,
        "status": None,
        "after": None,
        "after_id": UUID(int=0),
        "updated_after": None,
        "updated_before": None,
        "keys": [],
        "texts": [],
        "scalars": [],
    }
    statement = finding.FIND_BY_CREATION
    text = await connection.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", *statement.bind(values)
    )

    used = {
        node["Index Name"]: (node["Actual Rows"], node["Actual Loops"])
        for node in nodes(json.loads(text)[0]["Plan"])
        if "Index Name" in node
    }
    assert used == {OF_USER: (most, 1), CONVERSATION: (1, 21)}


@pytest.mark.parametrize("prefix", ["", "user-7", "user-77", "nobody"])
async def test_a_page_of_users_reads_those_that_it_shows(
    connection: asyncpg.Connection, prefix: str
) -> None:
    values = {"prefix": prefix, "end_of_prefix": end_of_prefix(prefix), "after": "", "limit": 6}
    text = await connection.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {user_list.PAGE.sql}", *user_list.PAGE.bind(values)
    )

    found = nodes(json.loads(text)[0]["Plan"])
    scans = [node for node in found if "Index Name" in node]
    assert {node["Index Name"] for node in scans} <= {USER_IDS, OF_USER}
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scans) <= 6 * (1 + 1 + 40)
    assert not any(node.get("Rows Removed by Filter") for node in scans)


@pytest.mark.parametrize("statement", [users.ERASE, users.ERASABLE])
async def test_an_erasure_finds_the_user_and_their_conversations_by_indexes(
    connection: asyncpg.Connection, statement: Statement
) -> None:
    plan = await planned(connection, statement)

    used = {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
    assert used == {OF_USER, "users_pkey"}


async def test_the_cascade_finds_the_messages_by_an_index(connection: asyncpg.Connection) -> None:
    """What the foreign key runs when a conversation is deleted."""
    plan = await planned(
        connection, "DELETE FROM messages WHERE $1::uuid = conversation_id AND $2 = user_id"
    )

    assert {node["Index Name"] for node in nodes(plan) if "Index Name" in node} == {IN_ORDER}


async def test_the_cascade_finds_the_items_by_an_index(connection: asyncpg.Connection) -> None:
    for table, indexes in (
        ("conversation_items", {ITEM_IN_ORDER, OTHER_ITEM_ID}),
        ("conversation_branches", {BRANCH}),
        ("conversation_keys", {KEY}),
    ):
        plan = await planned(
            connection, f"DELETE FROM {table} WHERE $1::uuid = conversation_id AND $2 = user_id"
        )

        [used] = {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
        assert used in indexes


async def test_a_deletion_of_a_branch_finds_its_entries_by_indexes(
    connection: asyncpg.Connection,
) -> None:
    plan = await planned(connection, branch_statements.DELETE)

    used = {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
    assert used - {ITEM_IN_ORDER, OTHER_ITEM_ID} == {CONVERSATION, BRANCH, IN_ORDER}
    assert "Seq Scan" not in {node["Node Type"] for node in nodes(plan)}


async def test_a_fork_finds_the_entries_by_indexes(connection: asyncpg.Connection) -> None:
    plan = await planned(connection, fork_statements.FORK)

    used = {node["Index Name"] for node in nodes(plan) if "Index Name" in node}
    assert used - {ITEM_IN_ORDER, OTHER_ITEM_ID} == {CONVERSATION, IN_ORDER}
    assert "Seq Scan" not in {node["Node Type"] for node in nodes(plan)}


async def test_there_is_no_index_without_a_statement(connection: asyncpg.Connection) -> None:
    rows = await connection.fetch(
        "SELECT indexrelid::regclass::text AS name FROM pg_index "
        "WHERE indrelid IN ('users'::regclass, 'conversations'::regclass, 'messages'::regclass, "
        "'conversation_items'::regclass, 'conversation_keys'::regclass, "
        "'conversation_branches'::regclass, 'conversation_changes'::regclass, "
        "'audit_lines'::regclass)"
    )

    needed = set().union(*(indexes for _, indexes in STATEMENTS.values()))
    needed.add("users_pkey")  # which an erasure uses
    assert {row["name"] for row in rows} == needed - {DRAFT, ACTIVE_DRAFT, CHUNKS_OF_DRAFT}


async def planned(connection: asyncpg.Connection, statement: Statement | str) -> dict[str, Any]:
    """Return the root of the plan that the statement runs by."""
    sql = statement.sql if isinstance(statement, Statement) else statement
    await connection.execute(f"PREPARE tried AS {sql}")
    count = await connection.fetchval(
        "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'tried'"
    )
    nulls = f"({', '.join(['NULL'] * count)})" if count else ""
    text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE tried {nulls}")
    await connection.execute("DEALLOCATE tried")
    plan: dict[str, Any] = json.loads(text)[0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
