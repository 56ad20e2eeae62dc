"""Tables, columns, indexes, constraints, statistics: what there is against what there should be."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from typing import Final

from chatkeep.adapters.operator.doctor.catalogue import Catalogue, read, same_definition
from chatkeep.adapters.operator.doctor.rollback_session import RollbackSession
from chatkeep.adapters.piccolo.schema import SCHEMA, ColumnSchema, TableSchema
from chatkeep.adapters.piccolo.users import TOO_LONG, WIDEN, narrower_ids
from chatkeep.domain.operations.diagnostics import Finding, failed, ok, skipped, warning

MIGRATE: Final = "run `chatkeep migrate`"
RESTORE: Final = "restore it from a backup, or migrate a new database and move there"

_ORDINARY: Final = frozenset({"r", "p"})
_NOT_VALID: Final = " NOT VALID"


async def catalogue(session: RollbackSession) -> Catalogue:
    """Return what there is, read once."""
    if session.catalogue is None:
        async with session.reading() as engine:
            session.catalogue = await read(engine, SCHEMA)
    return session.catalogue


async def tables(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    found = await catalogue(session)
    wrong = list(_tables(found, migrated=session.migrated))
    for finding in wrong:
        yield finding
    if not wrong:
        yield ok(f"{len(SCHEMA) + 1} tables, {', '.join([*SCHEMA, 'users'])}")


async def columns(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    found = await catalogue(session)
    missing = MIGRATE if not session.migrated else ""
    wrong = [
        finding
        for name, table in found.tables.items()
        for column, expected in SCHEMA[name].columns.items()
        for finding in _column(name, column, expected, table.columns.get(column), missing)
    ]
    for finding in (*wrong, *_extra_columns(found)):
        yield finding
    users = _users_id(found)
    if users:
        yield users
    if not wrong and not users:
        yield _well(found, lambda table: table.columns, "columns")


async def indexes(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    found = await catalogue(session)
    wrong = [
        finding
        for name, table in found.tables.items()
        for finding in _indexes(name, SCHEMA[name].indexes, table.indexes, found.invalid)
    ]
    for finding in wrong:
        yield finding
    if not any(finding.outcome == "failed" for finding in wrong):
        yield _well(found, lambda table: table.indexes, "indexes beside those of constraints")


async def constraints(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    found = await catalogue(session)
    wrong = []
    for name, table in found.tables.items():
        for constraint, expected in SCHEMA[name].constraints.items():
            finding = _constraint(name, constraint, expected, table, found)
            if finding:
                wrong.append(finding)
                session.weak_keys.add(constraint)
    for finding in wrong:
        yield finding
    if not wrong:
        yield _well(found, lambda table: table.constraints, "constraints, all validated")


async def statistics(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    found = await catalogue(session)
    wrong = [
        failed(
            "is not there, or not what it should be: plans are guesses",
            f"DROP STATISTICS IF EXISTS {statistic}; CREATE STATISTICS {statistic} "
            f"{expected} FROM {name}; ANALYZE {name}",
            subject=statistic,
        )
        for name, table in found.tables.items()
        for statistic, expected in SCHEMA[name].statistics.items()
        if expected not in table.statistics.values()
    ]
    for finding in wrong:
        yield finding
    if not wrong:
        yield _well(found, lambda table: table.statistics, "extended statistics")


async def additions(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    """Look for what may change what is stored, or hide it, without chatkeep knowing."""
    found = await catalogue(session)
    for row in found.additions:
        yield warning(
            f"the {row['kind']} {row['name']} is not chatkeep's, and may change what is stored",
            f"see that the promises below hold, or drop it (DROP {row['kind'].upper()} "
            f"{row['name']} ON {row['table']})",
            subject=row["table"],
        )
    secured = [row["name"] for row in found.relations if row["found"] and row["row_security"]]
    for name in secured:
        yield warning(
            "row security is on, and may hide rows from chatkeep",
            "give chatkeep's role BYPASSRLS, or a policy that lets it see all rows",
            subject=name,
        )
    if not found.additions and not secured:
        yield ok("no triggers, rules or row security on the tables")


def _tables(found: Catalogue, *, migrated: bool) -> Iterator[Finding]:
    if not found.tables and not any(row["name"] in SCHEMA for row in found.relations):
        yield failed("none of chatkeep's tables is there", MIGRATE if not migrated else RESTORE)
        return
    reached = {row["name"]: row for row in found.relations if row["found"]}
    for name in (*SCHEMA, "users"):
        row = reached.get(name)
        if row is None:
            yield _missing(name, found, migrated=migrated)
        elif row["kind"] not in _ORDINARY and name != "users":
            yield failed("is no ordinary table", RESTORE, subject=name)
        elif row["unlogged"]:
            yield failed(
                "is unlogged: a crash empties it", f"ALTER TABLE {name} SET LOGGED", subject=name
            )


def _missing(name: str, found: Catalogue, *, migrated: bool) -> Finding:
    elsewhere = [row["schema"] for row in found.relations if row["name"] == name]
    if elsewhere:
        return failed(
            f"is in the schema {elsewhere[0]}, which this role does not look into",
            f'ALTER ROLE ... SET search_path = "{elsewhere[0]}", or GRANT USAGE ON SCHEMA '
            f'"{elsewhere[0]}" TO the role',
            subject=name,
        )
    return failed("is not there", RESTORE if migrated else MIGRATE, subject=name)


def _column(
    table: str, name: str, expected: ColumnSchema, found: ColumnSchema | None, missing: str
) -> Iterator[Finding]:
    subject = f"{table}.{name}"
    alter = f"ALTER TABLE {table} ALTER COLUMN {name}"
    if found is None:
        yield failed(
            "is not there",
            missing or f"ALTER TABLE {table} ADD COLUMN {name} {_declared(expected)}",
            subject=subject,
        )
        return
    if found.type != expected.type:
        yield failed(
            f"is of type {found.type}, not {expected.type}",
            f"{alter} TYPE {expected.type} USING {name}::{expected.type}",
            subject=subject,
        )
    if found.nullable is not expected.nullable:
        yield failed(
            "may be null" if found.nullable else "may not be null",
            f"{alter} {'DROP' if expected.nullable else 'SET'} NOT NULL",
            subject=subject,
        )
    if not same_definition(found.default or "", expected.default or ""):
        yield failed(
            f"has the default {found.default or 'null'}, not {expected.default or 'null'}",
            f"{alter} SET DEFAULT {expected.default}"
            if expected.default
            else f"{alter} DROP DEFAULT",
            subject=subject,
        )


def _declared(column: ColumnSchema) -> str:
    null = "" if column.nullable else " NOT NULL"
    return f"{column.type}{null}" + (f" DEFAULT {column.default}" if column.default else "")


def _extra_columns(found: Catalogue) -> Iterator[Finding]:
    for name, table in found.tables.items():
        for column, declared in table.columns.items():
            if (
                column not in SCHEMA[name].columns
                and not declared.nullable
                and not declared.default
            ):
                yield failed(
                    "is not chatkeep's, and must be given, which chatkeep does not",
                    f"ALTER TABLE {name} ALTER COLUMN {column} DROP NOT NULL",
                    subject=f"{name}.{column}",
                )


def _users_id(found: Catalogue) -> Finding | None:
    """Of `users`, which may be another application's, only the id matters."""
    if not any(row["name"] == "users" and row["found"] for row in found.relations):
        return None
    row = found.users_id
    wanted = "make users.id varchar or text, and unique"
    if row is None:
        return failed("is not there", wanted, subject="users.id")
    if not row["type"].startswith(("character varying", "text")):
        return failed(f"is of type {row['type']}", wanted, subject="users.id")
    if not row["is_unique"]:
        return failed(
            "is not unique", f"{wanted}: ALTER TABLE users ADD UNIQUE (id)", subject="users.id"
        )
    narrow = narrower_ids(row["type"])
    if narrow is not None:
        return warning(f"takes only {narrow} characters, {TOO_LONG}", WIDEN, subject="users.id")
    return None


def _indexes(
    table: str,
    expected: Mapping[str, str],
    found: Mapping[str, str],
    invalid: frozenset[tuple[str, str]],
) -> Iterator[Finding]:
    for name, definition in expected.items():
        unique = "UNIQUE " if definition.startswith("UNIQUE ") else ""
        create = (
            f"CREATE {unique}INDEX CONCURRENTLY {name} ON {table} {definition.removeprefix(unique)}"
        )
        there = found.get(name)
        if there is None:
            other = next(
                (each for each in found.items() if same_definition(each[1], definition)), None
            )
            if other is None or (table, other[0]) in invalid:
                yield failed("is not there", create, subject=name)
            else:
                yield warning(
                    f"has the name {other[0]}",
                    f"ALTER INDEX {other[0]} RENAME TO {name}",
                    subject=name,
                )
        elif not same_definition(there, definition):
            yield failed(
                f"is {there}, not {definition}",
                f"DROP INDEX CONCURRENTLY {name}; {create}",
                subject=name,
            )
    for its_table, name in sorted(invalid):
        if its_table == table:
            keep = name in expected or name not in found
            yield failed(
                "is invalid: it costs each write and serves no query",
                f"{'REINDEX' if keep else 'DROP'} INDEX CONCURRENTLY {name}",
                subject=name,
            )


def _constraint(
    table: str, name: str, expected: str, found: TableSchema, catalogue: Catalogue
) -> Finding | None:
    add = f"ALTER TABLE {table} ADD CONSTRAINT {name} {expected}"
    there = found.constraints.get(name)
    for other, definition in found.constraints.items():
        if there is None and same_definition(definition, expected):
            name, there = other, definition  # under another name it serves as well
    if there is None:
        return failed("is not there", add, subject=name)
    if (table, name) in catalogue.off:
        return failed(
            "is switched off: its triggers are disabled",
            f"ALTER TABLE {table} ENABLE TRIGGER ALL, also on the table that it refers to",
            subject=name,
        )
    if same_definition(there, expected):
        return None
    if same_definition(there, expected + _NOT_VALID):
        return failed(
            "is NOT VALID: rows from before it may break it",
            f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}",
            subject=name,
        )
    return failed(
        f"is {there}, not {expected}",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}; {add}",
        subject=name,
    )


def _well(
    found: Catalogue, part: Callable[[TableSchema], Mapping[str, object]], what: str
) -> Finding:
    if not found.tables:
        return skipped("there are no tables")
    count = sum(len(part(SCHEMA[name])) for name in found.tables)
    return ok(f"{count} {what}, as the migrations made them")
