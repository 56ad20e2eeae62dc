"""Examinations in this process, which is quicker than the command; all that a database holds."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import asyncpg

from chatkeep.adapters.operator.doctor import self_test
from chatkeep.domain.operations.diagnostics import CheckResult, Outcome
from chatkeep.domain.ports import Clock
from chatkeep.entrypoints.bootstrap.operator import examination
from chatkeep.entrypoints.settings import Settings
from tests.support.postgres import connect_args

# What a server for tests is set to, and what the load of other tests may do to it.
OF_THE_SERVER = frozenset({"durability", "maintenance", "connections", "activity", "clock"})

PROMISES = (
    *("create", "order", "counts", "retry", "cascade", "erasure", "hold", "edit", "truncation"),
    *("branches", "drafts", "events"),
    *("isolation", "refusal", "atomicity", "text", "items", "originals", "text_ids", "filters"),
    *("plain", "revision"),
)


@dataclass(frozen=True)
class Found:
    """All findings; `failed` and `warned` are their checks and subjects, as `check subject`."""

    findings: list[CheckResult]

    @property
    def failed(self) -> set[str]:
        return self._of(Outcome.FAILED)

    @property
    def skipped(self) -> set[str]:
        return self._of(Outcome.SKIPPED) - {"direct"}

    @property
    def warned(self) -> set[str]:
        """Return the warnings, but for those about the tests' server."""
        return {each for each in self._of(Outcome.WARNING) if each.split()[0] not in OF_THE_SERVER}

    def line(self, name: str) -> CheckResult:
        [line] = [each for each in self.findings if _name(each) == name]
        return line

    def _of(self, outcome: Outcome) -> set[str]:
        return {_name(each) for each in self.findings if each.outcome is outcome}


async def examine(
    url: str,
    *,
    repair: bool = False,
    clock: Clock | None = None,
    direct: str = "",
    provision_users: bool = True,
) -> Found:
    settings = Settings(
        database_url=url, database_url_direct=direct, provision_users=provision_users
    )
    examined = examination(settings, repair=repair, clock=clock)
    found = [finding async for finding in examined.run()]
    for finding in found:
        needed = finding.outcome in {Outcome.FAILED, Outcome.WARNING}
        assert bool(finding.fix) is needed, finding
        assert "\n" not in finding.message + finding.fix, finding
        assert finding.check, finding
    return Found(found)


async def examine_all_but_promises(url: str, *, clock: Clock | None = None) -> Found:
    """Leave out the checks that take most of the time, where another one is looked at."""

    async def nothing(_session: object) -> AsyncGenerator[CheckResult, None]:
        no_results: list[CheckResult] = []
        for each in no_results:
            yield each

    with patch.object(self_test, "check_promises", nothing):
        return await examine(url, clock=clock)


def promises(*names: str) -> set[str]:
    assert set(names) <= set(PROMISES)
    return {f"promise {name}" for name in names}


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(**connect_args(url))
    try:
        yield connection
    finally:
        await connection.close()


async def execute(url: str, script: str) -> None:
    async with connected(url) as connection:
        await connection.execute(script)


async def everything(url: str) -> dict[str, list[str]]:
    """Return every row of every table with where and by whom it was written, and the catalogue."""
    async with connected(url) as connection:
        names = [
            row["name"]
            for row in await connection.fetch(
                "SELECT c.oid::regclass::text AS name FROM pg_class c "
                "WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
            )
        ]
        catalogue = ["pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index"]
        catalogue += ["pg_statistic_ext", "pg_trigger", "pg_proc", "pg_roles", "pg_settings"]
        held = {}
        for name in names:
            held[name] = await _rows(connection, f"SELECT ctid, xmin, xmax, t::text FROM {name} t")
        for name in catalogue:
            # How many rows and pages there are is counted anew whenever somebody looks.
            held[name] = await _rows(
                connection,
                "SELECT (to_jsonb(t) - ARRAY['relpages','reltuples','relallvisible','relfrozenxid',"
                f"'relminmxid','relallfrozen','pending_restart'])::text FROM {name} t",
            )
        return held


async def _rows(connection: Any, query: str) -> list[str]:  # noqa: ANN401 - asyncpg is untyped
    rows: Iterable[Any] = await connection.fetch(query)
    return sorted(str(tuple(row)) for row in rows)


def _name(finding: CheckResult) -> str:
    return f"{finding.check} {finding.target}".rstrip()
