"""Compares single tables, columns, indexes and constraints with the migrations' schema."""

from collections.abc import Iterator, Mapping
from typing import Final

from chatkeep.adapters.operator.doctor.catalogue import Catalogue, same_definition
from chatkeep.adapters.piccolo.schema import SCHEMA, ColumnSchema, TableSchema
from chatkeep.adapters.piccolo.users import TOO_LONG, WIDEN, narrower_ids
from chatkeep.domain.operations.diagnostics import CheckResult, failed, warning

MIGRATE: Final = "run `chatkeep migrate`"
RESTORE: Final = "restore it from a backup, or migrate a new database and move there"

_ORDINARY: Final = frozenset({"r", "p"})
_NOT_VALID: Final = " NOT VALID"


def compare_tables(found: Catalogue, *, migrated: bool) -> Iterator[CheckResult]:
    if not found.tables and not any(row["name"] in SCHEMA for row in found.relations):
        yield failed("all of chatkeep's tables are missing", MIGRATE if not migrated else RESTORE)
        return
    reached = {row["name"]: row for row in found.relations if row["found"]}
    for name in (*SCHEMA, "users"):
        row = reached.get(name)
        if row is None:
            yield _explain_missing(name, found, migrated=migrated)
        elif row["kind"] not in _ORDINARY and name != "users":
            yield failed("is not an ordinary table", RESTORE, target=name)
        elif row["unlogged"]:
            yield failed(
                "is unlogged: a crash empties it", f"ALTER TABLE {name} SET LOGGED", target=name
            )


def _explain_missing(name: str, found: Catalogue, *, migrated: bool) -> CheckResult:
    schemas = [row["schema"] for row in found.relations if row["name"] == name]
    if schemas:
        return failed(
            f"is in the schema {schemas[0]}, which is not on this role's search path",
            f'ALTER ROLE ... SET search_path = "{schemas[0]}", or GRANT USAGE ON SCHEMA '
            f'"{schemas[0]}" TO the role',
            target=name,
        )
    return failed("is missing", RESTORE if migrated else MIGRATE, target=name)


def compare_column(
    table: str, name: str, expected: ColumnSchema, found: ColumnSchema | None, missing: str
) -> Iterator[CheckResult]:
    target = f"{table}.{name}"
    alter = f"ALTER TABLE {table} ALTER COLUMN {name}"
    if found is None:
        yield failed(
            "is missing",
            missing or f"ALTER TABLE {table} ADD COLUMN {name} {_declare(expected)}",
            target=target,
        )
        return
    if found.type != expected.type:
        yield failed(
            f"has the type {found.type}, not {expected.type}",
            f"{alter} TYPE {expected.type} USING {name}::{expected.type}",
            target=target,
        )
    if found.nullable is not expected.nullable:
        yield failed(
            "may be null" if found.nullable else "may not be null",
            f"{alter} {'DROP' if expected.nullable else 'SET'} NOT NULL",
            target=target,
        )
    if not same_definition(found.default or "", expected.default or ""):
        yield failed(
            f"has the default {found.default or 'null'}, not {expected.default or 'null'}",
            f"{alter} SET DEFAULT {expected.default}"
            if expected.default
            else f"{alter} DROP DEFAULT",
            target=target,
        )


def _declare(column: ColumnSchema) -> str:
    null = "" if column.nullable else " NOT NULL"
    return f"{column.type}{null}" + (f" DEFAULT {column.default}" if column.default else "")


def find_extra_columns(found: Catalogue) -> Iterator[CheckResult]:
    for name, table in found.tables.items():
        for column, declared in table.columns.items():
            if (
                column not in SCHEMA[name].columns
                and not declared.nullable
                and not declared.default
            ):
                yield failed(
                    "is not chatkeep's, and needs a value, which chatkeep does not set",
                    f"ALTER TABLE {name} ALTER COLUMN {column} DROP NOT NULL",
                    target=f"{name}.{column}",
                )


def check_users_id(found: Catalogue) -> CheckResult | None:
    """Check only the id of `users`: the table may belong to another application."""
    if not any(row["name"] == "users" and row["found"] for row in found.relations):
        return None
    row = found.users_id
    wanted = "make users.id varchar or text, and unique"
    if row is None:
        return failed("is missing", wanted, target="users.id")
    if not row["type"].startswith(("character varying", "text")):
        return failed(f"has the type {row['type']}", wanted, target="users.id")
    if not row["is_unique"]:
        return failed(
            "is not unique", f"{wanted}: ALTER TABLE users ADD UNIQUE (id)", target="users.id"
        )
    narrow = narrower_ids(row["type"])
    if narrow is not None:
        return warning(f"accepts only {narrow} characters, {TOO_LONG}", WIDEN, target="users.id")
    return None


def compare_indexes(
    table: str,
    expected: Mapping[str, str],
    found: Mapping[str, str],
    invalid: frozenset[tuple[str, str]],
) -> Iterator[CheckResult]:
    for name, definition in expected.items():
        unique = "UNIQUE " if definition.startswith("UNIQUE ") else ""
        create = (
            f"CREATE {unique}INDEX CONCURRENTLY {name} ON {table} {definition.removeprefix(unique)}"
        )
        actual = found.get(name)
        if actual is None:
            other = next(
                (each for each in found.items() if same_definition(each[1], definition)), None
            )
            if other is None or (table, other[0]) in invalid:
                yield failed("is missing", create, target=name)
            else:
                yield warning(
                    f"exists under the name {other[0]}",
                    f"ALTER INDEX {other[0]} RENAME TO {name}",
                    target=name,
                )
        elif not same_definition(actual, definition):
            yield failed(
                f"is {actual}, not {definition}",
                f"DROP INDEX CONCURRENTLY {name}; {create}",
                target=name,
            )
    for its_table, name in sorted(invalid):
        if its_table == table:
            keep = name in expected or name not in found
            yield failed(
                "is invalid: it slows down writes and serves no query",
                f"{'REINDEX' if keep else 'DROP'} INDEX CONCURRENTLY {name}",
                target=name,
            )


def compare_constraint(
    table: str, name: str, expected: str, found: TableSchema, catalogue: Catalogue
) -> CheckResult | None:
    add = f"ALTER TABLE {table} ADD CONSTRAINT {name} {expected}"
    actual = found.constraints.get(name)
    for other, definition in found.constraints.items():
        if actual is None and same_definition(definition, expected):
            name, actual = other, definition  # another name is fine
    if actual is None:
        return failed("is missing", add, target=name)
    if (table, name) in catalogue.off:
        return failed(
            "is switched off: its triggers are disabled",
            f"ALTER TABLE {table} ENABLE TRIGGER ALL, also on the table that it refers to",
            target=name,
        )
    if same_definition(actual, expected):
        return None
    if same_definition(actual, expected + _NOT_VALID):
        return failed(
            "is NOT VALID: older rows may violate it",
            f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}",
            target=name,
        )
    return failed(
        f"is {actual}, not {expected}",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}; {add}",
        target=name,
    )
