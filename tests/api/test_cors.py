"""Pages of other origins: which may call, with what, and what the others are told."""

from collections.abc import AsyncIterator

import pytest

from chatkeep.entrypoints.settings import Settings
from tests.api.builders import CONVERSATIONS, an_id, refused
from tests.support.application import Service, serving, settings

PAGE = "https://chat.example"


@pytest.fixture(scope="module")
async def for_pages() -> AsyncIterator[Service]:
    async with serving(settings(cors_origins=(PAGE,))) as service:
        yield service


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_page_that_is_allowed_may_call(for_pages: Service, method: str) -> None:
    preflight = await for_pages.nobody().request(
        "OPTIONS",
        CONVERSATIONS,
        {
            "Origin": PAGE,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization, content-type, x-request-id",
        },
    )

    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert method in preflight.headers["access-control-allow-methods"]
    allowed = preflight.headers["access-control-allow-headers"].lower()
    for name in ("authorization", "content-type", "x-request-id"):
        assert name in allowed


# What OpenAI's package for browsers sends with each request, and what our pages say may be sent.
OF_SDKS = [
    *("x-stainless-arch", "x-stainless-lang", "x-stainless-os", "x-stainless-package-version"),
    *("x-stainless-retry-count", "x-stainless-runtime", "x-stainless-runtime-version"),
    *("x-stainless-timeout", "x-stainless-helper-method", "openai-organization", "api-key"),
    *("authorization", "content-type", "idempotency-key", "x-user-id", "x-request-id", "if-match"),
]


@pytest.mark.parametrize("path", [CONVERSATIONS, "/openai/v1/conversations", "/v1/me/export"])
async def test_a_page_may_send_whatever_headers_its_sdk_sends(
    for_pages: Service, path: str
) -> None:
    preflight = await for_pages.nobody().request(
        "OPTIONS",
        path,
        {
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": ",".join(OF_SDKS),
        },
    )

    assert preflight.status_code == 204
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert {name.strip() for name in allowed.split(",")} >= {*OF_SDKS}
    assert "access-control-allow-credentials" not in preflight.headers


async def test_a_page_that_is_allowed_may_read(for_pages: Service) -> None:
    for path, status in ((CONVERSATIONS, 200), (f"{CONVERSATIONS}/{an_id()}", 404)):
        response = await for_pages.user().get(path, {"Origin": PAGE})
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == PAGE
        exposed = response.headers["access-control-expose-headers"].lower()
        for name in ("x-request-id", "etag", "chatkeep-warning", "retry-after"):
            assert name in exposed
    unauthenticated = await for_pages.nobody().get(CONVERSATIONS, {"Origin": PAGE})
    assert unauthenticated.headers["access-control-allow-origin"] == PAGE


def of_page(origin: str) -> dict[str, str]:
    return {"Origin": origin, "Access-Control-Request-Method": "GET"}


@pytest.mark.parametrize("origin", ["https://evil.example", f"{PAGE}.evil.example", "null"])
async def test_another_page_may_not(for_pages: Service, origin: str) -> None:
    preflight = await for_pages.http.request("OPTIONS", CONVERSATIONS, headers=of_page(origin))
    response = await for_pages.user().get(CONVERSATIONS, {"Origin": origin})

    problem = refused(preflight, 400, "origin-not-allowed")
    assert f"Pages of {origin} may not" in problem["detail"]
    assert "CHATKEEP_CORS_ORIGINS" in problem["detail"]
    for each in (preflight, response):
        assert each.headers.get("access-control-allow-origin") is None


@pytest.mark.parametrize(
    ("given", "allowed", "refused_"),
    [
        ("*", ["https://any.example", "null"], []),
        (
            "https://*.app.example",
            ["https://a.app.example", "https://a.b.app.example"],
            ["https://app.example", "https://evilapp.example", "http://a.app.example"],
        ),
        ("http://localhost:*", ["http://localhost:5173"], ["http://localhost.evil.example:1"]),
    ],
)
async def test_a_star_stands_for_pages_hosts_or_ports(
    given: str, allowed: list[str], refused_: list[str]
) -> None:
    origins = Settings.from_env({"CHATKEEP_CORS_ORIGINS": given}).cors_origins
    async with serving(settings(cors_origins=origins)) as service:
        for origin in (*allowed, *refused_):
            preflight = await service.nobody().request("OPTIONS", CONVERSATIONS, of_page(origin))
            answer = await service.user().get(CONVERSATIONS, {"Origin": origin})
            said = answer.headers.get("access-control-allow-origin")
            if origin in allowed:
                assert preflight.status_code == 204
                assert said in {origin, "*"}
            else:
                refused(preflight, 400, "origin-not-allowed")
                assert said is None


async def test_a_method_that_no_page_may_send_is_told_with_those_it_may(
    for_pages: Service,
) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "TRACE"}
    preflight = await for_pages.nobody().request("OPTIONS", CONVERSATIONS, asked)
    problem = refused(preflight, 400, "method-not-allowed")
    assert "TRACE, only GET, HEAD, POST" in problem["detail"]


async def test_no_page_may_unless_one_is_set(service: Service) -> None:
    for method in ("OPTIONS", "GET"):
        response = await service.user().request(method, CONVERSATIONS, of_page(PAGE))
        assert not [name for name in response.headers if name.startswith("access-control-")]
