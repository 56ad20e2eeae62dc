"""The tables as Piccolo knows them: every column, its type, and whether it may be null.

Column lists in SQL come from here (`column_names`), and so does the check of the schema. Piccolo
cannot declare composite keys or partial indexes, so the migrations that make the tables are SQL.
"""

from collections.abc import Collection
from typing import Any, ClassVar, Final, NoReturn, cast

from piccolo.columns import (
    JSON,
    JSONB,
    UUID,
    Array,
    BigInt,
    Boolean,
    Bytea,
    Integer,
    Text,
    Timestamp,
    Timestamptz,
    Varchar,
)
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.columns.defaults.uuid import UUID4
from piccolo.engine import engine_finder
from piccolo.engine.base import Engine
from piccolo.table import Table


class ConfiguredEngine:
    """Piccolo's own engine for these tables: that of `piccolo_conf`, found when it is used.

    Building a query for our own engine needs only the dialect, so it needs no `piccolo_conf`.
    """

    engine_type = "postgres"

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever an engine has
        if name.startswith("_"):  # Python and pytest ask for those of any object, not of an engine
            raise AttributeError(name)
        return getattr(engine_finder(), name)


MADE_BY_CHATKEEP: Final = "made by chatkeep"
"""The comment that the migrations put on tables that may also be another application's."""

DB: Final = cast("Engine[Any]", ConfiguredEngine())


class CompositeKeyError(TypeError):
    """A method of Piccolo's would reach every row that shares one column of a composite key."""

    def __init__(self, table: type["CompositeKey"], method: str) -> None:
        key = ", ".join(table.key_columns)
        where = ", ".join(f"{table.__name__}.{name} == ..." for name in table.key_columns)
        super().__init__(
            f"{method}() would reach rows of other users: {table.__name__} has the key ({key}), "
            f"and Piccolo knows one column of it. Use {table.__name__}.insert(...), or "
            f"select(), objects(), update() or delete() with .where({where})."
        )


class CompositeKey:
    """Refuses the methods that find a row by the one column Piccolo takes for the primary key.

    `key_columns` are the columns of the real one.
    """

    key_columns: ClassVar[tuple[str, ...]]

    def save(self, *_args: Any, **_options: Any) -> NoReturn:  # noqa: ANN401 - Piccolo's own
        raise CompositeKeyError(type(self), "save")

    def update_self(self, *_args: Any, **_options: Any) -> NoReturn:  # noqa: ANN401 - the same
        raise CompositeKeyError(type(self), "update_self")

    def remove(self, *_args: Any, **_options: Any) -> NoReturn:  # noqa: ANN401 - the same
        raise CompositeKeyError(type(self), "remove")

    def refresh(self, *_args: Any, **_options: Any) -> NoReturn:  # noqa: ANN401 - the same
        raise CompositeKeyError(type(self), "refresh")

    def get_related(self, *_args: Any, **_options: Any) -> NoReturn:  # noqa: ANN401 - the same
        raise CompositeKeyError(type(self), "get_related")

    def get_m2m(self, *_args: Any, **_options: Any) -> NoReturn:  # noqa: ANN401 - the same
        raise CompositeKeyError(type(self), "get_m2m")

    def add_m2m(self, *_args: Any, **_options: Any) -> NoReturn:  # noqa: ANN401 - the same
        raise CompositeKeyError(type(self), "add_m2m")

    def remove_m2m(self, *_args: Any, **_options: Any) -> NoReturn:  # noqa: ANN401 - the same
        raise CompositeKeyError(type(self), "remove_m2m")

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same row, by the whole key."""
        if not isinstance(other, type(self)):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.key_columns)

    __hash__ = None  # type: ignore[assignment] # as Piccolo's tables


class UserIds(Table, tablename="users", db=DB):
    """The part of `users` that is there in every installation. Use this one for queries."""

    id = Varchar(length=255, primary_key=True, default=None)


class Users(Table, tablename="users", db=DB):
    id = Varchar(length=255, primary_key=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class Conversations(CompositeKey, Table, tablename="conversations", db=DB):
    key_columns = ("id", "user_id")
    id = UUID(primary_key=True, default=UUID4())
    text_id = Text(null=True, default=None)
    user_id = Varchar(length=255, default=None)
    title = Text(null=True, default=None)
    status = Varchar(length=20, default="active")
    metadata = JSONB(default="{}")
    retain = Boolean(default=False)
    message_count = Integer(default=0)
    last_position = BigInt(default=0)
    revision = BigInt(default=0)
    branch = Integer(null=True, default=None)
    forked_from = Text(null=True, default=None)
    forked_at = Text(null=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())
    updated_at = Timestamptz(default=TimestamptzNow())


class Messages(CompositeKey, Table, tablename="messages", db=DB):
    key_columns = ("id", "user_id")
    id = UUID(primary_key=True, default=UUID4())
    conversation_id = UUID(default=None)
    user_id = Varchar(length=255, default=None)
    role = Varchar(length=20, default=None)
    position = BigInt(default=None)
    content = Text(null=True, default=None)
    tool_calls = JSONB(null=True, default=None)
    tool_call_id = Text(null=True, default=None)
    name = Text(null=True, default=None)
    metadata = JSONB(default="{}")
    created_at = Timestamptz(default=TimestamptzNow())
    item_id = Text(null=True, default=None)
    item = JSON(null=True, default=None)
    tokens = Integer(null=True, default=None)
    starts_context = Boolean(null=True, default=None)
    edited_at = Timestamptz(null=True, default=None)
    format = Text(null=True, default=None)
    original = Text(null=True, default=None)
    parts = JSON(null=True, default=None)
    text_id = Text(null=True, default=None)


class ConversationItems(CompositeKey, Table, tablename="conversation_items", db=DB):
    key_columns = ("conversation_id", "position", "user_id")
    conversation_id = UUID(default=None)
    user_id = Varchar(length=255, default=None)
    position = BigInt(primary_key=True, default=None)
    item_id = Text(default=None)
    item = JSON(default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class ConversationBranches(CompositeKey, Table, tablename="conversation_branches", db=DB):
    key_columns = ("conversation_id", "number", "user_id")
    conversation_id = UUID(default=None)
    user_id = Varchar(length=255, default=None)
    number = Integer(primary_key=True, default=None)
    parent = Integer(null=True, default=None)
    left_at = BigInt(default=None)
    name = Text(null=True, default=None)
    firsts = Array(base_column=BigInt(), default=None)
    lasts = Array(base_column=BigInt(), default=None)
    path_firsts = Array(base_column=BigInt(), null=True, default=None)
    path_lasts = Array(base_column=BigInt(), null=True, default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class ConversationChanges(CompositeKey, Table, tablename="conversation_changes", db=DB):
    key_columns = ("conversation_id", "revision", "number", "user_id")
    conversation_id = UUID(default=None)
    user_id = Varchar(length=255, default=None)
    revision = BigInt(default=None)
    number = Integer(primary_key=True, default=None)
    kind = Text(default=None)
    message_id = UUID(null=True, default=None)
    text_id = Text(null=True, default=None)
    changed_at = Timestamptz(default=TimestamptzNow())


class ConversationKeys(CompositeKey, Table, tablename="conversation_keys", db=DB):
    key_columns = ("conversation_id", "key", "user_id")
    conversation_id = UUID(default=None)
    user_id = Varchar(length=255, default=None)
    key = Text(primary_key=True, default=None)
    digest = Text(default=None)
    first_position = BigInt(default=None)
    last_position = BigInt(default=None)
    created_at = Timestamptz(default=TimestamptzNow())


class DraftRows(CompositeKey, Table, tablename="drafts", db=DB):
    key_columns = ("conversation_id", "number", "user_id")
    user_id = Varchar(length=255, default=None)
    conversation_id = UUID(default=None)
    number = BigInt(primary_key=True, default=None)
    id = UUID(default=None)
    text_id = Text(null=True, default=None)
    epoch = Integer(default=None)
    status = Varchar(length=20, default=None)
    message_id = UUID(default=None)
    message_text_id = Text(null=True, default=None)
    place = Text(null=True, default=None)
    format = Text(default=None)
    metadata = JSONB(default=None)
    lease = Integer(default=None)
    next_chunk = Integer(default=None)
    bytes = BigInt(default=None)
    chars = BigInt(default=None)
    started_at = Timestamptz(default=None)
    progress_at = Timestamptz(default=None)
    ends_by = Timestamptz(default=None)
    ended_at = Timestamptz(null=True, default=None)
    position = BigInt(null=True, default=None)


class DraftChunkRows(CompositeKey, Table, tablename="draft_chunks", db=DB):
    """The chunks of one write. `seq` is the number of the last one."""

    key_columns = ("conversation_id", "draft", "seq", "user_id")
    user_id = Varchar(length=255, default=None)
    conversation_id = UUID(default=None)
    draft = BigInt(default=None)
    seq = Integer(primary_key=True, default=None)
    chunks = Array(base_column=Text(), default=None)
    bytes = Integer(default=None)


class SearchConversations(CompositeKey, Table, tablename="search_conversations", db=DB):
    key_columns = ("user_id", "conversation_id")
    user_id = Varchar(length=255, default=None)
    conversation_id = UUID(primary_key=True, default=None)
    version = BigInt(default=None)
    revision = BigInt(default=None)
    rest_before = BigInt(null=True, default=None)
    title_filter = Bytea(default=None)
    index_version = Integer(default=1)


class SearchSegments(CompositeKey, Table, tablename="search_segments", db=DB):
    key_columns = ("user_id", "conversation_id", "first")
    user_id = Varchar(length=255, default=None)
    conversation_id = UUID(default=None)
    first = BigInt(primary_key=True, default=None)
    last = BigInt(default=None)
    mark = BigInt(default=None)
    places = Bytea(default=None)
    filter = Bytea(default=None)


class ConversationSweeps(Table, tablename="conversation_sweeps", db=DB):
    due = Timestamptz(primary_key=True, default=None)
    started_at = Timestamptz(default=None)
    finished_at = Timestamptz(null=True, default=None)
    archived = Integer(default=0)
    deleted = Integer(default=0)
    messages = BigInt(default=0)
    retained = Integer(default=0)


class AuditLines(CompositeKey, Table, tablename="audit_lines", db=DB):
    key_columns = ("id", "user_id")
    id = UUID(primary_key=True, default=None)
    user_id = Varchar(length=255, default=None)
    operator = Text(default=None)
    action = Text(default=None)
    conversation_id = Text(null=True, default=None)
    message_id = Text(null=True, default=None)
    at = Timestamptz(default=None)


class DoctorResults(Table, tablename="doctor_results", db=DB):
    id = Integer(primary_key=True, default=None)
    at = Timestamptz(default=None)
    ok = Integer(default=None)
    warnings = Integer(default=None)
    failed = Integer(default=None)
    skipped = Integer(default=None)
    promises_kept = Integer(default=None)
    promises_broken = Integer(default=None)


class Adoptions(Table, tablename="adoptions", db=DB):
    id = UUID(primary_key=True, default=None)
    run = Timestamptz(default=None)


class Migrations(Table, tablename="migration", db=DB):
    """Piccolo's own list of the migrations that were applied."""

    name = Varchar(length=200)
    app_name = Varchar(length=200)
    ran_on = Timestamp(default=None)


TABLES: Final = (
    Users,
    Conversations,
    Messages,
    ConversationItems,
    ConversationBranches,
    ConversationChanges,
    ConversationKeys,
    DraftRows,
    DraftChunkRows,
    SearchConversations,
    SearchSegments,
    ConversationSweeps,
    AuditLines,
    DoctorResults,
    Adoptions,
)


def column_names(table: type[Table], *, without: Collection[str] = ()) -> tuple[str, ...]:
    """Return the columns of a table, in the order of its declaration.

    Raises `ValueError` when the table does not have a column of `without`.
    """
    names = [column._meta.name for column in table._meta.columns]  # noqa: SLF001 - Piccolo's way of saying it
    if unknown := [name for name in without if name not in names]:
        raise ValueError(f"{table.__name__} has no column {', '.join(unknown)}")
    return tuple(name for name in names if name not in without)


def table_name(table: type[Table]) -> str:
    name: str = table._meta.tablename  # noqa: SLF001 - Piccolo's way of saying it
    return name
