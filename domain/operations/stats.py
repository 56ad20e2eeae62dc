"""The report of `chatkeep stats` about a database. Sizes are in bytes, times in UTC."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

COUNTED_UP_TO: Final = 1_000_000
"""Tables with more rows than this, by the planner's estimate, are counted only on request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsOptions:
    """The options of a report: growth over `days`, and the `top` largest and slowest.

    `plan` is the size of the storage plan in bytes. `exact` counts tables of any size. `seconds` is
    the time limit of each part of the report.
    """

    days: int = 7
    top: int = 5
    plan: int | None = None
    exact: bool = False
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class RelationSize:
    """One table or index.

    `bytes` of a table include what is stored out of line (TOAST), but not its indexes. `rows` is
    the planner's estimate: None for an index, and before the first ANALYZE.
    """

    kind: Literal["table", "index"]
    name: str
    table: str
    bytes: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class Count:
    """A number of rows. `estimated`: by the planner, which may be off by some percent."""

    rows: int
    estimated: bool


@dataclass(frozen=True, slots=True)
class Originals:
    """How many messages have an original, and the bytes that those take as they are stored.

    `estimated`: from a part of the messages.
    """

    rows: int
    bytes: int
    estimated: bool


@dataclass(frozen=True, slots=True)
class Day:
    """Messages whose `created_at` is on that day, UTC; today is not over."""

    day: date
    messages: int


@dataclass(frozen=True, slots=True)
class Growth:
    """`messages_per_day` is since `since`: the first day asked for, or the first message."""

    since: datetime
    days: list[Day]
    messages_per_day: float
    bytes_per_day: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of a storage plan is used; `days_left` is None when nothing grows or is known."""

    bytes: int
    used: float
    days_left: float | None


@dataclass(frozen=True, slots=True)
class LargeConversation:
    id: UUID
    user_id: str
    messages: int


@dataclass(frozen=True, slots=True)
class LargeUser:
    user_id: str
    conversations: int
    messages: int


@dataclass(frozen=True, slots=True)
class Vacuum:
    """A table's rows by the server's own counters, and when it was last cleaned and analyzed."""

    table: str
    live_rows: int
    dead_rows: int
    vacuumed_at: datetime | None
    analyzed_at: datetime | None


@dataclass(frozen=True, slots=True)
class SlowQuery:
    """A statement's text with placeholders, without values."""

    calls: int
    total_ms: float
    mean_ms: float
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """The report. A part that is None was left out; `notes` say why."""

    database: str
    server_version: str
    at: datetime
    database_bytes: int
    chatkeep_bytes: int
    relations: list[RelationSize]
    users: Count | None
    conversations: Count | None
    active: Count | None
    archived: Count | None
    retained: Count | None
    messages: Count | None
    originals: Originals | None
    items: Count | None
    bytes_per_message: float | None
    growth: Growth | None
    plan: Plan | None
    largest_conversations: list[LargeConversation] | None
    largest_users: list[LargeUser] | None
    vacuums: list[Vacuum]
    slow_queries: list[SlowQuery] | None
    notes: list[str]
