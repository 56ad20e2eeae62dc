"""The legacy tables of an adoption: their columns, and a survey of their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chatkeep.domain.operations.adoption.layout import (
    ColumnKind,
    ColumnMapping,
    Entity,
    ExtraColumns,
    MessageOrder,
)


@dataclass(frozen=True, slots=True)
class LegacyTable:
    """`name` is schema and table for people to read, `quoted` for statements.

    `identifiers` maps names of columns to quoted ones.
    """

    name: str
    quoted: str
    columns: ColumnMapping
    identifiers: Mapping[str, str]

    def identifier(self, field: str) -> str | None:
        """Return the quoted column of a field, or None if it has no column."""
        column = self.columns.fields.get(field)
        return None if column is None else self.identifiers[column.name]

    def kind(self, field: str) -> ColumnKind:
        return self.columns.fields[field].kind


@dataclass(frozen=True, slots=True)
class Layout:
    conversations: LegacyTable
    messages: LegacyTable
    order: MessageOrder
    extra: ExtraColumns

    def of(self, entity: Entity) -> LegacyTable:
        return self.conversations if entity == "conversations" else self.messages


@dataclass(frozen=True, slots=True)
class Survey:
    """Counts of rows, also by role and by status.

    `orphans` are ids of messages without a conversation, `owners` users who are not in the table
    users yet: some of each, and their number. `users_need` are columns of that table that chatkeep
    cannot fill.
    """

    conversations: int
    messages: int
    orphan_count: int
    orphans: Sequence[str]
    roles: Mapping[str | None, int]
    statuses: Mapping[str | None, int]
    owner_count: int
    owners: Sequence[str]
    users_need: Sequence[str]
