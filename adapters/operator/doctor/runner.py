"""Runs all checks, in an order in which later ones can rely on earlier ones."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Final

import asyncpg

from chatkeep.adapters.database_url import DatabaseUrl
from chatkeep.adapters.operator.doctor import (
    access,
    connecting,
    counts,
    search_index,
    self_test,
    server,
    structure,
)
from chatkeep.adapters.operator.doctor.rollback_session import (
    STATEMENT_TIMEOUT,
    RollbackSession,
    SessionEngine,
)
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.domain.operations.diagnostics import CheckResult, Outcome, failed, skipped
from chatkeep.domain.ports import Clock

Check = Callable[[RollbackSession], AsyncGenerator[CheckResult, None]]

CONNECTION: Final = "connection"


@dataclass(frozen=True, slots=True)
class Doctor:
    """Checks the database at `url` without changing it, unless `repair` is set.

    `repair` corrects wrong counts and the search index. `direct` is the URL that migrations use.
    """

    url: DatabaseUrl
    direct: DatabaseUrl
    clock: Clock
    provision_users: bool
    repair: bool = False

    async def run(self) -> AsyncGenerator[CheckResult, None]:
        """Yield the results of all checks as they come. A check's error is a result too."""
        started = monotonic()
        checks = self._checks()
        try:
            connection = await connecting.connect(self.url)
        except Exception as error:  # noqa: BLE001 - the error is the result
            result = connecting.explain_unreachable(self.url, error)
            yield replace(result, check=CONNECTION, seconds=monotonic() - started)
            for name in checks:
                if name != CONNECTION:
                    yield replace(skipped("no connection"), check=name)
            return
        engine = SessionEngine(connection)
        session = RollbackSession(engine, connection, self.url, self.clock, self.provision_users)
        try:
            for name, check in checks.items():
                if connection.is_closed():
                    yield replace(skipped("the connection was lost"), check=name)
                    continue
                async with aclosing(_run_check(name, check, session)) as results:
                    async for result in results:
                        if result.outcome is Outcome.FAILED:
                            session.failed.add(name)
                        yield result
        finally:
            await connecting.close(connection)

    def _checks(self) -> Mapping[str, Check]:
        return {
            CONNECTION: connecting.check_connection,
            "tls": connecting.check_tls,
            "direct": self._check_direct,
            "server": server.check_version,
            "clock": server.check_clock,
            "durability": server.check_durability,
            "connections": server.check_connections,
            "activity": server.check_activity,
            "migrations": access.check_migrations,
            "tables": structure.check_tables,
            "privileges": access.check_privileges,
            "columns": structure.check_columns,
            "indexes": structure.check_indexes,
            "constraints": structure.check_constraints,
            "statistics": structure.check_statistics,
            "additions": structure.check_additions,
            "maintenance": server.check_maintenance,
            "orphans": counts.check_orphans,
            "users": self_test.check_provisioning,
            "promise": self_test.check_promises,
            "counts": partial(counts.check_counts, repair=self.repair),
            "search": partial(search_index.check_search_index, repair=self.repair),
        }

    async def _check_direct(self, session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
        yield await connecting.check_migrations_url(session, self.direct)


async def _run_check(
    name: str, check: Check, session: RollbackSession
) -> AsyncGenerator[CheckResult, None]:
    """Yield the results of a check with its name and duration, or its error as a result."""
    since = monotonic()
    try:
        async with aclosing(check(session)) as results:
            async for result in results:
                now = monotonic()
                yield replace(result, check=name, seconds=now - since)
                since = now
    except Exception as error:  # noqa: BLE001 - the other checks must still run
        yield replace(_explain(error), check=name, seconds=monotonic() - since)


def _explain(error: Exception) -> CheckResult:
    match error:
        case asyncpg.QueryCanceledError() | TimeoutError():
            return failed(
                f"took longer than {STATEMENT_TIMEOUT}",
                "try again when the database has less to do",
            )
        case asyncpg.LockNotAvailableError():
            return failed(
                f"another session holds a lock: {describe(error)}", "see `activity`, and try again"
            )
    return failed(
        f"could not be checked: {describe(error)}", "fix what failed above, and try again"
    )
