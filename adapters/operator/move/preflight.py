"""Checks the source and the target of a move before it starts, and marks the target.

The mark is a table in the target, `chatkeep_move`, made before the first row is copied. Only a
marked target is continued, and only if no other process has written to it: a move deletes rows
that the source does not have.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from chatkeep.adapters.operator.move.statements import TABLES, TASKS, USERS, MovedTable, users
from chatkeep.adapters.piccolo import locks
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import MADE_BY_CHATKEEP, Conversations
from chatkeep.domain.operations.move import MoveError

IDENTITY: Final = Statement(
    "move.identity",
    """
SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' || oid AS id
FROM pg_database WHERE datname = current_database()""",
)
SESSIONS: Final = Statement(
    "move.sessions",
    """
SELECT count(*) AS others FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type = 'client backend'""",
)
NEWEST: Final = Statement(
    "move.newest", "SELECT greatest(now(), max(updated_at)) AS newest FROM conversations"
)

COLUMNS: Final = Statement(
    "move.columns",
    """
SELECT name, coalesce(obj_description(to_regclass(name), 'pg_class') = :comment, false) AS ours,
       coalesce(array_agg(a.attname::text) FILTER (WHERE a.attname IS NOT NULL), '{}') AS columns
FROM unnest(:names::text[]) AS name
LEFT JOIN pg_attribute a
  ON a.attrelid = to_regclass(name) AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY name""",
)

HAS_ROWS: Final = {
    table.name: Statement(
        f"move.has_rows.{table.name}", f"SELECT EXISTS (SELECT FROM {table.name}) AS found"
    )
    for table in (*TABLES, TASKS)
}

MARK_EXISTS: Final = Statement(
    "move.mark_exists", "SELECT to_regclass('chatkeep_move') IS NOT NULL AS found"
)
MARK: Final = Statement("move.mark", "SELECT source, newest, sums FROM chatkeep_move")
MAKE_MARK: Final = Statement(
    "move.make_mark",
    """
CREATE TABLE IF NOT EXISTS chatkeep_move (
  source text PRIMARY KEY, newest timestamptz NOT NULL, sums text,
  started_at timestamptz DEFAULT now())""",
)
SET_MARK: Final = Statement(
    "move.set_mark",
    """
INSERT INTO chatkeep_move (source, newest) VALUES (:source, :newest)
ON CONFLICT (source)
DO UPDATE SET newest = greatest(chatkeep_move.newest, :newest), sums = NULL""",
)
SET_SUMS: Final = Statement("move.set_sums", "UPDATE chatkeep_move SET sums = :sums")


@dataclass(frozen=True, slots=True)
class SourceState:
    """No row is newer than `newest`. `sessions` counts the others, perhaps a running service."""

    id: str
    newest: datetime
    sessions: int
    tables: dict[str, "TableState"]


@dataclass(frozen=True, slots=True)
class TableState:
    """A table of one database. `columns` are empty when it does not exist.

    `is_ours`: chatkeep's migrations made it.
    """

    is_ours: bool
    columns: frozenset[str]
    has_rows: bool


@dataclass(frozen=True, slots=True)
class TargetState:
    """`is_marked`: it holds the rows of an earlier run of the same move.

    `sums` are the checksums of its tables at the end of that run; None if it was interrupted.
    """

    tables: dict[str, TableState]
    is_marked: bool
    sums: dict[str, str] | None

    @property
    def occupied(self) -> list[str]:
        """The tables of chatkeep's own that have rows."""
        own = {table.name for table in TABLES if table is not USERS}
        return sorted(
            name
            for name, table in self.tables.items()
            if table.has_rows and (table.is_ours or name in own)
        )


async def inspect_source(engine: Engine) -> SourceState:
    """Inspect the current transaction's database as the source of a move.

    Raises `MoveError` when it is not chatkeep's, is of another version, or is already being moved.
    """
    if not await locks.try_to_take(engine, locks.MOVE):
        raise MoveError("This database is being moved already: wait for that, or end it.")
    tables = await _tables(engine)
    for table in TABLES:
        found = tables[table.name].columns
        if not found:
            raise MoveError(
                f"The source has no table {table.name}: it is not chatkeep's, or not migrated. "
                "Run `chatkeep migrate` on it first."
            )
        if table is not USERS and found != set(table.columns):
            raise MoveError(
                f"The source's table {table.name} has columns other than this chatkeep's "
                f"({', '.join(sorted(found ^ set(table.columns)))}): run `chatkeep migrate` on it."
            )
    [identity] = await engine.fetch(IDENTITY)
    [newest] = await engine.fetch(NEWEST)
    [sessions] = await engine.fetch(SESSIONS)
    return SourceState(identity["id"], newest["newest"], sessions["others"], tables)


async def inspect_target(engine: Engine, source: SourceState) -> TargetState:
    """Inspect the current transaction's database as the target. It need not be migrated.

    Raises `MoveError` when it is the source itself, or holds a move that cannot be continued.
    """
    # The source has taken this lock in its own database. If it is taken here, they are the same.
    if not await locks.try_to_take(engine, locks.MOVE):
        raise MoveError("Source and target are the same database, or another move is under way.")
    tables = await _tables(engine)
    [row] = await engine.fetch(MARK_EXISTS)
    marks = await engine.fetch(MARK) if row["found"] else []
    if marks and {mark["source"] for mark in marks} != {source.id}:
        raise MoveError(
            "The target holds the beginning of a move from another database: finish that one, or "
            "move into an empty database."
        )
    sums = marks[0]["sums"] if marks else None
    if marks and not sums and tables["conversations"].columns:
        newer = Conversations.exists().where(Conversations.updated_at > marks[0]["newest"])
        [row] = await engine.fetch_query("move.written_since", newer)
        if row["exists"]:
            raise written_since_error()
    return TargetState(tables, bool(marks), json.loads(sums) if sums else None)


def written_since_error() -> MoveError:
    return MoveError(
        "The target is not as the last run of this move has left it: a service has been writing "
        "there, and to go on would undo that. Move into an empty database."
    )


def plan_tables(source: SourceState, target: TargetState) -> list[MovedTable]:
    """Return the tables to copy, in order. Both databases are migrated. Raises `MoveError`."""
    source_users, target_users = source.tables["users"], target.tables["users"]
    for table in TABLES[1:]:
        if target.tables[table.name].columns != set(table.columns):
            raise MoveError(
                f"The target's table {table.name} has columns other than this chatkeep's: it was "
                "migrated by another version. Move with that version, or into an empty database."
            )
    first = USERS
    if not (source_users.is_ours and target_users.is_ours):
        shared = source_users.columns & target_users.columns
        columns = tuple(each for each in USERS.columns if each in shared)
        first = users(columns, adopted=not target_users.is_ours)
    tables = [first, *TABLES[1:]]
    tasks = source.tables["tasks"]
    if tasks.is_ours and tasks.has_rows:
        if not target.tables["tasks"].is_ours:
            raise MoveError(
                "The source has rows in tasks, and the target has a table tasks that is another "
                "application's: rename that one, or move into another database."
            )
        tables.append(TASKS)
    return tables


async def mark_begun(engine: Engine, source: SourceState) -> None:
    """Mark the target as holding an unfinished move."""
    await engine.fetch(MAKE_MARK)
    await engine.fetch(SET_MARK, source=source.id, newest=source.newest)


async def mark_finished(engine: Engine, sums: dict[str, str]) -> None:
    """Store the checksums of the target's tables at the end of a run."""
    await engine.fetch(SET_SUMS, sums=json.dumps(sums))


async def _tables(engine: Engine) -> dict[str, TableState]:
    rows: list[Any] = await engine.fetch(COLUMNS, names=list(HAS_ROWS), comment=MADE_BY_CHATKEEP)
    found = {}
    for row in rows:
        has_rows = False
        if row["columns"]:
            [any_row] = await engine.fetch(HAS_ROWS[row["name"]])
            has_rows = any_row["found"]
        found[row["name"]] = TableState(row["ours"], frozenset(row["columns"]), has_rows)
    return found
