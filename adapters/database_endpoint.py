"""Where a database is: the host and the port of its URL."""

import ipaddress
import re
from contextlib import suppress
from typing import Final

FORM: Final = "postgresql://USER:PASSWORD@HOST/DATABASE"
DEFAULT_PORT: Final = 5432
MAX_PORT: Final = 65_535

_PORT: Final = re.compile(r"[0-9]{1,5}")
_LONGEST_NAME: Final = 253
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")


class DatabaseUrlError(ValueError):
    """The text is no usable database URL. The message quotes nothing of it, as it has a secret."""


def endpoint(host: str, port: str) -> tuple[str, int]:
    """Return the host, an absolute path for a Unix socket, and the port."""
    if "," in host or "," in port:
        raise DatabaseUrlError("The database URL names several hosts: give one of them.")
    if ":" in port or (":" in host and not host.startswith(("[", "/"))):
        raise DatabaseUrlError(
            "An IPv6 address in the database URL stands in brackets: [::1]; a ':' in the password "
            "is written %3A."
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
            f"leave it out for {DEFAULT_PORT}; a ':' in the password is written %3A."
        )
    if not host.startswith("/"):
        host = _network_host(host)
    return host, number


def _network_host(host: str) -> str:
    """Return a name or an address that can be looked up."""
    if host.startswith("["):
        address = host.removeprefix("[").removesuffix("]")
        with suppress(ValueError):
            ipaddress.IPv6Address(address)
            return address.lower()
        raise DatabaseUrlError("What stands in brackets in the database URL is no IPv6 address.")
    host = host.removesuffix(".").lower()
    with suppress(UnicodeError):  # of what is no name in any alphabet
        name = host.encode("idna").decode()
        if len(name) <= _LONGEST_NAME and _NAME.fullmatch(name):
            return name
    raise DatabaseUrlError(
        "The host in the database URL is no name that a machine can have: letters, digits and '-' "
        "between single dots, at most 63 characters each; or, for a Unix socket, "
        "?host=/DIRECTORY."
    )
