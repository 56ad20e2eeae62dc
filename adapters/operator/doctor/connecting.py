"""The first look: can the database be reached, how, and as what."""

import ipaddress
import ssl
from collections.abc import AsyncGenerator
from typing import Any, Final

import asyncpg

from chatkeep.adapters.database_url import DatabaseUrl
from chatkeep.adapters.operator.doctor.rollback_session import COMMAND_TIMEOUT, RollbackSession
from chatkeep.adapters.piccolo.engine import CONNECT_TIMEOUT
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.operations.diagnostics import Finding, failed, ok, skipped, warning

BACKEND: Final = Statement("doctor.backend", "SELECT pg_backend_pid() AS pid")
WHERE: Final = Statement(
    "doctor.database",
    """
SELECT d.oid AS database, to_regclass('conversations')::oid AS conversations
FROM pg_database d WHERE d.datname = current_database()""",
)

_WAYS_OUT: Final = (
    (asyncpg.InvalidCatalogNameError, "create the database, or correct its name in DATABASE_URL"),
    (
        asyncpg.InvalidAuthorizationSpecificationError,  # wrong passwords and unknown roles
        "correct the user and the password in DATABASE_URL, or what pg_hba.conf lets in",
    ),
    (asyncpg.TooManyConnectionsError, "see who holds them (pg_stat_activity), raise the limit"),
    (asyncpg.CannotConnectNowError, "the server starts or stops: try again in a moment"),
    (
        ssl.SSLCertVerificationError,
        "name the authority's certificate in DATABASE_URL (sslrootcert=FILE), or correct the host",
    ),
    (ssl.SSLError, "correct sslmode in DATABASE_URL"),
    (ConnectionRefusedError, "start the server, or correct host and port in DATABASE_URL"),
    (TimeoutError, "see whether the server runs and a firewall lets this machine reach it"),
    (FileNotFoundError, "start the server, or correct the socket's directory in DATABASE_URL"),
    (OSError, "correct the host in DATABASE_URL, or this machine's network"),
)
_ANYTHING: Final = "correct DATABASE_URL, or what its server is set to"


async def connect(url: DatabaseUrl) -> Any:  # noqa: ANN401 - asyncpg is untyped
    """Return a connection, made in one attempt. Raises what the driver does."""
    args = url.connect_args | {"timeout": CONNECT_TIMEOUT, "command_timeout": COMMAND_TIMEOUT}
    return await asyncpg.connect(**args)


def unreachable(url: DatabaseUrl, error: Exception) -> Finding:
    way_out = next((way for kind, way in _WAYS_OUT if isinstance(error, kind)), _ANYTHING)
    return failed(f"{url}: {describe(error)}", way_out)


async def connection(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    """Which database this is, and whether a pooler stands before it."""
    async with session.reading() as engine:
        [row] = await engine.fetch(BACKEND)
    url = session.url
    way = "pooled" if url.pooled else "direct"
    relayed = row["pid"] != session.connection.get_server_pid()
    session.pooled = url.pooled or relayed
    if relayed and not url.pooled and not url.neon:
        yield warning(
            f"{url}: something stands between, which DATABASE_URL does not say",
            "if it is a pooler in transaction mode, add pgbouncer=true to DATABASE_URL",
        )
    else:
        yield ok(f"{url}, {way}")


async def tls(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    """Whether others could read along, or stand in for the server."""
    host: str = session.url.connect_args["host"]
    context = session.url.connect_args["ssl"]
    spoken = session.connection._transport.get_extra_info("ssl_object")  # noqa: SLF001 - asyncpg does not tell otherwise
    checks = isinstance(context, ssl.SSLContext) and context.verify_mode is ssl.CERT_REQUIRED
    add = "add sslmode=verify-full to DATABASE_URL"
    if host.startswith("/"):
        yield ok("none; a local socket needs none")
    elif spoken is None and _is_this_machine(host):
        yield ok("none; the server is on this machine")
    elif spoken is None:
        yield warning(f"none: whoever is between here and {host} can read and change all", add)
    elif not checks and _is_this_machine(host):
        yield ok(f"{spoken.version()}, certificate not verified; the server is on this machine")
    elif not checks:
        yield warning(f"{spoken.version()}, certificate not verified", add)
    elif not context.check_hostname:
        yield warning(f"{spoken.version()}, certificate verified, but not the host's name", add)
    else:
        yield ok(f"{spoken.version()}, certificate verified")


async def migrations_url(session: RollbackSession, url: DatabaseUrl) -> Finding:
    """Whether `chatkeep migrate` reaches the same database."""
    name = str(url)
    if url.connect_args == session.url.connect_args:
        if url.pooled:
            return warning(
                f"{name}: migrations would go through the pooler",
                "set DATABASE_URL_DIRECT to the URL of the server itself",
            )
        return skipped("migrations use the same connection")
    async with session.reading() as engine:
        [ours] = await engine.fetch(WHERE)
    try:
        connection = await connect(url)
    except Exception as error:  # noqa: BLE001 - whatever the driver says
        return failed(
            unreachable(url, error).found,
            "correct DATABASE_URL_DIRECT, which `chatkeep migrate` uses",
        )
    try:
        theirs = await connection.fetchrow(WHERE.sql)
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT)
    if dict(ours) != dict(theirs):
        return failed(
            f"{name} is another database than DATABASE_URL, or shows other tables",
            "set DATABASE_URL_DIRECT to the same database, past the pooler",
        )
    return ok(f"{name}, direct")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
