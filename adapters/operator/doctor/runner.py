"""All checks, in order: what a later one needs is looked at before it."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Final

import asyncpg

from chatkeep.adapters.database_url import DatabaseUrl
from chatkeep.adapters.operator.doctor import access, connecting, counts, server, structure
from chatkeep.adapters.operator.doctor import self_test as rehearsal
from chatkeep.adapters.operator.doctor.rollback_session import (
    STATEMENT_TIMEOUT,
    RollbackSession,
    SessionEngine,
)
from chatkeep.adapters.piccolo.engine import CANCEL_TIMEOUT
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.domain.operations.diagnostics import Finding, Outcome, failed, skipped
from chatkeep.domain.ports import Clock

Check = Callable[[RollbackSession], AsyncGenerator[Finding, None]]

CONNECTION: Final = "connection"


@dataclass(frozen=True, slots=True)
class Examination:
    """An examination of the database at `url`, which changes nothing of it.

    Only with `repair` the counts that are wrong are put right. `direct` is where migrations go.
    """

    url: DatabaseUrl
    direct: DatabaseUrl
    clock: Clock
    provision_users: bool
    repair: bool = False

    async def findings(self) -> AsyncGenerator[Finding, None]:
        """Yield what is found, as it is found. Raises nothing that a check comes upon."""
        started = monotonic()
        checks = self._checks()
        try:
            connection = await connecting.connect(self.url)
        except Exception as error:  # noqa: BLE001 - that it cannot be reached is what was found
            finding = connecting.unreachable(self.url, error)
            yield replace(finding, check=CONNECTION, seconds=monotonic() - started)
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
                async with aclosing(_timed(name, check, session)) as findings:
                    async for finding in findings:
                        if finding.outcome is Outcome.FAILED:
                            session.failed.add(name)
                        yield finding
        finally:
            await _close(connection)

    def _checks(self) -> Mapping[str, Check]:
        return {
            CONNECTION: connecting.connection,
            "tls": connecting.tls,
            "direct": self._direct,
            "server": server.version,
            "clock": server.clock,
            "durability": server.durability,
            "connections": server.connections,
            "activity": server.activity,
            "migrations": access.migrations,
            "tables": structure.tables,
            "privileges": access.privileges,
            "columns": structure.columns,
            "indexes": structure.indexes,
            "constraints": structure.constraints,
            "statistics": structure.statistics,
            "additions": structure.additions,
            "maintenance": server.maintenance,
            "orphans": counts.orphans,
            "users": rehearsal.provisioning,
            "promise": rehearsal.promises,
            "counts": partial(counts.drift, repair=self.repair),
        }

    async def _direct(self, session: RollbackSession) -> AsyncGenerator[Finding, None]:
        yield await connecting.migrations_url(session, self.direct)


async def _timed(
    name: str, check: Check, session: RollbackSession
) -> AsyncGenerator[Finding, None]:
    """Yield what a check finds, with its name and time. Its own failure is a finding too."""
    since = monotonic()
    try:
        async with aclosing(check(session)) as findings:
            async for finding in findings:
                now = monotonic()
                yield replace(finding, check=name, seconds=now - since)
                since = now
    except Exception as error:  # noqa: BLE001 - one check that cannot be made is no reason to stop
        yield replace(_failure(error), check=name, seconds=monotonic() - since)


def _failure(error: Exception) -> Finding:
    match error:
        case asyncpg.QueryCanceledError() | TimeoutError():
            return failed(
                f"took longer than {STATEMENT_TIMEOUT}",
                "try again when the database has less to do",
            )
        case asyncpg.LockNotAvailableError():
            return failed(
                f"somebody holds a lock: {describe(error)}", "see `activity`, and try again"
            )
    return failed(
        f"could not be checked: {describe(error)}", "mend what failed above, and try again"
    )


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=CANCEL_TIMEOUT)
    except (OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
        connection.terminate()
