"""The connection in uvicorn's own server, around applications that go wrong.

It rests on what `entrypoints.http.server.uvicorn_parts` names: a uvicorn without it fails here.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from unittest.mock import patch

import pytest
import uvicorn
from litestar.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from chatkeep.entrypoints.http.server.connections import Connection
from chatkeep.entrypoints.http.server.uvicorn_parts import Configuration, Server
from tests.support.waiting import PATIENCE

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


class Patient(Connection):
    """Waits a moment only."""

    patience = 0.2
    linger = 0.2


def start(status: int = 200, **fields: str) -> dict[str, object]:
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return {"type": "http.response.start", "status": status, "headers": headers}


def piece(body: bytes = b"", *, more: bool = False) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def sending(*messages: dict[str, object], fails: bool = False) -> ASGIApp:
    """Return an application that sends these, and then fails or not."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)  # type: ignore[arg-type] # some are wrong on purpose
        if fails:
            raise LookupError("on purpose")

    return app


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[tuple[uvicorn.Server, tuple[str, int]]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app,
            http=Patient,
            ws="none",
            lifespan="off",
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=60,
        )
        server = uvicorn.Server(config)
        with patch.object(server, "capture_signals", nullcontext):  # they are pytest's
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:  # noqa: ASYNC110 - nobody tells when
                await asyncio.sleep(0.01)
        address: tuple[str, int] = listener.getsockname()
        yield server, address
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task


async def answered(address: tuple[str, int], *packets: bytes) -> bytes:
    """Return what is answered until the server closes."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        for packet in packets:
            writer.write(packet)
            await asyncio.sleep(0.01)
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    finally:
        writer.close()


def test_uvicorn_has_what_the_connection_needs_of_it() -> None:
    state = ServerState()
    assert {*Server.__annotations__} <= {*vars(state)}
    config = uvicorn.Config(sending())
    assert {*Configuration.__annotations__} - {"loaded_app"} <= {*vars(config)}
    config.load()
    assert config.loaded
    assert callable(config.loaded_app)


async def test_a_whole_answer_is_sent_as_it_is_and_the_connection_kept() -> None:
    async with serving(sending(start(content_length="2"), piece(b"ok"))) as (_, address):
        got = await answered(address, GET, CLOSE)
    kept = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    assert got == kept + kept.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")


async def test_an_answer_without_a_length_is_chunked_and_its_head_does_not_wait() -> None:
    may_go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())  # type: ignore[arg-type]
        await may_go_on.wait()
        await send(piece(b"one", more=True))  # type: ignore[arg-type]
        await send(piece(more=True))  # type: ignore[arg-type]
        await send(piece())  # type: ignore[arg-type]

    async with serving(app) as (_, address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(CLOSE)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.endswith(b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n")
        may_go_on.set()
        assert await reader.read() == b"3\r\none\r\n0\r\n\r\n"
        writer.close()


async def test_the_answer_to_head_and_one_without_content_have_no_body() -> None:
    async with serving(sending(start(content_length="2"), piece(b"ok"))) as (_, address):
        got = await answered(address, GET.replace(b"GET", b"HEAD") + CLOSE.replace(b"GET", b"HEAD"))
        assert got.count(b"content-length: 2") == 2
        assert b"ok" not in got
    async with serving(sending(start(204), piece())) as (_, address):
        got = await answered(address, GET + CLOSE)
        assert got.startswith(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n")
        assert b"transfer-encoding" not in got


@pytest.mark.parametrize(
    "app",
    [
        sending(fails=True),
        sending(),
        sending(start(content_length="2"), fails=True),
        sending(start(content_length="2")),
        sending(start(content_length="2"), piece(b"too long")),
        sending(start(content_length="9"), piece(b"short")),
        sending(piece(b"out of order")),
        sending(start(x_split="a\r\nSet-Cookie: b", content_length="2"), piece(b"ok")),
    ],
    ids=[
        *("fails", "nothing", "fails after the head", "no body", "too long", "too short"),
        *("out of order", "line feed"),
    ],
)
async def test_what_fails_before_anything_is_sent_is_a_500(
    app: ASGIApp, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(app) as (_, address):
        got = await answered(address, GET)
    assert got.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert got.count(b"HTTP/1.1") == 1
    assert b"connection: close" in got
    assert b"on purpose" not in got
    assert b"Cookie" not in got
    assert [each.levelno for each in caplog.records if each.name == "chatkeep.http"] == [
        logging.ERROR
    ]


@pytest.mark.parametrize(
    ("app", "line", "whole"),
    [
        (sending(start(), piece(b"a", more=True), fails=True), b"HTTP/1.1", b"\r\n0\r\n\r\n"),
        (sending(start(), piece(b"a", more=True)), b"HTTP/1.1", b"\r\n0\r\n\r\n"),
        (sending(start(content_length="9"), piece(b"a", more=True)), b"HTTP/1.1", b"123456789"),
    ],
    ids=["chunks", "no end", "length"],
)
async def test_what_fails_later_ends_the_connection_before_the_answer(
    app: ASGIApp, line: bytes, whole: bytes
) -> None:
    async with serving(app) as (_, address):
        got = await answered(address, GET + GET)
    assert got.count(b"HTTP/1.1 200") == 1
    assert not got.endswith(whole)


async def test_over_http_1_0_what_fails_later_is_reset() -> None:
    async with serving(sending(start(), piece(b"a", more=True), fails=True)) as (_, address):
        with pytest.raises(ConnectionResetError):
            await answered(address, GET.replace(b"1.1", b"1.0"))


async def test_an_application_that_reads_no_body_does_not_stop_the_next_request() -> None:
    body = b"x" * 300_000
    async with serving(sending(start(content_length="2"), piece(b"ok"))) as (_, address):
        got = await answered(address, POST % len(body) + body + CLOSE)
    assert got.count(b"HTTP/1.1 200") == 2


async def test_an_answer_before_the_end_of_a_body_without_a_length_closes_the_connection() -> None:
    """Its maker may go on for long, and most clients read no answer before they have sent all."""
    endless = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    async with serving(sending(start(content_length="2"), piece(b"ok"))) as (_, address):
        got = await answered(address, endless)
        assert got.endswith(b"connection: close\r\n\r\nok")
        whole = await answered(address, endless + b"0\r\n\r\n" + CLOSE)
        assert whole.count(b"HTTP/1.1 200") == 2


async def test_a_body_is_read_in_pieces_and_then_nothing_until_the_client_is_gone() -> None:
    seen: list[tuple[int, object]] = []
    left = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request":
            seen.append((len(message["body"]), message["more_body"]))
        left.set()

    body = b"x" * 500_000
    async with serving(app) as (_, address):
        _, writer = await asyncio.open_connection(*address)
        writer.write(POST % len(body) + body)
        await writer.drain()
        while sum(size for size, _ in seen) < len(body):  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.01)
        assert [more for _, more in seen] == [True] * (len(seen) - 1) + [False]
        assert max(size for size, _ in seen) < 100_000
        assert not left.is_set()
        peer = writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        async with asyncio.timeout(PATIENCE):
            await left.wait()


async def test_the_end_of_the_server_waits_for_what_was_accepted() -> None:
    called, may_go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        called.set()
        await may_go_on.wait()
        await send(start(content_length="2"))  # type: ignore[arg-type]
        await send(piece(b"ok"))  # type: ignore[arg-type]

    async with serving(app) as (server, address):
        idle_reader, idle_writer = await asyncio.open_connection(*address)
        waiting = asyncio.create_task(answered(address, GET + GET))
        await called.wait()
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            assert await idle_reader.read() == b""
        idle_writer.close()
        may_go_on.set()
        got = await waiting
    assert got.count(b"HTTP/1.1 200 OK") == 2
    assert got.count(b"connection: close") == 1
    assert got.endswith(b"\r\nconnection: close\r\n\r\nok")


async def test_pipelined_requests_leave_others_their_turn() -> None:
    """Requests that never wait for anything are answered one a turn of the event loop."""
    async with serving(sending(start(content_length="2"), piece(b"ok"))) as (_, address):
        crowd = asyncio.create_task(answered(address, GET * 5_000 + CLOSE))
        await asyncio.sleep(0.05)
        await answered(address, CLOSE)
        assert not crowd.done()
        assert (await crowd).count(b"HTTP/1.1 200") == 5_001
