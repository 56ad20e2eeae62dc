"""The tables that a move copies, and the statements for each.

A table is copied in ranges of its key, in the order of the key. That order must be the same on both
sides, whatever their collations are. Rows are compared by the sum of the hashes of their texts, so
their order does not matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from chatkeep.adapters.piccolo import tables
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import column_names, table_name

STAGED: Final = "chatkeep_moving"
"""A temporary table that lasts for one transaction."""

Bounds = tuple[Any, ...]
"""The values of a key, from which a range starts or before which it ends."""


@dataclass(frozen=True, slots=True)
class RangeKey:
    """The expressions that ranges are made of, and the types of their values."""

    expressions: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def row(self) -> str:
        return f"({', '.join(self.expressions)})"

    def parameters(self, bound: Literal["start", "end"]) -> str:
        """Return the values of a bound as parameters; `bounds` returns their values."""
        return f"({', '.join(f':{bound}_{n}::{kind}' for n, kind in enumerate(self.types))})"


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements of one table. A range goes from its `start` up to, but without, its `end`."""

    count: Statement
    first: Statement
    next: Statement
    """The key of the first row of the next range, if there is one."""
    after: Statement
    """The same, for a range whose rows all have the same key."""
    columns: tuple[str, ...]
    range: Statement
    tail: Statement
    """As `range`, without an end."""
    compare: Statement
    compare_range: Statement
    compare_tail: Statement
    stage: Statement
    clear_range: Statement
    """Delete the rows that differ from the staged ones."""
    clear_tail: Statement
    add: Statement


@dataclass(frozen=True, slots=True)
class MovedTable:
    """A table. `batch` rows are copied at once; `identity` are the columns of its primary key."""

    name: str
    columns: tuple[str, ...]
    key: RangeKey
    identity: tuple[str, ...]
    batch: int = 2_000
    adopted: bool = False
    """The target's table is another application's: rows are added, and never deleted."""
    statements: Statements = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "statements", _statements(self))


def _statements(table: MovedTable) -> Statements:
    name, key = table.name, table.key
    order = ", ".join(key.expressions)
    columns = ", ".join(table.columns)
    keys = ", ".join(f"{each} AS key_{n}" for n, each in enumerate(key.expressions))
    tail = f"{key.row} >= {key.parameters('start')}"
    span = f"{tail} AND {key.row} < {key.parameters('end')}"
    compare = f"SELECT count(*) AS rows, coalesce(sum({_hash(table.columns)}), 0)::text AS checksum"
    same = " AND ".join(f"s.{each} = t.{each}" for each in table.identity)
    equal = f"{_text(table.columns, 's')} = {_text(table.columns, 't')}"
    staged = f"NOT EXISTS (SELECT FROM {STAGED} s WHERE {same} AND {equal})"

    def make(kind: str, sql: str) -> Statement:
        return Statement(f"move.{kind}.{name}", sql)

    return Statements(
        count=make("count", f"SELECT count(*) AS rows FROM {name}"),
        first=make("first", f"SELECT {keys} FROM {name} ORDER BY {order} LIMIT 1"),
        next=make(
            "next",
            f"SELECT {keys} FROM {name} WHERE {tail} ORDER BY {order} OFFSET {table.batch} LIMIT 1",
        ),
        after=make(
            "after",
            f"SELECT {keys} FROM {name} WHERE {key.row} > {key.parameters('start')} "
            f"ORDER BY {order} LIMIT 1",
        ),
        columns=table.columns,
        range=make("range", f"SELECT {columns} FROM {name} WHERE {span} ORDER BY {order}"),
        tail=make("tail", f"SELECT {columns} FROM {name} WHERE {tail} ORDER BY {order}"),
        compare=make("compare", f"{compare} FROM {name}"),
        compare_range=make("compare_range", f"{compare} FROM {name} WHERE {span}"),
        compare_tail=make("compare_tail", f"{compare} FROM {name} WHERE {tail}"),
        stage=make(
            "stage",
            f"CREATE TEMPORARY TABLE {STAGED} ON COMMIT DROP "
            f"AS SELECT {columns} FROM {name} LIMIT 0",
        ),
        clear_range=make("clear_range", f"DELETE FROM {name} t WHERE {span} AND {staged}"),
        clear_tail=make("clear_tail", f"DELETE FROM {name} t WHERE {tail} AND {staged}"),
        add=make(
            "add",
            f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {STAGED} ON CONFLICT DO NOTHING",
        ),
    )


def bounds(start: Bounds, end: Bounds | None = None) -> dict[str, object]:
    """Return the values of a range's parameters; without `end`, those of what starts there."""
    values: dict[str, object] = {f"start_{n}": value for n, value in enumerate(start)}
    return values | {f"end_{n}": value for n, value in enumerate(end or ())}


def _text(columns: Sequence[str], alias: str = "") -> str:
    """Return the text of a row: json as it was written, times in the time zone that is set."""
    prefix = f"{alias}." if alias else ""
    return f"ROW({', '.join(prefix + column for column in columns)})::text"


def _hash(columns: Sequence[str]) -> str:
    """Return 64 bits of a hash that is the same in every version and on every machine."""
    digest = f"substring(sha256(convert_to({_text(columns)}, 'UTF8')) FOR 8)"
    return f"('x' || encode({digest}, 'hex'))::bit(64)::bigint::numeric"


_COLUMNS: Final = {table_name(table): column_names(table) for table in tables.TABLES}
_ID: Final = RangeKey(("id",), ("uuid",))
_PLACE: Final = RangeKey(("conversation_id", "position"), ("uuid", "bigint"))


def users(columns: tuple[str, ...] = _COLUMNS["users"], *, adopted: bool = False) -> MovedTable:
    """Return the table of users. Of another application's table only `id` is needed."""
    key = RangeKey(('id COLLATE "C"',), ("text",))
    return MovedTable("users", columns, key, ("id",), batch=20_000, adopted=adopted)


USERS: Final = users()

# Messages are copied in the order of their conversations, so rows that are read together are close.
TABLES: Final = (
    USERS,
    MovedTable("conversations", _COLUMNS["conversations"], _ID, ("id", "user_id")),
    MovedTable("messages", _COLUMNS["messages"], _PLACE, ("id", "user_id")),
    MovedTable(
        "conversation_items",
        _COLUMNS["conversation_items"],
        _PLACE,
        ("conversation_id", "position", "user_id"),
    ),
    MovedTable(
        "conversation_branches",
        _COLUMNS["conversation_branches"],
        RangeKey(("conversation_id", "number"), ("uuid", "integer")),
        ("conversation_id", "number", "user_id"),
    ),
    MovedTable(
        "conversation_changes",
        _COLUMNS["conversation_changes"],
        RangeKey(("conversation_id", "revision", "number"), ("uuid", "bigint", "integer")),
        ("conversation_id", "revision", "number", "user_id"),
    ),
    MovedTable(
        "conversation_keys",
        _COLUMNS["conversation_keys"],
        RangeKey(("conversation_id",), ("uuid",)),
        ("conversation_id", "key", "user_id"),
    ),
    MovedTable(
        "drafts",
        _COLUMNS["drafts"],
        RangeKey(("conversation_id", "number"), ("uuid", "bigint")),
        ("conversation_id", "number", "user_id"),
    ),
    MovedTable(
        "draft_chunks",
        _COLUMNS["draft_chunks"],
        RangeKey(("conversation_id", "draft", "seq"), ("uuid", "bigint", "integer")),
        ("conversation_id", "draft", "seq", "user_id"),
    ),
    MovedTable(
        "conversation_sweeps",
        _COLUMNS["conversation_sweeps"],
        RangeKey(("due",), ("timestamptz",)),
        ("due",),
    ),
    MovedTable("audit_lines", _COLUMNS["audit_lines"], _ID, ("id", "user_id")),
    MovedTable("adoptions", _COLUMNS["adoptions"], _ID, ("id",)),
)

MADE_AGAIN: Final = {
    table_name(table)
    for table in (tables.SearchConversations, tables.SearchSegments, tables.DoctorResults)
}
"""Tables that stay behind: searches make their rows again, and the doctor examines the target."""

TASKS: Final = MovedTable(
    "tasks",
    ("id", "user_id", "title", "description", "completed", "created_at", "updated_at"),
    RangeKey(("id",), ("integer",)),
    ("id",),
)
