"""The old tables of an adoption: what they are, and what is in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chatkeep.domain.operations.adoption.layout import Extra, Kind, Order, Resolved, Side


@dataclass(frozen=True, slots=True)
class OldTable:
    """`name` is schema and table as people write them, `quoted` as statements do.

    `identifiers` are the quoted names of its columns, by name.
    """

    name: str
    quoted: str
    columns: Resolved
    identifiers: Mapping[str, str]

    def identifier(self, field: str) -> str | None:
        """Return the quoted column of a field; None when there is none."""
        column = self.columns.fields.get(field)
        return None if column is None else self.identifiers[column.name]

    def kind(self, field: str) -> Kind:
        return self.columns.fields[field].kind


@dataclass(frozen=True, slots=True)
class Layout:
    conversations: OldTable
    messages: OldTable
    order: Order
    extra: Extra

    def of(self, side: Side) -> OldTable:
        return self.conversations if side == "conversations" else self.messages


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is to adopt: rows, and how many have each role and status.

    `orphans` are ids of messages without a conversation, `owners` users who are not in the table
    users yet: the first of each, with their count. `users_need` are the columns that keep chatkeep
    from adding users there.
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
