"""The output of an adoption: its report, and the mapping of old ids to new ones."""

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
from chatkeep.domain.operations.adoption.layout import Order, Side
from chatkeep.domain.operations.adoption.rules import Rules
from chatkeep.domain.operations.adoption.run import Refusal, Tally
from chatkeep.domain.operations.adoption.tables import Layout, Survey
from chatkeep.entrypoints.cli.output import open_output

MAPPINGS: Final = (".csv", ".jsonl")
SIDES: Final[tuple[Side, Side]] = ("conversations", "messages")
REFUSALS_SHOWN: Final = 100
OWNERS_SHOWN: Final = 10

Mapped = Callable[[Side, str, UUID], None]


@dataclass(slots=True)
class AdoptionReport:
    """What was found and done. `refusals` are the first ones; the tally has their number."""

    layout: Layout
    survey: Survey
    rules: Rules
    dry_run: bool
    tally: Tally = field(default_factory=Tally)
    refusals: list[Refusal] = field(default_factory=list)
    comparison: Comparison | None = None

    @property
    def is_good(self) -> bool:
        """Whether no row was refused, and both sides are equal."""
        refused = self.tally.conversations["refused"] + self.tally.messages["refused"]
        return not refused and (self.comparison is None or not self.comparison.differing)

    def found(self) -> Iterator[str]:
        """Yield lines about the old tables, and how they will be read."""
        rows = {"conversations": self.survey.conversations, "messages": self.survey.messages}
        for side in SIDES:
            table = self.layout.of(side)
            columns = ", ".join(
                f"{name} ({column.type})"
                if name == column.name
                else f"{name} = {column.name} ({column.type})"
                for name, column in table.columns.fields.items()
            )
            yield f"{side}: {table.name}, {rows[side]} rows: {columns}"
            if table.columns.extra:
                names = ", ".join(column.name for column in table.columns.extra)
                yield f"  other columns, {_EXTRA[self.layout.extra.value]}: {names}"
        by = "created_at, then id" if self.layout.order is Order.TIME else "id"
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

    def done(self) -> Iterator[str]:
        """Yield lines about what was done, or would be done."""
        for side, counted in zip(
            SIDES, (self.tally.conversations, self.tally.messages), strict=True
        ):
            words = [f"{counted['new']} {'to adopt' if self.dry_run else 'adopted'}"]
            words += [f"{counted[key]} {_WORDS[key]}" for key in _WORDS if counted[key]]
            yield f"{side}: {', '.join(words)}"
        if self.tally.users:
            yield f"users: {self.tally.users} added"
        if self.comparison is not None:
            yield from _compared(self.comparison)

    def document(self) -> dict[str, Any]:
        """Return the report for JSON."""
        survey, compared = self.survey, self.comparison
        return {
            "dry_run": self.dry_run,
            "tables": {side: self._table(side) for side in SIDES},
            "order": self.layout.order.value,
            "conversations": {key: self.tally.conversations[key] for key in ("new", *_WORDS)},
            "messages": {key: self.tally.messages[key] for key in ("new", *_WORDS)},
            "orphans": {"count": survey.orphan_count, "first": list(survey.orphans)},
            "users_added": self.tally.users,
            "refused": [
                {"table": each.side, "id": each.id, "reason": each.reason} for each in self.refusals
            ],
            "compared": None
            if compared is None
            else {
                "conversations": compared.conversations,
                "old": {"messages": compared.old_messages, "sha256": str(compared.old_checksum)},
                "new": {"messages": compared.new_messages, "sha256": str(compared.new_checksum)},
                "differing": compared.differing,
                "first": compared.first,
            },
            "is_good": self.is_good,
        }

    def _table(self, side: Side) -> dict[str, Any]:
        table = self.layout.of(side)
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


# What is counted besides the new rows, and its words in the report.
_WORDS: Final = {
    "there": "already there",
    "joined": "already used here, added to",
    "gone": "deleted here since, not brought back",
    "left": "not adopted because of their status",
    "unowned": "of conversations that were not adopted",
    "refused": "refused",
}
_EXTRA: Final = {"metadata": "kept in the metadata under old_columns", "leave": "not adopted"}


@contextmanager
def mapping(path: Path | None) -> Iterator[Mapped]:
    """Yield the function that writes a line of the mapping file."""
    if path is None:
        yield lambda _side, _old, _new: None
        return
    with open_output(path) as binary:
        file = TextIOWrapper(binary, encoding="utf-8", newline="")
        try:
            yield _writer(path, file)
        finally:
            file.detach()  # which flushes


def _writer(path: Path, file: TextIO) -> Mapped:
    if path.suffix.lower() == ".csv":
        rows = csv.writer(file)
        rows.writerow(("table", "old_id", "new_id"))
        return lambda side, old, new: rows.writerow((side, old, new)) and None

    def write(side: Side, old: str, new: UUID) -> None:
        line = {"table": side, "old_id": old, "new_id": str(new)}
        file.write(json.dumps(line, ensure_ascii=False) + "\n")

    return write


def _compared(found: Comparison) -> Iterator[str]:
    yield (
        f"compared: {found.old_messages} messages there, {found.new_messages} here; "
        f"sha256 {found.old_checksum} there, {found.new_checksum} here"
    )
    if found.differing:
        yield (
            f"{found.differing} conversations differ from their old tables: they were changed "
            f"since, or need a look: {_some(found.first, of=found.differing)}"
        )


def _some(ids: Sequence[str], *, of: int) -> str:
    return ", ".join(ids) + (", ..." if of > len(ids) else "")
