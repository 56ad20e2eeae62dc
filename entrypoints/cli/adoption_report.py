"""The report of an adoption, and the file that maps legacy ids to new ones."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, TextIO
from uuid import UUID

from chatkeep.domain.operations.adoption.check import Comparison
from chatkeep.domain.operations.adoption.layout import Entity, MessageOrder
from chatkeep.domain.operations.adoption.rules import AdoptionRules
from chatkeep.domain.operations.adoption.run import AdoptionCounts, Refusal
from chatkeep.domain.operations.adoption.tables import Layout, Survey
from chatkeep.entrypoints.cli.output import open_output

MAPPINGS: Final = (".csv", ".jsonl")
ENTITIES: Final[tuple[Entity, Entity]] = ("conversations", "messages")
REFUSALS_SHOWN: Final = 100
OWNERS_SHOWN: Final = 10

WriteMapping = Callable[[Entity, str, UUID], None]


@dataclass(slots=True)
class AdoptionReport:
    """The report of an adoption. `refusals` are the first ones; `counts` has their number."""

    layout: Layout
    survey: Survey
    rules: AdoptionRules
    dry_run: bool
    counts: AdoptionCounts = field(default_factory=AdoptionCounts)
    refusals: list[Refusal] = field(default_factory=list)
    comparison: Comparison | None = None

    @property
    def is_good(self) -> bool:
        """Return whether no row was refused and no conversation differs."""
        refused = self.counts.conversations["refused"] + self.counts.messages["refused"]
        return not refused and (self.comparison is None or not self.comparison.differing)

    def describe_tables(self) -> Iterator[str]:
        """Yield lines about the legacy tables, and how they will be read."""
        rows = {"conversations": self.survey.conversations, "messages": self.survey.messages}
        for entity in ENTITIES:
            table = self.layout.of(entity)
            columns = ", ".join(
                f"{name} ({column.type})"
                if name == column.name
                else f"{name} = {column.name} ({column.type})"
                for name, column in table.columns.fields.items()
            )
            yield f"{entity}: {table.name}, {rows[entity]} rows: {columns}"
            if table.columns.extra:
                names = ", ".join(column.name for column in table.columns.extra)
                yield f"  other columns, {_EXTRA[self.layout.extra.value]}: {names}"
        by = "created_at, then id" if self.layout.order is MessageOrder.TIME else "id"
        yield f"order of messages: by {by}; times without a time zone are taken as UTC"
        if roles := self._roles():
            yield f"roles: {roles}"
        if statuses := self._statuses():
            yield f"statuses: {statuses}"
        if self.survey.owner_count:
            owners = _some(self.survey.owners[:OWNERS_SHOWN], of=self.survey.owner_count)
            yield (
                f"owners not in users yet: {self.survey.owner_count} ({owners}); "
                "those with a conversation are added"
            )
        if self.survey.orphan_count:
            orphans = _some(self.survey.orphans, of=self.survey.orphan_count)
            yield (
                f"not adopted: {self.survey.orphan_count} messages without a conversation "
                f"({orphans})"
            )

    def describe_result(self) -> Iterator[str]:
        """Yield lines about what was done, or would be done."""
        for entity, counted in zip(
            ENTITIES, (self.counts.conversations, self.counts.messages), strict=True
        ):
            words = [f"{counted['new']} {'to adopt' if self.dry_run else 'adopted'}"]
            words += [f"{counted[key]} {_OUTCOMES[key]}" for key in _OUTCOMES if counted[key]]
            yield f"{entity}: {', '.join(words)}"
        if self.counts.users:
            yield f"users: {self.counts.users} added"
        if self.comparison is not None:
            yield from _describe(self.comparison)

    def document(self) -> dict[str, Any]:
        """Return the whole report as JSON values."""
        survey, compared = self.survey, self.comparison
        return {
            "dry_run": self.dry_run,
            "tables": {entity: self._table(entity) for entity in ENTITIES},
            "order": self.layout.order.value,
            "conversations": {key: self.counts.conversations[key] for key in ("new", *_OUTCOMES)},
            "messages": {key: self.counts.messages[key] for key in ("new", *_OUTCOMES)},
            "orphans": {"count": survey.orphan_count, "first": list(survey.orphans)},
            "users_added": self.counts.users,
            "refused": [
                {"table": each.entity, "id": each.id, "reason": each.reason}
                for each in self.refusals
            ],
            "compared": None
            if compared is None
            else {
                "conversations": compared.conversations,
                "old": {
                    "messages": compared.source_messages,
                    "sha256": str(compared.source_checksum),
                },
                "new": {
                    "messages": compared.target_messages,
                    "sha256": str(compared.target_checksum),
                },
                "differing": compared.differing,
                "first": compared.first_differing,
            },
            "is_good": self.is_good,
        }

    def _table(self, entity: Entity) -> dict[str, Any]:
        table = self.layout.of(entity)
        return {
            "name": table.name,
            "columns": {name: column.name for name, column in table.columns.fields.items()},
            "other_columns": [column.name for column in table.columns.extra],
            "other_columns_go": self.layout.extra.value,
        }

    def _roles(self) -> str:
        return ", ".join(
            f"{given} -> {self.rules.role(given) or 'refused'} ({rows})"
            for given, rows in self.survey.roles.items()
            if given is not None
        )

    def _statuses(self) -> str:
        return ", ".join(
            f"{given} -> {self.rules.status(given) or 'not adopted'} ({rows})"
            for given, rows in self.survey.statuses.items()
            if given is not None
        )


# The outcomes other than new, and their words in the report.
_OUTCOMES: Final = {
    "there": "already there",
    "joined": "already in chatkeep, extended",
    "gone": "deleted since, not restored",
    "left": "left behind because of their status",
    "unowned": "of conversations refused or left behind",
    "refused": "refused",
}
_EXTRA: Final = {"metadata": "kept in the metadata under old_columns", "leave": "not adopted"}


@contextmanager
def open_mapping(path: Path | None) -> Iterator[WriteMapping]:
    """Yield a function that writes a line of the mapping file, which appears when complete."""
    if path is None:
        yield lambda _side, _old, _new: None
        return
    with open_output(path) as binary:
        file = TextIOWrapper(binary, encoding="utf-8", newline="")
        try:
            yield _writer(path, file)
        finally:
            file.detach()  # flushes it


def _writer(path: Path, file: TextIO) -> WriteMapping:
    if path.suffix.lower() == ".csv":
        rows = csv.writer(file)
        rows.writerow(("table", "old_id", "new_id"))
        return lambda entity, old, new: rows.writerow((entity, old, new)) and None

    def write(entity: Entity, old: str, new: UUID) -> None:
        line = {"table": entity, "old_id": old, "new_id": str(new)}
        file.write(json.dumps(line, ensure_ascii=False) + "\n")

    return write


def _describe(found: Comparison) -> Iterator[str]:
    yield (
        f"compared: {found.source_messages} messages in the legacy tables, "
        f"{found.target_messages} in chatkeep; sha256 {found.source_checksum} and "
        f"{found.target_checksum}"
    )
    if found.differing:
        yield (
            f"{found.differing} conversations differ from the legacy tables: they were changed "
            f"there since, or need a look: {_some(found.first_differing, of=found.differing)}"
        )


def _some(ids: Sequence[str], *, of: int) -> str:
    return ", ".join(ids) + (", ..." if of > len(ids) else "")
