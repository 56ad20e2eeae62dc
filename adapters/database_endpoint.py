"""The host and port of a database URL."""

import ipaddress
import re
from contextlib import suppress
from typing import Final

from chatkeep.domain.errors import ChatkeepError

FORM: Final = "postgresql://USER:PASSWORD@HOST/DATABASE"
DEFAULT_PORT: Final = 5432
MAX_PORT: Final = 65_535

_PORT: Final = re.compile(r"[0-9]{1,5}")
_MAX_NAME_CHARS: Final = 253
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


class DatabaseUrlError(ChatkeepError, ValueError):
    """The text is not a usable database URL. The message quotes no part of it: it has a secret."""


def parse_endpoint(host: str, port: str) -> tuple[str, int]:
    """Return the host, or the absolute path of a Unix socket's directory, and the port.

    Raises `DatabaseUrlError`.
    """
    if "," in host or "," in port:
        raise DatabaseUrlError("The database URL names several hosts: use one of them.")
    if ":" in port or (":" in host and not host.startswith(("[", "/"))):
        raise DatabaseUrlError(
            "An IPv6 address in the database URL needs brackets: [::1]; write a ':' in the "
            "password as %3A."
        )
    if not host:
        raise DatabaseUrlError(
            f"The database URL names no host: it should look like {FORM}, or, for a Unix socket, "
            "postgresql://USER@/DATABASE?host=/DIRECTORY."
        )
    number = int(port) if _PORT.fullmatch(port) else DEFAULT_PORT if not port else 0
    if not 1 <= number <= MAX_PORT:
        raise DatabaseUrlError(
            f"The port in the database URL is not a number from 1 to {MAX_PORT}: correct it, or "
            f"leave it out for {DEFAULT_PORT}; write a ':' in the password as %3A."
        )
    if not host.startswith("/"):
        host = _parse_network_host(host)
    return host, number


def _parse_network_host(host: str) -> str:
    """Return a valid host name or address."""
    if host.startswith("["):
        address = host.removeprefix("[").removesuffix("]")
        with suppress(ValueError):
            ipaddress.IPv6Address(address)
            return address.lower()
        raise DatabaseUrlError("The brackets in the database URL do not contain an IPv6 address.")
    host = host.removesuffix(".").lower()
    with suppress(UnicodeError):  # not a valid name in any script
        name = host.encode("idna").decode()
        if len(name) <= _MAX_NAME_CHARS and _NAME.fullmatch(name):
            return name
    raise DatabaseUrlError(
        "The host in the database URL is not a valid host name: letters, digits and '-' between "
        "single dots, at most 63 characters each; or, for a Unix socket, ?host=/DIRECTORY."
    )
