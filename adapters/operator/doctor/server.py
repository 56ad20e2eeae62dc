"""Checks the server: version, clock, durability, connections, activity and maintenance."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Final

from chatkeep.adapters.operator.doctor.rollback_session import RollbackSession
from chatkeep.adapters.piccolo.engine import MAX_CONNECTIONS
from chatkeep.adapters.piccolo.errors import IN_UTF8
from chatkeep.adapters.piccolo.schema import SCHEMA
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.operations.diagnostics import CheckResult, failed, ok, skipped, warning
from chatkeep.domain.operations.transfer import CLOCKS_DIFFER

OLDEST: Final = 14
NEWEST: Final = 18
SKEW: Final = timedelta(seconds=1)
MANY_ROWS: Final = 1_000
LONG_OPEN: Final = timedelta(minutes=5)
"""A transaction open for longer blocks vacuum, and other sessions if it holds locks."""

_READINGS: Final = 3

SERVER: Final = Statement(
    "doctor.server",
    """
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int / 10000 AS major,
       current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS replica,
       current_setting('default_transaction_read_only')::boolean AS read_only""",
)

NOW: Final = Statement("doctor.now", "SELECT clock_timestamp() AS now")

DURABILITY: Final = Statement(
    "doctor.durability",
    """
SELECT name FROM unnest(ARRAY['fsync', 'full_page_writes', 'synchronous_commit']) AS name
WHERE current_setting(name) = 'off'""",
)

# An ordinary role sees only the number of other roles' sessions.
CONNECTIONS: Final = Statement(
    "doctor.connections",
    """
SELECT current_setting('max_connections')::int
         - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0) AS allowed,
       (SELECT sum(numbackends)::int FROM pg_stat_database) AS used,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS of_role,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS of_database""",
)

LONG: Final = Statement(
    "doctor.long_transactions",
    """
SELECT pid, state, extract(epoch FROM clock_timestamp() - xact_start)::int AS seconds
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND xact_start < clock_timestamp() - :long_open::interval
ORDER BY xact_start LIMIT 10""",
)

WAITING: Final = Statement(
    "doctor.waiting",
    """
SELECT l.pid, extract(epoch FROM clock_timestamp() - l.waitstart)::int AS seconds,
       pg_blocking_pids(l.pid) AS blockers
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE NOT l.granted AND a.datname = current_database()
  AND l.waitstart < clock_timestamp() - interval '5 seconds'
ORDER BY l.waitstart LIMIT 10""",
)

# A restored dump has `reltuples` from building the indexes, but no statistics.
MAINTENANCE: Final = Statement(
    "doctor.maintenance",
    """
SELECT current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean AS on,
       c.relname AS table, greatest(s.n_live_tup, c.reltuples::bigint) AS rows,
       NOT EXISTS (SELECT FROM pg_stats t WHERE t.schemaname = s.schemaname
                   AND t.tablename = s.relname) AS unknown,
       coalesce('autovacuum_enabled=false' = ANY(c.reloptions), false) AS off
FROM unnest(:tables::text[]) AS name JOIN pg_class c ON c.oid = to_regclass(name)
JOIN pg_stat_user_tables s ON s.relid = c.oid ORDER BY 2""",
)


async def check_version(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    async with session.begin_read_only() as engine:
        [row] = await engine.fetch(SERVER)
    name = f"Postgres {row['version']}"
    if row["major"] < OLDEST:
        yield failed(f"{name} is too old", f"use Postgres {OLDEST} to {NEWEST}")
    elif row["major"] > NEWEST:
        yield warning(
            f"{name} is newer than the versions that this chatkeep was tested with",
            f"update chatkeep, or use Postgres {OLDEST} to {NEWEST}",
        )
    else:
        yield ok(name)
    if row["encoding"] != "UTF8":
        yield failed(
            f"the database's encoding is {row['encoding']}, which cannot store every text",
            IN_UTF8,
            target="encoding",
        )
    if row["replica"]:
        yield failed(
            "this is a read-only replica",
            "set DATABASE_URL to the primary",
            target="replica",
        )
    elif row["read_only"]:
        yield failed(
            "transactions are read-only (default_transaction_read_only)",
            "find what sets it: the role, the database, or a provider whose quota is exhausted",
            target="read-only",
        )


async def check_clock(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    """Compare the clocks, using the reading with the shortest round trip."""
    readings = []
    async with session.begin_read_only() as engine:
        for _ in range(_READINGS):
            before = session.clock.now()
            [row] = await engine.fetch(NOW)
            after = session.clock.now()
            readings.append((after - before, row["now"] - before - (after - before) / 2))
    trip, ahead = min(readings)
    distance = abs(ahead)
    found = (
        f"the database's clock is {distance.total_seconds():.3f} s "
        f"{'ahead of' if ahead > timedelta() else 'behind'} this machine's"
    )
    fix = "synchronize both with NTP; the order of messages does not depend on it, times do"
    if distance > CLOCKS_DIFFER:
        yield failed(found, fix)
    elif distance > SKEW + trip / 2:
        yield warning(found, fix)
    else:
        yield ok(f"{found}; a round trip takes {trip.total_seconds() * 1000:.1f} ms")


async def check_durability(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    async with session.begin_read_only() as engine:
        off = [row["name"] for row in await engine.fetch(DURABILITY)]
    if off:
        yield warning(
            f"{', '.join(off)} = off: a crash may lose acknowledged writes",
            f"switch {'it' if len(off) == 1 else 'them'} on in the server's settings",
        )
    else:
        yield ok("acknowledged writes are on disk")


async def check_connections(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    async with session.begin_read_only() as engine:
        [row] = await engine.fetch(CONNECTIONS)
    own = [limit for limit in (row["of_role"], row["of_database"]) if limit >= 0]
    allowed = min([row["allowed"], *own])
    free = max(0, allowed - row["used"])
    found = f"{free} of {allowed} free; a process takes up to {MAX_CONNECTIONS}"
    if session.pooled:
        yield ok(f"{found}; the pooler limits the number")
    elif free < MAX_CONNECTIONS:
        yield warning(
            found, "run fewer processes, raise the limit, or use a pooler (pgbouncer=true)"
        )
    else:
        yield ok(found)


async def check_activity(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    """Look for sessions that block others or vacuum."""
    async with session.begin_read_only() as engine:
        long, waiting = await engine.fetch(LONG, long_open=LONG_OPEN), await engine.fetch(WAITING)
    for row in long:
        yield warning(
            f"a transaction has been open for {row['seconds']} s ({row['state']})",
            f"wait for its end, or end it: SELECT pg_terminate_backend({row['pid']})",
            target=f"process {row['pid']}",
        )
    for row in waiting:
        blockers = ", ".join(map(str, row["blockers"])) or "none now"
        yield warning(
            f"has been waiting for a lock for {row['seconds']} s; blocked by: {blockers}",
            "wait until the blocking sessions end, or end them: SELECT pg_terminate_backend(...)",
            target=f"process {row['pid']}",
        )
    if not long and not waiting:
        yield ok("no long transactions, no sessions waiting for locks")


async def check_maintenance(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    async with session.begin_read_only() as engine:
        rows = await engine.fetch(MAINTENANCE, tables=list(SCHEMA))
    wrong = []
    if rows and not rows[0]["on"]:
        wrong.append(
            warning(
                "autovacuum is off: tables grow and plans get worse",
                "ALTER SYSTEM SET autovacuum = on; ALTER SYSTEM SET track_counts = on",
            )
        )
    wrong += [
        warning(
            "autovacuum is off for this table",
            f"ALTER TABLE {row['table']} RESET (autovacuum_enabled)",
            target=row["table"],
        )
        for row in rows
        if row["off"]
    ]
    wrong += [
        warning(
            f"was never analyzed and has about {row['rows']} rows: plans are guesses",
            f"ANALYZE {row['table']}",
            target=row["table"],
        )
        for row in rows
        if row["unknown"] and row["rows"] >= MANY_ROWS
    ]
    for result in wrong:
        yield result
    if not rows:
        yield skipped("no tables")
    elif not wrong:
        yield ok("autovacuum is on, and the planner has statistics")
