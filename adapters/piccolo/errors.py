"""Classifies driver errors: whether the database can serve, and whether to retry a statement."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import asyncpg

from chatkeep.domain.errors import ChatkeepError, DatabaseError, StoreUnavailableError


class EncodingError(Exception):
    """The database's encoding cannot hold every text."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"server_encoding is {encoding}")
        self.encoding = encoding


class Retry(Enum):
    """The time to retry a statement that failed."""

    WHEN_BACK = auto()
    """When the database is reachable again. It is unknown whether the statement took effect."""

    SOON = auto()
    """After a short pause, a few times: the server is up and has rolled the statement back."""

    NEVER = auto()
    """Not automatically: an operator must act first, or the caller must decide."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the database cannot serve. `reason` may be shown to callers.

    `retry_after` is in seconds. `stale` means that another connection may work.
    """

    reason: str
    retry: Retry
    retry_after: int = 1
    stale: bool = False

    def error(self) -> StoreUnavailableError:
        return StoreUnavailableError(self.reason, retry_after=self.retry_after)


AWAY: Final = Failure(
    "The database cannot be reached now. Send the request again; anything with an id of your "
    "choice is stored only once.",
    Retry.WHEN_BACK,
)
CROWDED: Final = Failure(
    "The database has no connection left for this service. Send the request again; anything with "
    "an id of your choice is stored only once.",
    Retry.WHEN_BACK,
)
TOO_SLOW: Final = Failure("The database took too long.", Retry.NEVER, retry_after=2)
_BUSY: Final = Failure("The database is too busy to do this now.", Retry.SOON)
_READ_ONLY: Final = Failure("The database is read-only now.", Retry.SOON, retry_after=5, stale=True)
_FULL: Final = Failure("The database has no space left.", Retry.NEVER, retry_after=60)
REFUSED: Final = Failure("The database refuses this service.", Retry.NEVER, retry_after=60)
_UNTRUSTED: Final = Failure("The database's certificate is not valid.", Retry.NEVER, retry_after=60)
_UNMIGRATED: Final = Failure(
    "The database has not been migrated: run `chatkeep migrate`.", Retry.NEVER, retry_after=10
)
_POOLER_UNDECLARED: Final = Failure(
    "The database's pooler loses prepared statements: add pgbouncer=true to DATABASE_URL.",
    Retry.NEVER,
    retry_after=60,
)

IN_UTF8: Final = (
    "create a new one (CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0) and move the data"
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_STATE: Final = {
    "08000": AWAY,
    "08001": AWAY,
    "08003": AWAY,
    "08004": AWAY,
    "08006": AWAY,
    "26000": _POOLER_UNDECLARED,
    "42P05": _POOLER_UNDECLARED,
    "3D000": REFUSED,  # no such database
    "40001": _BUSY,  # serialisation
    "40P01": _BUSY,  # deadlock
    "25006": _READ_ONLY,  # a replica, or a primary that was replaced
    "42501": REFUSED,
    "42703": _UNMIGRATED,
    "42P01": _UNMIGRATED,
    "53000": _BUSY,
    "53100": _FULL,
    "53200": _BUSY,  # memory
    "53300": CROWDED,
    "55P03": TOO_SLOW,  # lock_timeout
    "57014": TOO_SLOW,  # statement_timeout
    "57P01": AWAY,  # shutting down
    "57P02": AWAY,  # crashed
    "57P03": AWAY,  # starting up
    "57P05": AWAY,  # idle for too long
}
_REFUSED_CLASS: Final = "28"  # wrong passwords and unknown roles

# PgBouncer and Neon's proxy use these states for all their errors: only the text distinguishes
# temporary problems from permanent ones.
_PROXY_STATES: Final = frozenset({"XX000", "08P01", "53300", "08006", "08004"})
_REFUSED_TEXTS: Final = (
    "password authentication",
    "endpoint is disabled",
    "endpoint cannot be found",
    "endpoint could not be found",
    "endpoint id",
    "inconsistent project",
    "quota",
    "no such database",
    "no such user",
)
_AWAY_TEXTS: Final = (
    "server conn crashed",
    "server login has been failing",
    "server down",
    "query_wait_timeout",
    "shutting down",
    "starting up",
    "couldn't connect to compute",
    "control plane request failed",
)
_CROWDED_TEXTS: Final = (
    "too many clients",
    "too many connections",  # for the role or the database; "... attempts" is Neon's
    "too many database connection attempts",
    "failed to acquire permit",
    "connection slots are reserved",
    "no more connections allowed",  # PgBouncer's max_client_conn
    "client connections exceeded",  # PgBouncer's, for the role or the database
    "max clients reached",  # Supavisor's
    "max client connections reached",
)
# asyncpg's messages for a connection that was lost before or during its use. The last one comes up
# when a connection ends in the middle of a state change.
_DRIVER_TEXTS: Final = (
    "the underlying connection is closed",
    "connection is closed",
    "released back to the pool",
    "connection was closed",
    "cannot switch to state",
)


def classify(error: BaseException) -> Failure | None:
    """Return why the database cannot serve; None if the error has another meaning."""
    if isinstance(error, EncodingError):
        reason = f"The database's encoding is {error.encoding}, and must be UTF8: {IN_UTF8}."
        return Failure(reason, Retry.NEVER, retry_after=60)
    failure = _classify(error)
    # asyncpg's "connection was closed" has the server's last message as its cause.
    if error.__cause__ is not None and (failure is None or failure is AWAY):
        failure = _classify(error.__cause__) or failure
    return failure


def unavailable(error: BaseException) -> StoreUnavailableError | None:
    """Return the error to raise if the database cannot serve; None for any other error.

    Raise it from `error`: only the operator sees the driver's message.
    """
    failure = classify(error)
    return failure.error() if failure else None


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn the driver's errors into `StoreUnavailableError` or `DatabaseError`.

    Outside of transactions the engine has waited for the database by then. An `OSError` stays what
    it is, since the block may also write files; the engine itself translates those of connecting.
    """
    try:
        yield
    except ChatkeepError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            raise
        away = unavailable(error)
        if away is not None:
            raise away from error
        if isinstance(error, asyncpg.PostgresError):
            raise DatabaseError(first_line(error), sqlstate=error.sqlstate or "") from error
        raise


def explain_unavailability(error: StoreUnavailableError) -> str:
    """Return why, for an operator: the driver's words instead of advice for callers over HTTP."""
    reason, _, _ = error.reason.partition(". ")
    cause = error.__cause__
    return f"{reason} ({describe(cause)})" if cause else reason


def first_line(error: BaseException) -> str:
    """Return the driver's message without its details, which quote rows."""
    first, _, _ = str(error).partition("\n")
    return first


def describe(error: BaseException) -> str:
    """Return the error's type and message on one line, for the log."""
    first = first_line(error)
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _classify(error: BaseException) -> Failure | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _UNTRUSTED
    if isinstance(error, asyncpg.OutdatedSchemaCacheError | asyncpg.InvalidCachedStatementError):
        return _BUSY  # the schema changed after the statement was prepared
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate:
        return _classify_state(error.sqlstate, str(error).lower())
    if isinstance(error, OSError):  # a TimeoutError is one
        return AWAY
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        text = str(error).lower()
        return AWAY if any(known in text for known in _DRIVER_TEXTS) else None
    return None


def _classify_state(state: str, text: str) -> Failure | None:
    if state.startswith(_REFUSED_CLASS):
        return REFUSED
    if state in _PROXY_STATES:
        if any(known in text for known in _REFUSED_TEXTS):
            return REFUSED
        if any(known in text for known in _CROWDED_TEXTS):
            return CROWDED
        if any(known in text for known in _AWAY_TEXTS):
            return AWAY
    return _BY_STATE.get(state)
