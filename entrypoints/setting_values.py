"""Readers of environment variables. A ValueError says what would be valid."""

import re
from collections.abc import Callable, Iterable
from typing import Final, TypeVar
from urllib.parse import urlsplit

from chatkeep.domain.audit import check_operator
from chatkeep.domain.errors import InvalidValueError

T = TypeVar("T")

_FLAGS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_COUNT: Final = re.compile(r"\d{1,15}", re.ASCII)
_UNITS: Final = ("", "K", "M", "G", "T")
_SIZE: Final = re.compile(
    r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMGT]?)(?:i?B)?", re.ASCII | re.IGNORECASE
)
# Mobile apps use their own schemes: capacitor://localhost.
_ORIGIN: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://"
    r"(?:(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])"
    r"(?::(?:\d+|\*))?",
    re.ASCII,
)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


def parse_flag(text: str) -> bool:
    value = _FLAGS.get(text.lower())
    if value is None:
        raise ValueError(f"{text!r} is not a boolean; use true, yes, on, 1 or false, no, off, 0")
    return value


def parse_count(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number; use digits only, such as 1000")
    return int(text)


def parse_size(text: str) -> int:
    """Return a size in bytes. As in Postgres, 1 kB is 1024 bytes."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a size; use one such as 512MB, or bytes")
    return round(float(found[1]) * 1024.0 ** _UNITS.index(found[2].upper()))


def one_of(*choices: str) -> Callable[[str], str]:
    def choose(text: str) -> str:
        if text not in choices:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return choose


def comma_separated(each: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Return the reader of a comma-separated list. Empty elements and repetitions are dropped."""

    def read(text: str) -> tuple[T, ...]:
        parts: Iterable[str] = filter(None, (part.strip() for part in text.split(",")))
        return tuple(dict.fromkeys(map(each, parts)))

    return read


def secret_of(at_least: int, unit: str) -> Callable[[str], str]:
    """Return the reader of a secret, which no message shows."""

    def read(text: str) -> str:
        length = len(text.encode()) if unit == "bytes" else len(text)
        if length < at_least:
            raise ValueError(
                f"too short: it has {length} {unit} and needs {at_least}; make one with "
                "`python3 -c 'import secrets; print(secrets.token_urlsafe(48))'`"
            )
        if unit == "characters" and not (text.isascii() and text.isprintable() and " " not in text):
            raise ValueError("contains characters other than visible ASCII")
        return text

    return read


def named_secret_of(at_least: int) -> Callable[[str], tuple[str, str]]:
    """Return the reader of `name:secret`, for the secret of an operator."""
    read_secret = secret_of(at_least, "characters")

    def read(text: str) -> tuple[str, str]:
        name, colon, secret = (part.strip() for part in text.partition(":"))
        if not colon:
            raise ValueError("a key has no name; write name:key, such as anna:...")
        try:
            return check_operator(name), read_secret(secret)
        except InvalidValueError as error:
            raise ValueError(f"the name before a colon {error.reason}") from None
        except ValueError as error:
            raise ValueError(f"the key of {name}: {error}") from None

    return read


def parse_http_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("not an http or https URL; use one such as https://issuer.example/jwks")
    return text


def parse_origin(text: str) -> str:
    """Return an origin as browsers send it: in lower case, without a default port or a slash.

    `*` is any origin, `https://*.app.example` every subdomain, `http://localhost:*` every port.
    """
    if text == "*":
        return text
    found = text.lower().removesuffix("/")
    scheme, separator, host = found.partition("://")
    if not separator:
        raise ValueError(f"{text!r} has no scheme; use an origin such as https://app.example")
    if "/" in host or "?" in host or "#" in host:
        raise ValueError(f"{text!r} has a path; an origin ends with its host or port")
    if not host.isascii():
        host = _encode(host, text)
    found = f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, '/'))}"
    if not _ORIGIN.fullmatch(found):
        raise ValueError(
            f"{text!r} is not an origin; use one such as https://app.example or http://localhost:3000"
        )
    return found


def _encode(host: str, text: str) -> str:
    name, colon, port = host.partition(":")
    try:
        return name.encode("idna").decode() + colon + port
    except UnicodeError:
        raise ValueError(f"{text!r} has an invalid host name") from None
