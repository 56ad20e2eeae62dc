"""The way to the database, the server, the role and the migrations."""

import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from chatkeep.adapters.operator.doctor import connecting, rollback_session, server
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.operations.diagnostics import Outcome
from tests.e2e.doctor.examining import (
    connected,
    examine,
    examine_all_but_promises,
    execute,
    promises,
)
from tests.e2e.neon.servers import needs_pgbouncer, pgbouncer
from tests.support.certificates import Authority
from tests.support.postgres import Server, server_with_passwords
from tests.support.relay import Relay, once
from tests.support.waiting import PATIENCE

EVERYTHING_ELSE = {
    *("tls", "server", "clock", "durability", "connections", "activity", "migrations", "tables"),
    *("privileges", "columns", "indexes", "constraints", "statistics", "additions"),
    *("maintenance", "orphans", "users", "promise", "counts", "search"),
}


class ShiftedClock:
    def __init__(self, **by: float) -> None:
        self._by = timedelta(**by)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._by


@pytest.mark.parametrize(
    ("by", "outcome"),
    [
        (timedelta(), Outcome.OK),
        (timedelta(seconds=-60), Outcome.WARNING),
        (timedelta(seconds=60), Outcome.WARNING),
        (timedelta(minutes=6), Outcome.FAILED),
        (timedelta(minutes=-6), Outcome.FAILED),
    ],
)
async def test_clocks_that_differ_are_named(
    database_url: str, by: timedelta, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    if outcome is not Outcome.FAILED:
        monkeypatch.setattr(server, "SKEW", timedelta(seconds=5))  # the machine may be busy

    found = await examine_all_but_promises(
        database_url, clock=ShiftedClock(seconds=by.total_seconds())
    )

    assert found.line("clock").outcome is outcome
    assert found.failed == ({"clock"} if outcome is Outcome.FAILED else set())


async def test_versions_that_were_not_tried_are_named(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "NEWEST", 14)
    assert (await examine_all_but_promises(database_url)).warned == {"server"}
    monkeypatch.setattr(server, "OLDEST", 19)
    assert (await examine_all_but_promises(database_url)).failed == {"server"}


@pytest.mark.parametrize(
    ("url", "way_out"),
    [
        ("postgresql://me:secret@127.0.0.1:1/mine", "start the server"),
        ("postgresql://me:secret@no-such-host.invalid/mine", "correct the host"),
        ("postgresql://me:secret@/mine?host=/nowhere", "socket's directory"),
    ],
)
async def test_a_database_that_cannot_be_reached_fails_and_the_rest_is_skipped(
    url: str, way_out: str
) -> None:
    found = await examine(url)

    assert found.failed == {"connection"}
    assert found.skipped == EVERYTHING_ELSE
    assert way_out in found.line("connection").fix
    assert "secret" not in str(found.findings)


async def test_a_database_that_does_not_exist_is_named(postgres_server: Server) -> None:
    found = await examine(postgres_server.of("nothing_here"))

    assert found.failed == {"connection"}
    assert "create the database" in found.line("connection").fix


async def test_a_server_that_never_answers_is_given_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TIMEOUT", 0.2)
    async with Relay(database_url) as relay:
        relay.hold()
        found = await examine(relay.url())

    assert found.failed == {"connection"}
    assert "firewall" in found.line("connection").fix


async def test_a_connection_that_is_lost_on_the_way_is_said_once(database_url: str) -> None:
    async with Relay(database_url) as relay:
        relay.cut_when(once(lambda request: b"SAVEPOINT" in request))
        found = await examine(relay.url())

    assert found.failed == {"users"}
    assert found.skipped == {"promise", "counts", "search"}


async def test_a_connection_that_goes_dead_on_the_way_is_given_up_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "COMMAND_TIMEOUT", 1.0)
    async with Relay(database_url) as relay:

        def freezes(request: bytes) -> bool:
            if b'INSERT INTO "users"' in request:
                relay.freeze()
            return False

        relay.cut_when(freezes)
        started = monotonic()
        found = await examine(relay.url())

    assert found.failed == {"users"}
    assert found.skipped == {"promise", "counts", "search"}
    assert monotonic() - started < PATIENCE


@pytest.fixture(scope="module")
def scram_url() -> Iterator[str]:
    with server_with_passwords("owner") as url:
        yield url


async def test_a_wrong_password_is_named_and_not_shown(scram_url: str) -> None:
    await execute(scram_url, "CREATE ROLE owner LOGIN PASSWORD 'right'")

    found = await examine(scram_url.replace("//postgres@", "//owner:not-the-right-one@"))

    assert found.failed == {"connection"}
    assert "password" in found.line("connection").fix
    assert "not-the-right-one" not in str(found.findings)


@pytest.mark.parametrize(
    ("host", "params", "outcome", "words"),
    [
        ("localhost", "sslmode=verify-full&sslrootcert={root}", Outcome.OK, "certificate verified"),
        ("db.example.org", "sslmode=require", Outcome.WARNING, "not verified"),
        (
            "db.example.org",
            "sslmode=verify-ca&sslrootcert={root}",
            Outcome.WARNING,
            "not the host's name",
        ),
        ("db.example.org", "sslmode=disable", Outcome.WARNING, "none: "),
        ("127.0.0.1", "sslmode=disable", Outcome.OK, "on this machine"),
    ],
)
async def test_how_the_connection_is_encrypted_is_told(  # noqa: PLR0913, PLR0917 - one column each
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    params: str,
    outcome: Outcome,
    words: str,
) -> None:
    authority = Authority.make(tmp_path)
    found_by = socket.getaddrinfo

    def lead_here(name: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever it takes
        return found_by("127.0.0.1" if name == "db.example.org" else name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lead_here)
    async with Relay(database_url, tls=authority.server("localhost")) as relay:
        url = relay.url(params=params.format(root=authority.file)).replace("127.0.0.1", host)
        found = await examine_all_but_promises(url)

    assert found.failed == set()
    assert found.line("tls").outcome is outcome
    assert words in found.line("tls").message


async def test_a_certificate_that_is_not_trusted_is_named(
    database_url: str, tmp_path: Path
) -> None:
    authority = Authority.make(tmp_path)
    async with Relay(database_url, tls=authority.server("localhost")) as relay:
        found = await examine(relay.url(params="sslmode=verify-full"))

    assert found.failed == {"connection"}
    assert "sslrootcert" in found.line("connection").fix


@needs_pgbouncer
async def test_all_of_it_works_through_a_pooler(database_url: str) -> None:
    async with pgbouncer(database_url, connections=1) as url:
        found = await examine(url, direct=database_url)
        unsaid = await examine(url.replace("pgbouncer=true", ""))

    assert (found.failed, found.warned, found.skipped) == (set(), set(), set())
    assert "pooled" in found.line("connection").message
    assert found.line("direct").outcome is Outcome.OK
    assert "connection" in unsaid.warned
    assert "pgbouncer=true" in unsaid.line("connection").fix


async def test_migrations_that_would_go_elsewhere_are_named(
    database_url: str, postgres_server: Server
) -> None:
    other = await examine(database_url, direct=postgres_server.url)
    away = await examine(database_url, direct="postgresql://me:secret@127.0.0.1:1/mine")

    assert other.failed == away.failed == {"direct"}
    assert "another database" in other.line("direct").message


async def test_a_migration_whose_record_is_gone_is_pending(database_url: str) -> None:
    await execute(database_url, "DELETE FROM migration WHERE name = '2026-11-22T06:00:00:000000'")

    found = await examine_all_but_promises(database_url)

    assert found.failed == {"migrations pending"}
    assert "2026-11-22T06:00:00:000000" in found.line("migrations pending").message


async def test_a_migration_that_this_version_does_not_know_is_named(database_url: str) -> None:
    await execute(
        database_url,
        "INSERT INTO migration (name, app_name, ran_on) VALUES "
        "('2031-01-01T00:00:00:000000', 'chatkeep', now()), ('x', 'another', now())",
    )

    found = await examine_all_but_promises(database_url)

    assert found.failed == {"migrations unknown"}
    assert "update this chatkeep" in found.line("migrations unknown").fix


@pytest.fixture
async def role_url(database_url: str) -> AsyncIterator[str]:
    """Yield the URL with a role of its own, which has all privileges that chatkeep needs."""
    role = f"role_{database_url.rpartition('/test_')[2].partition('?')[0]}"
    await execute(
        database_url,
        f"CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, DELETE ON users, messages, "
        f"conversations, conversation_branches, conversation_changes, conversation_items, "
        f"conversation_keys, drafts, draft_chunks, conversation_sweeps, search_conversations, "
        f"search_segments, audit_lines, doctor_results TO {role}; "
        f"GRANT UPDATE ON messages, conversations, conversation_branches, conversation_changes, "
        f"drafts, conversation_sweeps, search_conversations, search_segments, doctor_results "
        f"TO {role}; "
        f"GRANT SELECT ON migration TO {role}",
    )
    yield database_url.replace("//postgres@", f"//{role}@")
    await execute(database_url, f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_role_with_the_privileges_that_are_needed_passes(role_url: str) -> None:
    found = await examine(role_url)

    assert (found.failed, found.warned, found.skipped) == (set(), set(), set())


async def test_privileges_that_are_missing_are_named_and_what_needs_them_is_skipped(
    database_url: str, role_url: str
) -> None:
    role = role_url.partition("//")[2].partition("@")[0]
    await execute(
        database_url,
        f"REVOKE INSERT, DELETE ON messages FROM {role}; REVOKE ALL ON migration FROM {role}",
    )

    found = await examine(role_url)

    assert found.failed == {"privileges messages"}
    assert found.warned == {"migrations"}
    assert found.skipped >= promises("create", "order", "plain")
    await execute(database_url, found.line("privileges messages").fix)
    assert (await examine(role_url)).failed == set()


async def test_a_role_that_may_add_no_users_is_told_both_ways_out(
    database_url: str, role_url: str
) -> None:
    role = role_url.partition("//")[2].partition("@")[0]
    await execute(database_url, f"REVOKE INSERT ON users FROM {role}")

    found = await examine(role_url)
    without = await examine(role_url, provision_users=False)

    assert found.failed == {"privileges users", "users"}
    assert "CHATKEEP_PROVISION_USERS" in found.line("privileges users").fix
    assert (without.failed, without.warned) == (set(), {"users"})


async def test_a_database_that_lets_only_read_is_named(database_url: str) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    await execute(database_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    found = await examine(database_url)

    assert "server read-only" in found.failed


async def test_what_holds_a_lock_is_not_waited_for(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback_session, "LOCK_TIMEOUT", "100ms")
    async with connected(database_url) as connection, connection.transaction():
        await connection.execute("LOCK TABLE messages IN EXCLUSIVE MODE")

        found = await examine(database_url)

    assert found.failed >= promises("create", "text")
    assert "lock timeout" in found.line("promise create").message
    assert "counts" not in found.failed


async def test_tables_that_were_never_analysed_are_named(database_url: str) -> None:
    await execute(
        database_url,
        "INSERT INTO users VALUES ('ann'); "
        "INSERT INTO conversations (user_id) SELECT 'ann' FROM generate_series(1, 1200); "
        "ALTER TABLE messages SET (autovacuum_enabled = false)",
    )

    found = await examine_all_but_promises(database_url)

    lines = {each.target: each.fix for each in found.findings if each.check == "maintenance"}
    assert "RESET" in lines["messages"]
    assert lines["conversations"] == "ANALYZE conversations"
    await execute(database_url, "ANALYZE conversations")
    again = await examine_all_but_promises(database_url)
    assert "conversations" not in {
        each.target for each in again.findings if each.check == "maintenance"
    }


async def test_a_check_that_crashes_is_its_own_failure(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "DURABILITY", Statement("doctor.wrong", "SELECT 1 / 0"))

    found = await examine_all_but_promises(database_url)

    assert found.failed == {"durability"}
    assert "division by zero" in found.line("durability").message


async def test_sessions_that_hold_up_others_are_named(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LONG_OPEN", timedelta())
    async with connected(database_url) as connection, connection.transaction():
        await connection.execute("SELECT 1")
        pid = connection.get_server_pid()

        found = await examine_all_but_promises(database_url)

    lines = [each for each in found.findings if each.check == "activity"]
    assert f"pg_terminate_backend({pid})" in lines[0].fix
    assert found.failed == set()
