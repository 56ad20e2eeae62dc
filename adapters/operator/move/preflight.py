"""The two ends of a move: what they are, whether they fit, and the mark that one is under way.

The mark is a table in the target, `chatkeep_move`, from the first row that is copied on. Only with
it is a move continued, and only while nobody else has written to the target: what is there and not
in the source would be deleted.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from chatkeep.adapters.operator.move.statements import TABLES, TASKS, USERS, Table, users
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
class Source:
    """`newest`: no row is newer. `sessions`: how many others are connected, a service perhaps."""

    id: str
    newest: datetime
    sessions: int
    tables: dict[str, "Found"]


@dataclass(frozen=True, slots=True)
class Found:
    """A table as it is: `columns` are none where it does not exist."""

    ours: bool
    columns: frozenset[str]
    has_rows: bool


@dataclass(frozen=True, slots=True)
class Target:
    """`marked`: it holds what an earlier run of the same move brought.

    `sums`: of its tables, as that run left them; None when it did not come to its end.
    """

    tables: dict[str, Found]
    marked: bool
    sums: dict[str, str] | None

    @property
    def occupied(self) -> list[str]:
        """Tables of chatkeep's own that have rows."""
        own = {name for name, found in self.tables.items() if found.has_rows and found.ours}
        kept = {table.name for table in TABLES if table is not USERS}
        return sorted(own | {n for n in kept if n in self.tables and self.tables[n].has_rows})


async def source_of(engine: Engine) -> Source:
    """Return what the current transaction's database is, as the source of a move.

    Raises `MoveError`: when it is not chatkeep's, of another version, or already being moved.
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
    return Source(identity["id"], newest["newest"], sessions["others"], tables)


async def target_of(engine: Engine, source: Source) -> Target:
    """Return what the current transaction's database is, as the target. It need not be migrated.

    Raises `MoveError` when it is the source itself, or what was begun there cannot be continued.
    """
    # Locks belong to a database: both ends are the same one when this lock is taken already.
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
            raise written_since()
    return Target(tables, bool(marks), json.loads(sums) if sums else None)


def written_since() -> MoveError:
    return MoveError(
        "The target is not as the last run of this move has left it: a service has been writing "
        "there, and to go on would undo that. Move into an empty database."
    )


def plan(source: Source, target: Target) -> list[Table]:
    """Return what to copy, in order. Both ends are migrated. Raises `MoveError`."""
    ours, theirs = source.tables["users"], target.tables["users"]
    for table in TABLES[1:]:
        if target.tables[table.name].columns != set(table.columns):
            raise MoveError(
                f"The target's table {table.name} has columns other than this chatkeep's: it was "
                "migrated by another version. Move with that version, or into an empty database."
            )
    first = USERS
    if not (ours.ours and theirs.ours):
        both = ours.columns & theirs.columns & set(USERS.columns)
        columns = tuple(each for each in USERS.columns if each in both)
        first = users(columns, adopted=not theirs.ours)
    tables = [first, *TABLES[1:]]
    tasks = source.tables["tasks"]
    if tasks.ours and tasks.has_rows:
        if not target.tables["tasks"].ours:
            raise MoveError(
                "The source has rows in tasks, and the target has a table tasks that is another "
                "application's: rename that one, or move into another database."
            )
        tables.append(TASKS)
    return tables


async def mark(engine: Engine, source: Source) -> None:
    """Say in the target that it holds the beginning of a move."""
    await engine.fetch(MAKE_MARK)
    await engine.fetch(SET_MARK, source=source.id, newest=source.newest)


async def mark_end(engine: Engine, sums: dict[str, str]) -> None:
    """Say in the target how the run has left it."""
    await engine.fetch(SET_SUMS, sums=json.dumps(sums))


async def _tables(engine: Engine) -> dict[str, Found]:
    rows: list[Any] = await engine.fetch(COLUMNS, names=list(HAS_ROWS), comment=MADE_BY_CHATKEEP)
    found = {}
    for row in rows:
        has_rows = False
        if row["columns"]:
            [any_row] = await engine.fetch(HAS_ROWS[row["name"]])
            has_rows = any_row["found"]
        found[row["name"]] = Found(row["ours"], frozenset(row["columns"]), has_rows)
    return found
