"""The whole application in memory, and its callers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partialmethod
from typing import Any, cast

import httpx
from litestar import Litestar

from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.bootstrap.service import memory_app
from chatkeep.entrypoints.bootstrap.use_cases import memory_chatkeep
from chatkeep.entrypoints.http.auth.tokens import sign
from chatkeep.entrypoints.settings import Settings
from tests.support.openapi_contract import Contract
from tests.support.plain_http import NO_AUTHORITIES

SECRET = "a-secret-of-at-least-thirty-two-bytes"
SERVICE_KEY = "sk_one_0123456789abcdef0123456789"

Headers = Mapping[str, str] | list[tuple[str, str | bytes]]


def settings(**changes: Any) -> Settings:  # noqa: ANN401 - any setting
    return Settings(**{"jwt_secret": SECRET, "service_keys": (SERVICE_KEY,), **changes})


def token(user_id: str = "alice", *, expires_in: float = 86_400) -> str:
    return f"Bearer {sign(SECRET, user_id, expires_in=expires_in)}"


@dataclass(frozen=True)
class Caller:
    """A caller; every answer must keep the OpenAPI document's contract."""

    http: httpx.AsyncClient
    contract: Contract
    headers: Headers
    user_id: str = ""
    may_fail: bool = False

    async def request(
        self,
        method: str,
        path: str,
        headers: Headers | None = None,
        **options: Any,  # noqa: ANN401 - httpx's own
    ) -> httpx.Response:
        sent = [*_encoded(self.headers), *_encoded(headers or {})]
        response = await self.http.request(method, path, headers=sent, **options)
        self.contract.check(response, may_fail=self.may_fail)
        return response

    get = partialmethod(request, "GET")
    post = partialmethod(request, "POST")
    put = partialmethod(request, "PUT")
    patch = partialmethod(request, "PATCH")
    delete = partialmethod(request, "DELETE")


@dataclass(frozen=True)
class Service:
    app: Litestar
    http: httpx.AsyncClient
    contract: Contract

    def user(self, user_id: str = "alice", *, may_fail: bool = False) -> Caller:
        return self._caller({"Authorization": token(user_id)}, user_id, may_fail=may_fail)

    def key(self, acting_for: str | None = None) -> Caller:
        """Return a caller with the service key, acting for a user or for none."""
        headers = {"Authorization": f"Bearer {SERVICE_KEY}"}
        if acting_for is not None:
            headers["X-User-Id"] = acting_for
        return self._caller(headers, acting_for or "")

    def nobody(self) -> Caller:
        return self._caller({})

    def _caller(self, headers: Headers, user_id: str = "", *, may_fail: bool = False) -> Caller:
        return Caller(self.http, self.contract, headers, user_id, may_fail)


@asynccontextmanager
async def serving(
    settings: Settings, chatkeep: Chatkeep | None = None, app: Litestar | None = None
) -> AsyncIterator[Service]:
    """Start the application in this event loop, and yield it."""
    app = app or memory_app(settings, chatkeep)
    transport = httpx.ASGITransport(app=cast("Any", app))
    async with (
        _started(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://test", verify=NO_AUTHORITIES
        ) as http,
    ):
        document = (await http.get("/docs/openapi.json")).json()
        yield Service(app, http, Contract(document))


@asynccontextmanager
async def _started(app: Litestar) -> AsyncIterator[None]:
    """Run the application's lifespan in one task, since pytest leaves fixtures in another one."""
    up, over = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            up.set()
            await over.wait()

    life = asyncio.create_task(live())
    # If the application does not start, its task ends at once.
    life.add_done_callback(lambda _: up.set())
    await up.wait()
    try:
        if not life.done():
            yield
    finally:
        over.set()
        await life


def failing(error: Exception) -> Chatkeep:
    """Return a service whose store raises `error` on every call."""
    ports: Any = _Failing(error)
    chatkeep = memory_chatkeep()
    drafts = replace(chatkeep.drafts, drafts=ports, conversations=ports, log=ports)
    return replace(
        chatkeep,
        users=ports,
        conversations=ports,
        log=ports,
        events=ports,
        drafts=drafts,
        search=ports,
        audit=replace(chatkeep.audit, lines=ports),
        overviews=ports,
    )


class _Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of any port
        async def fail(*_args: object, **_options: object) -> None:
            raise self._error

        return fail


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [
        (name.encode(), value.encode() if isinstance(value, str) else value)
        for name, value in pairs
    ]
