"""What a report on the database is made of. Sizes are in bytes, times in UTC."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from chatkeep.adapters.piccolo.sizes import RelationSize


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are; `estimated`: by the planner, which may be off by some percent."""

    rows: int
    estimated: bool


@dataclass(frozen=True, slots=True)
class Day:
    """Messages whose `created_at` is of that day, UTC; today is not over."""

    day: date
    messages: int


@dataclass(frozen=True, slots=True)
class Growth:
    """`messages_per_day` is over the time since `since`: the first day asked for, or message."""

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
class Report:
    """Sizes are in bytes. What is None was left out; `notes` say why."""

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
    items: Count | None
    bytes_per_message: float | None
    growth: Growth | None
    plan: Plan | None
    largest_conversations: list[LargeConversation] | None
    largest_users: list[LargeUser] | None
    vacuums: list[Vacuum]
    slow_queries: list[SlowQuery] | None
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to report. `seconds`: the longest that one part may take; `plan`: bytes."""

    days: int = 7
    top: int = 5
    plan: int | None = None
    exact: bool = False
    seconds: float = 30.0
