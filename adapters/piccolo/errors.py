"""Which errors of the driver mean that the database is away, and what to tell the caller then."""

import ssl
from typing import Final

import asyncpg

from domain.errors import StoreUnavailableError

# Admin shutdown, crash, starting up; connection failures; too many connections; serialisation and
# deadlock; read-only (a replica that is about to be promoted).
_TRANSIENT_STATES: Final = frozenset(
    [
        "57P01",
        "57P02",
        "57P03",
        "08000",
        "08001",
        "08003",
        "08004",
        "08006",
        "53300",
        "40001",
        "40P01",
        "25006",
    ]
)
# PgBouncer and Neon's proxy raise everything as one sqlstate: only the text tells them apart.
_TRANSIENT_TEXTS: Final = (
    "server conn crashed",
    "server login has been failing",
    "query_wait_timeout",
    "shutting down",
    "starting up",
    "couldn't connect to compute",
    "failed to acquire permit",
    "too many database connection attempts",
    "the underlying connection is closed",
    "connection is closed",
    "released back to the pool",
    "connection was closed",
    "cannot switch to state",
)
_FATAL_TEXTS: Final = (
    "password authentication",
    "endpoint is disabled",
    "endpoint cannot be found",
    "endpoint id",
    "inconsistent project",
    "quota",
    "exceeded",
)
_DISK_FULL: Final = "53100"
_UNDEFINED_TABLE: Final = "42P01"


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may succeed when it is run again soon."""
    return any(_is_transient(each) for each in (error, error.__cause__) if each is not None)


def _is_transient(error: BaseException) -> bool:
    text = str(error).lower()
    if any(fatal in text for fatal in _FATAL_TEXTS):
        return False
    if isinstance(error, ssl.SSLCertVerificationError):
        return False
    if isinstance(error, TimeoutError | OSError | asyncpg.ConnectionDoesNotExistError):
        return True
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate in _TRANSIENT_STATES:
        return True
    kinds = (asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresError)
    return isinstance(error, kinds) and any(known in text for known in _TRANSIENT_TEXTS)


def unavailable(error: BaseException) -> StoreUnavailableError | None:
    """Return what to raise when the database cannot serve anybody; None for any other error.

    The driver's own words stay with the operator, as the cause.
    """
    if is_transient(error):
        return StoreUnavailableError("The database cannot be reached; nothing was lost.")
    if isinstance(error, asyncpg.PostgresError):
        if error.sqlstate == _DISK_FULL:
            return StoreUnavailableError("The database has no space left.", retry_after=60)
        if error.sqlstate == _UNDEFINED_TABLE:
            return StoreUnavailableError(
                "The database has not been migrated: run `chatkeep migrate`.", retry_after=10
            )
        if error.sqlstate.startswith("28") or any(t in str(error).lower() for t in _FATAL_TEXTS):
            return StoreUnavailableError("The database refuses this service.", retry_after=60)
    if isinstance(error, ssl.SSLCertVerificationError):
        return StoreUnavailableError("The database's certificate is not valid.", retry_after=60)
    return None
