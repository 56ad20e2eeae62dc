"""Compares tables, columns, indexes, constraints and statistics with the migrations' schema."""

from collections.abc import AsyncGenerator, Callable, Mapping

from chatkeep.adapters.operator.doctor.catalogue import Catalogue, read_catalogue
from chatkeep.adapters.operator.doctor.comparison import (
    MIGRATE,
    check_users_id,
    compare_column,
    compare_constraint,
    compare_indexes,
    compare_tables,
    find_extra_columns,
)
from chatkeep.adapters.operator.doctor.rollback_session import RollbackSession
from chatkeep.adapters.piccolo.schema import SCHEMA, TableSchema
from chatkeep.domain.operations.diagnostics import CheckResult, failed, ok, skipped, warning


async def load_catalogue(session: RollbackSession) -> Catalogue:
    """Return the database's catalogue, which is read only once."""
    if session.catalogue is None:
        async with session.begin_read_only() as engine:
            session.catalogue = await read_catalogue(engine, SCHEMA)
    return session.catalogue


async def check_tables(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    found = await load_catalogue(session)
    wrong = list(compare_tables(found, migrated=session.migrated))
    for result in wrong:
        yield result
    if not wrong:
        yield ok(f"{len(SCHEMA) + 1} tables, {', '.join([*SCHEMA, 'users'])}")


async def check_columns(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    found = await load_catalogue(session)
    missing = MIGRATE if not session.migrated else ""
    wrong = [
        result
        for name, table in found.tables.items()
        for column, expected in SCHEMA[name].columns.items()
        for result in compare_column(name, column, expected, table.columns.get(column), missing)
    ]
    for result in (*wrong, *find_extra_columns(found)):
        yield result
    users = check_users_id(found)
    if users:
        yield users
    if not wrong and not users:
        yield _summarize(found, lambda table: table.columns, "columns")


async def check_indexes(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    found = await load_catalogue(session)
    wrong = [
        result
        for name, table in found.tables.items()
        for result in compare_indexes(name, SCHEMA[name].indexes, table.indexes, found.invalid)
    ]
    for result in wrong:
        yield result
    if not any(result.outcome == "failed" for result in wrong):
        yield _summarize(found, lambda table: table.indexes, "indexes besides those of constraints")


async def check_constraints(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    found = await load_catalogue(session)
    wrong = []
    for name, table in found.tables.items():
        for constraint, expected in SCHEMA[name].constraints.items():
            result = compare_constraint(name, constraint, expected, table, found)
            if result:
                wrong.append(result)
                session.weak_keys.add(constraint)
    for result in wrong:
        yield result
    if not wrong:
        yield _summarize(found, lambda table: table.constraints, "constraints, all validated")


async def check_statistics(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    found = await load_catalogue(session)
    wrong = [
        failed(
            "is missing or differs: plans are guesses",
            f"DROP STATISTICS IF EXISTS {statistic}; CREATE STATISTICS {statistic} "
            f"{expected} FROM {name}; ANALYZE {name}",
            target=statistic,
        )
        for name, table in found.tables.items()
        for statistic, expected in SCHEMA[name].statistics.items()
        if expected not in table.statistics.values()
    ]
    for result in wrong:
        yield result
    if not wrong:
        yield _summarize(found, lambda table: table.statistics, "extended statistics")


async def check_additions(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    """Look for triggers, rules and row security, which may change or hide rows unnoticed."""
    found = await load_catalogue(session)
    for row in found.additions:
        yield warning(
            f"the {row['kind']} {row['name']} is not chatkeep's, and may change stored data",
            f"check that the promises below hold, or drop it (DROP {row['kind'].upper()} "
            f"{row['name']} ON {row['table']})",
            target=row["table"],
        )
    secured = [row["name"] for row in found.relations if row["found"] and row["row_security"]]
    for name in secured:
        yield warning(
            "row-level security is on, and may hide rows from chatkeep",
            "give chatkeep's role BYPASSRLS, or a policy that lets it see all rows",
            target=name,
        )
    if not found.additions and not secured:
        yield ok("no triggers, rules or row-level security on the tables")


def _summarize(
    found: Catalogue, part: Callable[[TableSchema], Mapping[str, object]], what: str
) -> CheckResult:
    if not found.tables:
        return skipped("no tables")
    count = sum(len(part(SCHEMA[name])) for name in found.tables)
    return ok(f"{count} {what}, as the migrations made them")
