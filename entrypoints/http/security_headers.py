"""The headers of every response: what a browser may do with it, and whether it may be cached."""

from typing import Final

Headers = list[tuple[bytes, bytes]]

NO_STORE: Final = (b"cache-control", b"no-store")
_COMMON: Final = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]


def _with_policy(*directives: str) -> Headers:
    policy = "; ".join(["default-src 'none'", *directives, "frame-ancestors 'none'"])
    return [*_COMMON, (b"content-security-policy", policy.encode())]


HEADERS: Final = _with_policy()
_PRIVATE: Final = [*HEADERS, NO_STORE]
_DOCUMENTATION: Final = "/docs"
_ASSETS: Final = "/docs-assets/"
_DOCUMENTATION_PAGE: Final = _with_policy(
    "script-src 'self' 'unsafe-inline'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
)
_CONSOLE: Final = "/console"
_CONSOLE_FILES: Final = [
    *_with_policy(
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # A browser asks each time, so that the page never meets a service of another version.
    (b"cache-control", b"no-cache"),
]


def choose_headers(path: str) -> Headers:
    """Return the headers of responses at a path. Only what is public may be cached."""
    if path == _CONSOLE or path.startswith(_CONSOLE + "/"):
        return _CONSOLE_FILES
    if path.rstrip("/") == _DOCUMENTATION:
        return _DOCUMENTATION_PAGE
    return HEADERS if path.startswith((_DOCUMENTATION + "/", _ASSETS)) else _PRIVATE
