"""Whatever an id, a cursor, another parameter or a header holds, Postgres is not at a loss."""

import asyncio
import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import jwt
import pytest

from tests.e2e.hostile.wire import request
from tests.support.openapi_contract import Contract, Operation
from tests.support.processes import SECRET
from tests.support.service_process import FULL, ServiceProcess, as_service, as_user

NUL, HALF, NO_UTF8 = "%00", "%ED%A0%80", "%FF"
VALUES = [
    *(NUL, "a%00b", f"msg_{'0' * 31}%00", f"conv_{'0' * 31}%00", HALF, NO_UTF8),
    *("a" * 5_000, str(2**63), "9" * 5_000, "..%2F.."),
]
if FULL:
    VALUES += [
        *("%F4%8F%BF%BF%EF%B7%90", "%F0%9F%A7%B5" * 64, "a" * 20_000, "%2E%2E", "%27%3B--"),
        *("0", "-1", str(2**31), str(-(2**63) - 1), "1e400", "NaN", "null", "", "%24%7B1%7D"),
        *("00000000-0000-0000-0000-000000000000", "018f4e9e-9c1a-7cc3-b1f0-3a1c2d4e5f60%00"),
    ]
SOME_ID = "018f4e9e-9c1a-7cc3-b1f0-3a1c2d4e5f60"
POSITIONS = [0, -1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**400, 1.5, "\0", None]
A_TIME = "2026-01-01T00:00:00Z"
TIMES = [
    "0001-01-01T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-14:00",
    "10000-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z",
    "2026-01-01T00:00:60Z",
    "\0",
    2**63,
]
METADATA: list[Any] = [
    *({"\0": "\0"}, {"\ud800": "a"}, {"a": "\ud800"}, {"a": 5}, {"a": "9" * 3_000}),
    *({"a": "1e999"}, {"": ""}, {str(number): "" for number in range(500)}, [], None),
]
CURSORS: list[Any] = [
    *(["asc", position, SOME_ID] for position in POSITIONS),
    *(["desc", 1, until] for until in ("\0", "a" * 5_000, "\ud800", 5)),
    *([None, time, SOME_ID] for time in TIMES),
    *([status, "2026-01-01T00:00:00Z", SOME_ID] for status in ("active", "\0", "\ud800")),
    [None, "2026-01-01T00:00:00Z", "\0"],
    *({"at": time, "id": SOME_ID, "metadata": {"a": "b"}} for time in TIMES),
    *({"at": A_TIME, "id": SOME_ID, "updated_after": time} for time in TIMES),
    *({"at": A_TIME, "id": SOME_ID, "metadata": metadata} for metadata in METADATA),
    "\0",
    {},
    [],
    None,
]


def cursor(value: object) -> str:
    text = json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def values_of(parameter: Mapping[str, Any]) -> list[str]:
    if parameter["name"] == "cursor":
        nested = base64.urlsafe_b64encode(b"[" * 2_000).decode()
        return [*VALUES, *map(cursor, CURSORS), cursor(["asc", 1, None]) + "A", nested]
    return VALUES


def lines(operation: Operation, ids: Mapping[str, str]) -> Iterator[str]:
    """Yield paths, with their queries, that have one hostile parameter each."""
    for parameter in operation.described.get("parameters", ()):
        name = parameter["name"]
        for value in values_of(parameter):
            if parameter["in"] == "path":
                yield operation.path.format_map({**ids, name: value})
            elif parameter.get("style") == "deepObject":
                path = operation.path.format_map(ids)
                yield from (f"{path}?{name}[a]={value}", f"{path}?{name}[{value}]=a")
            elif parameter["in"] == "query":
                yield f"{operation.path.format_map(ids)}?{name}={value}"


@pytest.fixture
async def contract(service: ServiceProcess) -> Contract:
    return Contract((await service.http.get("/docs/openapi.json")).json())


@pytest.fixture
async def ids(service: ServiceProcess, alice: str) -> dict[str, str]:
    """Return what stands in paths when it is not hostile, below /v1 and below /openai."""
    items = {"items": [{"type": "message", "id": "msg_1", "role": "user", "content": "Hello"}]}
    headers = as_user(alice)
    made = await service.call("POST", "/openai/v1/conversations", items, headers=headers)
    conversation = str(UUID(made["id"].removeprefix("conv_")))
    path = f"/v1/conversations/{conversation}/messages"
    [message] = (await service.call("GET", path, headers=headers))["items"]
    draft = await service.call(
        "POST", f"/v1/conversations/{conversation}/drafts", {"lease": 600}, headers=headers
    )
    return {
        "conversation_id": conversation,
        "draft_id": draft["id"],
        "openai_id": made["id"],
        "message_id": message["id"],
        "item_id": "msg_1",
        "number": "0",
        "user_id": "somebody",
    }


def body_of(operation: Operation) -> bytes | None:
    if operation.method == "GET" or "requestBody" not in operation.described:
        return None
    if operation.path.startswith("/openai/"):
        return b'{"items": []}' if operation.path.endswith("/items") else b'{"metadata": {}}'
    examples = operation.described["requestBody"]["content"]["application/json"]["examples"]
    first, *_ = examples.values()
    return json.dumps(first["value"]).encode()


async def test_no_parameter_of_any_route_is_a_fault_of_the_service(
    service: ServiceProcess, contract: Contract, ids: dict[str, str], alice: str
) -> None:
    tried = 0

    async def check(operation: Operation) -> None:
        nonlocal tried
        known = {**ids}
        if operation.path.startswith("/openai/"):
            known["conversation_id"] = ids["openai_id"]
        headers = {"Content-Type": "application/json"}
        service_only = operation.described["security"] == [{"bearer": []}]
        headers |= as_service(alice) if service_only else as_user(alice)
        for line in lines(operation, known):
            answer = await service.http.request(
                operation.method, line, headers=headers, content=body_of(operation)
            )
            assert answer.status_code < 500, (operation.method, line[:200], answer.text)
            tried += 1

    authenticated = [each for each in contract.operations if "security" in each.described]
    # What deletes only by a valid path goes last: the others need what it deletes.
    await asyncio.gather(*(check(each) for each in authenticated if each.method != "DELETE"))
    await asyncio.gather(*(check(each) for each in authenticated if each.method == "DELETE"))
    assert tried > 300


AI_SDK_STREAM = "/ai-sdk/{conversation_id}/stream"
HEADERS = [
    *(b"", b"a" * 4_000, b"\xff", b"\xed\xa0\x80", "\U0001f9f5".encode(), b"'"),
    *(b"\x7f", b"\x00", b"a\x00b", b"9" * 5_000, b'"1"', b"-1", str(2**63).encode()),
]


async def test_no_header_of_any_route_is_a_fault_of_the_service(
    service: ServiceProcess, contract: Contract, ids: dict[str, str], alice: str
) -> None:
    """Those that a route documents, and those that all have."""

    async def check(operation: Operation, name: str, value: bytes) -> None:
        known = {**ids}
        if operation.path.startswith("/openai/"):
            known["conversation_id"] = ids["openai_id"]
        service_only = operation.described["security"] == [{"bearer": []}]
        acting = as_service(alice) if service_only else as_user(alice)
        if name == "X-User-Id":
            acting = as_service()
        body = body_of(operation) or b""
        given: list[str | bytes] = [
            f"Authorization: {acting['Authorization']}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
            name.encode() + b": " + value,
        ]
        # The stream of a draft goes on for as long as the draft; its head is enough.
        method = "HEAD" if operation.path == AI_SDK_STREAM else operation.method
        line = f"{method} {operation.path.format_map(known)}"
        if operation.path.endswith("/events"):
            line += "?wait=0"  # else the answer is a stream, which goes on for minutes
        answer = await service.raw(request(line, *given, body=body))
        assert re.match(rb"HTTP/1.1 [234]", answer), (line, name, value, answer)

    checks = [
        check(operation, name, value)
        for operation in contract.operations
        if "security" in operation.described and operation.method != "DELETE"
        for name in (
            "X-User-Id",
            *(
                each["name"]
                for each in operation.described.get("parameters", ())
                if each["in"] == "header"
            ),
        )
        for value in HEADERS
    ]
    for start in range(0, len(checks), 20):
        await asyncio.gather(*checks[start : start + 20])


@pytest.mark.parametrize(
    "subject", ["\0", "a\0b", "\ud800", "", "a" * 256, "\U0001f9f5" * 255, 5, None, [], {}, 2**70]
)
async def test_no_subject_of_a_token_is_a_fault_of_the_service(
    service: ServiceProcess, subject: object
) -> None:
    claims = json.dumps({"sub": subject, "exp": 4_000_000_000})
    token = jwt.api_jws.encode(claims.encode(), SECRET, algorithm="HS256")
    headers = {"Authorization": f"Bearer {token}"}

    for method, path in (
        ("GET", "/v1/me"),
        ("GET", "/v1/conversations"),
        ("GET", "/openai/v1/conversations"),
        ("POST", "/openai/v1/conversations"),
    ):
        answer = await service.http.request(method, path, headers=headers)
        assert answer.status_code in {200, 401}, answer.text
