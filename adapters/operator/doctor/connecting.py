"""Checks the connection, its encryption, and the URL for migrations."""

import ipaddress
import ssl
from collections.abc import AsyncGenerator
from typing import Any, Final

import asyncpg

from chatkeep.adapters.database_url import DatabaseUrl
from chatkeep.adapters.operator.doctor.rollback_session import COMMAND_TIMEOUT, RollbackSession
from chatkeep.adapters.piccolo.connector import CANCEL_TIMEOUT, CONNECT_TIMEOUT
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.operations.diagnostics import CheckResult, failed, ok, skipped, warning

BACKEND: Final = Statement("doctor.backend", "SELECT pg_backend_pid() AS pid")
DATABASE: Final = Statement(
    "doctor.database",
    """
SELECT d.oid AS database, to_regclass('conversations')::oid AS conversations
FROM pg_database d WHERE d.datname = current_database()""",
)

_FIXES: Final = (
    (asyncpg.InvalidCatalogNameError, "create the database, or correct its name in DATABASE_URL"),
    (
        asyncpg.InvalidAuthorizationSpecificationError,  # wrong passwords and unknown roles
        "correct the user and the password in DATABASE_URL, or the rules in pg_hba.conf",
    ),
    (asyncpg.TooManyConnectionsError, "find who holds them (pg_stat_activity), raise the limit"),
    (asyncpg.CannotConnectNowError, "the server is starting or stopping: try again in a moment"),
    (
        ssl.SSLCertVerificationError,
        "name the authority's certificate in DATABASE_URL (sslrootcert=FILE), or correct the host",
    ),
    (ssl.SSLError, "correct sslmode in DATABASE_URL"),
    (ConnectionRefusedError, "start the server, or correct host and port in DATABASE_URL"),
    (TimeoutError, "check that the server runs and that no firewall blocks this machine"),
    (FileNotFoundError, "start the server, or correct the socket's directory in DATABASE_URL"),
    (OSError, "correct the host in DATABASE_URL, or this machine's network"),
)
_OTHER_FIX: Final = "correct DATABASE_URL, or the settings of the server"


async def connect(url: DatabaseUrl) -> Any:  # noqa: ANN401 - asyncpg is untyped
    """Return a connection after one attempt. Raises the driver's errors."""
    args = url.connect_args | {"timeout": CONNECT_TIMEOUT, "command_timeout": COMMAND_TIMEOUT}
    return await asyncpg.connect(**args)


async def close(connection: Any) -> None:  # noqa: ANN401 - asyncpg is untyped
    try:
        await connection.close(timeout=CANCEL_TIMEOUT)
    except (OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
        connection.terminate()


def explain_unreachable(url: DatabaseUrl, error: Exception) -> CheckResult:
    fix = next((fix for kind, fix in _FIXES if isinstance(error, kind)), _OTHER_FIX)
    return failed(f"{url}: {describe(error)}", fix)


async def check_connection(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    """Report the database, and whether connections go through a pooler."""
    async with session.begin_read_only() as engine:
        [row] = await engine.fetch(BACKEND)
    url = session.url
    way = "pooled" if url.pooled else "direct"
    relayed = row["pid"] != session.connection.get_server_pid()
    session.pooled = url.pooled or relayed
    if relayed and not url.pooled and not url.neon:
        yield warning(
            f"{url}: the connection is relayed, but DATABASE_URL does not declare a pooler",
            "if it is a pooler in transaction mode, add pgbouncer=true to DATABASE_URL",
        )
    else:
        yield ok(f"{url}, {way}")


async def check_tls(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    """Check that the traffic is encrypted and the server authenticated."""
    host: str = session.url.connect_args["host"]
    context = session.url.connect_args["ssl"]
    tls = session.connection._transport.get_extra_info("ssl_object")  # noqa: SLF001 - asyncpg has no public way
    verifies = isinstance(context, ssl.SSLContext) and context.verify_mode is ssl.CERT_REQUIRED
    add = "add sslmode=verify-full to DATABASE_URL"
    if host.startswith("/"):
        yield ok("none; a local socket does not need it")
    elif tls is None and _is_this_machine(host):
        yield ok("none; the server is on this machine")
    elif tls is None:
        yield warning(
            f"none: the network between here and {host} can read and change everything", add
        )
    elif not verifies and _is_this_machine(host):
        yield ok(f"{tls.version()}, certificate not verified; the server is on this machine")
    elif not verifies:
        yield warning(f"{tls.version()}, certificate not verified", add)
    elif not context.check_hostname:
        yield warning(f"{tls.version()}, certificate verified, but not the host's name", add)
    else:
        yield ok(f"{tls.version()}, certificate verified")


async def check_migrations_url(session: RollbackSession, url: DatabaseUrl) -> CheckResult:
    """Check that `chatkeep migrate` reaches the same database."""
    name = str(url)
    if url.connect_args == session.url.connect_args:
        if url.pooled:
            return warning(
                f"{name}: migrations would go through the pooler",
                "set DATABASE_URL_DIRECT to the URL of the server itself",
            )
        return skipped("migrations use the same connection")
    async with session.begin_read_only() as engine:
        [expected] = await engine.fetch(DATABASE)
    try:
        connection = await connect(url)
    except Exception as error:  # noqa: BLE001 - any error of the driver
        return failed(
            explain_unreachable(url, error).message,
            "correct DATABASE_URL_DIRECT, which `chatkeep migrate` uses",
        )
    try:
        actual = await connection.fetchrow(DATABASE.sql)
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT)
    if dict(expected) != dict(actual):
        return failed(
            f"{name} is another database than DATABASE_URL, or has other tables",
            "set DATABASE_URL_DIRECT to the same database, bypassing the pooler",
        )
    return ok(f"{name}, direct")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
