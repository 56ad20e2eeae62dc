"""Every route there is, with every method and with another user's ids: nothing seen, or changed."""

import re
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import asyncpg
import pytest
from litestar.routes import HTTPRoute

from chatkeep.entrypoints.bootstrap.service import memory_app
from chatkeep.entrypoints.settings import Settings
from tests.support.postgres import Server, connect_args
from tests.support.processes import SECRET
from tests.support.service_process import (
    SERVICE_KEY,
    ServiceProcess,
    as_service,
    as_user,
    running_on,
    some,
)

METHODS = ("OPTIONS", "TRACE", "HEAD", "GET", "POST", "PATCH", "DELETE", "PUT")  # PUT may create
MARK = "bobs-secret"
TEXT = "the same/text of both"
SAYS = {"role": "user", "content": "Alice was here"}
BODIES: tuple[Any, ...] = (
    None,
    {},
    {"title": "Alice's"},
    {"status": "archived"},
    {"metadata": {"of": "Alice"}},
    SAYS,
    {"messages": [SAYS]},
    {"items": [{"type": "message", **SAYS}]},
)


def routes() -> list[tuple[str, set[str]]]:
    """Return the paths of the application as it is put together, and who has which methods."""
    found = [
        (route.path_format, {str(method) for method in route.methods})
        for route in memory_app(Settings(jwt_secret=SECRET)).routes
        if isinstance(route, HTTPRoute)
    ]
    assert len([path for path, _ in found if "/v1/" in path]) >= 11
    return found


async def dump(url: str) -> dict[str, list[str]]:
    """Return all rows of all tables, as text."""
    connection = await asyncpg.connect(**connect_args(url))
    try:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
        return {
            name: [
                row[0]
                for row in await connection.fetch(f'SELECT t::text FROM "{name}" t ORDER BY 1')
            ]
            for [name] in tables
        }
    finally:
        await connection.close()


async def filled(service: ServiceProcess, user: str) -> dict[str, list[str]]:
    """Store something of the user's; return the values of parameters that name it."""
    headers = as_user(user)
    conversation = str(uuid4())
    body = {
        "id": conversation,
        "title": MARK,
        "metadata": {MARK: MARK},
        "messages": [
            {"role": "user", "content": MARK, "metadata": {MARK: MARK}},
            {"role": "assistant", "content": MARK, "name": MARK},
        ],
    }
    created = await service.call("POST", "/v1/conversations", body, headers=headers)
    texts = body | {"id": TEXT, "messages": [{"role": "user", "content": MARK, "id": TEXT}]}
    await service.call("POST", "/v1/conversations", texts, headers=headers, status=201)
    items = {"items": [{"type": "message", "role": "user", "content": MARK}]}
    as_openai = await service.call("POST", "/openai/v1/conversations", items, headers=headers)
    listed = await service.call(
        "GET", f"/openai/v1/conversations/{as_openai['id']}/items", headers=headers
    )
    drafts = f"/v1/conversations/{conversation}/drafts"
    await service.call(
        "POST", drafts, {"id": TEXT, "metadata": {MARK: MARK}, "lease": 600}, headers=headers
    )
    chunks = {"epoch": 1, "seq": 1, "chunks": [MARK]}
    await service.call("POST", f"{drafts}/{quote(TEXT, safe='')}/chunks", chunks, headers=headers)
    return {
        "draft_id": [TEXT],
        "conversation_id": [conversation, as_openai["id"], TEXT],
        "message_id": [*(message["id"] for message in created["messages"]), TEXT],
        "item_id": [item["id"] for item in listed["data"]],
        "user_id": [user],
        "name": ["swagger-ui.css"],
        "path": ["nothing"],
        "number": ["0", "1"],
    }


def named(path: str, values: dict[str, list[str]]) -> list[str]:
    """Return the path with each combination of values of its parameters."""
    found = [path]
    for name in re.findall(r"\{(\w+)\}", path):
        assert name in values, f"say which {name} is another user's"
        found = [
            each.replace(f"{{{name}}}", quote(value, safe=""))
            for each in found
            for value in values[name]
        ]
    return found


@pytest.mark.parametrize("caller", some(["alice with a token", "a service for alice"], every=2))
async def test_nothing_of_another_user_is_seen_or_changed_on_any_route(
    postgres_server: Server, caller: str
) -> None:
    alice = as_user("alice") if "token" in caller else as_service("alice")
    # A stream of events, of what is one's own, ends only when nothing has happened for a while.
    settings = {"CHATKEEP_SERVICE_KEYS": SERVICE_KEY, "CHATKEEP_STREAM_IDLE_SECONDS": "1"}
    async with running_on(postgres_server, **settings) as service:
        bobs = await filled(service, "bob")
        before = await dump(service.database_url)
        assert MARK in str(before["messages"])

        tried = 0
        for method in METHODS:
            for path, methods in routes():
                if "user_id" in path and "service" in caller:
                    continue  # a service may erase anybody
                for target in named(path, bobs):
                    for body in BODIES if method in methods - {"GET", "DELETE"} else BODIES[:1]:
                        answer = await service.http.request(
                            method,
                            target,
                            headers=alice,
                            **({} if body is None else {"json": body}),
                        )
                        tried += 1
                        assert MARK not in answer.text
                        assert answer.status_code < 500, answer.text
                        if "{" in path and "/v1/" in path:
                            expected = _expected(path, method, methods)
                            assert answer.status_code in expected, (method, target, body)

        await service.call("DELETE", "/v1/me", headers=alice)
        assert await dump(service.database_url) == before
        assert tried > 150


def _expected(path: str, method: str, methods: set[str]) -> set[int]:
    if method not in methods:
        return {404, 405}
    if method == "OPTIONS":
        return {204, 404}
    if "user_id" in path:
        return {403}
    if method == "PUT":
        # One of Alice's own, by the same id: ids are a user's own. Then 409 for its messages' ids.
        return {201, 200, 422, 404, 409}
    return {404, 422, 400}  # a body that fits no conversation at all is told so


async def test_another_users_ids_are_strangers_among_ones_own(postgres_server: Server) -> None:
    async with running_on(postgres_server) as service:
        bobs = await filled(service, "bob")
        before = await dump(service.database_url)
        alice = as_user("alice")
        [conversation, _, _], [message, _, _] = bobs["conversation_id"], bobs["message_id"]
        page = await service.call("GET", "/v1/conversations?limit=1", headers=as_user("bob"))
        history = await service.call(
            "GET", f"/v1/conversations/{conversation}/messages?limit=1", headers=as_user("bob")
        )

        # The very ids may be used, and nothing tells that they are in use.
        own = {"id": conversation, "messages": [SAYS | {"id": message}]}
        await service.call("POST", "/v1/conversations", own, headers=alice, status=201)
        other = await service.call("POST", "/v1/conversations", {}, headers=alice)
        path = f"/v1/conversations/{other['id']}/messages"
        await service.call("GET", f"{path}/{bobs['message_id'][1]}", headers=alice, status=404)
        await service.call("DELETE", f"{path}/{message}", headers=alice, status=404)
        for bound in ("after", "before"):
            await service.call("GET", f"{path}?{bound}={message}", headers=alice, status=404)

        # Cursors lead to nothing but one's own.
        cursor = page["next_cursor"]
        listed = await service.call("GET", f"/v1/conversations?cursor={cursor}", headers=alice)
        assert MARK not in str(listed)
        read = await service.call("GET", f"{path}?cursor={history['next_cursor']}", headers=alice)
        assert read["items"] == []

        await service.call("DELETE", "/v1/me", headers=alice)
        assert await dump(service.database_url) == before
