"""Requests with something wrong anywhere in them: every answer is in step, and tells the truth."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress

from tests.e2e.hostile.wire import Answer, answers, json_request, request
from tests.support.service_process import FULL, ServiceProcess, as_user

CONNECTIONS = 8_000 if FULL else 250
AT_ONCE = 20
ENOUGH = 20.0
PATH = "/v1/conversations"
# What a parser looks for: more of it goes wrong than with any bytes.
SPICES = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b";", b",", b"\0", b"\xff", b"0"),
    *(b"HTTP/1.1", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n"),
    *(b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"0\r\n\r\n", b"fffffffff\r\n"),
    *(b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\r\nX: y\r\n\r\n"),
)


def valid(dice: random.Random, name: str, user: str) -> bytes:
    """Return a request to create a conversation, or to read; its id comes back with the answer."""
    fields = (f"X-Request-ID: {name}",)
    body = b'{"title": "%b"}' % name.encode()
    match dice.randrange(4):
        case 0:
            return request(f"GET {PATH}?limit=1", *fields, user=user)
        case 1:
            json = ("Content-Type: application/json", "Transfer-Encoding: chunked")
            head = request(f"POST {PATH}", *json, *fields, user=user)
            at = dice.randrange(1, len(body))
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in (body[:at], body[at:]))
            return head + chunks + b"0\r\n" + dice.choice([b"", b"X-T: t\r\n"]) + b"\r\n"
        case 2:
            return json_request(f"POST {PATH}", body, *fields, "Expect: 100-continue", user=user)
        case _:
            return json_request(f"POST {PATH}", body, *fields, user=user)


def mutated(dice: random.Random, data: bytes) -> bytes:
    at = dice.randrange(len(data))
    end = min(len(data), at + dice.choice([1, 1, 1, 2, 5, 30]))
    match dice.randrange(6):
        case 0:
            return data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :]
        case 1:
            return data[:at] + data[end:]
        case 2:
            return data[:end] + data[at:]
        case 3:
            return data[:at]
        case 4:
            return data[:at] + bytes([dice.randrange(256)]) + data[end:]
        case _:
            return data[:at] + dice.choice(SPICES) + data[at:]


def cut(dice: random.Random, data: bytes) -> Iterator[bytes]:
    """Yield it in packets: in most cases one, else some, at any place."""
    places = sorted(dice.sample(range(len(data)), min(len(data), dice.choice([0, 0, 0, 1, 3]))))
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        yield data[start:end]


async def sent(service: ServiceProcess, packets: Iterator[bytes]) -> list[Answer]:
    """Return what is answered until the service, too, has closed its side."""
    reader, writer = await asyncio.open_connection(*service.address)
    try:
        async with asyncio.timeout(ENOUGH):
            for packet in packets:
                writer.write(packet)
                await asyncio.sleep(0.001)
            writer.write_eof()
            return answers(await reader.read())
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def check(service: ServiceProcess, seed: int, user: str) -> list[Answer]:
    """Send some requests, of which one or two are mutated; return what was stored by them."""
    dice = random.Random(seed)
    names = [f"{seed}-{each}" for each in range(dice.randrange(1, 5))]
    requests = [valid(dice, name, user) for name in names]
    for _ in range(dice.choice([1, 1, 2])):
        at = dice.randrange(len(requests))
        if requests[at]:  # else the one before took all of it away
            requests[at] = mutated(dice, requests[at])
    if not (data := b"".join(requests)):
        return []
    found = [each for each in await sent(service, cut(dice, data)) if each.status != 100]

    assert all(each.status < 500 or each.status in {501, 505} for each in found), seed
    told = [each.headers["x-request-id"] for each in found]
    known = [each for each in told if each in names]
    assert known == sorted(set(known), key=names.index), (seed, told)
    return [each for each in found if each.status == 201]


async def test_answers_are_in_step_and_what_is_stored_is_what_was_acknowledged(
    service: ServiceProcess, alice: str
) -> None:
    seeds = iter(range(CONNECTIONS))
    created: list[Answer] = []

    async def work() -> None:
        for seed in seeds:
            created.extend(await check(service, seed, alice))

    async with asyncio.TaskGroup() as workers:
        for _ in range(AT_ONCE):
            workers.create_task(work())

    acknowledged = [each.json()["id"] for each in created]
    assert len(acknowledged) > CONNECTIONS / 4
    assert len(set(acknowledged)) == len(acknowledged)
    stored = []
    path = f"{PATH}?limit=100"
    cursor = ""
    while cursor is not None:
        page = await service.call("GET", f"{path}{cursor}", headers=as_user(alice))
        stored += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert set(stored) == set(acknowledged)
    assert "Traceback" not in service.log
