"""What the errors that Postgres, Neon's proxy, PgBouncer and the driver raise are taken for."""

import socket
import ssl

import asyncpg
import pytest

from chatkeep.adapters.piccolo.errors import (
    CROWDED,
    Retry,
    classify,
    describe,
    explain_unavailability,
    translate_errors,
    unavailable,
)
from chatkeep.adapters.piccolo.rules import find_rule
from chatkeep.domain.errors import DatabaseError, StoreUnavailableError


def postgres_error(state: str, text: str) -> asyncpg.PostgresError:
    error: asyncpg.PostgresError = asyncpg.PostgresError.new({"C": state, "M": text})
    return error


PASSING = [
    ConnectionRefusedError(111, "Connect call failed"),
    ConnectionResetError(104, "Connection reset by peer"),
    FileNotFoundError(2, "No such file or directory"),
    socket.gaierror(-3, "Temporary failure in name resolution"),
    TimeoutError(),
    ssl.SSLError("[SSL: UNEXPECTED_EOF]"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InterfaceError(
        "cannot call Connection.fetch(): connection has been released back to the pool"
    ),
    asyncpg.InternalClientError("cannot switch to state 2; another operation (1) is in progress"),
    postgres_error("57P01", "terminating connection due to administrator command"),
    postgres_error("57P02", "terminating connection because of crash of another server process"),
    postgres_error("57P03", "the database system is starting up"),
    postgres_error("XX000", "Couldn't connect to compute node"),
    postgres_error("XX000", "Control plane request failed"),
    postgres_error("08P01", "server login has been failing, try again later (server_login_retry)"),
    postgres_error("08P01", "query_wait_timeout"),
]
CROWDING = [
    postgres_error("53300", "sorry, too many clients already"),
    postgres_error("53300", 'too many connections for role "chatkeep"'),
    postgres_error("53300", 'too many connections for database "neondb"'),
    postgres_error("53300", "remaining connection slots are reserved for roles with SUPERUSER"),
    postgres_error("XX000", "Failed to acquire permit to connect to the database. Too many "),
    postgres_error("XX000", "Too many connections attempts"),
    postgres_error("08P01", "no more connections allowed (max_client_conn)"),
    postgres_error("08P01", "client connections exceeded (max_user_client_connections)"),
    postgres_error("XX000", "MaxClientsInSessionMode: max clients reached - in Session mode"),
]
REFUSING = [
    postgres_error("28P01", 'password authentication failed for user "neondb_owner"'),
    postgres_error("XX000", 'password authentication failed for user "neondb_owner"'),
    postgres_error("XX000", "The endpoint is disabled. Enable it using Neon API and retry."),
    postgres_error("XX000", "The requested endpoint could not be found, or you don't have access"),
    postgres_error("XX000", "Your account or project has exceeded the compute time quota."),
    postgres_error("53300", "Your account or project has exceeded the compute time quota."),
    postgres_error("XX000", "Endpoint ID is not specified."),
    postgres_error("08P01", "no such database: neondb"),
    postgres_error("3D000", 'database "neondb" does not exist'),
    postgres_error("53100", "could not extend file: No space left on device"),
    postgres_error("42P01", 'relation "messages" does not exist'),
    postgres_error("42501", "permission denied for table messages"),
    postgres_error("26000", 'prepared statement "__asyncpg_stmt_1__" does not exist'),
    postgres_error("57014", "canceling statement due to statement timeout"),
    ssl.SSLCertVerificationError("certificate verify failed: self-signed certificate"),
]
SOON = [
    postgres_error("40001", "could not serialize access due to concurrent update"),
    postgres_error("40P01", "deadlock detected"),
    postgres_error("25006", "cannot execute INSERT in a read-only transaction"),
    asyncpg.InvalidCachedStatementError("cached statement plan is invalid"),
    asyncpg.OutdatedSchemaCacheError("cached schema is out of date"),
]
OURS = [
    postgres_error("23505", "duplicate key value violates unique constraint"),
    postgres_error("42601", "syntax error"),
    postgres_error("54001", "stack depth limit exceeded"),
    postgres_error("XX000", "unexpected data beyond EOF"),
    postgres_error("08P01", "bind message supplies 1 parameters, but it requires 2"),
    asyncpg.InterfaceError("the server expects 2 arguments for this query, 1 was passed"),
    ValueError("no error of a database"),
]


@pytest.mark.parametrize("error", CROWDING, ids=describe)
def test_too_many_connections_are_no_outage_and_waited_out(error: Exception) -> None:
    assert classify(error) is CROWDED
    assert CROWDED.retry is Retry.WHEN_BACK


@pytest.mark.parametrize("error", PASSING, ids=describe)
def test_what_passes_is_waited_for(error: Exception) -> None:
    found = classify(error)
    assert found is not None
    assert found.retry is Retry.WHEN_BACK


@pytest.mark.parametrize("error", SOON, ids=describe)
def test_what_the_server_has_undone_is_tried_again_soon(error: Exception) -> None:
    found = classify(error)
    assert found is not None
    assert found.retry is Retry.SOON


@pytest.mark.parametrize("error", REFUSING, ids=describe)
def test_what_an_operator_has_to_mend_is_not_tried_again(error: Exception) -> None:
    found = classify(error)
    assert found is not None
    assert found.retry is Retry.NEVER


@pytest.mark.parametrize("error", OURS, ids=describe)
def test_what_is_no_trouble_of_the_database_is_left_alone(error: Exception) -> None:
    assert classify(error) is None
    assert unavailable(error) is None


@pytest.mark.parametrize("error", [*PASSING, *CROWDING, *SOON, *REFUSING], ids=describe)
def test_callers_are_told_when_to_come_back_and_nothing_of_what_the_driver_said(
    error: Exception,
) -> None:
    told = unavailable(error)
    assert told is not None
    assert told.retry_after >= 1
    assert "neondb" not in told.reason
    assert str(error) == "" or str(error) not in told.reason


def test_what_the_server_said_before_it_closed_decides() -> None:
    error = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
    error.__cause__ = postgres_error("28P01", "password authentication failed")
    found = classify(error)
    assert found is not None
    assert found.retry is Retry.NEVER


# What operators' tools raise


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
        TimeoutError(),
    ],
)
def test_a_database_that_cannot_serve_is_an_error_of_the_domain(error: Exception) -> None:
    with pytest.raises(StoreUnavailableError) as raised, translate_errors():
        raise error
    assert raised.value.__cause__ is error
    assert type(error).__name__ in explain_unavailability(raised.value)


def test_a_refusal_is_an_error_of_the_domain_without_the_details_which_quote_rows() -> None:
    refusal = asyncpg.RaiseError("no deletes on Fridays\nDETAIL:  row (1, secret)")
    with pytest.raises(DatabaseError) as raised, translate_errors():
        raise refusal
    assert str(raised.value) == "The database refused: no deletes on Fridays"
    assert raised.value.sqlstate == "P0001"
    assert raised.value.__cause__ is refusal


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), BrokenPipeError(), KeyError("x")]
)
def test_an_error_of_something_else_stays_what_it_is(error: Exception) -> None:
    """The block may write files too: a full disk is not a database that is away."""
    with pytest.raises(type(error)) as raised, translate_errors():
        raise error
    assert raised.value is error


def test_an_error_of_the_domain_stays_what_it_is() -> None:
    away = StoreUnavailableError("The database is away.")
    with pytest.raises(StoreUnavailableError) as raised, translate_errors():
        raise away
    assert raised.value is away


def with_context(error: asyncpg.PostgresError, context: str) -> asyncpg.PostgresError:
    error.context = context
    return error


@pytest.mark.parametrize(
    "error",
    [
        postgres_error("23514", 'new row for relation "messages" violates check constraint "x"'),
        postgres_error("23502", 'null value in column "tenant" of relation "messages"'),
        postgres_error("23P01", "conflicting key value violates exclusion constraint"),
        postgres_error("22001", "value too long for type character varying(3)"),
        postgres_error("P0001", "not here"),
        postgres_error("P0004", "assertion failed"),
        postgres_error("09000", "triggered action"),
        postgres_error("27000", "triggered data change"),
        postgres_error("44000", 'new row violates check option for view "messages"'),
        postgres_error("42501", 'new row violates row-level security policy for table "messages"'),
        postgres_error("23505", 'duplicate key value violates unique constraint "theirs"'),
        with_context(postgres_error("UE001", "no"), "PL/pgSQL function f() line 1 at RAISE"),
        with_context(postgres_error("42P01", "no such table"), "fonction PL/pgSQL f(), ligne 1"),
        with_context(postgres_error("22012", "division by zero"), 'SQL function "f" statement 1'),
    ],
)
def test_what_an_owner_added_is_known(error: asyncpg.PostgresError) -> None:
    rule = find_rule(error)
    assert rule is not None
    assert error.sqlstate in str(rule)
    assert str(error) not in str(rule)


@pytest.mark.parametrize(
    "error",
    [
        *(error for error in PASSING + CROWDING + REFUSING),
        postgres_error("42501", "permission denied for table messages"),
        postgres_error("42P01", 'relation "messages" does not exist'),
        postgres_error("22P02", "invalid input syntax for type uuid"),
        with_context(postgres_error("57014", "canceled"), "PL/pgSQL function f() line 1"),
        with_context(postgres_error("40P01", "deadlock detected"), "PL/pgSQL function f() line 1"),
        with_context(postgres_error("42703", "no such column"), 'SQL statement "DELETE FROM t"'),
        asyncpg.PostgresError.new({"C": "23505", "M": "duplicate", "n": "messages_pkey_102008"}),
        asyncpg.PostgresError.new(
            {"C": "23503", "M": "no user", "n": "conversations_user_id_fkey"}
        ),
        ValueError(),
    ],
)
def test_other_errors_are_no_rules_of_an_owner(error: Exception) -> None:
    assert find_rule(error) is None
