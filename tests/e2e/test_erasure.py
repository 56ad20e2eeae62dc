"""Erasing a user leaves nothing of theirs anywhere in the database, and touches nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import chain
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.domain.errors import UserRetainedError
from chatkeep.domain.model import Changes
from chatkeep.domain.operations.selftest.builders import ALICE, BOB
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import numbered_messages
from tests.support.postgres import Server, connect_args, query
from tests.support.processes import SECRET, chatkeep
from tests.support.service_process import SERVICE_KEY, ServiceProcess, as_service, as_user, running

MARK = "only-alice-says-this"
HOLD = Changes(retain=True)

COLUMNS = """
SELECT table_schema AS schema, table_name AS table, column_name AS column
FROM information_schema.columns
WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"""


@pytest.fixture(scope="module")
async def url(postgres_server: Server) -> AsyncIterator[str]:
    async with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="module")
async def service(url: str) -> AsyncIterator[ServiceProcess]:
    async with running(
        DATABASE_URL=url, CHATKEEP_JWT_SECRET=SECRET, CHATKEEP_SERVICE_KEYS=SERVICE_KEY
    ) as service:
        yield service


@pytest.fixture(scope="module")
async def connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(**connect_args(url))
    yield connection
    await connection.close()


async def fill(
    service: ServiceProcess, connection: asyncpg.Connection, user: str, mark: str
) -> set[str]:
    """Store all that a user can have; return every text that tells of them."""

    async def call(method: str, path: str, body: object, **headers: str) -> Any:  # noqa: ANN401 - any JSON
        return await service.call(method, path, body, headers=as_user(user) | headers)

    function = {"name": mark, "arguments": json.dumps({"for": mark})}
    body = {
        "id": str(uuid4()),
        "title": f"title {mark}",
        "metadata": {mark: [mark]},
        "messages": [
            {"role": "user", "content": f"\0{mark}", "name": mark, "metadata": {"a": mark}},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": mark, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": mark, "content": mark},
        ],
    }
    native = await call("POST", "/v1/conversations", body)
    items = [
        {"type": "message", "role": "user", "id": f"own-{mark}", "content": mark},
        {"type": "function_call", "call_id": mark, "name": mark, "arguments": mark},
        {"type": "reasoning", "id": f"rs-{mark}", "summary": [{"text": mark}]},
    ]
    key = {"Idempotency-Key": f"key {mark}"}
    openai = "/openai/v1/conversations"
    made = await call("POST", openai, {"metadata": {"m": mark}}, **key)
    more = {"Idempotency-Key": f"another key {mark}"}
    kept = await call("POST", f"{openai}/{made['id']}/items", {"items": items}, **more)
    mixed = f"{openai}/conv_{native['id'].replace('-', '')}/items"
    await call("POST", mixed, {"items": items})
    await call("PATCH", f"/v1/conversations/{native['id']}", {"status": "archived"})
    await connection.execute("INSERT INTO tasks (user_id, title) VALUES ($1, $2)", user, mark)

    conversations = {native["id"], made["id"].removeprefix("conv_")}
    ids = {each["id"] for each in chain(native["messages"], kept["data"])}
    return {user, mark, *conversations, *ids}


async def traces(connection: asyncpg.Connection, texts: set[str]) -> dict[str, set[str]]:
    """Return which columns, of whatever type, hold any of the texts, by table."""
    wanted = sorted(texts | {text.replace("-", "") for text in texts})
    found: dict[str, set[str]] = {}
    for schema, table, column in await connection.fetch(COLUMNS):
        # A uuid, and bytes, are also looked at without their punctuation.
        holds = await connection.fetchval(
            f'SELECT EXISTS (SELECT FROM "{schema}"."{table}" t, unnest($1::text[]) AS wanted '
            f'WHERE position(wanted IN t."{column}"::text) > 0 '
            f"OR position(wanted IN replace(t.\"{column}\"::text, '-', '')) > 0)",
            wanted,
        )
        if holds:
            found.setdefault(table, set()).add(column)
    return found


async def rows(connection: asyncpg.Connection, texts: set[str]) -> dict[str, list[Any]]:
    """Return all rows of all tables that do not tell of `texts`, and where and by whom written."""
    tables = {(schema, table) for schema, table, _ in await connection.fetch(COLUMNS)}
    return {
        table: await connection.fetch(
            f'SELECT t.ctid::text, t.xmin::text, t.xmax::text, t::text FROM "{schema}"."{table}" t '
            "WHERE NOT EXISTS (SELECT FROM unnest($1::text[]) AS told "
            "WHERE position(told IN t::text) > 0) ORDER BY 1",
            sorted(texts),
        )
        for schema, table in tables
    }


@pytest.mark.parametrize("way", ["me", "by a service", "on the command line"])
async def test_nothing_of_an_erased_user_is_left_and_others_are_not_touched(
    service: ServiceProcess, connection: asyncpg.Connection, url: str, way: str
) -> None:
    alice, mark = f"alice|{way}", f"{MARK} {way}"
    bobs = await fill(service, connection, f"bob|{way}", f"bob's {way}")
    hers = await fill(service, connection, alice, mark)
    assert await traces(connection, hers) == {
        "users": {"id"},
        "tasks": {"user_id", "title"},
        "conversations": {"id", "user_id", "title", "metadata"},
        "conversation_changes": {"conversation_id", "user_id"},
        "messages": {
            "id",
            "conversation_id",
            "user_id",
            "content",
            "tool_calls",
            "tool_call_id",
            "name",
            "metadata",
            "item_id",
            "item",
        },
        "conversation_items": {"conversation_id", "user_id", "item_id", "item"},
        "conversation_keys": {"conversation_id", "user_id", "key"},
    }
    others = await rows(connection, hers)
    assert sum(map(len, others.values())) > len(bobs)

    match way:
        case "me":
            await service.call("DELETE", "/v1/me", headers=as_user(alice), status=204)
        case "by a service":
            path = f"/v1/users/{alice.replace('|', '%7C').replace(' ', '%20')}"
            await service.call("DELETE", path, headers=as_service(), status=204)
        case _:
            done = await asyncio.to_thread(
                chatkeep, "erase", "--user", alice, "--yes", DATABASE_URL=url
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout == (
                f"deleted of user {alice!r}: 2 conversations (1 active, 1 archived), 7 messages\n"
            )

    assert await traces(connection, hers) == {}
    assert await rows(connection, hers) == others
    assert await traces(connection, bobs) != {}


async def test_a_user_that_another_application_needs_stays_without_conversations(
    engine: Engine, postgres_store: StoreUnderTest
) -> None:
    await postgres_store.start(*numbered_messages(2))
    await postgres_store.start(*numbered_messages(1), user_id=BOB)
    await query(engine, "CREATE TABLE orders (user_id varchar(255) REFERENCES users)")
    try:
        await query(engine, "INSERT INTO orders VALUES (:id)", id=ALICE)
        erased = await postgres_store.users.erase(ALICE)

        assert erased is not None
        assert (erased.conversations, erased.messages) == (1, 2)
        assert await postgres_store.list_conversations() == []
        assert not await postgres_store.users.add(ALICE)
        assert len(await postgres_store.list_conversations(BOB)) == 1

        held = await postgres_store.start(*numbered_messages(2))
        await postgres_store.conversations.change(ALICE, held.id, HOLD)
        with pytest.raises(UserRetainedError):
            await postgres_store.users.erase(ALICE)
        assert len(await postgres_store.history(held)) == 2
        assert await postgres_store.users.erase(ALICE, even_retained=True)
        assert await postgres_store.list_conversations() == []
    finally:
        await query(engine, "DROP TABLE orders")
