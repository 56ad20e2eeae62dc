"""Copies chatkeep's tables from one database to another, and compares the two.

The source is only read, in one snapshot. Rows that an interrupted run has left in the target are
compared range by range, and only ranges that differ are copied again. A range is held in a file,
so memory grows neither with the tables nor with the rows.
"""

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from chatkeep.adapters.operator.move.compare import (
    check_untouched,
    compare_table,
    is_done,
    occupied_error,
)
from chatkeep.adapters.operator.move.preflight import (
    inspect_source,
    inspect_target,
    mark_begun,
    mark_finished,
    plan_tables,
)
from chatkeep.adapters.operator.move.statements import (
    STAGED,
    TABLES,
    TASKS,
    Bounds,
    MovedTable,
    bounds,
)
from chatkeep.adapters.piccolo import migrate as migrations
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import explain_unavailability, translate_errors
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.transaction import READ_SNAPSHOT
from chatkeep.domain.errors import DatabaseError, StoreUnavailableError
from chatkeep.domain.operations.migrations import MigrationError
from chatkeep.domain.operations.move import (
    Advance,
    MoveError,
    MovePreview,
    MoveResult,
)

IN_MEMORY: Final = 8 * 1024 * 1024
"""Bytes of a range that are held in memory; the rest goes to a temporary file."""

# Copying may take hours, and the text of a row must be the same on both sides.
SET_LIMITS: Final = Statement(
    "move.set_limits",
    """
SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '60s', true),
       set_config('idle_in_transaction_session_timeout', '0', true),
       set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, YMD', true)""",
)
PING: Final = Statement("move.ping", "SELECT")
ANALYZE: Final = Statement("move.analyze", f"ANALYZE {', '.join(table.name for table in TABLES)}")
# The next number must be higher than that of every task, including those that were deleted.
LAST_TASK: Final = Statement(
    "move.last_task",
    """
SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('tasks', 'id')::regclass), 0)
         AS last""",
)
SET_NEXT_TASK: Final = Statement(
    "move.set_next_task",
    """
SELECT setval(pg_get_serial_sequence('tasks', 'id'),
              greatest(:last, 1, (SELECT max(id) FROM tasks)))""",
)


async def preview(source: Engine, target: Engine) -> MovePreview:
    """Return what there is to move, and change nothing. The target need not be migrated.

    Raises `MoveError` when there is nothing to move, or the target is unusable, and
    `StoreUnavailableError` and `DatabaseError` for the source.
    """
    with _move_errors("The target cannot be used."):
        await target.fetch(PING)
    with translate_errors():
        async with source.transaction():
            await _begin_reading(source)
            source_state = await inspect_source(source)
            rows = {}
            for table in (*TABLES, *([TASKS] if source_state.tables["tasks"].is_ours else [])):
                [row] = await source.fetch(table.statements.count)
                rows[table.name] = row["rows"]
            if not any(rows.values()):
                raise MoveError("The source holds nothing: there is nothing to move.")
            async with target.transaction():
                await _begin_reading(target)
                target_state = await inspect_target(target, source_state)
                done = await is_done(source, target, source_state, target_state)
        return MovePreview(rows, source_state.sessions, target_state.is_marked, done)


async def move(source: Engine, target: Engine, advance: Advance) -> MoveResult:
    """Copy what the target lacks, then compare it with the source as the source is then.

    Both are migrated. `target` has a pool, and no limit on how long a statement takes. If they
    differ at the end, or the move is interrupted, run it again: it continues.

    Raises `MoveError`, `StoreUnavailableError` and `DatabaseError`.
    """
    with translate_errors():
        tables, last_task = await _copy(source, target, advance)
        await target.fetch(ANALYZE)
        return await _compare(source, target, tables, last_task)


async def migrate_target(target: Engine) -> None:
    """Bring the target to the newest schema. Raises `MoveError`."""
    with _move_errors("The target could not be migrated."):
        await migrations.migrate(target)


@contextmanager
def _move_errors(what: str) -> Iterator[None]:
    """Raise `MoveError`, which begins with `what`, for an error of the target."""
    try:
        with translate_errors():
            yield
    except StoreUnavailableError as error:
        raise MoveError(f"{what} {explain_unavailability(error)}") from error
    except (MigrationError, DatabaseError, OSError) as error:
        raise MoveError(f"{what} {error}") from error


async def _copy(source: Engine, target: Engine, advance: Advance) -> tuple[list[MovedTable], int]:
    """Copy all tables; return them, and the last number that the source gave to a task."""
    async with source.transaction() as reading:
        await _begin_reading(source)
        source_state = await inspect_source(source)
        async with target.transaction():
            await _begin(target)
            target_state = await inspect_target(target, source_state)
            if target_state.occupied and not target_state.is_marked:
                raise occupied_error(target_state)
            tables = plan_tables(source_state, target_state)
            await check_untouched(target, target_state, tables)
            await mark_begun(target, source_state)
        for table in tables:
            copier = _Copier(source, target, reading.connection, table)
            await copier.copy(advance)
        [row] = await source.fetch(LAST_TASK)
    return tables, row["last"]


async def _compare(
    source: Engine, target: Engine, tables: Sequence[MovedTable], last_task: int
) -> MoveResult:
    async with source.transaction():
        await _begin_reading(source)
        source_state = await inspect_source(source)
        async with target.transaction():
            await _begin(target)
            compared = [await compare_table(source, target, table) for table in tables]
            if TASKS in tables:
                await target.fetch(SET_NEXT_TASK, last=last_task)
            sums = {each.table: each.checksum for each in compared if each.checksum}
            await mark_finished(target, sums)
    return MoveResult(compared, source_state.sessions)


class _Copier:
    """Copies one table. The connection `reading` has the snapshot of the source."""

    def __init__(self, source: Engine, target: Engine, reading: Any, table: MovedTable) -> None:  # noqa: ANN401 - asyncpg is untyped
        self._source = source
        self._target = target
        self._reading = reading
        self._table = table

    async def copy(self, advance: Advance) -> None:
        first = self._table.statements.first
        in_source, in_target = await self._source.fetch(first), await self._target.fetch(first)
        if not in_source and not in_target:
            return
        low = min(tuple(row) for row in (*in_source, *in_target))
        async for start, end in self._ranges(low):
            async with self._target.transaction() as writing:
                await _begin(self._target)
                if not in_target:
                    advance(await self._copy_to(self._table.name, writing.connection, start, end))
                else:
                    advance(await self._repair(writing.connection, start, end))

    async def _ranges(self, low: Bounds) -> AsyncIterator[tuple[Bounds, Bounds | None]]:
        """Yield the start and the end of ranges that together cover all keys."""
        start = low
        while True:
            rows = await self._source.fetch(self._table.statements.next, **bounds(start))
            if rows and tuple(rows[0]) == start:
                rows = await self._source.fetch(self._table.statements.after, **bounds(start))
            if not rows:
                yield start, None
                return
            end = tuple(rows[0])
            yield start, end
            start = end

    async def _repair(self, writing: Any, start: Bounds, end: Bounds | None) -> int:  # noqa: ANN401
        """Make a range of the target equal to that of the source. Return its number of rows."""
        statements = self._table.statements
        if not self._table.adopted:
            compare = statements.compare_tail if end is None else statements.compare_range
            [in_source] = await self._source.fetch(compare, **bounds(start, end))
            [in_target] = await self._target.fetch(compare, **bounds(start, end))
            if in_source == in_target:
                return int(in_source["rows"])
        await self._target.fetch(statements.stage)
        rows = await self._copy_to(STAGED, writing, start, end)
        if not self._table.adopted:
            clear = statements.clear_tail if end is None else statements.clear_range
            await self._target.fetch(clear, **bounds(start, end))
        await self._target.fetch(statements.add)
        return rows

    async def _copy_to(
        self,
        name: str,
        writing: Any,  # noqa: ANN401 - asyncpg is untyped
        start: Bounds,
        end: Bounds | None,
    ) -> int:
        """Copy a range into a table of that name, byte for byte. Return its number of rows."""
        statements = self._table.statements
        query = statements.tail if end is None else statements.range
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as rows:
            status = await self._reading.copy_from_query(
                query.sql, *query.bind(bounds(start, end)), output=rows, format="binary"
            )
            rows.seek(0)
            await writing.copy_to_table(
                name, source=rows, columns=statements.columns, format="binary"
            )
        return int(status.split()[-1])


async def _begin_reading(engine: Engine) -> None:
    await engine.fetch(READ_SNAPSHOT)
    await _begin(engine)


async def _begin(engine: Engine) -> None:
    await engine.fetch(SET_LIMITS)
