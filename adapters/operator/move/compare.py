"""Compares the tables of the source and the target of a move."""

from collections.abc import Sequence
from typing import Any, Final

from chatkeep.adapters.operator.move.preflight import (
    SourceState,
    TargetState,
    plan_tables,
    written_since_error,
)
from chatkeep.adapters.operator.move.statements import TABLES, MovedTable, bounds
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.operations.move import MoveError, TableComparison

PRESENT: Final = Statement(
    "move.present", "SELECT count(*) AS rows FROM users WHERE id = ANY(:ids::text[])"
)


async def compare_table(source: Engine, target: Engine, table: MovedTable) -> TableComparison:
    [in_source] = await source.fetch(table.statements.compare)
    rows = in_source["rows"]
    if table.adopted:
        present = await _count_present(source, target, table)
        return TableComparison(table.name, rows, present, rows == present, None)
    [in_target] = await target.fetch(table.statements.compare)
    equal = in_source == in_target
    return TableComparison(table.name, rows, in_target["rows"], equal, _checksum(in_target))


async def check_untouched(target: Engine, state: TargetState, tables: Sequence[MovedTable]) -> None:
    """Raise `MoveError` if another process has written to the target since a run finished."""
    for table in tables:
        if state.sums and table.name in state.sums:
            [row] = await target.fetch(table.statements.compare)
            if _checksum(row) != state.sums[table.name]:
                raise written_since_error()


async def is_done(
    source: Engine, target: Engine, source_state: SourceState, target_state: TargetState
) -> bool:
    """Return whether the target equals the source already; raise `MoveError` if it is in use."""
    if not target_state.occupied or (target_state.is_marked and not target_state.sums):
        return False
    columns = {name: table.columns for name, table in target_state.tables.items()}
    if not all(columns[table.name] == set(table.columns) for table in TABLES[1:]):
        raise occupied_error(target_state)
    tables = plan_tables(source_state, target_state)
    for table in tables:
        if not (await compare_table(source, target, table)).equal:
            if not target_state.is_marked:
                raise occupied_error(target_state)
            await check_untouched(target, target_state, tables)
            return False
    return True


def occupied_error(state: TargetState) -> MoveError:
    return MoveError(
        f"The target has rows in {', '.join(state.occupied)} that no unfinished move of this "
        "source has brought, and they stay as they are: move into an empty database."
    )


async def _count_present(source: Engine, target: Engine, table: MovedTable) -> int:
    """Return how many of the source's users are in the target's table, which may have others."""
    present = 0
    rows: Sequence[Any] = await source.fetch(table.statements.first)
    while rows:
        start = tuple(rows[0])
        rows = await source.fetch(table.statements.next, **bounds(start))
        end = tuple(rows[0]) if rows else None
        span = table.statements.range if rows else table.statements.tail
        ids = [row["id"] for row in await source.fetch(span, **bounds(start, end))]
        [found] = await target.fetch(PRESENT, ids=ids)
        present += found["rows"]
    return present


def _checksum(row: Any) -> str:  # noqa: ANN401 - asyncpg is untyped
    return f"{row['rows']} {row['checksum']}"
