"""A database with legacy tables, the command that adopts them, and the service to read it."""

import asyncio
import contextlib
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from unittest.mock import patch

import asyncpg
import httpx
import pytest

from chatkeep.entrypoints.bootstrap.service import http_app
from chatkeep.entrypoints.cli import main
from chatkeep.entrypoints.settings import Settings
from tests.support.plain_http import NO_AUTHORITIES
from tests.support.postgres import connect_args, pool
from tests.support.processes import environment
from tests.support.service_process import SERVICE_KEY

Json = dict[str, Any]


@dataclass
class Done:
    """The exit status and the output of a command."""

    status: int
    out: str
    err: str

    @property
    def report(self) -> Json:
        report: Json = json.loads(self.out)
        return report


@dataclass
class Place:
    """A migrated database, and the legacy application's connection to it."""

    url: str
    old: asyncpg.Connection

    async def adopt(self, *arguments: str) -> Done:
        """Run the command in this process."""
        return await asyncio.to_thread(_run, self.url, ["adopt", "--from-tables", *arguments])

    async def adopted(self, *arguments: str) -> Json:
        """Run the command, which must succeed; return its report."""
        done = await self.adopt("--json", *arguments)
        assert done.status == 0, done
        return done.report

    @asynccontextmanager
    async def service(self, user: str) -> AsyncIterator[httpx.AsyncClient]:
        """Yield the service over HTTP, as the user calls it."""
        settings = Settings(service_keys=(SERVICE_KEY,))
        headers = {"Authorization": f"Bearer {SERVICE_KEY}", "X-User-Id": user}
        async with pool(self.url) as engine:
            app = http_app(settings, database=engine)
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=cast("Any", app)),
                base_url="http://t",
                headers=headers,
                verify=NO_AUTHORITIES,
            ) as client:
                yield client

    async def conversations(self, user: str) -> list[Json]:
        """Return the user's conversations as the service lists them, each with its messages."""
        async with self.service(user) as client:
            found = await _pages(client, "/v1/conversations")
            for each in found:
                path = f"/v1/conversations/{each['id']}/messages"
                each["messages"] = await _pages(client, path)
            return found

    async def rows(self, table: str) -> list[str]:
        """Return all rows of a table, with their physical locations and transactions."""
        rows = await self.old.fetch(f"SELECT t.ctid, t.xmin, t::text FROM {table} t ORDER BY 1")
        return [str(tuple(row)) for row in rows]

    async def count(self, table: str) -> int:
        count: int = await self.old.fetchval(f"SELECT count(*) FROM {table}")
        return count


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    connection = await asyncpg.connect(**connect_args(database_url))
    yield Place(database_url, connection)
    await connection.close()


def said(conversation: Json) -> list[tuple[str, str | None]]:
    return [(each["role"], each["content"]) for each in conversation["messages"]]


async def _pages(client: httpx.AsyncClient, path: str) -> list[Json]:
    items: list[Json] = []
    parameters = {"limit": "100"}
    while True:
        answer = await client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        parameters["cursor"] = page["next_cursor"]


def _run(url: str, arguments: list[str]) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment(DATABASE_URL=url), clear=True),
        patch("sys.argv", ["chatkeep", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    assert isinstance(status, int)
    assert "Traceback" not in err.getvalue()
    return Done(status, out.getvalue(), err.getvalue())
