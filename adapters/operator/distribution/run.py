"""Distributes the tables of a database over the nodes of a Citus cluster, by user.

Everything is one transaction under the lock of migrations: it happens whole or not at all. Writers
wait for it meanwhile. What is in place is left alone, so it can be run again.
"""

from time import perf_counter
from typing import Final

from chatkeep.adapters.operator.distribution import inspection
from chatkeep.adapters.operator.distribution.placement import OF_USER
from chatkeep.adapters.piccolo import locks
from chatkeep.adapters.piccolo.analyze import ANALYZE
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import translate_errors
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.operations.distribution import ClusterPlan, Placement, Report, TablePlan

COPY_TIMEOUT: Final = 86_400.0
"""Seconds; all rows of a table are copied to their nodes."""

SET_LOCK_TIMEOUT: Final = Statement("distribution.lock_timeout", "SET LOCAL lock_timeout = '60s'")
# Foreign keys come along with tables that were just distributed: Citus then wants one connection
# for each node.
SET_SEQUENTIAL: Final = Statement(
    "distribution.sequential", "SET LOCAL citus.multi_shard_modify_mode = 'sequential'"
)
DISTRIBUTE_FIRST: Final = Statement(
    "distribution.first",
    "SELECT create_distributed_table(:table::text::regclass, :column, colocate_with => 'none')",
    timeout=COPY_TIMEOUT,
)
DISTRIBUTE: Final = Statement(
    "distribution.next",
    "SELECT create_distributed_table(:table::text::regclass, :column, colocate_with => 'users')",
    timeout=COPY_TIMEOUT,
)
PUT_EVERYWHERE: Final = Statement(
    "distribution.everywhere",
    "SELECT create_reference_table(:table::text::regclass)",
    timeout=COPY_TIMEOUT,
)
KEEP_ON_COORDINATOR: Final = Statement(
    "distribution.on_coordinator",
    "SELECT citus_add_local_table_to_metadata(:table::text::regclass)",
    timeout=COPY_TIMEOUT,
)
WIDEN_ID_OF_TASKS: Final = Statement(
    "distribution.widen_id_of_tasks",
    "ALTER TABLE tasks ALTER COLUMN id TYPE bigint",
    timeout=COPY_TIMEOUT,
)
KEY_OF_TASKS: Final = Statement(
    "distribution.key_of_tasks",
    "ALTER TABLE tasks DROP CONSTRAINT tasks_pkey, ADD PRIMARY KEY (id, user_id)",
    timeout=COPY_TIMEOUT,
)
# Citus leaves the rows where they were, too, where no statement sees them any more.
FREE: Final = Statement(
    "distribution.free",
    "SELECT truncate_local_data_after_distributing_table(:table::text::regclass)",
    timeout=COPY_TIMEOUT,
)


async def plan(engine: Engine) -> ClusterPlan:
    """Return where each table belongs, and change nothing.

    Raises `DistributionError`, `StoreUnavailableError` and `DatabaseError`.
    """
    with translate_errors():
        return await inspection.inspect(engine)


async def distribute(engine: Engine, report: Report) -> ClusterPlan:
    """Distribute what is not in place yet, and return the plan by which that was done.

    Raises `DistributionError`, `StoreUnavailableError` and `DatabaseError`.
    """
    with translate_errors():
        async with engine.transaction():
            await engine.fetch(SET_LOCK_TIMEOUT)
            await engine.fetch(SET_SEQUENTIAL)
            await locks.wait_for(engine, locks.MIGRATION)
            found = await inspection.inspect(engine)
            for table in found.to_do:
                started = perf_counter()
                await _place(engine, table)
                report(table, perf_counter() - started)
        await _free(engine)
        if found.to_do:
            await engine.fetch(ANALYZE)
    return found


async def _place(engine: Engine, table: TablePlan) -> None:
    if table.placement is Placement.EVERYWHERE:
        await engine.fetch(PUT_EVERYWHERE, table=table.table)
    elif table.placement is Placement.COORDINATOR:
        await engine.fetch(KEEP_ON_COORDINATOR, table=table.table)
    elif table.table == "users":
        await engine.fetch(DISTRIBUTE_FIRST, table=table.table, column=table.column)
    else:
        if table.table == "tasks":  # a unique key must have the user
            await engine.fetch(WIDEN_ID_OF_TASKS)
            await engine.fetch(KEY_OF_TASKS)
        await engine.fetch(DISTRIBUTE, table=table.table, column=table.column)


async def _free(engine: Engine) -> None:
    """Remove the local copies of rows, also those that an interrupted run has left.

    Those that refer to others go first.
    """
    found = await inspection.placed(engine)
    for name in reversed(OF_USER):
        if found[name]["method"] == "h" and found[name]["has_size"]:
            await engine.fetch(FREE, table=name)
