"""Which errors of the driver mean that the database cannot serve, and whether to ask it again."""

import ssl
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import asyncpg

from chatkeep.domain.errors import StoreUnavailableError


class EncodingError(Exception):
    """The database's encoding cannot hold every text."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"server_encoding is {encoding}")
        self.encoding = encoding


class Again(Enum):
    """When the statement that failed may be run again."""

    WHEN_BACK = auto()
    """Once the database can be reached. Whether the statement took effect is not known."""

    SOON = auto()
    """In a moment, a few times: the server is there, and has undone the statement."""

    NEVER = auto()
    """Not before an operator has done something, or whoever called has decided to."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the database cannot serve. `reason` is fit to show a caller; `retry_after`: seconds.

    `stale`: another connection may not have it.
    """

    reason: str
    again: Again
    retry_after: int = 1
    stale: bool = False

    def error(self) -> StoreUnavailableError:
        return StoreUnavailableError(self.reason, retry_after=self.retry_after)


AWAY: Final = Trouble(
    "The database cannot be reached now. Send the request again; what has an id of yours is stored "
    "only once.",
    Again.WHEN_BACK,
)
CROWDED: Final = Trouble(
    "The database has no connection left for this service. Send the request again; what has an id "
    "of yours is stored only once.",
    Again.WHEN_BACK,
)
TOO_SLOW: Final = Trouble("The database took too long.", Again.NEVER, retry_after=2)
_BUSY: Final = Trouble("The database is too busy to do this now.", Again.SOON)
_READ_ONLY: Final = Trouble(
    "The database lets us only read now.", Again.SOON, retry_after=5, stale=True
)
_FULL: Final = Trouble("The database has no space left.", Again.NEVER, retry_after=60)
REFUSED: Final = Trouble("The database refuses this service.", Again.NEVER, retry_after=60)
_UNTRUSTED: Final = Trouble("The database's certificate is not valid.", Again.NEVER, retry_after=60)
_UNMIGRATED: Final = Trouble(
    "The database has not been migrated: run `chatkeep migrate`.", Again.NEVER, retry_after=10
)
_MISPOOLED: Final = Trouble(
    "The database's pooler forgets prepared statements: add pgbouncer=true to DATABASE_URL.",
    Again.NEVER,
    retry_after=60,
)

IN_UTF8: Final = (
    "make another (CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0) and move what is in it"
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_STATE: Final = {
    "08000": AWAY,
    "08001": AWAY,
    "08003": AWAY,
    "08004": AWAY,
    "08006": AWAY,
    "26000": _MISPOOLED,
    "42P05": _MISPOOLED,
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
_REFUSALS: Final = "28"  # the class of wrong passwords and unknown roles

# Where PgBouncer and Neon's proxy speak, all is one of these states: only the text tells apart what
# passes from what does not.
_STATES_OF_PROXIES: Final = frozenset({"XX000", "08P01", "53300", "08006", "08004"})
_REFUSING_TEXTS: Final = (
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
_PASSING_TEXTS: Final = (
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
    "too many connections",  # of the role, the database; "... attempts" is Neon's
    "too many database connection attempts",
    "failed to acquire permit",
    "connection slots are reserved",
    "no more connections allowed",  # PgBouncer's max_client_conn
    "client connections exceeded",  # PgBouncer's, of the role, the database
    "max clients reached",  # Supavisor's
    "max client connections reached",
)
# The driver finds its connection gone when it is about to use it, or while it does; the last one is
# what it says when a connection ends at an unlucky moment.
_DRIVER_TEXTS: Final = (
    "the underlying connection is closed",
    "connection is closed",
    "released back to the pool",
    "connection was closed",
    "cannot switch to state",
)


def trouble(error: BaseException) -> Trouble | None:
    """Return what it means that the database cannot serve; None when it means something else."""
    if isinstance(error, EncodingError):
        reason = f"The database's encoding is {error.encoding}, and must be UTF8: {IN_UTF8}."
        return Trouble(reason, Again.NEVER, retry_after=60)
    found = _trouble(error)
    # The driver raises "connection was closed" from what the server said before it closed.
    if error.__cause__ is not None and (found is None or found is AWAY):
        found = _trouble(error.__cause__) or found
    return found


def unavailable(error: BaseException) -> StoreUnavailableError | None:
    """Return what to raise when the database cannot serve anybody; None for any other error.

    The driver's own words stay with the operator, as the cause.
    """
    found = trouble(error)
    return found.error() if found else None


def first_line(error: BaseException) -> str:
    """Return what the driver says, without the details, which quote rows."""
    first, _, _ = str(error).partition("\n")
    return first


def described(error: BaseException) -> str:
    """Return the driver's words on one line, for the log."""
    first = first_line(error)
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _trouble(error: BaseException) -> Trouble | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _UNTRUSTED
    if isinstance(error, asyncpg.OutdatedSchemaCacheError | asyncpg.InvalidCachedStatementError):
        return _BUSY  # the schema was changed between the preparation of a statement and its run
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate:
        return _by_state(error.sqlstate, str(error).lower())
    if isinstance(error, OSError):  # a TimeoutError is one
        return AWAY
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        text = str(error).lower()
        return AWAY if any(known in text for known in _DRIVER_TEXTS) else None
    return None


def _by_state(state: str, text: str) -> Trouble | None:
    if state.startswith(_REFUSALS):
        return REFUSED
    if state in _STATES_OF_PROXIES:
        if any(known in text for known in _REFUSING_TEXTS):
            return REFUSED
        if any(known in text for known in _CROWDED_TEXTS):
            return CROWDED
        if any(known in text for known in _PASSING_TEXTS):
            return AWAY
    return _BY_STATE.get(state)
