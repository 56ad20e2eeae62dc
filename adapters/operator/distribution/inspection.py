"""Reads what a database is like, and whether it can be distributed. Changes nothing."""

from collections.abc import Iterator, Mapping
from typing import Final

from chatkeep.adapters.operator.distribution.placement import MAY_BE_ANOTHERS, OF_ALL, OF_USER
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.migrate import status
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import MADE_BY_CHATKEEP
from chatkeep.domain.operations.distribution import (
    ClusterPlan,
    DistributionError,
    Placement,
    TablePlan,
)

GET_CITUS: Final = (
    "Install Citus (https://docs.citusdata.com, or a service that has it), start Postgres with "
    "shared_preload_libraries = 'citus', and run CREATE EXTENSION citus in this database"
)
DISTRIBUTE_USERS: Final = "SELECT create_distributed_table('users', 'id')"

CITUS: Final = Statement(
    "distribution.citus", "SELECT extversion AS version FROM pg_extension WHERE extname = 'citus'"
)
AVAILABLE: Final = Statement(
    "distribution.available", "SELECT FROM pg_available_extensions WHERE name = 'citus'"
)
NODES: Final = Statement(
    "distribution.nodes",
    """
SELECT citus_is_coordinator() AS is_coordinator,
       count(*) FILTER (WHERE groupid = 0 AND isactive) AS coordinators,
       count(*) FILTER (WHERE shouldhaveshards AND isactive) AS nodes
FROM pg_dist_node WHERE noderole = 'primary'""",
)

# `method` is how Citus has distributed a table: 'h' by a column, 'n' without one; NULL if it has
# not. `replication` is 't' for a table that all nodes have.
PLACED: Final = Statement(
    "distribution.placed",
    """
SELECT given.name, c.oid IS NOT NULL AS there,
       coalesce(obj_description(c.oid, 'pg_class') = :comment, false) AS ours,
       p.partmethod::text AS method, p.repmodel::text AS replication,
       CASE WHEN p.partmethod = 'h' THEN column_to_column_name(p.logicalrelid, p.partkey) END
         AS column,
       p.colocationid AS colocation,
       coalesce(pg_relation_size(c.oid), 0) > 0 AS has_size
FROM unnest(:names::text[]) AS given (name)
LEFT JOIN pg_class c ON c.oid = to_regclass(given.name)
LEFT JOIN pg_dist_partition p ON p.logicalrelid = c.oid""",
)

# Unique keys that lack the column that a table is placed by.
KEYS_WITHOUT_USER: Final = Statement(
    "distribution.keys_without_user",
    """
SELECT given.name AS table, i.indexrelid::regclass::text AS index
FROM unnest(:names::text[], :columns::text[]) AS given (name, column_name)
JOIN pg_index i ON i.indrelid = to_regclass(given.name) AND i.indisunique
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = given.column_name
WHERE a.attnum <> ALL(i.indkey::int2[])
ORDER BY 1, 2""",
)

REFERRING: Final = Statement(
    "distribution.referring",
    """
SELECT k.conrelid::regclass::text AS table, k.conname AS key,
       k.confrelid::regclass::text AS referred
FROM pg_constraint k
LEFT JOIN pg_dist_partition p ON p.logicalrelid = k.conrelid
WHERE k.contype = 'f' AND k.confrelid IN (SELECT to_regclass(name) FROM unnest(:names::text[]) name)
  AND k.conrelid NOT IN (SELECT to_regclass(name) FROM unnest(:names::text[]) name
                         WHERE to_regclass(name) IS NOT NULL)
  AND p.logicalrelid IS NULL
ORDER BY 1, 2""",
)


async def inspect(engine: Engine) -> ClusterPlan:
    """Return the cluster, and where each table belongs. Raises `DistributionError`."""
    version, nodes = await _cluster(engine)
    pending = [each.id for each in await status(engine) if each.ran_on is None]
    if pending:
        raise DistributionError(
            "The database has not the newest schema: run `chatkeep migrate` first."
        )
    found = await placed(engine)
    ours = [name for name in OF_USER if name not in MAY_BE_ANOTHERS or found[name]["ours"]]
    _check_users(found)
    await _check_keys(engine, [name for name in ours if found[name]["method"] is None])
    await _check_references(engine, ours)
    return ClusterPlan(version, nodes, tuple(_plans(found, ours)))


async def has_citus(engine: Engine) -> bool:
    return bool(await engine.fetch(CITUS))


async def placed(engine: Engine) -> Mapping[str, Row]:
    """Return how each table is placed, by its name. The database must have Citus."""
    names = [*OF_USER, *OF_ALL]
    rows = await engine.fetch(PLACED, names=names, comment=MADE_BY_CHATKEEP)
    return {row["name"]: row for row in rows}


async def _cluster(engine: Engine) -> tuple[str, int]:
    """Return the version of Citus, and the number of nodes that hold rows."""
    versions = await engine.fetch(CITUS)
    if not versions:
        if await engine.fetch(AVAILABLE):
            raise DistributionError(
                "This database does not use Citus, though its server has it: run "
                "CREATE EXTENSION citus as a superuser, here and in the database of the same name "
                "on each worker, and add the workers (docs/scale.md)."
            )
        raise DistributionError(
            f"This Postgres has no Citus, which distribution needs. {GET_CITUS} (docs/scale.md)."
        )
    [row] = await engine.fetch(NODES)
    if not row["is_coordinator"]:
        raise DistributionError(
            "This is a worker of the cluster: run the command with the URL of the coordinator."
        )
    if not row["coordinators"]:
        raise DistributionError(
            "The cluster does not know how to reach its coordinator, so that workers could not "
            "pass on what it has to do. Run SELECT citus_set_coordinator_host('its host', its port)"
            " there."
        )
    if not row["nodes"]:
        raise DistributionError(
            "The cluster has no node that takes rows: add one with SELECT citus_add_node('its "
            "host', its port)."
        )
    return versions[0]["version"], row["nodes"]


def _check_users(found: Mapping[str, Row]) -> None:
    users = found["users"]
    if not users["ours"] and (users["method"], users["column"]) != ("h", "id"):
        raise DistributionError(
            "The table 'users' belongs to another application, and is not altered by chatkeep. "
            f"All that chatkeep has refers to it: distribute it first ({DISTRIBUTE_USERS}), and "
            "run this again."
        )


async def _check_keys(engine: Engine, names: list[str]) -> None:
    checked = [name for name in names if name != "tasks"]  # which gets another key
    rows = await engine.fetch(
        KEYS_WITHOUT_USER, names=checked, columns=[OF_USER[name] for name in checked]
    )
    if rows:
        row = rows[0]
        raise DistributionError(
            f"The unique index {row['index']} of the table {row['table']} does not have the column "
            f"{OF_USER[row['table']]}, so it could not be kept unique over several nodes. Drop it, "
            "or add that column to it. The keys that chatkeep's migrations make all have it."
        )


async def _check_references(engine: Engine, ours: list[str]) -> None:
    rows = await engine.fetch(REFERRING, names=ours)
    if rows:
        row = rows[0]
        raise DistributionError(
            f"The table {row['table']}, which is not chatkeep's, refers to {row['referred']} "
            f"({row['key']}). A table on one node cannot refer to one on many: drop that "
            "constraint, or distribute the table by its user."
        )


def _plans(found: Mapping[str, Row], ours: list[str]) -> Iterator[TablePlan]:
    for name in ours:
        row = found[name]
        if row["there"]:
            done = (row["method"], row["column"]) == ("h", OF_USER[name])
            _check_place(name, row, done=done)
            yield TablePlan(name, Placement.BY_USER, OF_USER[name], done)
    for name, placement in OF_ALL.items():
        if found[name]["there"]:
            done = found[name]["method"] is not None
            yield TablePlan(name, placement, None, done)


def _check_place(name: str, row: Row, *, done: bool) -> None:
    if row["method"] is not None and not done:
        raise DistributionError(
            f"The table {name} is distributed already, but not by {OF_USER[name]}. Undo that with "
            f"SELECT undistribute_table('{name}'), and run this again."
        )
