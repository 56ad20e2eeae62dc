"""Equal texts, many writers, and clients that retry: what is acknowledged is stored, each time."""

import asyncio
import re
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from uuid import UUID, uuid4

import asyncpg
import httpx

from tests.support.postgres import Server, connect_args
from tests.support.processes import SECRET
from tests.support.service_process import FULL, ServiceProcess, as_user, running
from tests.support.waiting import PATIENCE

WRITERS = 20
APPENDS = 25 if FULL else 5
AT_ONCE = 8
YES = {"items": [{"role": "user", "content": "yes"}]}


class Unlucky(httpx.AsyncBaseTransport):
    """Of every seven requests one never arrives, and the answer to another one is lost.

    `lost` counts the answers to appends that were stored.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._numbers = count()
        self._lucky = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        number = next(self._numbers) % 7
        if number == 2:
            raise httpx.ConnectError("The request never arrived.", request=request)
        answer = await self._lucky.handle_async_request(request)
        if number == 5:
            await answer.aclose()
            self.lost += answer.status_code == 200
            raise httpx.ReadError("The answer was lost.", request=request)
        return answer

    async def aclose(self) -> None:
        await self._lucky.aclose()


@dataclass
class Client:
    """Sends as OpenAI's SDKs do: again, saying how often it did, until it is acknowledged."""

    http: httpx.AsyncClient
    services: list[ServiceProcess]
    path: str
    keyed: bool
    acknowledged: int = 0
    refused: int = 0
    broken: int = 0

    async def append(self) -> None:
        key = {"Idempotency-Key": uuid4().hex} if self.keyed else {}
        for attempt in count():
            service = self.services[(self.acknowledged + attempt) % len(self.services)]
            retries = {"x-stainless-retry-count": str(attempt)}
            try:
                answer = await self.http.post(
                    service.url + self.path, json=YES, headers=as_user("alice") | key | retries
                )
            except httpx.TransportError:
                self.broken += 1
            else:
                if answer.status_code == 200:
                    self.acknowledged += 1
                    return
                assert answer.status_code in {429, 503}, answer.text
                self.refused += answer.status_code == 429
            await asyncio.sleep(0.01)

    async def append_many(self) -> None:
        for _ in range(APPENDS):
            await self.append()


async def clients(
    http: httpx.AsyncClient, services: list[ServiceProcess], *, keyed: bool
) -> list[Client]:
    """Return the clients of a conversation of their own."""
    made = await services[0].call("POST", "/openai/v1/conversations", {}, headers=as_user("alice"))
    path = f"/openai/v1/conversations/{made['id']}/items"
    return [Client(http, services, path, keyed) for _ in range(WRITERS)]


async def stored(url: str, clients: list[Client]) -> int:
    """Return how many appends are stored in the conversation of these clients."""
    conversation = UUID(re.findall("conv_([0-9a-f]+)", clients[0].path)[0])
    connection = await asyncpg.connect(**connect_args(url))
    try:
        found: int = await connection.fetchval(
            "SELECT count(*) FROM messages WHERE conversation_id = $1", conversation
        )
    finally:
        await connection.close()
    return found


async def started(stack: AsyncExitStack, url: str) -> ServiceProcess:
    service = await stack.enter_async_context(
        running(
            DATABASE_URL=url,
            CHATKEEP_JWT_SECRET=SECRET,
            CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER=str(AT_ONCE),
            CHATKEEP_OPENAI_RETRY_SECONDS="60",  # a former setting
        )
    )
    assert "CHATKEEP_OPENAI_RETRY_SECONDS has no effect" in service.log
    return service


async def test_equal_appends_are_stored_as_often_as_they_are_acknowledged(
    postgres_server: Server,
) -> None:
    """Without a key, a lost answer of a stored append doubles it; nothing else does."""
    unlucky, unlucky_with_keys = Unlucky(), Unlucky()
    async with (
        postgres_server.database() as url,
        AsyncExitStack() as stack,
        httpx.AsyncClient(transport=unlucky, timeout=PATIENCE) as http,
        httpx.AsyncClient(transport=unlucky_with_keys, timeout=PATIENCE) as http_with_keys,
    ):
        services = [await started(stack, url) for _ in range(2 if FULL else 1)]
        without = await clients(http, services, keyed=False)
        keyed = await clients(http_with_keys, services, keyed=True)

        await asyncio.gather(*(client.append_many() for client in (*without, *keyed)))

        for each in (without, keyed):
            assert sum(client.acknowledged for client in each) == WRITERS * APPENDS
            assert sum(client.refused for client in each) > 0
        assert unlucky.lost > 0
        assert unlucky_with_keys.lost > 0
        assert await stored(url, without) == WRITERS * APPENDS + unlucky.lost
        assert await stored(url, keyed) == WRITERS * APPENDS


async def test_over_restarts_no_acknowledged_append_is_lost(postgres_server: Server) -> None:
    async with (
        postgres_server.database() as url,
        AsyncExitStack() as stack,
        httpx.AsyncClient(timeout=PATIENCE) as http,
    ):
        current = [await started(stack, url)]
        without = await clients(http, current, keyed=False)
        keyed = await clients(http, current, keyed=True)
        writing = asyncio.gather(*(client.append_many() for client in (*without, *keyed)))
        for how in (signal.SIGKILL, signal.SIGTERM)[: 2 if FULL else 1]:
            await asyncio.sleep(0.3)
            old, current[0] = current[0], await started(stack, url)
            await old.end(how)
        await writing

        assert await stored(url, keyed) == WRITERS * APPENDS
        broken = sum(client.broken for client in without)
        assert WRITERS * APPENDS <= await stored(url, without) <= WRITERS * APPENDS + broken
        assert all(client.acknowledged == APPENDS for client in (*without, *keyed))
