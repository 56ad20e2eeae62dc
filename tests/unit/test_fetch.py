"""Fetching a URL: what comes of it, and that nobody on the other side can hold it up."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path

import pytest

from chatkeep.entrypoints.http.auth import fetch
from chatkeep.entrypoints.http.auth.fetch import fetch_url
from chatkeep.entrypoints.http.auth.jwks import Jwks
from tests.support.certificates import Authority
from tests.support.peers import ENDLESS, FULL, MOVED, OK, peer
from tests.support.waiting import until


@pytest.mark.parametrize("url", ["", "/jwks", "file:///etc/passwd", "ftp://x/y", "https:///jwks"])
async def test_only_an_http_url_is_fetched(url: str) -> None:
    with pytest.raises(ValueError, match="not an http or https URL"):
        Jwks(url)
    with pytest.raises(ValueError, match="not an http or https URL"):
        await fetch_url(url)


class Site(BaseHTTPRequestHandler):
    """A web server of many vices, one for each path."""

    slow = threading.Event()

    def do_GET(self) -> None:
        redirects = {
            "/moved": "/jwks.json",
            "/elsewhere": "https://127.0.0.1/jwks.json",
            "/ftp": "ftp://127.0.0.1/jwks.json",
            "/file": "file:///etc/passwd",
        }
        if self.path == "/cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n" + b'{"keys": []}')
            return
        if self.path == "/silent":
            self.slow.wait(5)
        if self.path == "/garbled":
            self.wfile.write(b"what?\r\n\r\n")
            return
        if self.path in redirects:
            self.send_response(302)
            self.send_header("Location", redirects[self.path])
            body = b""
        elif self.path in ("/jwks.json", "/largest", "/larger"):
            self.send_response(200)
            sizes = {"/largest": fetch.MAX_BODY_BYTES, "/larger": fetch.MAX_BODY_BYTES + 1}
            body = bytes(sizes[self.path]) if self.path in sizes else b'{"keys": []}'
        else:
            self.send_response(404)
            body = b"nothing"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        Site.slow.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")


async def test_fetching_returns_what_the_url_answers_also_after_a_redirect(site: str) -> None:
    assert await fetch_url(f"{site}/jwks.json") == b'{"keys": []}'
    assert await fetch_url(f"{site}/moved") == b'{"keys": []}'


@pytest.mark.parametrize("path", ["/missing", "/garbled", "/elsewhere", "/ftp", "/file", "/cut"])
async def test_fetching_fails_for_anything_but_an_answer(site: str, path: str) -> None:
    with pytest.raises(OSError, match=r"404|not an HTTP response|too early|(?i:redirect)"):
        await fetch_url(site + path)


async def test_fetching_takes_at_most_a_mebibyte(site: str) -> None:
    assert len(await fetch_url(f"{site}/largest")) == 2**20
    with pytest.raises(OSError, match="more than 1048576 bytes"):
        await fetch_url(f"{site}/larger")


async def test_fetching_gives_up_on_a_server_that_does_not_answer(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "FETCH_SECONDS", 0.1)
    with pytest.raises(TimeoutError):
        await fetch_url(f"{site}/silent")


async def test_fetching_fails_when_nobody_listens() -> None:
    with pytest.raises(OSError, match="refused"):
        await fetch_url("http://127.0.0.1:1/jwks.json")


def fetching() -> int:
    return sum(thread.name == fetch.THREAD for thread in threading.enumerate())


@pytest.mark.parametrize("what_it_does", ENDLESS)
async def test_no_server_holds_up_a_fetch_or_leaves_a_thread_behind(
    what_it_does: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "FETCH_SECONDS", 0.1)
    with peer(*ENDLESS[what_it_does]) as url:
        with pytest.raises(OSError, match=r"within 0.1 s|more than|not an HTTP|redirect|timed out"):
            await fetch_url(url)
        await until(lambda: fetching() == 0)


JWKS = b'{"keys": []}'


def whole() -> Iterator[bytes]:
    yield OK + b"Content-Length: %d\r\n\r\n" % len(JWKS) + JWKS


async def test_over_tls_it_is_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    tls = authority.server("localhost")
    with peer(whole, 0, tls) as url:
        assert await fetch_url(url) == JWKS
    monkeypatch.setattr(fetch, "FETCH_SECONDS", 0.3)
    for what_it_does in ("says nothing", "drips its head", "drips its body"):
        with peer(*ENDLESS[what_it_does], tls) as url, pytest.raises(OSError, match=r"within 0.3"):
            await fetch_url(url)
    await until(lambda: fetching() == 0)


async def test_a_handshake_has_no_more_time_than_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FETCH_SECONDS", 0.1)

    def drip() -> Iterator[bytes]:
        yield b"\x16\x03\x03\x40\x00"
        yield from repeat(b"\x00")

    for said in (drip, ENDLESS["says nothing"][0]):
        with peer(said, 0.01) as url:
            with pytest.raises(OSError, match=r"within 0.1|timed out"):
                await fetch_url(url.replace("http://", "https://"))
            await until(lambda: fetching() == 0)


async def test_without_a_thread_to_spare_the_fetch_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="cannot start a thread"):
        await fetch_url("http://127.0.0.1:1/")


async def test_no_more_is_read_than_an_answer_may_have() -> None:
    """On a fast network more would come in five seconds than there is memory."""
    sent = 0

    def count() -> Iterator[bytes]:
        nonlocal sent
        yield MOVED + b"\r\n"
        while True:
            sent += len(FULL)
            yield FULL

    with peer(count, 0) as url, pytest.raises(OSError, match="more than 1048576 bytes"):
        await fetch_url(url)
    assert sent < 32 * fetch.MAX_BODY_BYTES  # what the buffers of the connection hold comes on top


async def test_threads_of_others_go_on_while_servers_drip() -> None:
    with peer(*ENDLESS["drips its body"]) as url:
        fetches = [asyncio.create_task(fetch_url(url)) for _ in range(40)]
        await until(lambda: fetching() == fetch.MAX_THREADS)
        async with asyncio.timeout(4):  # less than the fetches take
            assert await asyncio.to_thread(lambda: "done") == "done"
    outcomes = await asyncio.gather(*fetches, return_exceptions=True)
    assert all(isinstance(each, OSError) for each in outcomes)
    at_once = [each for each in outcomes if "have not ended yet" in str(each)]
    assert len(at_once) == len(fetches) - fetch.MAX_THREADS
    with peer(whole, 0) as url:
        await until(lambda: fetching() == 0)
        assert await fetch_url(url) == JWKS
