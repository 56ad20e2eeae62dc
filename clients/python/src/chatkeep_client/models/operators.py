"""The service as a whole, and the audit, for operators."""

from datetime import date, datetime

import msgspec

from chatkeep_client.models.conversations import Count


class Totals(msgspec.Struct, kw_only=True):
    """How much a service has; None where it is unknown."""

    users: int | None
    conversations: int | None
    messages: int | None
    estimated: bool


class Day(msgspec.Struct, kw_only=True):
    """A day, UTC, and its messages; at most 50,000 are counted."""

    day: date
    messages: Count


class DraftCounts(msgspec.Struct, kw_only=True):
    """Drafts that are kept now."""

    active: int
    interrupted: int
    exact: bool


class LastSweep(msgspec.Struct, kw_only=True):
    """The daily sweep that was due last."""

    due: datetime
    finished_at: datetime | None
    archived: int
    deleted: int
    retained: int


class Storage(msgspec.Struct, kw_only=True):
    """Bytes of the tables and of the database, their growth, and the plan."""

    stored_bytes: int
    database_bytes: int
    bytes_per_day: int | None
    plan_bytes: int | None
    days_left: float | None


class Latencies(msgspec.Struct, kw_only=True):
    """How long the statements of a process took since it started."""

    bounds_ms: list[float]
    counts: list[int]
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class LastExamination(msgspec.Struct, kw_only=True):
    """The last result of `chatkeep doctor`; `healthy` if nothing failed."""

    at: datetime
    healthy: bool
    ok: int
    warnings: int
    failed: int
    skipped: int
    promises_kept: int
    promises_broken: int


class Overview(msgspec.Struct, kw_only=True):
    """The service as a whole. Without a database it has no storage and no latencies."""

    at: datetime
    totals: Totals
    days: list[Day]
    drafts: DraftCounts
    last_sweep: LastSweep | None
    last_examination: LastExamination | None = None
    storage: Storage | None
    latencies: Latencies | None


class AuditLine(msgspec.Struct, kw_only=True):
    """A request of an operator about a user. `action` is the `operationId` of the request."""

    id: str
    at: datetime
    operator: str
    user_id: str
    action: str
    conversation_id: str | None
    message_id: str | None


class AuditPage(msgspec.Struct, kw_only=True):
    """Lines of the audit, latest first. `next_cursor` is None on the last page."""

    items: list[AuditLine]
    next_cursor: str | None
