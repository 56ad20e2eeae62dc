"""Reads the database's catalogue into the types of `adapters.piccolo.schema`.

Names are resolved by the search path. Definitions do not include a schema, so that they are the
same in any.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.schema import ColumnSchema, TableSchema
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.users import ID_COLUMN

_OURS: Final = "ours AS (SELECT name, to_regclass(name) AS oid FROM unnest(:names::text[]) AS name)"

# Includes relations of these names that are outside the search path or cannot be read.
RELATIONS: Final = Statement(
    "doctor.relations",
    """
SELECT c.relname AS name, n.nspname AS schema, c.relkind::text AS kind,
       c.relpersistence = 'u' AS unlogged, c.relrowsecurity AS row_security,
       c.oid IS NOT DISTINCT FROM to_regclass(c.relname::text) AS found
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ANY(:names::text[]) AND c.relkind NOT IN ('i', 'I', 'c', 'S', 't')
  AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
ORDER BY 1, 2""",
)

COLUMNS: Final = Statement(
    "doctor.columns",
    f"""
WITH {_OURS}
SELECT ours.name AS table, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       NOT a.attnotnull AS nullable, pg_get_expr(d.adbin, d.adrelid) AS default
FROM ours
JOIN pg_attribute a ON a.attrelid = ours.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
ORDER BY 1, a.attnum""",
)

INDEXES: Final = Statement(
    "doctor.indexes",
    f"""
WITH {_OURS}
SELECT ours.name AS table, i.relname AS name, pg_get_indexdef(i.oid) AS definition,
       x.indisvalid AND x.indisready AS valid,
       EXISTS (SELECT FROM pg_constraint k
               WHERE k.conindid = i.oid AND k.contype IN ('p', 'u', 'x')) AS of_constraint
FROM ours
JOIN pg_index x ON x.indrelid = ours.oid
JOIN pg_class i ON i.oid = x.indexrelid
ORDER BY 1, 2""",
)

# Without the NOT NULL constraints of Postgres 18: here that is a property of the column.
CONSTRAINTS: Final = Statement(
    "doctor.constraints",
    f"""
WITH {_OURS}
SELECT ours.name AS table, k.conname AS name, pg_get_constraintdef(k.oid) AS definition,
       EXISTS (SELECT FROM pg_trigger t
               WHERE t.tgconstraint = k.oid AND t.tgenabled NOT IN ('O', 'A')) AS off
FROM ours JOIN pg_constraint k ON k.conrelid = ours.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')
ORDER BY 1, 2""",
)

STATISTICS: Final = Statement(
    "doctor.statistics",
    f"""
WITH {_OURS}
SELECT ours.name AS table, s.stxname AS name, pg_get_statisticsobjdef(s.oid) AS definition
FROM ours JOIN pg_statistic_ext s ON s.stxrelid = ours.oid
ORDER BY 1, 2""",
)

ADDITIONS: Final = Statement(
    "doctor.additions",
    f"""
WITH {_OURS}
SELECT ours.name AS table, 'trigger' AS kind, t.tgname AS name
FROM ours JOIN pg_trigger t ON t.tgrelid = ours.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
UNION ALL
SELECT ours.name, 'rule', r.rulename
FROM ours JOIN pg_rewrite r ON r.ev_class = ours.oid AND r.rulename <> '_RETURN'
ORDER BY 1, 2, 3""",
)

_ON: Final = re.compile(r"CREATE (UNIQUE )?INDEX .*? ON .*?(?= USING )")
_STATISTICS: Final = re.compile(r"CREATE STATISTICS .*?((?:\([^)]*\) )?ON .*) FROM .*")
# Postgres adds casts and parentheses to expressions, and more of them at each dump and restore.
_CASTS: Final = re.compile(r"::(?:character varying|[a-z]+)(?:\[\])?|[()\s]")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The catalogue of the requested tables that exist.

    `invalid` are indexes and `off` disabled constraints, each as (table, name).
    """

    tables: Mapping[str, TableSchema]
    relations: Sequence[Mapping[str, Any]]
    additions: Sequence[Mapping[str, Any]]
    users_id: Mapping[str, Any] | None
    invalid: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    off: frozenset[tuple[str, str]] = field(default_factory=frozenset)


async def read_catalogue(engine: Engine, names: Iterable[str]) -> Catalogue:
    """Read the catalogue of the tables of these names, and of `users`."""
    ours = list(names)
    relations = await engine.fetch(RELATIONS, names=[*ours, "users"])
    found: dict[str, TableSchema] = {
        row["name"]: TableSchema({}, {}, {}, {})
        for row in relations
        if row["found"] and row["name"] in ours
    }
    columns = {name: dict[str, ColumnSchema]() for name in found}
    for row in await engine.fetch(COLUMNS, names=list(found)):
        columns[row["table"]][row["name"]] = ColumnSchema(
            row["type"], row["nullable"], row["default"]
        )
    indexes = await engine.fetch(INDEXES, names=list(found))
    constraints = await engine.fetch(CONSTRAINTS, names=list(found))
    statistics = await engine.fetch(STATISTICS, names=list(found))
    users = await engine.fetch(ID_COLUMN)
    return Catalogue(
        tables={
            name: TableSchema(
                columns[name],
                {
                    row["name"]: _ON.sub(
                        lambda on: (on[1] or "").rstrip(), row["definition"]
                    ).lstrip()
                    for row in indexes
                    if row["table"] == name and not row["of_constraint"]
                },
                {row["name"]: row["definition"] for row in constraints if row["table"] == name},
                {
                    row["name"]: _STATISTICS.sub(r"\1", row["definition"])
                    for row in statistics
                    if row["table"] == name
                },
            )
            for name in found
        },
        relations=relations,
        additions=await engine.fetch(ADDITIONS, names=[*found, "users"]),
        users_id=users[0] if users else None,
        invalid=frozenset((row["table"], row["name"]) for row in indexes if not row["valid"]),
        off=frozenset((row["table"], row["name"]) for row in constraints if row["off"]),
    )


def same_definition(one: str, other: str) -> bool:
    """Return whether two definitions are equal apart from casts and parentheses.

    Postgres adds more of these each time that a definition is dumped and restored.
    """
    return _CASTS.sub("", one) == _CASTS.sub("", other)
