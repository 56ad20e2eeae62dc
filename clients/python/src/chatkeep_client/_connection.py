"""Common to both clients: the address, the caller and how to make the requests of httpx."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from chatkeep_client._requests import Request

__version__: Final = "0.1.0"
TIMEOUT: Final = httpx.Timeout(30.0)
LIMITS: Final = httpx.Limits(
    # The service closes a connection that rested for 75 seconds.
    max_connections=100,
    max_keepalive_connections=100,
    keepalive_expiry=60.0,
)
MAX_RETRIES: Final = 6

_AGENT: Final = f"chatkeep-client/{__version__} python-httpx/{httpx.__version__}"


class Connection:
    """The address of a service, and whom the requests are from."""

    def __init__(
        self, url: str, *, user: str | None, operator: str | None, timeout: float | httpx.Timeout
    ) -> None:
        base = httpx.URL(url)
        if base.scheme not in {"http", "https"} or not base.host:
            raise ValueError(f"the URL of the service must begin with http:// or https://: {url!r}")
        self.url: Final = url.rstrip("/")
        self.user: Final = user
        self.operator: Final = operator
        self._base: Final = base
        self._prefix: Final = base.raw_path.decode().rstrip("/")
        self._headers: Final[list[tuple[bytes, bytes]]] = [
            (b"Host", base.netloc),
            (b"Accept", b"application/json, application/problem+json"),
            (b"Accept-Encoding", b"gzip, deflate"),
            (b"User-Agent", _AGENT.encode()),
        ]
        if user is not None:
            self._headers.append((b"X-User-Id", user.encode()))
        if operator is not None:
            self._headers.append((b"X-Operator", operator.encode()))
        self._timeout: Final[Mapping[str, Any]] = {"timeout": httpx.Timeout(timeout).as_dict()}

    def build(self, request: Request[Any], credential: str) -> httpx.Request:
        """Return what httpx sends."""
        headers = [*self._headers, (b"Authorization", f"Bearer {credential}".encode())]
        if request.headers is not None:
            headers += [(name.encode(), text.encode()) for name, text in request.headers.items()]
        if request.body is not None:
            headers.append((b"Content-Type", b"application/json"))
        elif request.lines is not None:
            headers.append((b"Content-Type", b"application/x-ndjson"))
        url = self._base.copy_with(raw_path=(self._prefix + request.path).encode("ascii"))
        return httpx.Request(
            request.method,
            url,
            headers=headers,
            content=request.lines if request.body is None else request.body,
            extensions=dict(self._timeout),
        )
