"""The head of a request, and checks against request smuggling."""

import re
from typing import Final, cast
from urllib.parse import unquote

import httptools
from litestar.types import HTTPScope

from chatkeep.entrypoints.http.problems import ProblemError

_OWS: Final = b" \t"
# If one of these is repeated, a proxy may have read another request than this service does.
_FRAMING_HEADERS: Final = frozenset({b"host", b"content-length", b"transfer-encoding"})
# A host name or address and a port (RFC 9110, section 7.2), or nothing.
_HOST: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+;=%\[\]:-]*")
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}


class RequestHead:
    """The head of a request while it is being received."""

    __slots__ = ("_framing", "expects_continue", "fields", "url")

    def __init__(self) -> None:
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.expects_continue = False
        self._framing: dict[bytes, bytes] = {}

    def add(self, name: bytes, value: bytes) -> None:
        """Add a field, without white space around its value (RFC 9110, section 5.5)."""
        name = name.lower()
        value = value.strip(_OWS)
        if name in _FRAMING_HEADERS:
            # llhttp itself refuses a second Content-Length, and one with Transfer-Encoding.
            value = value if name not in self._framing else b"\0"
            self._framing[name] = value
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expects_continue = True
        self.fields.append((name, value))

    def scope(self, method: bytes, version: str, root_path: str) -> HTTPScope:
        """Return the ASGI scope, without addresses and state. Raises `ProblemError`."""
        self._check(version)
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        raw_path = url.path
        if root_path:
            path, raw_path = root_path + path, root_path.encode() + raw_path
        scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "scheme": "http",
            "method": method.decode("ascii"),
            "root_path": root_path,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": url.query or b"",
            "headers": self.fields,
        }
        return cast("HTTPScope", scope)

    def _check(self, version: str) -> None:
        """Refuse ambiguous requests (RFC 9112, sections 3.2 and 6.1)."""
        if version not in {"1.1", "1.0"}:
            detail = f"HTTP/{version} is not supported; use HTTP/1.1."
            raise ProblemError(505, "http-version-not-supported", detail)
        host = self._framing.get(b"host")
        if host is None and version == "1.1":
            raise _malformed("Send a Host header; HTTP/1.1 requires one.")
        if host is not None and not _HOST.fullmatch(host):
            raise _malformed("Send one Host header: a name or an address, optionally with a port.")
        coding = self._framing.get(b"transfer-encoding")
        if coding is None:
            return
        if version == "1.0":
            raise _malformed("Transfer-Encoding needs HTTP/1.1; the request uses HTTP/1.0.")
        if coding.lower() != b"chunked":
            detail = "Send one Transfer-Encoding, chunked; no other is supported."
            raise ProblemError(501, "not-implemented", detail)


def _malformed(detail: str) -> ProblemError:
    return ProblemError(400, "malformed-request", detail)
