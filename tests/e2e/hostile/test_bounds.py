"""What is too much, or too slow: refused in bounded memory and time, while others are served."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from tests.e2e.hostile.wire import Answer, answers, check_refusal, json_request, request
from tests.support.postgres import Server
from tests.support.service_process import FULL, ServiceProcess, as_user, running_on
from tests.support.waiting import PATIENCE, until

MEGABYTE = 1_000_000
HUGE = (100 if FULL else 20) * MEGABYTE
SLACK = 15 * MEGABYTE
CHUNK = b"a" * 65_536
TIMEOUT = 0.5
IMPATIENT = f"""
from chatkeep.entrypoints.http import body
from chatkeep.entrypoints.http.server.connections import Connection
body.BODY_TIMEOUT_SECONDS = Connection.request_timeout = {TIMEOUT}
"""
JSON = "Content-Type: application/json"
CHUNKED = (JSON, "Transfer-Encoding: chunked")


@pytest.fixture(scope="module")
async def impatient(postgres_server: Server) -> AsyncIterator[ServiceProcess]:
    """Yield a service that waits for half a second only, and serves each user once at a time."""
    async with running_on(
        postgres_server, before=IMPATIENT, CHATKEEP_MAX_REQUESTS_AT_ONCE_PER_USER="1"
    ) as service:
        yield service
        assert await service.end() == 0
        assert "Traceback" not in service.log


async def flood(service: ServiceProcess, head: bytes, pieces: Iterator[bytes]) -> list[Answer]:
    """Send until all is sent or the service hangs up; return what it answered."""
    reader, writer = await asyncio.open_connection(*service.address)
    received = bytearray()

    async def read() -> None:
        with suppress(OSError):
            while chunk := await reader.read(65_536):
                received.extend(chunk)

    reading = asyncio.create_task(read())
    try:
        async with asyncio.timeout(PATIENCE):
            with suppress(OSError):
                writer.write(head)
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
            await until(lambda: bool(received) or reading.done())
            await asyncio.wait([reading], timeout=0.5)  # in case there is more
    finally:
        reading.cancel()
        writer.close()
    return answers(bytes(received)) if received else []


def plain(size: int) -> Iterator[bytes]:
    return (CHUNK for _ in range(size // len(CHUNK)))


def chunked(size: int) -> Iterator[bytes]:
    return (b"10000\r\n" + CHUNK + b"\r\n" for _ in range(size // len(CHUNK)))


async def test_a_body_of_any_size_takes_no_memory(service: ServiceProcess, alice: str) -> None:
    too_long = f"Content-Length: {HUGE}"
    before = service.memory()
    for user, status in ((alice, 413), (None, 401)):
        for fields, body in (((JSON, too_long), plain(HUGE)), (CHUNKED, chunked(HUGE))):
            head = request("POST /v1/conversations", *fields, user=user)
            [answer] = await flood(service, head, body)
            assert answer.status == status
    assert service.memory() < before + SLACK


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"GET /", CHUNK),
        (b"GET /?", CHUNK),
        (b"GET / HTTP/1.1\r\n" + b"a" * 70_000, CHUNK),
        (b"GET / HTTP/1.1\r\na: ", CHUNK),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 10_000),
        (b"GET / HTTP/1.1\r\n", b"Cookie: " + b"c" * 8_000 + b"\r\n"),
    ],
    ids=["path", "query", "name", "value", "fields", "cookies"],
)
async def test_a_head_of_any_size_takes_no_memory(
    service: ServiceProcess, head: bytes, piece: bytes
) -> None:
    before = service.memory()
    found = await flood(service, head, (piece for _ in range(HUGE // len(piece))))
    for answer in found:  # a client that does not read may find the connection closed instead
        check_refusal(answer, 431)
    assert service.memory() < before + SLACK


@pytest.mark.parametrize(
    ("start", "piece"),
    [(b"0\r\n", b"a: b\r\n" * 10_000), (b"2;", CHUNK), (b"2\r\n{}\r\n0\r\na: ", CHUNK)],
    ids=["trailers", "extension", "trailer"],
)
async def test_what_stands_around_the_chunks_of_a_body_is_bounded_too(
    service: ServiceProcess, alice: str, start: bytes, piece: bytes
) -> None:
    head = request("POST /v1/conversations", *CHUNKED, user=alice)
    before = service.memory()
    found = await flood(service, head + start, (piece for _ in range(HUGE // len(piece))))
    for answer in found:
        check_refusal(answer, 431)
    assert service.memory() < before + SLACK
    usage = await service.call("GET", "/v1/me", headers=as_user(alice))
    assert usage["conversations"] == 0


async def test_a_head_of_60_kilobytes_is_fine_also_in_pieces(
    service: ServiceProcess, alice: str
) -> None:
    head = request("GET /v1/me", "X-Long: " + "x" * 60_000, "Connection: close", user=alice)
    [answer] = await flood(service, b"", (head[at : at + 999] for at in range(0, len(head), 999)))
    assert answer.status == 200


async def test_requests_sent_in_advance_wait_outside(service: ServiceProcess, alice: str) -> None:
    many = 20_000 if FULL else 3_000
    one = request("GET /v1/me", user=alice)
    before = service.memory()
    reader, writer = await asyncio.open_connection(*service.address)

    async def send() -> None:
        for _ in range(many // 100):
            writer.write(one * 100)
            await writer.drain()

    sending = asyncio.create_task(send())
    highest, answered = 0, 0
    while answered < many:
        async with asyncio.timeout(PATIENCE):
            answered += (await reader.read(65_536)).count(b"HTTP/1.1 200 OK\r\n")
        highest = max(highest, service.memory())
    await sending
    writer.close()
    assert highest < before + SLACK


async def test_who_leaves_with_many_requests_unanswered_is_forgotten(
    service: ServiceProcess, alice: str
) -> None:
    """Left to itself, uvicorn writes their answers to a closed connection, and logs each."""
    for _ in range(5):
        _, writer = await asyncio.open_connection(*service.address)
        writer.write(request("GET /v1/me", user=alice) * 500)
        await asyncio.sleep(0.02)
        writer.transport.abort()
    await service.call("GET", "/v1/me", headers=as_user(alice))


async def test_a_body_that_trickles_gives_its_place_back(impatient: ServiceProcess) -> None:
    body = b'{"title": "at last"}' + b" " * 1_000
    whole = json_request("POST /v1/conversations", body, user="alice")
    reader, writer = await asyncio.open_connection(*impatient.address)
    started = time.monotonic()
    writer.write(whole[:-990])
    await writer.drain()
    await asyncio.sleep(TIMEOUT / 5)
    await impatient.call("GET", "/v1/me", headers=as_user("alice"), status=429)
    await impatient.call("GET", "/v1/me", headers=as_user("bob"))

    received = b""
    while not received:
        writer.write(b" ")
        with suppress(TimeoutError):
            async with asyncio.timeout(TIMEOUT / 10):
                received = await reader.read(1)
    received += await reader.read()
    writer.close()

    check_refusal(answers(received)[0], 408)
    assert TIMEOUT <= time.monotonic() - started < TIMEOUT + PATIENCE
    await impatient.call("GET", "/v1/me", headers=as_user("alice"))


@pytest.mark.parametrize(
    ("first", "then", "status"),
    [
        (b"", b"", None),
        (b"", b"\r\n", None),
        (b"GET /health/live HT", b"", 408),
        (request("GET /health/live")[:-2], b"X-A: b\r\n", 408),
        (request("POST /v1/conversations", "Transfer-Encoding: chunked"), b"1\r\na\r\n", 401),
    ],
    ids=[
        "silent",
        "blank lines",
        "half a line",
        "endless headers",
        "endless body of a refused one",
    ],
)
async def test_a_connection_that_brings_no_request_is_closed(
    impatient: ServiceProcess, first: bytes, then: bytes, status: int | None
) -> None:
    reader, writer = await asyncio.open_connection(*impatient.address)
    writer.write(first)
    received = b""
    started = time.monotonic()
    while True:
        assert time.monotonic() - started < TIMEOUT + PATIENCE
        with suppress(OSError):
            writer.write(then)
        with suppress(TimeoutError):
            async with asyncio.timeout(TIMEOUT / 10):
                try:
                    chunk = await reader.read(65_536)
                except OSError:
                    chunk = b""
                if not chunk:
                    break
                received += chunk
    writer.close()
    # An answer before the end of a body without a length closes the connection at once.
    assert status == 401 or time.monotonic() - started >= TIMEOUT * 0.9
    assert [answer.status for answer in answers(received)] == ([status] if status else [])
    if status == 408:
        check_refusal(answers(received)[0], 408)


async def test_hundreds_of_silent_connections_do_not_keep_others_out(
    service: ServiceProcess, alice: str
) -> None:
    crowd = [await asyncio.open_connection(*service.address) for _ in range(300)]
    await service.call("GET", "/v1/me", headers=as_user(alice))
    # Nobody had to go first.
    assert not any(reader.at_eof() for reader, _ in crowd)
    for _, writer in crowd:
        writer.close()
