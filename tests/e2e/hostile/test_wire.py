"""What is no HTTP, or HTTP of an odd kind: answered with a problem, or as what it is."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.hostile.wire import ENOUGH, answers, check_refusal, json_request, request, sent
from tests.support.processes import PROJECT
from tests.support.service_process import ServiceProcess, as_user
from tests.support.waiting import PATIENCE

CHUNKED = ("Content-Type: application/json", "Transfer-Encoding: chunked")
JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,  # a TLS hello
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1 \r\n\r\n",
        b"GET / HTTP/3.7\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"get / HTTP/1.1\r\n\r\n",
        b"GE\x00T / HTTP/1.1\r\n\r\n",
        b"BREW / HTTP/1.1\r\n\r\n",
        request("CONNECT example.com:80"),
        request(b"GET /v1/conversations/\xff\xfe"),
        request(b"GET /v1/conversations/\x00"),
        request(b"GET /v1/conversations?cursor=\xff"),
        request("GET /health/live", b"X: a\x00b"),
        request("GET /health/live", b"X\xff: a"),
        request("GET /health/live", "X : a"),
        request("GET /health/live", "X: a\r\n folded"),
        request("GET /health/live", ": nameless"),
        request("POST /v1/conversations", JSON, "Content-Length: -1", body=b"{}"),
        request("POST /v1/conversations", JSON, "Content-Length: 1e1", body=b"{}"),
        request("POST /v1/conversations", JSON, "Content-Length: 99999999999999999999999"),
        request("POST /v1/conversations", JSON, "Content-Length: 2", "Content-Length: 3"),
        request("POST /v1/conversations", *CHUNKED, "Content-Length: 2", body=b"{}"),
    ],
    ids=lambda raw: repr(raw[:40]),
)
async def test_what_is_no_http_gets_a_problem_and_no_connection(
    service: ServiceProcess, raw: bytes
) -> None:
    [answer], closed = await sent(service, raw)
    check_refusal(answer, 400)
    assert closed


async def test_a_head_has_no_body_and_leaves_the_connection_to_the_next_request(
    service: ServiceProcess, alice: str
) -> None:
    """A body would be taken for the beginning of the next answer."""
    reader, writer = await asyncio.open_connection(*service.address)
    paths = ("/health/live", "/docs", "/v1/me", "/v1/me/export", "/openai/v1/conversations", "/x")
    try:
        async with asyncio.timeout(PATIENCE):
            for path in paths:
                writer.write(request(f"HEAD {path}", user=alice))
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 404" if path == "/x" else b"HTTP/1.1 200"), head
            writer.write(request("GET /health/live", "Connection: close"))
            [last] = answers(await reader.read())
    finally:
        writer.close()
    assert last.json() == {"status": "live"}


@pytest.mark.parametrize(
    "chunks", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}XX", b"-2\r\n{}\r\n", b"1" * 20 + b"\r\n{}"]
)
async def test_a_body_of_broken_chunks_is_refused_and_stores_nothing(
    service: ServiceProcess, alice: str, chunks: bytes
) -> None:
    head = request("POST /v1/conversations", *CHUNKED, user=alice)
    [answer], closed = await sent(service, head + chunks)
    check_refusal(answer, 400)
    assert closed
    usage = await service.call("GET", "/v1/me", headers=as_user(alice))
    assert usage["conversations"] == 0


BROKEN_CHUNK = request("POST /v1/conversations", *CHUNKED) + b"zz\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("after", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"\x00\xff" * 1_000, 400),
        (BROKEN_CHUNK, 400),
        (BROKEN_CHUNK.replace(b"POST /v1/conversations", b"DELETE /v1/me"), 400),
        (request("GET /", "a: " + "b" * 400_000), 431),
        (request("GET /" + "a" * 100_000), 431),
    ],
    ids=["garbage", "bytes", "chunk", "chunk of a request that needs no body", "field", "path"],
)
async def test_what_was_accepted_is_answered_before_what_ends_the_connection(
    service: ServiceProcess, alice: str, after: bytes, status: int
) -> None:
    create = json_request("POST /v1/conversations", b'{"title": "first"}', user=alice)
    found, closed = await sent(service, create + create + after, wanted=3)
    assert [answer.status for answer in found] == [201, 201, status]
    check_refusal(found[-1], status)
    assert closed
    usage = await service.call("GET", "/v1/me", headers=as_user(alice))
    assert usage["conversations"] == 2


@pytest.mark.parametrize("length", [2, 17, 19, 40])
async def test_a_body_of_another_length_than_was_said_is_all_or_nothing(
    service: ServiceProcess, alice: str, length: int
) -> None:
    body = b'{"title": "lies"}'
    raw = request(
        "POST /v1/conversations", JSON, f"Content-Length: {length}", user=alice, body=body
    )
    reader, writer = await asyncio.open_connection(*service.address)
    writer.write(raw)
    writer.write_eof()
    async with asyncio.timeout(ENOUGH):
        received = await reader.read()
    writer.close()
    created = [answer for answer in answers(received) if answer.status == 201]
    usage = await service.call("GET", "/v1/me", headers=as_user(alice))
    assert usage["conversations"] == (1 if length == len(body) else 0)
    # A client that closes its side has asked, and may wait for the answer.
    assert len(created) == usage["conversations"]
    assert answers(received)[0].status == (201 if length == len(body) else 400)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ((), "GET /v1/me HTTP/1.0"),
        (("Connection: close",), "GET /v1/me"),
        (("Connection: keep-alive",), "GET /v1/me HTTP/1.0"),
    ],
)
async def test_an_old_or_impatient_client_is_answered_and_the_connection_closed(
    service: ServiceProcess, alice: str, fields: Sequence[str], line: str
) -> None:
    [answer], closed = await sent(service, request(line, *fields, user=alice))
    assert answer.status == 200
    assert answer.headers["connection"] == "close"
    assert closed


async def test_who_asks_whether_to_continue_is_told_to_or_refused_at_once(
    service: ServiceProcess, alice: str
) -> None:
    body = b'{"title": "go on"}'
    expect = "Expect: 100-continue"
    whole = json_request("POST /v1/conversations", body, expect, user=alice)
    reader, writer = await asyncio.open_connection(*service.address)
    async with asyncio.timeout(ENOUGH):
        writer.write(whole[: -len(body)])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 201 Created\r\n"
    writer.close()

    # Who does not wait need not be told (RFC 9110, section 10.1.1).
    whole = json_request("POST /v1/conversations", body, expect, "Connection: close", user=alice)
    found, closed = await sent(service, whole[: -len(body)], body, wanted=2)
    assert [answer.status for answer in found] in ([100, 201], [201])
    assert closed

    huge = "Content-Length: 104857600"
    head = request("POST /v1/conversations", JSON, huge, expect, user=alice)
    [answer], _ = await sent(service, head)
    assert answer.status == 413

    head = request("POST /v1/conversations", JSON, huge, expect)
    [answer], _ = await sent(service, head)
    assert answer.status == 401


UPGRADES = (
    ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Upgrade: TLS/1.0"),
)


@pytest.mark.parametrize("upgrade", UPGRADES)
async def test_a_request_to_upgrade_is_ignored_and_the_request_is_not(
    service: ServiceProcess, alice: str, upgrade: Sequence[str]
) -> None:
    """Some clients of HTTP/2 ask with their very first request, which may have a body."""
    create = json_request("POST /v1/conversations", b'{"title": "kept"}', *upgrade, user=alice)
    read = request("GET /v1/me", *upgrade, user=alice)

    found, closed = await sent(service, create + read + create, create, wanted=4)

    assert [answer.status for answer in found] == [201, 200, 201, 201]
    assert found[0].json()["title"] == "kept"
    assert not closed

    # However it is cut into packets.
    chunked = request("POST /v1/conversations", *CHUNKED, *upgrade, user=alice)
    chunked += b'5\r\n{"tit\r\n5\r\nle":"\r\n3\r\nk"}\r\n0\r\n\r\n'
    found, _ = await sent(service, *(chunked[at : at + 7] for at in range(0, len(chunked), 7)))
    assert [answer.status for answer in found] == [201]
    assert found[0].json()["title"] == "k"


async def test_thousands_of_requests_that_ask_to_upgrade_are_answered_each(
    service: ServiceProcess,
) -> None:
    line = request("GET /health/live", *UPGRADES[0])
    found, _ = await sent(service, line * 2_000, wanted=2_000)
    assert [answer.status for answer in found] == [200] * 2_000


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "QUERY", "PURGE", "LINK"])
async def test_other_methods_are_refused_with_those_that_there_are(
    service: ServiceProcess, alice: str, method: str
) -> None:
    [answer], _ = await sent(service, request(f"{method} /v1/me HTTP/1.0", user=alice))
    assert answer.status == 405
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "field",
    [
        *("X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE"),
        *("X-Original-URL: /v1/me", "X-Rewrite-URL: /v1/me", "X-Forwarded-Prefix: /v1"),
    ],
)
async def test_no_header_makes_another_request_of_a_request(
    service: ServiceProcess, alice: str, field: str
) -> None:
    name, _, value = field.partition(": ")
    await service.call("POST", "/v1/conversations", {}, headers=as_user(alice))
    headers = as_user(alice) | {name: value}
    usage = await service.call("GET", "/v1/me", headers=headers)
    assert usage["conversations"] == 1
    await service.call("POST", "/v1/me", headers=headers, status=405)
    await service.call("GET", "/v1/me?_method=DELETE", headers=headers, status=422)
    await service.call("GET", "/nothing", headers=headers, status=404)
    usage = await service.call("GET", "/v1/me", headers=as_user(alice))
    assert usage["conversations"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "/docs-assets/../pyproject.toml",
        "/docs-assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/docs-assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/docs-assets/..%5c..%5cpyproject.toml",
        "/docs-assets/%252e%252e%252fpyproject.toml",
        "/docs-assets//etc/passwd",
        "/docs-assets/%2fetc%2fpasswd",
        "/docs-assets/swagger-ui.css%00.html",
        "/docs-assets/.",
        "/docs-assets/",
        "/docs/../../etc/passwd",
        "//etc/passwd",
        "/%2e%2e/etc/passwd",
        "/.env",
        "/v1/../metrics/../v1/me",
    ],
)
async def test_no_path_leads_out_of_what_is_served(service: ServiceProcess, path: str) -> None:
    [answer], _ = await sent(service, request(f"GET {path} HTTP/1.0"))
    assert answer.status in {401, 404}
    assert answer.headers["content-type"] == "application/problem+json"
    assert b"root:" not in answer.body
    assert b"[project]" not in answer.body


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/conversations/%00", 422),
        ("/v1/conversations/%ff%fe", 422),
        ("/v1/conversations/%zz", 422),
        ("/v1/conversations/%ED%A0%80", 422),
        ("/v1/conversations/" + "a" * 60_000, 414),
        ("/v1/conversations/{id}%00", 422),
        ("/v1/conversations/{id}/messages/{id}%0a", 422),
        ("/v1/conversations/{{{id}}}", 404),
        ("/v1/conversations?limit=%00", 422),
        ("/v1/conversations?limit=1%00", 422),
        ("/v1/conversations?limit=99999999999999999999", 422),
        ("/v1/conversations?limit=-1", 422),
        ("/v1/conversations?limit=" + "1" * 5_000, 422),
        ("/v1/conversations?cursor=%ff%fe", 422),
        ("/v1/conversations?cursor=%ED%A0%80", 422),
        ("/v1/conversations?cursor=" + "A" * 60_000, 422),
        ("/v1/conversations?cursor=" + "W1tb" * 10_000, 422),
        ("/v1/conversations?%00=1", 422),
        ("/v1/conversations?" + "&".join(f"a{each}=1" for each in range(5_000)), 422),
        ("/v1/conversations?limit=1&limit=2", 422),
        ("/v1/users/%ff", 403),
        ("/v1/users/", 405),
    ],
    ids=lambda value: str(value)[:50],
)
async def test_bad_paths_and_queries_are_told_so(
    service: ServiceProcess, alice: str, path: str, status: int
) -> None:
    line = f"{'PUT' if 'users' in path else 'GET'} {path.format(id=uuid4())} HTTP/1.0"
    [answer], _ = await sent(service, request(line, user=alice))
    assert answer.status == status, answer
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (b"Authorization: Bearer \xff\xfe", 401),
        (b"Authorization: Bearer " + b"a" * 60_000, 401),
        (b"Authorization: Bearer " + b"." * 10_000, 401),
        (b"Authorization: \xff", 401),
        (b"Authorization:", 401),
        (b"Authorization: Basic YTpi", 401),
        (b"Authorization: Bearer Bearer x", 401),
        (b"Cookie: token=x", 401),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_bad_credentials_are_told_so(
    service: ServiceProcess, field: bytes, status: int
) -> None:
    [answer], _ = await sent(service, request("GET /v1/me HTTP/1.0", field))
    assert answer.status == status
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert b"\xff" not in answer.body


async def test_a_thousand_headers_and_an_odd_request_id_change_nothing(
    service: ServiceProcess, alice: str
) -> None:
    fields = [f"X-{each}: {each}" for each in range(1_000)]
    for odd in (b"X-Request-ID: \xff\xfe", b"X-Request-ID: a b", b"X-Request-ID: " + b"x" * 129):
        raw = request("GET /v1/me HTTP/1.0", *fields, odd, user=alice)
        [answer], _ = await sent(service, raw)
        assert answer.status == 200
        assert odd.partition(b": ")[2].decode("latin-1") != answer.headers["x-request-id"]


def test_the_files_of_the_page_are_where_the_paths_above_try_to_get_out_of() -> None:
    """The test above would show nothing if these were not there to be found."""
    assert b"root:" in Path("/etc/passwd").read_bytes()
    assert b"[project]" in (PROJECT / "pyproject.toml").read_bytes()
