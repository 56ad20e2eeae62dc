"""No request leaves anything behind on its connection: a pooler may give it to anybody next."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from chatkeep.entrypoints.bootstrap.service import memory_app
from chatkeep.entrypoints.settings import Settings
from tests.e2e.neon.service import AS_SERVICE, KEY, ChatBackend, service
from tests.support import postgres

LOGGED = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*(?:\n\t.*)*)")
PARAMETER = re.compile(r"\{(\w+):\w+\}")
WITHOUT_TYPE = r"{\1}"
OF_A_SESSION = re.compile(
    r"\b(SET|RESET|DISCARD|LISTEN|UNLISTEN|NOTIFY|PREPARE|DEALLOCATE|DECLARE|LOAD)\s+(?!LOCAL\b)\w"
    r"|\bset_config\b|\bpg_(try_)?advisory_(?!xact)|\bTEMP(ORARY)?\b|\bBEGIN\b|\bHOLD\b",
    re.IGNORECASE,
)
# In these SET is a clause.
CLAUSES = re.compile(r"\bUPDATE\s+\w+\s+(\w+\s+)?SET\b|\bDO UPDATE\s+SET\b", re.IGNORECASE)


async def test_no_request_leaves_a_setting_a_lock_or_a_table_in_its_session(
    postgres_server: postgres.Server, database_url: str
) -> None:
    name = postgres.connect_args(database_url)["database"]
    log = await log_of(postgres_server)
    await postgres_server.execute(f"ALTER DATABASE {name} SET log_statement = 'all'")
    before = log.stat().st_size

    async with service(database_url) as caller:
        called = await use_everything(caller)

    assert not all_routes() - called, "use them in this test as well"
    with log.open() as file:
        file.seek(before)
        statements = {CLAUSES.sub("UPDATE", found[1]) for found in LOGGED.finditer(file.read())}
    assert any("INSERT INTO messages" in statement for statement in statements)
    assert [statement for statement in statements if OF_A_SESSION.search(statement)] == []


def test_what_is_looked_for_would_be_found() -> None:
    for statement in (
        "SET statement_timeout = 1",
        "SELECT set_config('jit', 'off', false)",
        "SELECT pg_advisory_lock(1)",
        "LISTEN changes",
        "CREATE TEMP TABLE t ()",
        "BEGIN;",
    ):
        assert OF_A_SESSION.search(statement)
    for statement in ("SET LOCAL lock_timeout = 1", "SELECT pg_advisory_xact_lock(1)"):
        assert not OF_A_SESSION.search(statement)


async def log_of(server: postgres.Server) -> Path:
    connection = await asyncpg.connect(**postgres.connect_args(server.url))
    try:
        return Path(await connection.fetchval("SHOW data_directory")).with_name("server.log")
    finally:
        await connection.close()


def all_routes() -> set[str]:
    """Return the methods and paths that need the database, parameters as `{name}`."""
    app = memory_app(Settings(service_keys=(KEY,)))
    return {
        f"{method} {PARAMETER.sub(WITHOUT_TYPE, route.path)}"
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS" and route.path.startswith(("/v1/", "/openai/"))
    }


async def use_everything(caller: ChatBackend) -> set[str]:
    """Make every kind of request; return which, as `all_routes` does."""
    called = set()

    async def call(method: str, path: str, body: object = None, **parameters: object) -> str:
        called.add(f"{method} {path.partition('?')[0]}")
        headers = (
            AS_SERVICE if path.startswith(("/v1/users", "/v1/audit", "/v1/overview")) else None
        )
        if isinstance(body, str):
            sent: dict[str, Any] = {"content": body, "headers": {"Content-Type": "text/plain"}}
        else:
            sent = {"json": body, "headers": headers}
        answer = await caller.http.request(method, path.format(**parameters), **sent)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        is_json = answer.headers.get("content-type") == "application/json"
        found = answer.json() if is_json else {}
        return str(found.get("id") or found.get("next_cursor") or found.get("first_id", ""))

    one = "/v1/conversations/{conversation_id}"
    await call("PUT", "/v1/users/{user_id}", user_id="alice")
    await call("GET", "/v1/users?prefix=al")
    await call("GET", "/v1/audit?user=alice")
    await call("GET", "/v1/overview")
    at = await call("POST", "/v1/conversations", {"messages": [said(), said()], "title": "Lunch"})
    await call("PUT", one, conversation_id=uuid4())
    await call("PUT", one, conversation_id=at)
    await call("PATCH", one, {"status": "archived"}, conversation_id=at)
    await call("GET", one, conversation_id=at)
    await call("GET", "/v1/conversations?status=archived")
    cursor = await call("GET", "/v1/conversations?limit=1")
    await call("GET", "/v1/conversations?cursor={cursor}", cursor=cursor)
    first = said()
    for _ in range(2):  # the second one is a retry
        await call("POST", f"{one}/messages", first, conversation_id=at)
        await call("POST", f"{one}/messages?context=9", first, conversation_id=at)
    await call("POST", f"{one}/messages", {"messages": [said(), said()]}, conversation_id=at)
    await call("GET", f"{one}/context?format=anthropic", conversation_id=at)
    cursor = await call("GET", f"{one}/messages?limit=1", conversation_id=at)
    await call("GET", f"{one}/messages?cursor={{cursor}}", conversation_id=at, cursor=cursor)
    for query in ("order=desc", f"after={first['id']}", f"before={first['id']}"):
        await call("GET", f"{one}/messages?{query}", conversation_id=at)
    path = f"{one}/messages/{{message_id}}"
    await call("PUT", path, {**first, "content": "hi"}, conversation_id=at, message_id=first["id"])
    await call("PATCH", path, {"tokens": 1}, conversation_id=at, message_id=first["id"])
    await call("GET", path, conversation_id=at, message_id=first["id"])
    await use_branches(call, one, at, first["id"])
    await use_drafts(call, one, at)
    for route in (f"{one}/events", "/v1/events"):
        await call("GET", f"{route}?after=start&wait=0", conversation_id=at)
    await call("GET", "/v1/search?q=hello")
    await call("DELETE", path, conversation_id=at, message_id=first["id"])

    await use_items(call)
    await call("DELETE", "/v1/conversations/{conversation_id}", conversation_id=at)
    await call("GET", "/v1/me")
    await call("GET", "/v1/me/export")
    await call("DELETE", "/v1/me")
    await call("PUT", "/v1/users/{user_id}", user_id="alice")
    await call("DELETE", "/v1/users/{user_id}", user_id="alice")
    return called


async def use_items(call: Callable[..., Awaitable[str]]) -> None:
    """Use the routes of OpenAI's API."""
    one = "/openai/v1/conversations/{conversation_id}"
    at = await call("POST", "/openai/v1/conversations", {"items": [item()]})
    await call("GET", "/openai/v1/conversations")
    await call("GET", one, conversation_id=at)
    await call("POST", one, {"metadata": {"a": "b"}}, conversation_id=at)
    last = await call("POST", f"{one}/items", {"items": [item()]}, conversation_id=at)
    await call("GET", f"{one}/items?after={last}&order=asc", conversation_id=at)
    for method in ("GET", "DELETE"):
        await call(method, f"{one}/items/{{item_id}}", conversation_id=at, item_id=last)
    await call("DELETE", one, conversation_id=at)


async def use_drafts(call: Callable[..., Awaitable[str]], one: str, at: str) -> None:
    """Write answers in chunks, finish one and cancel one; write one as a long body."""
    path = f"{one}/drafts/{{draft_id}}"
    for end in ("finish", "cancel"):
        draft = await call("POST", f"{one}/drafts", {}, conversation_id=at)
        chunks = {"epoch": 1, "seq": 1, "chunks": ["hel", "lo"]}
        await call("POST", f"{path}/chunks", chunks, conversation_id=at, draft_id=draft)
        await call("GET", path, conversation_id=at, draft_id=draft)
        ending = {"epoch": 1} if end == "finish" else {"keep": True}
        await call("POST", f"{path}/{end}", ending, conversation_id=at, draft_id=draft)
    draft = await call("POST", f"{one}/drafts", {}, conversation_id=at)
    await call("POST", f"{path}/stream?epoch=1", "hello", conversation_id=at, draft_id=draft)
    await call("GET", f"{one}/drafts", conversation_id=at)


async def use_branches(call: Callable[..., Awaitable[str]], one: str, at: str, first: str) -> None:
    """Branch after the message `first`, read both branches and delete what is behind."""
    await call("GET", f"{one}/messages?around_time=2026-01-01T00:00:00Z", conversation_id=at)
    await call("GET", f"{one}/export", conversation_id=at)
    other = said()
    await call("POST", f"{one}/messages", {**other, "after": first}, conversation_id=at)
    await call("GET", f"{one}/branches", conversation_id=at)
    path = f"{one}/messages/{{message_id}}/siblings"
    await call("GET", path, conversation_id=at, message_id=other["id"])
    for query in ("branch=0", "branch=all"):
        await call("GET", f"{one}/messages?{query}", conversation_id=at)
    await call("GET", f"{one}/context?branch=0", conversation_id=at)
    body = {"after": other["id"], "expected": [], "messages": [said()]}
    await call("PUT", f"{one}/messages", body, conversation_id=at)
    await call("DELETE", f"{one}/messages?after={other['id']}", conversation_id=at)
    await call("POST", f"{one}/fork", {}, conversation_id=at)
    await call(
        "PATCH", f"{one}/branches/{{number}}", {"is_current": True}, conversation_id=at, number=0
    )
    await call("DELETE", f"{one}/branches/{{number}}", conversation_id=at, number=1)


def said() -> dict[str, str]:
    return {"id": str(uuid4()), "role": "user", "content": "hello"}


def item() -> dict[str, str]:
    return {"role": "user", "content": "hello"}
