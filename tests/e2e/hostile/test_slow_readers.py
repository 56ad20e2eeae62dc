"""Who does not read, or sends slowly: takes neither the memory nor the places of others."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest

from tests.e2e.hostile.wire import json_request, request
from tests.support.postgres import Server, connect_args
from tests.support.service_process import FULL, ServiceProcess, as_user, running_on
from tests.support.waiting import PATIENCE, until

MEGABYTE = 1_000_000
STALL = 1.0
# As many exports as would take all 30 connections to the database, if they held one.
EXPORTS = 33
LIMIT = 24 * MEGABYTE
LONG = 9 * MEGABYTE
"""Of an answer: more than the system takes of it while nobody reads."""

BEFORE = f"""
from chatkeep.entrypoints.http.routes import export
from chatkeep.entrypoints.http.server.connections import Connection
Connection.write_timeout = {STALL}
export.AT_ONCE = export.AT_ONCE_PER_USER = {EXPORTS}
"""


@asynccontextmanager
async def serving(server: Server, before: str, **settings: str) -> AsyncIterator[ServiceProcess]:
    async with running_on(
        server, before=before, CHATKEEP_MAX_BYTES_AT_ONCE=str(LIMIT), **settings
    ) as service:
        connection = await asyncpg.connect(**connect_args(service.database_url))
        for user in USERS:
            await connection.execute("INSERT INTO users (id) VALUES ($1)", user)
            [row] = await connection.fetch(
                "INSERT INTO conversations (user_id) VALUES ($1) RETURNING id", user
            )
            await connection.execute(
                "INSERT INTO messages (conversation_id, user_id, role, position, content) "
                "VALUES ($1, $2, 'user', 1, repeat('x', $3))",
                *(row["id"], user, LONG),
            )
            PATHS[user] = f"/v1/conversations/{row['id']}/messages"
        await connection.execute("INSERT INTO users (id) VALUES ('erin')")
        await connection.execute(
            "WITH made AS (INSERT INTO conversations (user_id) VALUES ('erin') RETURNING id) "
            "INSERT INTO messages (conversation_id, user_id, role, position, content) "
            "SELECT id, 'erin', 'user', n, repeat('x', 1000) FROM made, generate_series(1, 6000) n"
        )
        await connection.close()
        yield service
        assert await service.end() == 0
        assert "Traceback" not in service.log


USERS = ("alice", "bob", "carol", "dave")
PATHS: dict[str, str] = {}


@pytest.fixture(scope="module")
async def service(postgres_server: Server) -> AsyncIterator[ServiceProcess]:
    async with serving(postgres_server, BEFORE) as service:
        yield service


@pytest.fixture(scope="module")
async def patient(postgres_server: Server) -> AsyncIterator[ServiceProcess]:
    """Yield a service that cuts nobody off while a test runs."""
    before = BEFORE.replace(f"timeout = {STALL}", "timeout = 600")
    async with serving(postgres_server, before) as service:
        yield service


@asynccontextmanager
async def asking(
    service: ServiceProcess, *heads: bytes, buffer: int = 4096
) -> AsyncIterator[list[socket.socket]]:
    """Send each on a connection of its own that takes little before it is read."""
    loop = asyncio.get_running_loop()
    clients = []
    try:
        for head in heads:
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            client.settimeout(0)
            clients.append(client)
            await loop.sock_connect(client, service.address)
            await loop.sock_sendall(client, head)
        yield clients
    finally:
        for client in clients:
            client.close()


async def statuses(clients: list[socket.socket]) -> Counter[int]:
    """Return the statuses of the answers, of which little is read."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        starts = [await loop.sock_recv(client, 13) for client in clients]
    return Counter(int(start.split(b" ")[1]) for start in starts)


async def succeeds(call: Callable[[], Awaitable[httpx.Response]]) -> None:
    """Call again until it succeeds."""
    async with asyncio.timeout(PATIENCE):
        while (await call()).is_error:  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.05)


async def is_cut(client: socket.socket) -> bool:
    """Read on; return whether the connection was reset."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PATIENCE):
            while await loop.sock_recv(client, MEGABYTE):
                pass
    except ConnectionResetError:
        return True
    return False


def page(user: str) -> bytes:
    return request(f"GET {PATHS[user]}?limit=1", user=user)


async def test_who_reads_nothing_is_cut_off_and_counts_until_then(postgres_server: Server) -> None:
    per_user = {"CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER": "1"}
    async with serving(postgres_server, BEFORE, **per_user) as service:
        async with asking(service, page("alice")) as clients:
            started = time.monotonic()
            assert await statuses(clients) == {200: 1}
            await service.call("GET", "/v1/me", headers=as_user("alice"), status=429)
            await service.call("GET", "/v1/me", headers=as_user("bob"))
            await succeeds(lambda: service.http.get("/v1/me", headers=as_user("alice")))
            assert time.monotonic() - started >= STALL
            assert await is_cut(clients[0])
        assert "read nothing" in service.log


async def test_who_reads_slowly_gets_all(service: ServiceProcess) -> None:
    for _ in range(10):
        got, pause, seconds = await read_slowly(service)
        # Who stands still for longer, as this process may on a busy machine, is cut off.
        if pause < STALL / 2:
            assert got >= LONG
            assert seconds > STALL
            return
    pytest.skip("this machine is too busy to read slowly but steadily")


async def read_slowly(service: ServiceProcess) -> tuple[int, float, float]:
    """Return how many bytes came, the longest pause between two reads, and the whole time."""
    loop = asyncio.get_running_loop()
    async with asking(service, page("alice"), buffer=200_000) as [client]:
        started = last = time.monotonic()
        got, pause = 0, 0.0
        while got < LONG:
            await asyncio.sleep(STALL / 10)
            try:
                async with asyncio.timeout(PATIENCE):
                    read = len(await loop.sock_recv(client, 400_000))
            except ConnectionResetError:
                read = 0
            now = time.monotonic()
            last, pause = now, max(pause, now - last)
            if not read:
                break
            got += read
        return got, pause, last - started


async def test_answers_that_nobody_reads_have_bounded_bytes(patient: ServiceProcess) -> None:
    heads = [page(user) for user in USERS for _ in range(2)]
    async with asking(patient, *heads) as clients:
        found = await statuses(clients)
        # The first of a user is let through, and no more than there is room for.
        assert found[200] == LIMIT // LONG
        assert found[429] + found[503] == len(heads) - found[200]
        assert found[429] >= 1
        assert found[503] >= 1
        # What is small is served, and what changes something is never refused.
        for user in USERS:
            await patient.call("GET", "/v1/me", headers=as_user(user))
            await patient.call("POST", "/v1/conversations", {}, headers=as_user(user))
    # When they are gone, there is room again.
    await succeeds(lambda: patient.http.get(f"{PATHS['dave']}?limit=1", headers=as_user("dave")))


async def test_exports_that_nobody_reads_hold_no_connection_to_the_database(
    patient: ServiceProcess,
) -> None:
    export = request("GET /v1/me/export", user="erin")
    async with asking(patient, *[export] * EXPORTS) as clients:
        assert await statuses(clients) == {200: EXPORTS}
        await patient.call("GET", "/v1/me", headers=as_user("bob"))
        second = await patient.http.get("/v1/me/export", headers=as_user("erin"))
        assert second.status_code == 503


async def test_exports_have_few_places_of_their_own(postgres_server: Server) -> None:
    before = BEFORE.replace(f"{EXPORTS}", "2").replace("AT_ONCE = export", "AT_ONCE = 3; export")
    async with serving(postgres_server, before) as service:
        of_alice = [request("GET /v1/me/export", user="alice")] * 4
        of_others = [request("GET /v1/me/export", user=user) for user in ("bob", "carol")]
        async with asking(service, *of_alice) as clients:
            assert await statuses(clients) == {200: 2, 429: 2}
            async with asking(service, *of_others) as more:
                assert await statuses(more) == {200: 1, 503: 1}
                for user in USERS:
                    await service.call("GET", "/v1/me", headers=as_user(user))


async def test_bodies_that_come_slowly_have_bounded_bytes(service: ServiceProcess) -> None:
    size = 5 * MEGABYTE
    path = "/openai/v1/conversations"
    body = b'{"items": [{"role": "user", "content": "' + b"x" * size + b'"}]}'
    before = service.memory()
    writers: list[asyncio.StreamWriter] = []
    refused: Counter[int] = Counter()

    async def send(user: str) -> None:
        """Send all but the last byte, and note with what it was refused."""
        reader, writer = await asyncio.open_connection(*service.address)
        writers.append(writer)
        writer.write(json_request(f"POST {path}", body, user=user)[:-1])
        if line := await reader.readline():
            refused[int(line.split(b" ")[1])] += 1

    # Two of one user are more than their share.
    sending = [asyncio.create_task(send("alice")) for _ in range(2)]
    await until(lambda: refused == {429: 1})

    # Those of all are more than the whole.
    others = 20 if FULL else 7
    sending += [asyncio.create_task(send(f"user {each}")) for each in range(others)]
    await until(lambda: refused[503] > others - LIMIT // size)
    assert service.memory() < before + 3 * LIMIT
    await service.call("POST", "/v1/conversations", {}, headers=as_user("alice"))
    await asyncio.sleep(0.2)
    assert refused[429] == 1
    assert refused[503] < others

    for writer in writers:
        writer.close()
    await asyncio.gather(*sending, return_exceptions=True)
    await succeeds(lambda: service.http.post(path, content=body, headers=as_user("alice")))
