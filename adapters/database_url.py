"""Turns any Neon or Postgres URL that a person may paste into arguments of `asyncpg.connect`.

A connection string comes from a web console, an env file or a chat message. So it may include a
shell command, the name of another driver, and parameters that asyncpg would pass on to the server,
which refuses them. Parameters have the meaning that libpq gives them
(https://www.postgresql.org/docs/current/libpq-connect.html), but a connection to Neon is always
encrypted and its certificate always verified.
"""

import re
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote, unquote

from chatkeep.adapters.database_endpoint import FORM, DatabaseUrlError, parse_endpoint

__all__ = ["DatabaseUrl", "DatabaseUrlError", "parse_database_url"]

APPLICATION_NAME: Final = "chatkeep"

_NEON_DOMAINS: Final = (".neon.tech", ".neon.build")
_POOLER: Final = "-pooler"
_SCHEME: Final = re.compile(r"(?:jdbc:)?postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)
# export NAME='...', NAME: ..., $env:NAME = "...", psql '...', psql -d "..."
_BEFORE_SCHEME: Final = re.compile(
    r"""(?:(?:export|set)\s+|\$env:)?(?:\w+\s*[=:]\s*)?["'`]?\s*(?:psql\s+(?:-d\s+)?)?["'`]?"""
)
_AFTER_URL: Final = "\"'`; \t\r\n"
_AFTER_USERINFO: Final = re.compile(
    r"(?P<host>\[[^\]/?#@\s]*\]|[^\[\]:/?#@\s]*)(?::(?P<port>[^/?#@\s]*))?"
    r"(?:/(?P<database>[^/?#@\s]*)/?)?(?:\?(?P<query>[^#\s]*))?"
)
_USER: Final = re.compile(r"[^:/?#\[\]]+")
_MASK: Final = re.compile(r"[*•]{3,}")
_NEON_ENDPOINT: Final = re.compile(r"(?:endpoint|project)=")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# Session settings that asyncpg accepts in a URL. A pooler refuses or drops them.
_SESSION_SETTINGS: Final = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
)
_DEFAULT_SCHEMA: Final = "public"
# How other clients than libpq declare a pooler in transaction mode.
_POOLED_SIGNS: Final = {
    "pgbouncer": "true",
    "statement_cache_size": "0",
    "prepared_statement_cache_size": "0",
}
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# libpq reads ssl=true as require, like JDBC; no-verify is node-postgres' name.
_OTHER_SSL_MODES: Final = {
    "true": "require",
    "1": "require",
    "on": "require",
    "no-verify": "require",
    "false": "disable",
    "0": "disable",
    "off": "disable",
}


@dataclass(frozen=True, slots=True, repr=False)
class DatabaseUrl:
    """A parsed database URL.

    `connect_args` are keyword arguments of `asyncpg.connect`: host, port, user, password (None if
    the URL has none), database, ssl and server_settings; with a pooler also
    `statement_cache_size=0`. `pooled` means that connections go through a pooler in transaction
    mode. `ignored` are the names of dropped parameters. `repr` and `str` omit the password.
    """

    connect_args: dict[str, Any]
    pooled: bool
    neon: bool
    ignored: tuple[str, ...]

    def direct(self) -> "DatabaseUrl":
        """Return the URL of the same Neon database without the pooler; any other is unchanged."""
        if not (self.neon and self.pooled):
            return self
        args = {k: v for k, v in self.connect_args.items() if k != "statement_cache_size"}
        endpoint, _, domain = args["host"].partition(".")
        args["host"] = f"{endpoint.removesuffix(_POOLER)}.{domain}"
        return replace(self, connect_args=args, pooled=False)

    def __str__(self) -> str:
        args = self.connect_args
        user, database = quote(args["user"], safe=""), quote(args["database"], safe="")
        host = args["host"]
        if host.startswith("/"):
            return f"postgresql://{user}@/{database}?host={quote(host, safe='')}"
        host = f"[{host}]" if ":" in host else host
        return f"postgresql://{user}@{host}:{args['port']}/{database}"

    def __repr__(self) -> str:
        return (
            f"DatabaseUrl('{self}', pooled={self.pooled}, neon={self.neon}, ignored={self.ignored})"
        )


def parse_database_url(text: str) -> DatabaseUrl:
    """Parse a URL, tolerating what a shell, an env file or another driver adds to it.

    Special characters in the password need no encoding as long as only one reading makes sense.
    Raises `DatabaseUrlError` if no reading or more than one makes sense, if user, host or database
    is missing, or if a certificate file that a parameter names cannot be loaded.
    """
    reading = _choose_reading(_strip_scheme(text))
    params = {
        _decode(name, "a parameter"): _decode(value, "a parameter")
        for name, value in reading.params
    }
    user = params.pop("user", "") or _decode(reading.user, "the user")
    password = params.pop("password", "") or _decode(reading.password, "the password") or None
    database = params.pop("dbname", "") or params.pop("database", "")
    database = database or _decode(reading.database, "the database")
    host, port = parse_endpoint(
        params.pop("host", "") or _decode(reading.host, "the host"),
        params.pop("port", "") or _decode(reading.port, "the port"),
    )

    neon = host.endswith(_NEON_DOMAINS)
    pooled = host.partition(".")[0].endswith(_POOLER) if neon else _pop_pooled_signs(params)
    args = {
        "host": host,
        "port": port,
        "user": user,
        "password": password,
        "database": database,
        "ssl": _pop_tls(params, neon=neon, unix_socket=host.startswith("/")),
        "server_settings": _pop_server_settings(params, neon=neon, pooled=pooled),
    }
    if pooled:
        # The next transaction may use another server connection, without the prepared statements.
        args["statement_cache_size"] = 0
    return DatabaseUrl(args, pooled, neon, tuple(sorted(params)))


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to split an address; all parts are still percent-encoded."""

    user: str
    password: str = field(repr=False)
    host: str
    port: str
    database: str
    params: list[tuple[str, str]] = field(repr=False)

    def names(self, *params: str) -> bool:
        return any(value and name in params for name, value in self.params)

    @property
    def has_user(self) -> bool:
        return bool(self.user) or self.names("user")

    @property
    def has_database(self) -> bool:
        return bool(self.database) or self.names("dbname", "database")


def _strip_scheme(text: str) -> str:
    """Return the part of the URL after `postgresql://`."""
    text = text.strip()
    if not text:
        raise DatabaseUrlError(f"The database URL is empty: it should look like {FORM}.")
    scheme = _SCHEME.search(text)
    if scheme is None or not _BEFORE_SCHEME.fullmatch(text[: scheme.start()]):
        raise DatabaseUrlError(
            "The database URL does not start with postgresql:// or postgres://: copy the whole "
            f"connection string, which looks like {FORM}."
        )
    address = text[scheme.end() :].rstrip(_AFTER_URL)
    if _CONTROL.search(address):
        raise DatabaseUrlError(
            "The database URL contains a line break, a tab or another control character: paste it "
            "as one line."
        )
    return address


def _choose_reading(address: str) -> _Reading:
    """Return the only reading of the address that names a user and a database.

    An unencoded '@', '/', '?', '#' or ':' may belong to the password. So any '@' could be the one
    before the host, or none of them.
    """
    readings = list(_find_readings(address))
    complete = [r for r in readings if r.has_user and r.has_database]
    if len(complete) > 1:
        raise DatabaseUrlError(
            "The database URL can be read in more than one way: percent-encode the special "
            "characters of the password (%40 for '@', %2F for '/', %3F for '?', %23 for '#')."
        )
    if not complete:
        if any(r.has_user for r in readings):
            raise DatabaseUrlError(
                f"The database URL names no database: it should end like {FORM}."
            )
        if any(r.has_database for r in readings):
            raise DatabaseUrlError(f"The database URL names no user: it should look like {FORM}.")
        raise DatabaseUrlError(
            f"The database URL is not of the form {FORM}: look for spaces or special characters, "
            "which must be percent-encoded (%20 for a space, %40 for '@', %23 for '#')."
        )
    if _MASK.fullmatch(complete[0].password):
        raise DatabaseUrlError(
            "The database URL has asterisks in place of the password: show the password in the "
            "console before you copy the connection string."
        )
    return complete[0]


def _find_readings(address: str) -> Iterator[_Reading]:
    ends = [i for i, character in enumerate(address) if character == "@"]
    for end in (-1, *ends):
        userinfo = address[: max(end, 0)]
        user, _, password = userinfo.partition(":")
        rest = _AFTER_USERINFO.fullmatch(address, end + 1)
        if rest is None or (user and not _USER.fullmatch(user)):
            continue
        params = _split_query(rest["query"] or "")
        if params is not None:
            yield _Reading(
                user, password, rest["host"], rest["port"] or "", rest["database"] or "", params
            )


def _split_query(query: str) -> list[tuple[str, str]] | None:
    """Return the parameters in order (the last of a name counts); None if it is not a query."""
    # A URL copied from the source of a web page has "&amp;" for "&".
    parts = [part.removeprefix("amp;").partition("=") for part in query.split("&") if part]
    return [(name, value) for name, _, value in parts] if all(p[1] for p in parts) else None


def _decode(encoded: str, what: str) -> str:
    """Undo the percent-encoding. A '%' without two hexadecimal digits is left as it is."""
    with suppress(UnicodeError):  # not chained: the error contains the bytes of the password
        text = unquote(encoded, errors="strict")
        text.encode()
        if "\0" not in text:
            return text
    raise DatabaseUrlError(
        f"In the database URL {what} is not UTF-8 text: percent-encode it as UTF-8 (%25 for '%'), "
        "without the NUL character."
    )


def _pop_pooled_signs(params: dict[str, str]) -> bool:
    signs = [name for name, value in _POOLED_SIGNS.items() if params.get(name) == value]
    for name in signs:
        del params[name]
    return bool(signs)


def _pop_server_settings(params: dict[str, str], *, neon: bool, pooled: bool) -> dict[str, str]:
    settings = {"application_name": params.pop("application_name", "") or APPLICATION_NAME}
    if neon and "options" in params:
        # Only clients without SNI need to name the endpoint here; asyncpg sends SNI.
        options = (o for o in params["options"].split() if not _NEON_ENDPOINT.match(o))
        params["options"] = " ".join(options)
    if not params.get("options", "-"):
        del params["options"]
    path = _pop_search_path(params)
    if (path and (pooled or neon)) or (pooled and "search_path" in params.get("options", "")):
        raise DatabaseUrlError(
            "The database URL names a schema, which neither poolers nor Neon pass on: remove it, "
            "and set it for the role once (ALTER ROLE name SET search_path = schema)."
        )
    if path:
        settings["search_path"] = path
    if pooled:
        return settings
    # Neon's proxy passes on the options and drops all other settings.
    names = ("options",) if neon else ("options", *_SESSION_SETTINGS)
    return settings | {name: params.pop(name) for name in names if name in params}


def _pop_search_path(params: dict[str, str]) -> str:
    """Return the search path under any client's parameter name; "" if there is none."""
    path = params.pop("search_path", "")
    schemas = params.pop("currentSchema", "")  # JDBC's
    schema = params.pop("schema", "")  # Prisma's
    if not path and schemas not in ("", _DEFAULT_SCHEMA):
        path = schemas
    if not path and schema not in ("", _DEFAULT_SCHEMA):
        path = '"' + schema.replace('"', '""') + '"'
    return path


def _pop_tls(
    params: dict[str, str], *, neon: bool, unix_socket: bool
) -> ssl.SSLContext | str | bool:
    """Return asyncpg's `ssl`: a mode if nothing is verified, an SSL context, or False for no TLS.

    The system's certificate authorities are trusted unless `sslrootcert` names a file.
    """
    root = params.get("sslrootcert", "")
    modes = [params.pop(name, "").lower().replace("_", "-") for name in ("sslmode", "ssl")]
    mode = modes[0] or modes[1] or "prefer"
    mode = _OTHER_SSL_MODES.get(mode, mode)
    if mode not in _SSL_MODES:
        raise DatabaseUrlError(
            f"The sslmode in the database URL is unknown: use one of {', '.join(_SSL_MODES)}."
        )
    if unix_socket:
        return False
    if neon or (root == "system" and mode != "disable"):
        mode = "verify-full"
    elif root and mode == "require":
        mode = "verify-ca"
    if mode == "disable":
        return False
    if mode not in ("verify-ca", "verify-full") and not params.get("sslcert"):
        return mode
    params.pop("sslrootcert", None)
    try:
        return _make_context(mode, root, params)
    except OSError as error:
        raise DatabaseUrlError(
            "A file named by sslrootcert, sslcert or sslkey in the database URL cannot be used "
            f"({error.strerror}): correct its path or its permissions."
        ) from error


def _make_context(mode: str, root: str, params: dict[str, str]) -> ssl.SSLContext:
    if mode in ("verify-ca", "verify-full"):
        context = ssl.create_default_context(cafile=None if root in ("", "system") else root)
        context.check_hostname = mode == "verify-full"
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = params.pop("sslcert", "")
    if certificate:
        # With None for a password, OpenSSL would prompt for that of an encrypted key.
        key, password = params.pop("sslkey", None), params.pop("sslpassword", "")
        context.load_cert_chain(certificate, key, password)
    return context
