"""Writers who append only to what they have read, over a network that loses some of it."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

import asyncpg
import httpx

from tests.e2e.faults.test_equal_appends import Unlucky
from tests.support.postgres import Server, connect_args
from tests.support.processes import SECRET
from tests.support.service_process import FULL, ServiceProcess, as_user, running
from tests.support.waiting import PATIENCE

WRITERS = 6
APPENDS = 20 if FULL else 3
ALICE = as_user("alice")


@dataclass
class Writer:
    """Appends "number N" after having read the conversation at N messages, and nothing else.

    `revisions` are those that its appends were answered with.
    """

    http: httpx.AsyncClient
    services: list[ServiceProcess]
    path: str
    revisions: list[str] = field(default_factory=list)
    conflicts: int = 0
    broken: int = 0

    async def append_many(self) -> None:
        while len(self.revisions) < APPENDS:
            conversation = await self.send("GET", self.path)
            body = {"role": "user", "content": f"number {conversation.json()['message_count']}"}
            answer = await self.send(
                "POST",
                f"{self.path}/messages",
                {"If-Match": conversation.headers["etag"], "Idempotency-Key": uuid4().hex},
                body,
            )
            if answer.status_code == 201:
                self.revisions.append(answer.headers["etag"])
            else:
                assert answer.status_code == 412, answer.text
                self.conflicts += 1

    async def send(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: object = None
    ) -> httpx.Response:
        """Send it again and again until it is answered."""
        for attempt in count():
            url = self.services[attempt % len(self.services)].url + path
            try:
                answer = await self.http.request(
                    method, url, json=body, headers=ALICE | (headers or {})
                )
            except httpx.TransportError:
                self.broken += 1
            else:
                if answer.status_code not in {429, 503}:
                    return answer
            await asyncio.sleep(0.01)
        raise AssertionError


async def contents_of(url: str) -> tuple[list[str], int]:
    """Return the texts that are stored, in order, and the revision of the conversation."""
    connection = await asyncpg.connect(**connect_args(url))
    try:
        rows = await connection.fetch("SELECT content FROM messages ORDER BY position")
        revision: int = await connection.fetchval("SELECT revision FROM conversations")
    finally:
        await connection.close()
    return [row["content"] for row in rows], revision


async def test_each_append_is_stored_once_and_only_after_what_its_writer_has_read(
    postgres_server: Server,
) -> None:
    unlucky = Unlucky()
    async with (
        postgres_server.database() as url,
        AsyncExitStack() as stack,
        httpx.AsyncClient(transport=unlucky, timeout=PATIENCE) as http,
    ):
        services = [
            await stack.enter_async_context(running(DATABASE_URL=url, CHATKEEP_JWT_SECRET=SECRET))
            for _ in range(2 if FULL else 1)
        ]
        made = await services[0].call("POST", "/v1/conversations", {}, headers=ALICE)
        path = f"/v1/conversations/{made['id']}"
        writers = [Writer(http, services, path) for _ in range(WRITERS)]

        await asyncio.gather(*(writer.append_many() for writer in writers))

        texts, revision = await contents_of(url)

    assert texts == [f"number {number}" for number in range(WRITERS * APPENDS)]
    assert revision == WRITERS * APPENDS + 1
    answered = [each for writer in writers for each in writer.revisions]
    assert sorted(answered) == sorted(f'"{n}"' for n in range(2, revision + 1))
    assert sum(writer.conflicts for writer in writers) > 0
    assert sum(writer.broken for writer in writers) > 0
