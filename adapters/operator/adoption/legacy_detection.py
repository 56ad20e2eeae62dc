"""Finds legacy tables of conversations in the catalogs of Postgres.

Identifiers are put into statements only as the database itself quotes them.
"""

from collections.abc import Sequence
from typing import Final

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.operations.adoption.layout import (
    USUAL,
    AdoptionError,
    AdoptionOptions,
    ColumnKind,
    Entity,
    ExtraColumns,
    LegacyColumn,
    choose_order,
    choose_table,
    map_columns,
)
from chatkeep.domain.operations.adoption.tables import Layout, LegacyTable

# Tables and views with those names, in one schema or in the search path, except chatkeep's own.
FIND_TABLES: Final = Statement(
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

FIND_SCHEMA: Final = Statement(
    "adoption.legacy_schema", "SELECT FROM pg_namespace WHERE nspname = :schema"
)

FIND_COLUMNS: Final = Statement(
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
    "int2": ColumnKind.INTEGER,
    "int4": ColumnKind.INTEGER,
    "int8": ColumnKind.INTEGER,
    "uuid": ColumnKind.UUID,
    "json": ColumnKind.JSON,
    "jsonb": ColumnKind.JSON,
    "timestamptz": ColumnKind.TIME,
    "timestamp": ColumnKind.NAIVE_TIME,
    "date": ColumnKind.DATE,
}


async def detect(engine: Engine, options: AdoptionOptions) -> Layout:
    """Find the tables, and map their columns to fields.

    Raises `AdoptionError` for what is missing, ambiguous or unusable, with what to do about it.
    """
    if options.schema is not None and not await engine.fetch(FIND_SCHEMA, schema=options.schema):
        raise AdoptionError(f"There is no schema {options.schema!r}: check --schema.")
    conversations = await _find(engine, "conversations", options)
    messages = await _find(engine, "messages", options)
    if conversations["oid"] == messages["oid"]:
        raise AdoptionError("--conversations and --messages name the same table.")
    conversations_table = await _table(engine, "conversations", conversations, options)
    messages_table = await _table(engine, "messages", messages, options)
    order = choose_order(messages_table.name, messages_table.columns.fields, options)
    return Layout(conversations_table, messages_table, order, options.extra or ExtraColumns.LEAVE)


async def _find(engine: Engine, entity: Entity, options: AdoptionOptions) -> Row:
    given = options.conversations if entity == "conversations" else options.messages
    names: Sequence[str] = USUAL[entity] if given is None else (given,)
    rows = await engine.fetch(FIND_TABLES, names=list(names), schema=options.schema)
    name = choose_table(entity, [(row["schema"], row["name"]) for row in rows], options)
    return next(row for row in rows if (row["schema"], row["name"]) == name)


async def _table(
    engine: Engine, entity: Entity, found: Row, options: AdoptionOptions
) -> LegacyTable:
    rows = await engine.fetch(FIND_COLUMNS, oid=found["oid"])
    name = f"{found['schema']}.{found['name']}"
    columns = [LegacyColumn(row["name"], _kind(row), row["type"]) for row in rows]
    identifiers = {row["name"]: row["quoted"] for row in rows}
    return LegacyTable(
        name, found["quoted"], map_columns(entity, name, columns, options), identifiers
    )


def _kind(row: Row) -> ColumnKind:
    if row["typtype"] == "e":
        return ColumnKind.CHOICE
    if row["category"] == "S":
        return ColumnKind.TEXT
    return _KINDS.get(row["base"], ColumnKind.OTHER)
