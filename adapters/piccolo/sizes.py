"""The sizes of chatkeep's own tables and indexes. Those of another application are left out."""

from typing import Final

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import MADE_BY_CHATKEEP, TABLES, table_name
from chatkeep.domain.operations.stats import RelationSize

OWN_TABLES: Final = {*map(table_name, TABLES), "tasks"}

# `users` and `tasks` may belong to another application: then they lack the migration's comment.
# A partitioned table or index is empty itself, so the sizes of its leaves are added up.
SIZES: Final = Statement(
    "sizes.sizes",
    f"""
WITH own AS (
  SELECT to_regclass(name) AS id, name FROM unnest(:names::text[]) AS name
), tables AS (
  SELECT id, name FROM own
  WHERE id IS NOT NULL AND (
    name NOT IN ('users', 'tasks') OR obj_description(id, 'pg_class') = '{MADE_BY_CHATKEEP}')
), relations AS (
  SELECT 'table' AS kind, name, name AS table, id FROM tables
  UNION ALL
  SELECT 'index', c.relname::text, tables.name, c.oid::regclass
  FROM tables JOIN pg_index i ON i.indrelid = tables.id JOIN pg_class c ON c.oid = i.indexrelid
)
SELECT r.kind, r.name, r.table,
       sum(CASE WHEN r.kind = 'table' THEN pg_table_size(c.oid)
                ELSE pg_relation_size(c.oid) END)::bigint AS bytes,
       CASE WHEN r.kind = 'table' AND min(c.reltuples) >= 0
            THEN sum(c.reltuples)::bigint END AS rows
FROM relations r
LEFT JOIN LATERAL pg_partition_tree(r.id) AS part ON true
JOIN pg_class c ON c.oid = coalesce(part.relid, r.id)
WHERE part.isleaf IS NOT FALSE
GROUP BY r.kind, r.name, r.table
ORDER BY r.table, r.kind DESC, r.name""",
)


async def sizes(engine: Engine) -> list[RelationSize]:
    """Return chatkeep's tables by name, each followed by its indexes. Reads no table.

    Raises `StoreUnavailableError`.
    """
    rows = await engine.fetch(SIZES, names=sorted(OWN_TABLES))
    return [RelationSize(**row) for row in rows]
