"""Copies all that is chatkeep's from one database to another, and compares the two.

The source is only read, in one snapshot. What is in the target already, from a run that was
interrupted, is compared range by range, and only what differs is copied again. Memory grows neither
with the tables nor with the rows: what is under way lies in a file.
"""

import tempfile
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from chatkeep.adapters.operator.move.preflight import (
    Source,
    Target,
    mark,
    mark_end,
    plan,
    source_of,
    target_of,
    written_since,
)
from chatkeep.adapters.operator.move.statements import (
    STAGED,
    TABLES,
    TASKS,
    Bounds,
    Table,
    bounds,
)
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import explain_unavailability, translate_errors
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.transaction import READ_SNAPSHOT
from chatkeep.domain.errors import DatabaseError, StoreUnavailableError
from chatkeep.domain.operations.move import (
    Advance,
    MoveError,
    MovePreview,
    MoveResult,
    TableComparison,
)

IN_MEMORY: Final = 8 * 1024 * 1024
"""Bytes of a range that are held in memory; more of them go to a temporary file."""

# Copying may take hours; the text of a row must be the same on both sides.
SET_LIMITS: Final = Statement(
    "move.set_limits",
    """
SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '60s', true),
       set_config('idle_in_transaction_session_timeout', '0', true),
       set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, YMD', true)""",
)
ANALYZE: Final = Statement("move.analyze", f"ANALYZE {', '.join(table.name for table in TABLES)}")
PRESENT: Final = Statement(
    "move.present", "SELECT count(*) AS rows FROM users WHERE id = ANY(:ids::text[])"
)
# The next number is beyond every task there is, and every one that was deleted.
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

    Raises `MoveError` when there is nothing, or the target cannot take it or be reached, and
    `StoreUnavailableError` and `DatabaseError` for the source.
    """
    await _check_usable(target)
    with translate_errors():
        async with source.transaction():
            await _begin_reading(source)
            giver = await source_of(source)
            rows = {}
            for table in (*TABLES, *([TASKS] if giver.tables["tasks"].ours else [])):
                [row] = await source.fetch(table.statements.count)
                rows[table.name] = row["rows"]
            if not any(rows.values()):
                raise MoveError("The source holds nothing: there is nothing to move.")
            async with target.transaction():
                await _begin_reading(target)
                taker = await target_of(target, giver)
                done = await _is_done(source, target, giver, taker)
        return MovePreview(rows, giver.sessions, taker.marked, done)


async def move(source: Engine, target: Engine, advance: Advance) -> MoveResult:
    """Copy what is not in the target yet, then compare the target with the source as it is then.

    Both are migrated. `target` has a pool, and no limit on how long a statement takes. Unless all
    is equal at the end, run it again: it goes on where it stopped.

    Raises `MoveError`, `StoreUnavailableError` and `DatabaseError`.
    """
    with translate_errors():
        tables, last_task = await _copy(source, target, advance)
        await target.fetch(ANALYZE)
        return await _compare(source, target, tables, last_task)


async def _check_usable(target: Engine) -> None:
    try:
        with translate_errors():
            await target.fetch("SELECT")
    except StoreUnavailableError as error:
        raise MoveError(f"The target cannot be used. {explain_unavailability(error)}") from error
    except (DatabaseError, OSError) as error:
        raise MoveError(f"The target cannot be used. {error}") from error


async def _copy(source: Engine, target: Engine, advance: Advance) -> tuple[list[Table], int]:
    """Copy all tables; return them, and the last number that the source gave to a task."""
    async with source.transaction() as reading:
        await _begin_reading(source)
        giver = await source_of(source)
        async with target.transaction():
            await _begin(target)
            taker = await target_of(target, giver)
            if taker.occupied and not taker.marked:
                raise _occupied(taker)
            tables = plan(giver, taker)
            await _check_untouched(target, taker, tables)
            await mark(target, giver)
        for table in tables:
            copying = _Copying(source, target, reading.connection, table)
            await copying.copy(advance)
        [row] = await source.fetch(LAST_TASK)
    return tables, row["last"]


async def _compare(
    source: Engine, target: Engine, tables: Sequence[Table], last_task: int
) -> MoveResult:
    async with source.transaction():
        await _begin_reading(source)
        giver = await source_of(source)
        async with target.transaction():
            await _begin(target)
            compared = [await _compare_table(source, target, table) for table in tables]
            if TASKS in tables:
                await target.fetch(SET_NEXT_TASK, last=last_task)
            sums = {each.table: each.checksum for each in compared if each.checksum}
            await mark_end(target, sums)
    return MoveResult(compared, giver.sessions)


class _Copying:
    """One table, from the snapshot that `reading`, a connection, has of the source."""

    def __init__(self, source: Engine, target: Engine, reading: Any, table: Table) -> None:  # noqa: ANN401 - asyncpg is untyped
        self._source = source
        self._target = target
        self._reading = reading
        self._table = table

    async def copy(self, advance: Advance) -> None:
        first = self._table.statements.first
        ours, theirs = await self._source.fetch(first), await self._target.fetch(first)
        if not ours and not theirs:
            return
        low = min(tuple(row) for row in (*ours, *theirs))
        fresh = not theirs
        async for start, end in self._ranges(low):
            async with self._target.transaction() as writing:
                await _begin(self._target)
                if fresh:
                    advance(await self._copy_to(self._table.name, writing.connection, start, end))
                else:
                    advance(await self._bring(writing.connection, start, end))

    async def _ranges(self, low: Bounds) -> AsyncIterator[tuple[Bounds, Bounds | None]]:
        """Yield ranges, from a key to before another one, that together are all keys."""
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

    async def _bring(self, writing: Any, start: Bounds, end: Bounds | None) -> int:  # noqa: ANN401
        """Make a range of the target equal to that of the source. Return how many rows it has."""
        texts = self._table.statements
        if not self._table.adopted:
            compare = texts.compare_tail if end is None else texts.compare_range
            [ours] = await self._source.fetch(compare, **bounds(start, end))
            [theirs] = await self._target.fetch(compare, **bounds(start, end))
            if ours == theirs:
                return int(ours["rows"])
        await self._target.fetch(texts.stage)
        rows = await self._copy_to(STAGED, writing, start, end)
        if not self._table.adopted:
            clear = texts.clear_tail if end is None else texts.clear_range
            await self._target.fetch(clear, **bounds(start, end))
        await self._target.fetch(texts.add)
        return rows

    async def _copy_to(
        self,
        name: str,
        writing: Any,  # noqa: ANN401 - asyncpg is untyped
        start: Bounds,
        end: Bounds | None,
    ) -> int:
        """Copy a range into a table of that name, byte for byte. Return how many rows it has."""
        texts = self._table.statements
        query = texts.tail if end is None else texts.range
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as rows:
            status = await self._reading.copy_from_query(
                query.sql, *query.bind(bounds(start, end)), output=rows, format="binary"
            )
            rows.seek(0)
            await writing.copy_to_table(name, source=rows, columns=texts.columns, format="binary")
        return int(status.split()[-1])


async def _compare_table(source: Engine, target: Engine, table: Table) -> TableComparison:
    compare = table.statements.compare
    [ours] = await source.fetch(compare)
    if table.adopted:
        present = await _present(source, target, table)
        return TableComparison(table.name, ours["rows"], present, ours["rows"] == present, None)
    [theirs] = await target.fetch(compare)
    return TableComparison(table.name, ours["rows"], theirs["rows"], ours == theirs, _sum(theirs))


def _sum(row: Any) -> str:  # noqa: ANN401 - asyncpg is untyped
    return f"{row['rows']} {row['checksum']}"


async def _check_untouched(target: Engine, taker: Target, tables: Sequence[Table]) -> None:
    """Raise `MoveError` when somebody has written to the target since a run came to its end."""
    for table in tables:
        if taker.sums and table.name in taker.sums:
            [row] = await target.fetch(table.statements.compare)
            if _sum(row) != taker.sums[table.name]:
                raise written_since()


async def _present(source: Engine, target: Engine, table: Table) -> int:
    """Return how many of the source's users there are in a target that has users of its own."""
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


async def _is_done(source: Engine, target: Engine, giver: Source, taker: Target) -> bool:
    """Return whether the target equals the source already; raise `MoveError` if it is in use."""
    if not taker.occupied or (taker.marked and not taker.sums):
        return False
    if not all(taker.tables[table.name].columns == set(table.columns) for table in TABLES[1:]):
        raise _occupied(taker)
    tables = plan(giver, taker)
    for table in tables:
        if not (await _compare_table(source, target, table)).equal:
            if not taker.marked:
                raise _occupied(taker)
            await _check_untouched(target, taker, tables)
            return False
    return True


def _occupied(taker: Target) -> MoveError:
    return MoveError(
        f"The target has rows in {', '.join(taker.occupied)} that no unfinished move of this "
        "source has brought, and they stay as they are: move into an empty database."
    )


async def _begin_reading(engine: Engine) -> None:
    await engine.fetch(READ_SNAPSHOT)
    await _begin(engine)


async def _begin(engine: Engine) -> None:
    await engine.fetch(SET_LIMITS)
