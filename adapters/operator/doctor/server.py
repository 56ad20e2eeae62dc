"""The server: its version, its clock, what it promises itself, and how it fares."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Final

from chatkeep.adapters.operator.doctor.rollback_session import RollbackSession
from chatkeep.adapters.piccolo.engine import MAX_CONNECTIONS
from chatkeep.adapters.piccolo.errors import IN_UTF8
from chatkeep.adapters.piccolo.schema import SCHEMA
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.operations.diagnostics import Finding, failed, ok, skipped, warning
from chatkeep.domain.operations.transfer import CLOCKS_DIFFER

OLDEST: Final = 14
NEWEST: Final = 18
SKEW: Final = timedelta(seconds=1)
MANY_ROWS: Final = 1_000
LONG_OPEN: Final = timedelta(minutes=5)
"""A transaction that is open for longer holds up vacuum, and others if it has locks."""

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

# Of the sessions of others a plain role sees no more than how many there are.
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

# A restored dump has `reltuples` from making the indexes, and yet no statistics.
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


async def version(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    async with session.reading() as engine:
        [row] = await engine.fetch(SERVER)
    name = f"Postgres {row['version']}"
    if row["major"] < OLDEST:
        yield failed(f"{name} is too old", f"use Postgres {OLDEST} to {NEWEST}")
    elif row["major"] > NEWEST:
        yield warning(
            f"{name} is newer than any that this chatkeep was tried on",
            f"update chatkeep, or use Postgres {OLDEST} to {NEWEST}",
        )
    else:
        yield ok(name)
    if row["encoding"] != "UTF8":
        yield failed(
            f"the database's encoding is {row['encoding']}, which cannot hold every text",
            IN_UTF8,
            subject="encoding",
        )
    if row["replica"]:
        yield failed(
            "this is a replica, which can only be read",
            "set DATABASE_URL to the primary",
            subject="replica",
        )
    elif row["read_only"]:
        yield failed(
            "transactions are read-only (default_transaction_read_only)",
            "see what set it: the role, the database, or a provider whose quota is used up",
            subject="read-only",
        )


async def clock(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    """Compare the clocks, by the reading that took the shortest way."""
    readings = []
    async with session.reading() as engine:
        for _ in range(_READINGS):
            before = session.clock.now()
            [row] = await engine.fetch(NOW)
            after = session.clock.now()
            readings.append((after - before, row["now"] - before - (after - before) / 2))
    trip, ahead = min(readings)
    distance = abs(ahead)
    found = (
        f"the database's is {distance.total_seconds():.3f} s "
        f"{'ahead of' if ahead > timedelta() else 'behind'} this machine's"
    )
    way_out = "have both set by NTP; order does not depend on them, times do"
    if distance > CLOCKS_DIFFER:
        yield failed(found, way_out)
    elif distance > SKEW + trip / 2:
        yield warning(found, way_out)
    else:
        yield ok(f"{found}; a round trip takes {trip.total_seconds() * 1000:.1f} ms")


async def durability(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    async with session.reading() as engine:
        off = [row["name"] for row in await engine.fetch(DURABILITY)]
    if off:
        yield warning(
            f"{', '.join(off)} = off: what was acknowledged may be lost in a crash",
            f"switch {'it' if len(off) == 1 else 'them'} on in the server's settings",
        )
    else:
        yield ok("what is acknowledged is on disk")


async def connections(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    async with session.reading() as engine:
        [row] = await engine.fetch(CONNECTIONS)
    own = [limit for limit in (row["of_role"], row["of_database"]) if limit >= 0]
    allowed = min([row["allowed"], *own])
    free = max(0, allowed - row["used"])
    found = f"{free} of {allowed} free; a process takes up to {MAX_CONNECTIONS}"
    if session.pooled:
        yield ok(f"{found}, through the pooler as many as it allows")
    elif free < MAX_CONNECTIONS:
        yield warning(
            found, "run fewer processes, raise the limit, or use a pooler (pgbouncer=true)"
        )
    else:
        yield ok(found)


async def activity(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    """Look for sessions that hold up others, or hold up what vacuum cleans."""
    async with session.reading() as engine:
        long, waiting = await engine.fetch(LONG, long_open=LONG_OPEN), await engine.fetch(WAITING)
    for row in long:
        yield warning(
            f"a transaction is open for {row['seconds']} s ({row['state']})",
            f"let it end, or end it: SELECT pg_terminate_backend({row['pid']})",
            subject=f"process {row['pid']}",
        )
    for row in waiting:
        blockers = ", ".join(map(str, row["blockers"])) or "nobody now"
        yield warning(
            f"waits for a lock for {row['seconds']} s, behind {blockers}",
            "let those end whom it waits for, or end them: SELECT pg_terminate_backend(...)",
            subject=f"process {row['pid']}",
        )
    if not long and not waiting:
        yield ok("no long transaction, nobody waits for a lock")


async def maintenance(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    async with session.reading() as engine:
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
            subject=row["table"],
        )
        for row in rows
        if row["off"]
    ]
    wrong += [
        warning(
            f"was never analysed and has about {row['rows']} rows: plans are guesses",
            f"ANALYZE {row['table']}",
            subject=row["table"],
        )
        for row in rows
        if row["unknown"] and row["rows"] >= MANY_ROWS
    ]
    for finding in wrong:
        yield finding
    if not rows:
        yield skipped("there are no tables")
    elif not wrong:
        yield ok("autovacuum is on, the planner knows the tables")
