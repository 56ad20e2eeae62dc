"""Finds tables of conversations that somebody made by hand, from the catalogs of Postgres.

Identifiers get into statements only as the database itself quotes them.
"""

from collections.abc import Sequence
from typing import Final

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.operations.adoption.layout import (
    USUAL,
    AdoptionError,
    Column,
    Extra,
    Kind,
    Side,
    Wanted,
    chosen,
    order_of,
    resolve,
)
from chatkeep.domain.operations.adoption.tables import Layout, OldTable

# Tables, views and the like of those names, in one schema or in the search path; not chatkeep's.
TABLES: Final = Statement(
    "adoption.legacy_tables",
    """
SELECT c.oid::bigint AS oid, n.nspname::text AS schema, c.relname::text AS name,
       format('%I.%I', n.nspname, c.relname) AS quoted
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = ANY(:names::text[])
  AND CASE WHEN :schema::text IS NULL THEN n.nspname = ANY(current_schemas(false))
      ELSE n.nspname = :schema END
  AND c.oid IS DISTINCT FROM to_regclass('conversations')
  AND c.oid IS DISTINCT FROM to_regclass('messages')
ORDER BY n.nspname, c.relname""",
)

SCHEMA: Final = Statement(
    "adoption.legacy_schema", "SELECT FROM pg_namespace WHERE nspname = :schema"
)

COLUMNS: Final = Statement(
    "adoption.legacy_columns",
    """
SELECT a.attname::text AS name, quote_ident(a.attname) AS quoted,
       format_type(a.atttypid, a.atttypmod) AS type, b.typname::text AS base,
       b.typtype::text AS typtype, b.typcategory::text AS category
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE a.attrelid = :oid::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum""",
)

_KINDS: Final = {
    "int2": Kind.INTEGER,
    "int4": Kind.INTEGER,
    "int8": Kind.INTEGER,
    "uuid": Kind.UUID,
    "json": Kind.JSON,
    "jsonb": Kind.JSON,
    "timestamptz": Kind.TIME,
    "timestamp": Kind.NAIVE_TIME,
    "date": Kind.DATE,
}


async def detect(engine: Engine, wanted: Wanted) -> Layout:
    """Return the tables and what their columns are.

    Raises `AdoptionError` for what is missing, ambiguous or unusable, with the way out.
    """
    if wanted.schema is not None and not await engine.fetch(SCHEMA, schema=wanted.schema):
        raise AdoptionError(f"There is no schema {wanted.schema!r}: look at --schema.")
    conversations = await _find(engine, "conversations", wanted)
    messages = await _find(engine, "messages", wanted)
    if conversations["oid"] == messages["oid"]:
        raise AdoptionError("--conversations and --messages name one and the same table.")
    made = await _table(engine, "conversations", conversations, wanted)
    said = await _table(engine, "messages", messages, wanted)
    order = order_of(said.name, said.columns.fields, wanted)
    return Layout(made, said, order, wanted.extra or Extra.LEAVE)


async def _find(engine: Engine, side: Side, wanted: Wanted) -> Row:
    given = wanted.conversations if side == "conversations" else wanted.messages
    names: Sequence[str] = USUAL[side] if given is None else (given,)
    rows = await engine.fetch(TABLES, names=list(names), schema=wanted.schema)
    name = chosen(side, [(row["schema"], row["name"]) for row in rows], wanted)
    return next(row for row in rows if (row["schema"], row["name"]) == name)


async def _table(engine: Engine, side: Side, found: Row, wanted: Wanted) -> OldTable:
    rows = await engine.fetch(COLUMNS, oid=found["oid"])
    name = f"{found['schema']}.{found['name']}"
    columns = [Column(row["name"], _kind(row), row["type"]) for row in rows]
    identifiers = {row["name"]: row["quoted"] for row in rows}
    return OldTable(name, found["quoted"], resolve(side, name, columns, wanted), identifiers)


def _kind(row: Row) -> Kind:
    if row["typtype"] == "e":
        return Kind.CHOICE
    if row["category"] == "S":
        return Kind.TEXT
    return _KINDS.get(row["base"], Kind.OTHER)
