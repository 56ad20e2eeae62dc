"""The path that Litestar routes on: each segment percent-encoded in a single way."""

from typing import Any, cast

import pytest
from litestar.types import HTTPScope, Receive, Scope, Send

from chatkeep.entrypoints.http.ids import MAX_PATH_BYTES, EncodedPaths


async def routed(raw_path: str, root_path: str = "", path: str = "as decoded") -> str:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["path"])

    scope: Any = {
        "type": "http",
        "path": path,
        "raw_path": raw_path.encode("latin-1"),
        "root_path": root_path,
    }
    await EncodedPaths(app)(cast("HTTPScope", scope), cast("Receive", None), cast("Send", None))
    return seen[0]


@pytest.mark.parametrize(
    ("raw_path", "expected"),
    [
        ("/v1/conversations/a%2Fb", "/v1/conversations/a%2Fb"),
        ("/v1/conversations/a%2fb", "/v1/conversations/a%2Fb"),
        ("/v1/%63onversations/%61b", "/v1/conversations/ab"),
        ("/v1/a%20b+c;d,e:f@g", "/v1/a%20b%2Bc%3Bd%2Ce%3Af%40g"),
        ("/v1/%C3%A9/%C3%A9%CC%81", "/v1/%C3%A9/%C3%A9%CC%81"),
        ("/v1/%252F/", "/v1/%252F/"),
        ("/v1//%2E%2E", "/v1//.."),
        ("/v1/%FF/%zz/%4/%2F", "/v1/%FF/%zz/%4/%2F"),
    ],
)
async def test_a_segment_stays_one_and_is_written_in_one_way(raw_path: str, expected: str) -> None:
    assert await routed(raw_path) == expected


async def test_a_path_without_escapes_is_left_as_it_is() -> None:
    assert await routed("/v1/conversations/x", path="/v1/conversations/x") == "/v1/conversations/x"


@pytest.mark.parametrize("root_path", ["/chat", "/chat:1/a b", "/é"])
async def test_the_root_path_stays_as_litestar_knows_it(root_path: str) -> None:
    raw_path = (root_path.encode() + b"/v1/a%2fb").decode("latin-1")

    assert await routed(raw_path, root_path) == f"{root_path}/v1/a%2Fb"


async def test_litestar_caches_no_more_than_the_beginning_of_a_long_path() -> None:
    many = "/v1" + "/x" * 60_000

    assert await routed(many, path=many) == many[:MAX_PATH_BYTES]


async def test_a_path_with_a_long_segment_keeps_its_route() -> None:
    long = f"/v1/conversations/{'x' * 60_000}/messages"

    found = await routed(long, path=long)

    assert len(found) < MAX_PATH_BYTES
    assert found.startswith("/v1/conversations/xxx")
    assert found.endswith("x/messages")
