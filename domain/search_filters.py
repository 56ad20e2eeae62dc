"""Filters of a search: what must be true of a message besides its text."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from chatkeep.domain.folding import fold
from chatkeep.domain.model import MAX_ID_CHARS, Role, Status

_DATE: Final = re.compile(
    r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2}(?:[Tt][0-9:.,]{2,15}(?:[Zz]|[+-][0-9:]{2,5})?)?)?)?"
)


class Has(StrEnum):
    """Something that a message may have besides text."""

    TOOL = "tool"
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Conditions on a message besides its text. All that are given must be true.

    `roles`, `conversations` and `statuses` are alternatives; empty means any. Those that begin with
    `not_` exclude. `conversations` are ids as users write them. A message must have all of `has`.
    `after` includes its own moment, `before` does not; both are UTC.
    """

    roles: frozenset[Role] = frozenset()
    not_roles: frozenset[Role] = frozenset()
    conversations: frozenset[str] = frozenset()
    not_conversations: frozenset[str] = frozenset()
    statuses: frozenset[Status] = frozenset()
    not_statuses: frozenset[Status] = frozenset()
    has: frozenset[Has] = frozenset()
    not_has: frozenset[Has] = frozenset()
    after: datetime | None = None
    before: datetime | None = None

    def __bool__(self) -> bool:
        return self != Filters()

    def accept_time(self, at: datetime) -> bool:
        return (self.after is None or at >= self.after) and (
            self.before is None or at < self.before
        )

    def accept_status(self, status: Status) -> bool:
        return _accepts(self.statuses, self.not_statuses, status)

    def accept_conversation(self, names: Iterable[str]) -> bool:
        """Return whether a conversation with these names, its id and its key, is one of those."""
        known = frozenset(names)
        return (not self.conversations or bool(self.conversations & known)) and not (
            self.not_conversations & known
        )

    def accept_message(self, role: Role | None, has: frozenset[Has]) -> bool:
        return (
            _accepts(self.roles, self.not_roles, role)
            and self.has <= has
            and not self.not_has & has
        )

    @property
    def about_messages(self) -> bool:
        """Return whether a title alone, which has no role, cannot pass."""
        return bool(self.roles or self.has)


_TIMES: Final = "It takes a date or a time, such as 2024, 2024-03, 2024-03-31 or 2024-03-31T18:00Z."
FILTERS: Final = {
    "role": f"A role is one of {', '.join(Role)}.",
    "is": f"A status is one of {', '.join(Status)}.",
    "has": f"A message has one of {', '.join(Has)}.",
    "in": f"An id has 1 to {MAX_ID_CHARS} characters.",
    "after": _TIMES,
    "before": _TIMES,
}
"""The names of the filters in the query language, and what each takes."""

_CHOICES: Final = {
    "role": ("roles", Role),
    "is": ("statuses", Status),
    "has": ("has", Has),
}


def add_filter(filters: Filters, name: str, value: str, *, without: bool) -> Filters | None:
    """Return the filters with another one; None if the value is not one for this filter."""
    if name == "after" and not without and (at := _moment(value)):
        return replace(filters, after=max(at, filters.after or at))
    if name == "before" and not without and (at := _moment(value)):
        return replace(filters, before=min(at, filters.before or at))
    if name == "in" and 1 <= len(value) <= MAX_ID_CHARS:
        return _add(filters, "conversations", value, without=without)
    if name in _CHOICES:
        field, choices = _CHOICES[name]
        if (choice := value.lower()) in {*choices}:
            return _add(filters, field, choices(choice), without=without)
    return None


def _add(filters: Filters, field: str, value: str, *, without: bool) -> Filters:
    name = f"not_{field}" if without else field
    changes: dict[str, frozenset[str]] = {name: getattr(filters, name) | {value}}
    return replace(filters, **changes)  # type: ignore[arg-type]


def _accepts(wanted: frozenset[str], unwanted: frozenset[str], value: str | None) -> bool:
    return (not wanted or value in wanted) and value not in unwanted


def _moment(value: str) -> datetime | None:
    """Return the first moment of a year, a month or a day, or a time; None if it is not one."""
    text = fold(value).replace("/", "-")
    if not _DATE.fullmatch(text):
        return None
    text += {4: "-01-01", 7: "-01"}.get(len(text), "")
    try:
        at = datetime.fromisoformat(text.upper())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
