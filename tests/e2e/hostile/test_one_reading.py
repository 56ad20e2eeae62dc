"""Requests are read in one way: nobody in between sees another request than the service does."""

import pytest

from tests.e2e.hostile.wire import check_refusal, request, sent
from tests.support.service_process import ServiceProcess, as_service, as_user

CHUNKED = ("Content-Type: application/json", "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /health/live HTTP/1.1\r\n\r\n", 400),
        (request("GET /health/live", "Host: other"), 400),
        (request("GET /health/live HTTP/1.0", "Host: localhost"), 400),
        (b"GET /health/live HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (request("POST /health/live", "Content-Length: 0", "Content-Length: 0"), 400),
        (request("POST /health/live", "Content-Length: 0, 0"), 400),
        (
            request("POST /health/live HTTP/1.0", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
            400,
        ),
        (request("POST /health/live", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
        (request("GET /health/live HTTP/0.9"), 505),
        (request("GET /health/live HTTP/2.0"), 505),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_what_is_read_in_two_ways_or_not_spoken_here_is_refused(
    service: ServiceProcess, raw: bytes, status: int
) -> None:
    [answer], closed = await sent(service, raw)
    check_refusal(answer, status)
    assert closed


@pytest.mark.parametrize("host", [b"localhost", b"example.com:8000", b"[::1]:80", b"", b" x\t"])
async def test_any_host_will_do(service: ServiceProcess, host: bytes) -> None:
    [answer], _ = await sent(service, b"GET /health/live HTTP/1.1\r\nHost:%b\r\n\r\n" % host)
    assert answer.status == 200


@pytest.mark.parametrize("after", [" ", "\t", " \t ", ""])
async def test_white_space_around_a_value_is_no_part_of_it(
    service: ServiceProcess, alice: str, after: str
) -> None:
    fields = [f"{name}: \t{value}" for name, value in as_service(alice).items()]
    key = f"Idempotency-Key:  key{after}"
    body = b'{"items": []}'
    raw = request(
        "POST /openai/v1/conversations",
        *(field + after for field in fields),
        f"Content-Type: application/json{after}",
        f"Content-Length: {len(body)}{after}",
        key,
        f"X-Request-ID: a-request{after}",
        body=body,
    )
    [first], _ = await sent(service, raw)
    [second], _ = await sent(service, raw.replace(key.encode(), b"Idempotency-Key: key"))
    assert first.status == second.status == 200
    assert first.headers["x-request-id"] == "a-request"
    assert first.json()["id"] == second.json()["id"]
    usage = await service.call("GET", "/v1/me", headers=as_user(alice))
    assert usage["conversations"] == 1


async def test_trailers_are_dropped(service: ServiceProcess, alice: str) -> None:
    """A proxy that checks headers does not look at them."""
    head = request("POST /openai/v1/conversations", *CHUNKED)
    body = b'd\r\n{"items": []}\r\n0\r\n'
    bearer = "\r\n".join(f"{name}: {value}" for name, value in as_user(alice).items())
    [answer], _ = await sent(service, head + body + bearer.encode() + b"\r\n\r\n")
    assert answer.status == 401

    # Neither are they of the next request on the connection.
    follow = request("GET /v1/me")
    found, _ = await sent(service, head + body + bearer.encode() + b"\r\n\r\n" + follow, wanted=2)
    assert [answer.status for answer in found] == [401, 401]

    # A service does not become somebody else, and a request not another one's retry.
    service_head = request(
        "POST /openai/v1/conversations",
        *CHUNKED,
        *(f"{name}: {value}" for name, value in as_service(alice).items()),
    )
    trailers = b"X-User-Id: bob\r\nIdempotency-Key: k\r\nX-Request-ID: mine\r\n\r\n"
    found, _ = await sent(service, (service_head + body + trailers) * 2, wanted=2)
    assert [answer.status for answer in found] == [200, 200]
    assert found[0].json()["id"] != found[1].json()["id"]
    assert "mine" not in {answer.headers["x-request-id"] for answer in found}
    usage = await service.call("GET", "/v1/me", headers=as_user(alice))
    assert usage["conversations"] == 2


@pytest.mark.parametrize("name", ["Authorization", "X-User-Id", "Idempotency-Key", "Content-Type"])
async def test_a_header_that_decides_is_sent_once(
    service: ServiceProcess, alice: str, name: str
) -> None:
    body = b'{"items": []}'
    fields = as_service(alice) | {"Idempotency-Key": "k", "Content-Type": "application/json"}
    raw = request(
        "POST /openai/v1/conversations",
        *(f"{each}: {value}" for each, value in fields.items()),
        f"{name}: {fields[name]}",
        f"Content-Length: {len(body)}",
        body=body,
    )
    [answer], _ = await sent(service, raw)
    assert answer.status == 400
    assert answer.json()["error"]["message"] == f"Send only one {name} header."


async def test_every_spelling_of_a_path_is_treated_alike(
    service: ServiceProcess, alice: str
) -> None:
    for path in ("/v1/me", "//v1/me", "/v1//me", "///v1/me/", "/%76%31/me", "/openai//v1/nothing"):
        for user in (alice, None):
            [answer], _ = await sent(service, request(f"GET {path}", user=user))
            assert answer.headers["cache-control"] == "no-store", path
    [answer], _ = await sent(service, request("GET //openai/v1/conversations/x", user=alice))
    assert "error" in answer.json()
