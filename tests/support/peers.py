"""Hostile and broken servers: a client must get away from each of them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle, repeat
from socket import socket
from socketserver import BaseRequestHandler, ThreadingTCPServer
from ssl import SSLContext

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
HEAD = OK + b"Content-Length: 1000000\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: /again\r\n"
FULL = b"x" * 65_536


def _endless(first: bytes, then: bytes) -> Iterator[bytes]:
    yield first
    yield from repeat(then)


ENDLESS: dict[str, tuple[Callable[[], Iterator[bytes]], float]] = {
    "says nothing": (lambda: repeat(b""), 0.01),
    "drips its first line": (lambda: cycle([b"H"]), 0.01),
    "drips its head": (lambda: _endless(OK, b"X"), 0.01),
    "drips its body": (lambda: _endless(HEAD, b"x"), 0.01),
    "drips a chunk": (lambda: _endless(CHUNKED, b"1\r\nx\r\n"), 0.01),
    "drips a chunk's head": (lambda: _endless(CHUNKED, b"0"), 0.01),
    "drips the body of a redirect": (lambda: _endless(MOVED + b"\r\n", b"x"), 0.01),
    "has headers without an end": (lambda: _endless(OK, b"X-More: x\r\n"), 0),
    "has a header without an end": (lambda: _endless(OK + b"X-More: ", FULL), 0),
    "says to go on for ever": (lambda: _endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), 0),
    "has a body without an end": (lambda: _endless(OK + b"\r\n", FULL), 0),
    "has chunks without an end": (lambda: _endless(CHUNKED, b"10000\r\n" + FULL + b"\r\n"), 0),
    "has a redirect with a body without an end": (lambda: _endless(MOVED + b"\r\n", FULL), 0),
    "redirects for ever": (lambda: iter([MOVED + b"Content-Length: 0\r\n\r\n"]), 0),
}
"""Ways in which a server never finishes, each with its pause between two parts, in seconds."""


@contextmanager
def peer(
    said: Callable[[], Iterator[bytes]], pause: float, tls: SSLContext | None = None
) -> Iterator[str]:
    """Yield the URL of a server that sends each client what `said` yields.

    Between two parts it pauses for `pause` seconds.
    """
    over = threading.Event()

    class Answer(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.settimeout(1)  # some clients leave the rest unread
                if tls is None:
                    self.send(self.request)
                else:
                    with tls.wrap_socket(self.request, server_side=True) as connection:
                        self.send(connection)

        def send(self, connection: socket) -> None:
            connection.recv(65_536)
            for part in said():
                connection.sendall(part)
                if over.wait(pause):
                    return

    with ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            port = server.server_address[1]
            yield f"https://localhost:{port}/" if tls else f"http://127.0.0.1:{port}/"
        finally:
            over.set()
            server.shutdown()
            thread.join()
