"""The measured programs: how to start each, and the requests for each operation."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Final
from uuid import UUID

from chatkeep.entrypoints.http.auth.tokens import sign

SECRET: Final = "the secret of the benchmark, on loopback only"  # noqa: S105 - protects nothing
PAGE: Final = 20
BATCH: Final = 100


class Operation(StrEnum):
    """The measured operations; the values are their names in reports."""

    APPEND = "append one message"
    HISTORY = "history, last 20"
    CONTEXT = "context, last 20"
    LIST = "list, latest 20"
    APPEND_AND_CONTEXT = "append + context"
    BATCH = "batch append, 100 messages"


@dataclass(frozen=True, slots=True)
class Conversation:
    user_id: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, and the number of messages or conversations in its response."""

    method: str
    path: str
    headers: Mapping[str, str]
    items: int
    body: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes of the request."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True, slots=True)
class Program:
    """A program to measure.

    `command` are Python's arguments without `--port` and `--workers`. `ready` is a path that
    answers 200 as soon as the program can serve. `calls` returns the HTTP requests of one operation
    on a conversation.
    """

    name: str
    command: tuple[str, ...]
    url_scheme: str
    ready: str
    calls: Callable[[Operation, Conversation, list[str]], list[Call]]


@cache
def bearer(user_id: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {sign(SECRET, user_id, expires_in=86_400)}"}


def history(at: Conversation, *, limit: int, order: str, cursor: str | None = None) -> Call:
    """Return chatkeep's call for a history page. The conversation must be long enough."""
    query = f"limit={limit}&order={order}" + (f"&cursor={cursor}" if cursor else "")
    path = f"/v1/conversations/{at.id}/messages?{query}"
    return Call("GET", path, bearer(at.user_id), limit)


def appending(at: Conversation, text: str, *, after: str | None = None) -> Call:
    """Return chatkeep's call that appends one message, perhaps on a new branch after another."""
    body = _message(text) if after is None else {**_message(text), "after": after}
    return Call("POST", f"/v1/conversations/{at.id}/messages", bearer(at.user_id), 1, _json(body))


def listing(user: Conversation, *, limit: int) -> Call:
    """Return chatkeep's call for the latest conversations. The user must have `limit` of them."""
    return Call("GET", f"/v1/conversations?limit={limit}", bearer(user.user_id), limit)


def chatkeep_calls(operation: Operation, at: Conversation, texts: list[str]) -> list[Call]:
    headers = bearer(at.user_id)
    path = f"/v1/conversations/{at.id}"

    def append(query: str, items: int, body: object) -> Call:
        return Call("POST", f"{path}/messages{query}", headers, items, _json(body))

    match operation:
        case Operation.APPEND:
            call = append("", 1, _message(texts[0]))
        case Operation.HISTORY:
            call = history(at, limit=PAGE, order="desc")
        case Operation.CONTEXT:
            call = Call("GET", f"{path}/context?limit={PAGE}", headers, PAGE)
        case Operation.LIST:
            call = listing(at, limit=PAGE)
        case Operation.APPEND_AND_CONTEXT:
            call = append(f"?context={PAGE}", 1 + PAGE, _message(texts[0]))
        case Operation.BATCH:
            call = append("", BATCH, {"messages": [_message(text) for text in texts]})
    return [call]


def other_calls(operation: Operation, at: Conversation, texts: list[str]) -> list[Call]:
    """Return the calls for the peer and the limit, which have neither contexts nor batches."""
    headers = {"X-User-Id": at.user_id}
    path = f"/conversations/{at.id}/messages"
    append = Call("POST", path, headers, 1, _json(_message(texts[0])))
    history = Call("GET", path, headers, PAGE)
    match operation:
        case Operation.APPEND:
            return [append]
        case Operation.HISTORY | Operation.CONTEXT:
            return [history]
        case Operation.LIST:
            return [Call("GET", "/conversations", headers, PAGE)]
        case Operation.APPEND_AND_CONTEXT:
            return [append, history]
        case Operation.BATCH:
            return [Call("POST", path, headers, 1, _json(_message(text))) for text in texts]


def _message(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _json(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


# The same options for all programs, as `chatkeep serve` uses them.
_UVICORN: Final = (
    *("-m", "uvicorn", "--host", "127.0.0.1", "--loop", "uvloop", "--http", "httptools"),
    *("--ws", "none", "--no-proxy-headers", "--no-server-header"),
    *("--no-access-log", "--log-level", "warning"),
)

CHATKEEP: Final = Program(
    name="chatkeep",
    command=(*_UVICORN, "--factory", "chatkeep.entrypoints.bootstrap.service:http_app"),
    url_scheme="postgresql",
    ready="/health/ready",
    calls=chatkeep_calls,
)
PEER: Final = Program(
    name="SQLModel",
    command=(*_UVICORN, "benchmarks.peer_sqlmodel:app"),
    url_scheme="postgresql+asyncpg",
    ready="/openapi.json",
    calls=other_calls,
)
LIMIT: Final = Program(
    name="limit",
    command=(*_UVICORN, "benchmarks.limit_asgi:app"),
    url_scheme="postgresql",
    ready="/conversations",
    calls=other_calls,
)
CHATKEEP_AS_SHIPPED: Final = replace(
    CHATKEEP, command=("-c", "from chatkeep.entrypoints.cli import main; main()", "serve")
)
TRIVIAL: Final = Program(
    name="trivial",
    command=(*_UVICORN, "benchmarks.trivial_asgi:app"),
    url_scheme="postgresql",
    ready="/",
    calls=other_calls,
)
