"""Requests as bytes, for what no client library would send, and what was answered to them."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from tests.support.service_process import ServiceProcess, as_user

ENOUGH = 30.0
"""Seconds for an answer, on a busy machine too."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)


def request(
    line: str | bytes, *fields: str | bytes, user: str | None = None, body: bytes = b""
) -> bytes:
    """Return a request: `line` is its method and path; fields are `Name: value`."""
    given = [line if isinstance(line, bytes) else line.encode()]
    if len(given[0].split(b" ")) == 2:
        given[0] += b" HTTP/1.1"
    given.append(b"Host: localhost")
    if user is not None:
        given.append(b"Authorization: " + as_user(user)["Authorization"].encode())
    given += [field if isinstance(field, bytes) else field.encode() for field in fields]
    return b"\r\n".join([*given, b"", body])


def json_request(line: str, body: bytes, *fields: str, user: str) -> bytes:
    length = f"Content-Length: {len(body)}"
    return request(line, "Content-Type: application/json", length, *fields, user=user, body=body)


def answers(received: bytes) -> list[Answer]:
    """Return the complete answers, of those that have a length."""
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        status = int(first.split(" ")[1])
        length = int(headers.get("content-length", 0)) if status >= 200 else 0
        assert len(received) >= length, "the last answer is not complete"
        found.append(Answer(status, headers, received[:length]))
        received = received[length:]
    return found


def check_refusal(answer: Answer, status: int) -> None:
    """Hold what is answered before there is a request to what every answer keeps."""
    assert answer.status == status, answer
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:chatkeep:problem:")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"]
    assert answer.headers["x-request-id"]
    assert answer.headers["connection"] == "close"


async def sent(
    service: ServiceProcess, *pieces: bytes, wanted: int = 1
) -> tuple[list[Answer], bool]:
    """Return so many answers, or all if fewer, and whether the service has hung up by then."""
    reader, writer = await asyncio.open_connection(*service.address)
    received = b""
    closed = False
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        while received.count(b"HTTP/1.1 ") < wanted or not _is_whole(received):
            async with asyncio.timeout(ENOUGH):
                chunk = await reader.read(65_536)
            if not chunk:
                closed = True
                break
            received += chunk
        if not closed:
            try:
                async with asyncio.timeout(0.2):
                    closed = not await reader.read(1)
            except TimeoutError:
                closed = False
    finally:
        writer.close()
    return answers(received), closed


def _is_whole(received: bytes) -> bool:
    try:
        return bool(answers(received)) and b"\r\n\r\n" in received
    except (AssertionError, IndexError):
        return False
