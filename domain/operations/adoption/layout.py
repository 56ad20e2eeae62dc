"""Maps the columns of legacy tables to fields, by name, by kind, and by the operator's options."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from chatkeep.domain.errors import ChatkeepError

Entity = Literal["conversations", "messages"]


class AdoptionError(ChatkeepError):
    """The legacy tables cannot be adopted as they are; the message says what to do about it."""


class ColumnKind(StrEnum):
    """The kinds of column types that an adoption distinguishes."""

    INTEGER = "integer"
    UUID = "uuid"
    TEXT = "text"
    CHOICE = "enum"
    JSON = "json"
    TIME = "timestamp with time zone"
    NAIVE_TIME = "timestamp"
    DATE = "date"
    OTHER = "other"


class MessageOrder(StrEnum):
    """The column that orders the messages of a conversation."""

    TIME = "time"
    ID = "id"


class ExtraColumns(StrEnum):
    """The fate of columns that chatkeep has no field for."""

    METADATA = "metadata"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class LegacyColumn:
    """A column of a legacy table; `type` is the database's name for its type."""

    name: str
    kind: ColumnKind
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionOptions:
    """The operator's options about the legacy tables. None means to detect the value.

    `columns` maps a table and a field to the name of a column, or to an empty name if there is
    none. `has_owner` means that the operator names a user for conversations without an owner.
    """

    schema: str | None = None
    conversations: str | None = None
    messages: str | None = None
    columns: Mapping[tuple[Entity, str], str] = field(default_factory=dict)
    extra: ExtraColumns | None = None
    order: MessageOrder | None = None
    has_owner: bool = False


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """The columns of a table by field, and the extra columns without a field."""

    fields: Mapping[str, LegacyColumn]
    extra: tuple[LegacyColumn, ...]


@dataclass(frozen=True, slots=True)
class _Field:
    names: tuple[str, ...]
    kinds: frozenset[ColumnKind]
    required: bool = False


REFERENCE: Final = "conversation_id"
_IDS: Final = frozenset({ColumnKind.INTEGER, ColumnKind.UUID, ColumnKind.TEXT})
_TEXTS: Final = frozenset({ColumnKind.TEXT})
_CONTENTS: Final = frozenset({ColumnKind.TEXT, ColumnKind.JSON})
_CHOICES: Final = frozenset({ColumnKind.TEXT, ColumnKind.CHOICE})
_DOCUMENTS: Final = frozenset({ColumnKind.JSON, ColumnKind.TEXT})
_TIMES: Final = frozenset({ColumnKind.TIME, ColumnKind.NAIVE_TIME, ColumnKind.DATE})
_METADATA: Final = ("metadata", "metadata_", "meta")
_CREATED: Final = ("created_at", "created", "created_on")
_OWNERS: Final = ("user_id", "owner_id", "user", "owner")

FIELDS: Final[Mapping[Entity, Mapping[str, _Field]]] = {
    "conversations": {
        "id": _Field(("id", "conversation_id", "chat_id"), _IDS, required=True),
        "user_id": _Field(_OWNERS, _IDS),
        "title": _Field(("title",), _TEXTS),
        "status": _Field(("status", "state"), _CHOICES),
        "metadata": _Field(_METADATA, _DOCUMENTS),
        "created_at": _Field(_CREATED, _TIMES),
        "updated_at": _Field(("updated_at", "updated", "updated_on"), _TIMES),
    },
    "messages": {
        "id": _Field(("id", "message_id"), _IDS, required=True),
        "conversation_id": _Field(
            ("conversation_id", "chat_id", "thread_id", "session_id"), _IDS, required=True
        ),
        "user_id": _Field(_OWNERS, _IDS),
        "role": _Field(("role", "sender", "author"), _CHOICES, required=True),
        "content": _Field(("content", "text", "body", "message"), _CONTENTS, required=True),
        "tool_calls": _Field(("tool_calls",), _DOCUMENTS),
        "tool_call_id": _Field(("tool_call_id",), _IDS),
        "name": _Field(("name",), _TEXTS),
        "metadata": _Field(_METADATA, _DOCUMENTS),
        "created_at": _Field((*_CREATED, "timestamp", "sent_at"), _TIMES),
    },
}

TEXT_FIELDS: Final[Mapping[Entity, tuple[str, ...]]] = {
    entity: tuple(
        name for name, field in fields.items() if field.kinds != _TIMES and name != REFERENCE
    )
    for entity, fields in FIELDS.items()
}
"""The fields that are read as text: all but times, and the reference to the conversation."""

# Chatkeep derives these from the messages.
DERIVED: Final[Mapping[Entity, frozenset[str]]] = {
    "conversations": frozenset({"message_count", "messages_count", "last_message_at"}),
    "messages": frozenset(),
}

# The usual names, starting with those that chatkeep's migration suggests. The last name of each can
# only be found in a schema that the operator names: in the search path it is chatkeep's own table.
USUAL: Final[Mapping[Entity, tuple[str, ...]]] = {
    "conversations": ("old_conversations", "conversation", "chats", "conversations"),
    "messages": ("old_messages", "message", "chat_messages", "messages"),
}


def choose_table(
    entity: Entity, found: Sequence[tuple[str, str]], options: AdoptionOptions
) -> tuple[str, str]:
    """Return the only table (schema, name) in `found`. Raises `AdoptionError` if it is not one."""
    name = options.conversations if entity == "conversations" else options.messages
    where = f"in the schema {options.schema}" if options.schema else "in the search path"
    if not found:
        if name is None:
            raise AdoptionError(
                f"No legacy table of {entity} {where} (looked for {', '.join(USUAL[entity])}): "
                f"name it with --{entity} NAME, and its schema with --schema S."
            )
        hint = "name its schema with --schema S" if options.schema is None else "check the spelling"
        raise AdoptionError(
            f"No table {name!r} {where} that is not chatkeep's own: {hint}. "
            f"A name given with --{entity} is the table's alone, without quotes."
        )
    if len(found) > 1:
        names = ", ".join(".".join(each) for each in found)
        raise AdoptionError(
            f"Several tables could be the legacy {entity}: {names}. Name one with --{entity} NAME "
            "(and --schema S)."
        )
    return found[0]


def map_columns(
    entity: Entity, table: str, columns: Iterable[LegacyColumn], options: AdoptionOptions
) -> ColumnMapping:
    """Map columns to fields. Raises `AdoptionError` that lists everything that is unclear."""
    by_name = {column.name: column for column in columns}
    fields: dict[str, LegacyColumn] = {}
    problems = []
    for name, expected in FIELDS[entity].items():
        option = f"--column {entity}.{name}=NAME"
        given = options.columns.get((entity, name))
        if given is not None:
            names: tuple[str, ...] = (given,) if given else ()
            if given and given not in by_name:
                problems.append(f"has no column {given!r} (it has {', '.join(by_name)})")
                continue
        else:
            names = expected.names
        matching = [by_name[each] for each in names if each in by_name]
        usable = [each for each in matching if each.kind in expected.kinds]
        if usable and (usable[0] is matching[0] or matching[0].name != name):
            fields[name] = usable[0]
        elif matching and (expected.required or given or matching[0].name == name):
            problems.append(
                f"{matching[0].name} is of type {matching[0].type}, where {name} is "
                f"{_either(expected.kinds)}: name another column with {option}"
                + ("" if expected.required else f" (or none: {option.removesuffix('NAME')})")
                + ", or make a view"
            )
        elif expected.required:
            problems.append(f"has no column for {name}: name it with {option}")
    if entity == "conversations" and "user_id" not in fields and not options.has_owner:
        problems.append(
            "has no column for user_id: name it with --column conversations.user_id=NAME, or name "
            "the owner of all conversations with --user-id ID"
        )
    used = {column.name for column in fields.values()}
    extra = tuple(
        column
        for name, column in by_name.items()
        if name not in used and name not in DERIVED[entity]
    )
    if extra and options.extra is None:
        problems.append(
            f"has columns that chatkeep has no field for, {', '.join(c.name for c in extra)}: keep "
            "them in the metadata with --extra metadata, leave them behind with --extra leave, or "
            f"map them to fields with --column {entity}.FIELD=NAME"
        )
    if problems:
        raise AdoptionError(f"{table}: {'; '.join(problems)}.")
    return ColumnMapping(fields, extra)


def choose_order(
    table: str, fields: Mapping[str, LegacyColumn], options: AdoptionOptions
) -> MessageOrder:
    """Return what to order messages by. Raises `AdoptionError` if no column allows it."""
    if options.order is not None:
        if options.order is MessageOrder.TIME and "created_at" not in fields:
            raise AdoptionError(
                f"{table}: has no column for created_at to order by: name it with "
                "--column messages.created_at=NAME, or use --order id."
            )
        return options.order
    if "created_at" in fields:
        return MessageOrder.TIME
    if fields["id"].kind is ColumnKind.INTEGER:
        return MessageOrder.ID
    raise AdoptionError(
        f"{table}: no column gives the order of messages: name the column of their time with "
        "--column messages.created_at=NAME, or, if the ids are in order, use --order id."
    )


def _either(kinds: frozenset[ColumnKind]) -> str:
    return " or ".join(kind.value for kind in ColumnKind if kind in kinds)
