"""GET of a URL, bounded in time and bytes even if the server is hostile.

A socket's timeout bounds each read, not their sum: a server that sends a byte every two seconds
never triggers it. So each read here gets only the time left for the whole fetch, and all bytes
count towards one limit, those of redirects included.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from socket import socket
from threading import BoundedSemaphore, Thread
from typing import IO, Any, Final, TypeVar
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    Request,
    build_opener,
)

T = TypeVar("T")

FETCH_SECONDS: Final = 5.0
MAX_BODY_BYTES: Final = 2**20
MAX_READ_BYTES: Final = 2 * MAX_BODY_BYTES
"""Limit for one whole fetch: the heads and bodies of all redirects and of the final response."""

THREAD: Final = "chatkeep-fetch"
MAX_THREADS: Final = 8
"""A thread may outlive its fetch: resolving a name and trying its addresses has no time limit."""

_free_threads = BoundedSemaphore(MAX_THREADS)


async def fetch_url(url: str) -> bytes:
    """Return the body at an http or https URL: at most 1 MiB, within 5 seconds.

    Follows redirects that keep the scheme. Raises `OSError` if that fails, and `ValueError` if
    `url` is not an http or https URL.
    """
    check_url(url)
    allowance = _Allowance(FETCH_SECONDS)
    try:
        # Resolving a name cannot be interrupted: this stops waiting for it.
        return await asyncio.wait_for(_run_in_thread(partial(_read, url, allowance)), FETCH_SECONDS)
    except TimeoutError:
        raise TimeoutError(f"no complete response within {FETCH_SECONDS:g} seconds") from None


def check_url(url: str) -> None:
    """Raise `ValueError` unless `url` is an absolute http or https URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an http or https URL")


def _run_in_thread(call: Callable[[], T]) -> "asyncio.Future[T]":
    """Run `call` in a daemon thread, so that it delays neither other work nor the process's exit.

    An executor would delay both: it has few threads, and the process waits for them to end.
    Raises `OSError` if too many earlier calls are still running.
    """
    if not _free_threads.acquire(blocking=False):
        raise OSError(f"{MAX_THREADS} earlier fetches have not ended yet")
    outcome = Future[T]()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:  # noqa: BLE001 - the caller gets it
            outcome.set_exception(error)
        finally:
            _free_threads.release()

    try:
        Thread(target=run, name=THREAD, daemon=True).start()
    except RuntimeError as error:
        _free_threads.release()
        raise OSError("cannot start a thread for the fetch") from error
    return asyncio.wrap_future(outcome)


@dataclass
class _Allowance:
    """The time and bytes that a fetch has left. Everything in `opened` is closed at its end."""

    seconds: float
    bytes_left: int = MAX_READ_BYTES
    opened: ExitStack = field(default_factory=ExitStack)
    _began: float = field(default_factory=time.monotonic)

    def seconds_left(self) -> float:
        """Raise `TimeoutError` if no time is left."""
        left = self._began + self.seconds - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def spend(self, count: int) -> None:
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise URLError(f"the response has more than {MAX_BODY_BYTES} bytes")


def _read(url: str, allowance: _Allowance) -> bytes:
    # Some CDNs refuse urllib's default user agent.
    headers = {"Accept": "application/json", "User-Agent": "chatkeep"}
    request = Request(url, headers=headers)  # noqa: S310 - the scheme has been checked
    opener = build_opener(_SameScheme, _Http(allowance), _Https(allowance))
    with allowance.opened:
        try:
            response = opener.open(request, timeout=allowance.seconds_left())
            body: bytes = response.read(MAX_BODY_BYTES + 1)
        except HTTPException as error:
            raise URLError(f"not an HTTP response: {error!r}") from error
    if len(body) > MAX_BODY_BYTES:
        raise URLError(f"the response has more than {MAX_BODY_BYTES} bytes")
    if response.length:  # http.client does not check this when given a number of bytes to read
        raise URLError("the response ended too early")
    return body


class _SameScheme(HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0913, PLR0917 - as in the base class
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        if urlsplit(newurl).scheme != req.type:
            fp.close()
            raise URLError(f"redirected from {req.type} to another scheme")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Http(HTTPHandler):
    def __init__(self, allowance: _Allowance) -> None:
        super().__init__()
        self._allowance = allowance

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_open_bounded, HTTPConnection, self._allowance), req)


class _Https(HTTPSHandler):
    def __init__(self, allowance: _Allowance) -> None:
        super().__init__()
        self._allowance = allowance

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_open_bounded, HTTPSConnection, self._allowance), req)


def _open_bounded(
    kind: type[HTTPConnection],
    allowance: _Allowance,
    host: str,
    **options: Any,  # noqa: ANN401 - urllib's
) -> HTTPConnection:
    """Return a connection that reads every response, also a proxy's, within the allowance."""
    connection = kind(host, **options | {"timeout": allowance.seconds_left()})
    connection.response_class = partial(_Response, allowance)  # type: ignore[assignment] # it is only called
    return connection


class _Response(HTTPResponse):
    def __init__(self, allowance: _Allowance, sock: socket, *args: Any, **options: Any) -> None:  # noqa: ANN401 - http.client's
        super().__init__(sock, *args, **options)
        allowance.opened.callback(self.close)  # urllib leaves some open
        self.fp = BufferedReader(_Reader(self.fp.detach(), sock, allowance))


class _Reader(RawIOBase):
    """Reads from a socket within the time and bytes that the allowance has left."""

    def __init__(self, raw: RawIOBase, sock: socket, allowance: _Allowance) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._allowance = allowance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - io's
        self._sock.settimeout(self._allowance.seconds_left())
        count = self._raw.readinto(buffer)
        self._allowance.spend(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
