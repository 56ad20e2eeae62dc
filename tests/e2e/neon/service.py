"""The service as its callers see it: uvicorn on a port, as patient as a test wants it."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import uvicorn

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Timing
from chatkeep.entrypoints.bootstrap.service import http_app
from chatkeep.entrypoints.http.server.connections import Connection
from chatkeep.entrypoints.settings import Settings
from tests.support.plain_http import NO_AUTHORITIES
from tests.support.postgres import connect_args
from tests.support.waiting import PATIENCE, until

KEY = "a-service-key-of-the-tests-long-enough-to-be-one"
AS_ALICE = {"Authorization": f"Bearer {KEY}", "X-User-Id": "alice"}
AS_SERVICE = {"Authorization": f"Bearer {KEY}"}

PROJECT = Path(__file__).parents[3]


class ChatBackend:
    """A chat backend: what it does in one word, over HTTP, for one user."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        if body is None:
            return await self.http.request(method, path)
        return await self.http.request(method, path, json=body)

    async def start_conversation(self) -> httpx.Response:
        return await self.call("POST", "/v1/conversations", {})

    async def start(self) -> UUID:
        answer = await self.start_conversation()
        assert answer.status_code == 201, answer.text
        return UUID(answer.json()["id"])

    async def say(
        self, conversation: UUID, content: str, *, message: UUID | None = None, query: str = ""
    ) -> httpx.Response:
        body = {"id": str(message or uuid4()), "role": "user", "content": content}
        return await self.call("POST", f"/v1/conversations/{conversation}/messages{query}", body)

    async def list(self) -> httpx.Response:
        return await self.call("GET", "/v1/conversations")

    async def is_ready(self) -> bool:
        return (await self.call("GET", "/health/ready")).status_code == 200

    async def is_live(self) -> bool:
        return (await self.call("GET", "/health/live")).status_code == 200

    async def until_ready(self) -> None:
        await until(self.is_ready)


@asynccontextmanager
async def service(
    database_url: str, timing: Timing | None = None, *, engine: Engine | None = None
) -> AsyncIterator[ChatBackend]:
    """Run the service in this process, so that a test may set its timing, or give its engine."""
    settings = Settings(
        database_url=database_url, service_keys=(KEY,), max_requests_at_once_per_user=0
    )
    app = http_app(settings, database=engine or Engine(connect_args(database_url), timing))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Connection, lifespan="on", log_config=None, loop="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await until(lambda: server.started)
        async with _caller(listener.getsockname()[1]) as caller:
            yield caller
    finally:
        server.should_exit = True
        await serving
        listener.close()


@asynccontextmanager
async def service_process(database_url: str) -> AsyncIterator[ChatBackend]:
    """Run the service in a process of its own, as it is in production."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "chatkeep.entrypoints.bootstrap.service:http_app",
        ),
        *("--port", str(port), "--log-level", "warning", "--ws", "none"),
        *("--http", f"{Connection.__module__}:{Connection.__name__}"),
        cwd=PROJECT,
        env={**_environment(), "DATABASE_URL": database_url, "CHATKEEP_SERVICE_KEYS": KEY},
    )
    try:
        await until(lambda: is_listening(port))
        async with _caller(port) as caller:
            yield caller
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


async def timed(*calls: Awaitable[httpx.Response]) -> tuple[list[httpx.Response], float]:
    """Await the answers together; return them, and the seconds that took."""
    started = time.perf_counter()
    return await asyncio.gather(*calls), time.perf_counter() - started


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def problem(answer: httpx.Response) -> dict[str, Any]:
    """Return the problem of an answer that says when to try again."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    found: dict[str, Any] = answer.json()
    return found


@asynccontextmanager
async def _caller(port: int) -> AsyncIterator[ChatBackend]:
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers=AS_ALICE,
        timeout=PATIENCE,
        limits=httpx.Limits(max_connections=None),
        trust_env=False,
        verify=NO_AUTHORITIES,
    ) as http:
        yield ChatBackend(http)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("CHATKEEP_")}
