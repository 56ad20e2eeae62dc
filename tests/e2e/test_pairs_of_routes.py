"""Every two requests at once on one conversation: no answer is a 5xx, and the counts are right.

Once one request comes in between any two statements of another one, which finds for certain what
takes for granted that something is still there; once both are really sent at once.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.entrypoints.bootstrap.service import http_app
from tests.support.application import SERVICE_KEY, Service, serving, settings
from tests.support.postgres import Server, connect_args, query
from tests.support.service_process import FULL, some

JSON = {"Content-Type": "application/json"}
V1, OPENAI = "/v1/conversations/{conversation_id}", "/openai/v1/conversations/{conversation_id}"
MESSAGES, ITEMS = f"{V1}/messages", f"{OPENAI}/items"
DRAFTS, DRAFT = f"{V1}/drafts", f"{V1}/drafts/{{draft_id}}"
WITHOUT_END = {("GET", f"{V1}/events"), ("POST", f"{DRAFT}/stream"), ("GET", "/v1/events")}
"""Streams, which no other request has to wait for."""


@dataclass(frozen=True)
class Call:
    """A request; `route` has the names of its parameters, as the application's routes have."""

    method: str
    route: str
    body: object = None
    query: str = ""
    key: str = ""
    as_service: bool = False

    def __str__(self) -> str:
        given = json.dumps(self.body) if self.body is not None else ""
        return f"{self.method} {self.route}{self.query} {given} {self.key}".strip()

    @property
    def writes(self) -> bool:
        return self.method != "GET"


def said(*, own_id: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "user", "content": "hello"}
    return message | {"id": "{message_id}"} if own_id else message


REPLACE = {"after": None, "expected": ["{message_id}"], "messages": [said(own_id=True)]}
ITEM = {"type": "message", "role": "user", "content": "hello", "id": "msg_own"}
OTHER = {"type": "reasoning", "summary": [], "id": "rs_own"}

CALLS = [
    Call("POST", "/v1/conversations", {"id": "{conversation_id}"}),
    Call("POST", "/v1/conversations", {"id": "{conversation_id}", "messages": [said(own_id=True)]}),
    Call("PUT", V1, {}),
    Call("GET", V1),
    Call("PATCH", V1, {"title": "renamed"}),
    Call("DELETE", V1),
    Call("GET", "/v1/conversations"),
    Call("POST", MESSAGES, said(own_id=False)),
    Call("POST", MESSAGES, said(own_id=True)),
    Call("POST", MESSAGES, {"messages": [said(own_id=True), said(own_id=False)]}, "?context=5"),
    Call("GET", MESSAGES),
    Call("GET", MESSAGES, query="?after={message_id}"),
    Call("GET", f"{V1}/context"),
    Call("GET", f"{MESSAGES}/{{message_id}}"),
    Call("DELETE", f"{MESSAGES}/{{message_id}}"),
    Call("PUT", f"{MESSAGES}/{{message_id}}", {"role": "user", "content": "edited"}),
    Call("PATCH", f"{MESSAGES}/{{message_id}}", {"metadata": {"a": 1}}),
    Call("DELETE", MESSAGES, query="?after={message_id}"),
    Call("DELETE", MESSAGES, query="?from={message_id}"),
    Call("PUT", MESSAGES, REPLACE),
    Call("PUT", MESSAGES, REPLACE | {"messages": [said(own_id=False)]}, key="key"),
    Call("GET", f"{MESSAGES}/{{message_id}}/siblings"),
    Call("POST", MESSAGES, said(own_id=False) | {"after": None}, "?context=5"),
    Call("POST", f"{V1}/fork", {}),
    Call("POST", f"{V1}/fork", {"id": "a fork", "at": "{message_id}"}),
    Call("GET", f"{V1}/branches"),
    Call("PATCH", f"{V1}/branches/{{number}}", {"name": "other", "is_current": True}),
    Call("DELETE", f"{V1}/branches/{{number}}"),
    Call("POST", DRAFTS, {"id": "{draft_id}"}),
    Call("POST", DRAFTS, {"supersede": True}),
    Call("GET", DRAFTS),
    Call("GET", DRAFT),
    Call("POST", f"{DRAFT}/chunks", {"epoch": 1, "seq": 1, "chunks": ["hel", "lo"]}),
    Call("POST", f"{DRAFT}/finish", {"epoch": 1}),
    Call("POST", f"{DRAFT}/cancel", {}),
    Call("GET", "/v1/search", query="?q=hello"),
    Call("GET", "/v1/me"),
    Call("GET", "/v1/me/export"),
    Call("GET", f"{V1}/export"),
    Call("DELETE", "/v1/me"),
    Call("GET", "/v1/users", as_service=True),
    Call("GET", "/v1/audit", as_service=True),
    Call("GET", "/v1/overview", as_service=True),
    Call("PUT", "/v1/users/{user_id}", as_service=True),
    Call("DELETE", "/v1/users/{user_id}", as_service=True),
    Call("POST", "/openai/v1/conversations", {"items": [ITEM]}, key="key"),
    Call("POST", "/openai/v1/conversations", {"metadata": {}}),
    Call("GET", "/openai/v1/conversations"),
    Call("GET", "/openai/v1/conversations", query="?after=conv_{hex}"),
    Call("GET", OPENAI),
    Call("POST", OPENAI, {"metadata": {"a": "b"}}),
    Call("DELETE", OPENAI),
    Call("POST", ITEMS, {"items": [{"role": "user", "content": "hello"}]}),
    Call("POST", ITEMS, {"items": [ITEM, OTHER]}),
    Call("POST", ITEMS, {"items": [ITEM]}, key="key"),
    Call("POST", ITEMS, {"items": []}),
    Call("GET", ITEMS),
    Call("GET", ITEMS, query="?after=msg_own"),
    Call("GET", f"{ITEMS}/{{item_id}}"),
    Call("DELETE", f"{ITEMS}/{{item_id}}"),
]
COMING_BETWEEN = [
    call
    for call in CALLS
    if (FULL and call.writes) or (call.method in {"DELETE", "PUT"} and not call.as_service)
]
BEFORE = {
    "there": [
        Call(
            "POST",
            "/v1/conversations",
            {"id": "{conversation_id}", "messages": [said(own_id=True)]},
        ),
        Call("POST", ITEMS, {"items": [ITEM, OTHER]}),
    ],
    "being answered": [
        Call("PUT", V1, {}),
        Call("POST", DRAFTS, {"id": "{draft_id}"}),
        Call("POST", f"{DRAFT}/chunks", {"epoch": 1, "seq": 1, "chunks": ["hel"]}),
    ],
    "made with a key": [
        Call("POST", "/openai/v1/conversations", {"items": [ITEM]}, key="key"),
        Call("POST", "/v1/conversations", {"id": "{conversation_id}"}),
        Call("POST", ITEMS, {"items": [ITEM]}, key="key"),
    ],
    "empty": [Call("PUT", V1, {})],
    "absent": [],
}


class Interrupted(Engine):
    """An engine that does something else after one of its statements, whether it failed or not."""

    def __init__(self, connect: dict[str, Any]) -> None:
        super().__init__(connect)
        self.statements = 0
        self.interruption: tuple[int, Callable[[], Awaitable[object]]] | None = None

    async def run(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the engine's
        self.statements += 1
        number = self.statements
        try:
            return await super().run(*args, **kwargs)
        finally:
            if self.interruption is not None and number == self.interruption[0]:
                _, interrupt = self.interruption
                self.interruption = None
                await interrupt()


@dataclass(frozen=True)
class Setup:
    """The service, on an engine that can be interrupted."""

    engine: Interrupted
    service: Service
    users: Iterator[int]

    def of_new_user(self) -> "User":
        return User(self, f"user {next(self.users)}")

    async def wrong_counts(self) -> list[str]:
        """Return the users who have a conversation that has not as many messages as it says."""
        rows = await query(
            self.engine,
            "SELECT c.user_id FROM conversations c WHERE c.message_count <> (SELECT count(*) "
            "FROM messages m WHERE m.conversation_id = c.id AND m.user_id = c.user_id)",
        )
        return [row["user_id"] for row in rows]


@dataclass(frozen=True)
class User:
    setup: Setup
    user_id: str

    async def send(self, call: Call) -> httpx.Response:
        conversation_id = uuid5(NAMESPACE_URL, self.user_id)
        openai = call.route.startswith("/openai")
        named = {
            "{user_id}": self.user_id.replace(" ", "%20"),
            "{conversation_id}": f"conv_{conversation_id.hex}" if openai else str(conversation_id),
            "{message_id}": str(uuid5(conversation_id, "message")),
            "{draft_id}": str(uuid5(conversation_id, "draft")),
            "{item_id}": "msg_own",
            "{number}": "1",
            "{hex}": conversation_id.hex,
        }

        def filled(text: str) -> str:
            for name, value in named.items():
                text = text.replace(name, value)
            return text

        headers = JSON | {"Authorization": f"Bearer {SERVICE_KEY}"}
        if not call.as_service:
            headers["X-User-Id"] = self.user_id
        if call.key:
            headers["Idempotency-Key"] = call.key
        return await self.setup.service.http.request(
            call.method,
            filled(call.route + call.query),
            headers=headers,
            content=None if call.body is None else filled(json.dumps(call.body)),
        )


@pytest.fixture(scope="module")
async def setup(postgres_server: Server) -> AsyncIterator[Setup]:
    async with postgres_server.database() as url:
        engine = Interrupted(connect_args(url))
        app = http_app(settings(), database=engine)
        async with serving(settings(), app=app) as service:
            yield Setup(engine, service, itertools.count())


async def prepared(setup: Setup, state: str) -> User:
    user = setup.of_new_user()
    for call in BEFORE[state]:
        assert (await user.send(call)).is_success
    return user


def test_every_route_is_called(setup: Setup) -> None:
    called = {(call.method, call.route) for call in CALLS}

    routes = {
        (method, template(route.path_format))
        for route in setup.service.app.routes
        for method in route.methods - {"OPTIONS", "HEAD"}
        if route.path_format.startswith(("/v1/", "/openai/"))
    }
    assert called == routes - WITHOUT_END


def template(path: str) -> str:
    return path.rstrip("/")


@pytest.mark.parametrize("state", BEFORE)
async def test_a_request_that_comes_between_two_statements_of_another_breaks_nothing(
    setup: Setup, state: str
) -> None:
    wrong = []
    for at, call in enumerate(CALLS, list(BEFORE).index(state)):
        user = await prepared(setup, state)
        setup.engine.statements = 0
        await user.send(call)
        # The statement after which nothing more is asked is no place to come between.
        last = setup.engine.statements
        for other in some(COMING_BETWEEN, every=7, first=at % 7):
            for number in range(1, last):
                user = await prepared(setup, state)
                others: list[httpx.Response] = []

                async def interrupt(
                    user: User = user,
                    other: Call = other,
                    others: list[httpx.Response] = others,
                ) -> None:
                    others.append(await user.send(other))

                setup.engine.statements = 0
                setup.engine.interruption = (number, interrupt)
                answer = await user.send(call)
                setup.engine.interruption = None
                if not others:
                    break
                statuses = answer.status_code, others[0].status_code
                if max(statuses) >= 500:
                    wrong.append((str(call), number, str(other), statuses))

    assert wrong == []
    assert await setup.wrong_counts() == []


async def test_two_requests_at_once_break_nothing(setup: Setup) -> None:
    wrong = []
    pairs = [
        (one, other)
        for one, other in some(itertools.combinations_with_replacement(CALLS, 2), every=2)
        if (one.writes and other.writes) or (FULL and (one.writes or other.writes))
    ]
    states = list(BEFORE)
    rounds = 2 if FULL else 1  # each pair meets so many of the states
    for number, (at, (one, other)) in itertools.product(range(rounds), enumerate(pairs)):
        user = await prepared(setup, states[(number + at) % len(states)])
        statuses = [
            answer.status_code for answer in await asyncio.gather(user.send(one), user.send(other))
        ]
        if max(statuses) >= 500:
            wrong.append((str(one), str(other), statuses))

    assert wrong == []
    assert await setup.wrong_counts() == []
