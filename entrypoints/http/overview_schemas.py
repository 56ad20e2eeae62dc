"""The answer about the service as a whole."""

from datetime import date, datetime
from typing import Annotated, Self

from msgspec import Meta, Struct

from chatkeep.domain.examination import Examination
from chatkeep.domain.overview import LastSweep, Latencies, Overview
from chatkeep.entrypoints.http.conversation_schemas import CountOut


class TotalsOut(Struct, kw_only=True):
    """How much there is; null where it is unknown."""

    users: int | None
    conversations: int | None
    messages: int | None
    estimated: Annotated[bool, Meta(description="whether these are the planner's estimates")]


class DayOut(Struct, kw_only=True):
    """A day, UTC, and the messages of it; at most 50,000 are counted."""

    day: date
    messages: CountOut


class DraftCountsOut(Struct, kw_only=True):
    """Drafts that are kept now; at most 10,000 are looked at."""

    active: int
    interrupted: int
    exact: bool


class LastSweepOut(Struct, kw_only=True):
    """The daily sweep that was due last."""

    due: datetime
    finished_at: Annotated[datetime | None, Meta(description="null if it did not end")]
    archived: int
    deleted: int
    retained: Annotated[int, Meta(description="on hold, and so not deleted")]

    @classmethod
    def from_domain(cls, sweep: LastSweep) -> Self:
        return cls(
            due=sweep.due,
            finished_at=sweep.finished_at,
            archived=sweep.result.archived,
            deleted=sweep.result.deleted,
            retained=sweep.result.retained,
        )


class LastExaminationOut(Struct, kw_only=True):
    """The last result of `chatkeep doctor`."""

    at: datetime
    healthy: Annotated[bool, Meta(description="whether nothing failed")]
    ok: int
    warnings: int
    failed: int
    skipped: int
    promises_kept: Annotated[int, Meta(description="promises that the self-test found kept")]
    promises_broken: int

    @classmethod
    def from_domain(cls, found: Examination) -> Self:
        return cls(
            at=found.at,
            healthy=found.healthy,
            ok=found.ok,
            warnings=found.warnings,
            failed=found.failed,
            skipped=found.skipped,
            promises_kept=found.promises_kept,
            promises_broken=found.promises_broken,
        )


class LatenciesOut(Struct, kw_only=True):
    """How long the statements of this process took since it started."""

    bounds_ms: list[float]
    counts: Annotated[
        list[int], Meta(description="one for each bound, and one for those that took longer")
    ]
    p50_ms: Annotated[float | None, Meta(description="half of them took at most this long")]
    p95_ms: float | None
    p99_ms: float | None

    @classmethod
    def from_domain(cls, found: Latencies) -> Self:
        def quantile(share: float) -> float | None:
            bound = found.quantile(share)
            return None if bound is None else round(bound * 1000, 3)

        return cls(
            bounds_ms=[round(bound * 1000, 3) for bound in found.bounds],
            counts=list(found.counts),
            p50_ms=quantile(0.5),
            p95_ms=quantile(0.95),
            p99_ms=quantile(0.99),
        )


class StorageOut(Struct, kw_only=True):
    """Bytes of chatkeep's tables and of the whole database, and what the plan has."""

    stored_bytes: int
    database_bytes: int
    bytes_per_day: Annotated[int | None, Meta(description="growth, by the messages of these days")]
    plan_bytes: Annotated[int | None, Meta(description="CHATKEEP_PLAN_BYTES; null if it is unset")]
    days_left: Annotated[float | None, Meta(description="until the plan is full, at this growth")]

    @classmethod
    def from_domain(cls, found: Overview, plan_bytes: int) -> Self | None:
        if found.stored_bytes is None or found.database_bytes is None:
            return None
        growth = found.bytes_per_day
        left = None
        if plan_bytes and growth:
            left = round(max(0, plan_bytes - found.database_bytes) / growth, 1)
        return cls(
            stored_bytes=found.stored_bytes,
            database_bytes=found.database_bytes,
            bytes_per_day=None if growth is None else round(growth),
            plan_bytes=plan_bytes or None,
            days_left=left,
        )


class OverviewOut(Struct, kw_only=True):
    """The service as a whole. Without a database there are no storage and no latencies."""

    at: Annotated[datetime, Meta(description="when it was collected, at most 30 seconds ago")]
    totals: TotalsOut
    days: list[DayOut]
    drafts: DraftCountsOut
    last_sweep: Annotated[LastSweepOut | None, Meta(description="null before the first one")]
    last_examination: Annotated[
        LastExaminationOut | None, Meta(description="null before the first `chatkeep doctor`")
    ]
    storage: StorageOut | None
    latencies: LatenciesOut | None

    @classmethod
    def from_domain(cls, at: datetime, found: Overview, plan_bytes: int) -> Self:
        totals, drafts, sweep, latencies = (
            found.totals,
            found.drafts,
            found.last_sweep,
            found.latencies,
        )
        return cls(
            at=at,
            totals=TotalsOut(
                users=totals.users,
                conversations=totals.conversations,
                messages=totals.messages,
                estimated=totals.estimated,
            ),
            days=[
                DayOut(
                    day=each.day,
                    messages=CountOut(value=each.messages.value, exact=each.messages.exact),
                )
                for each in found.days
            ],
            drafts=DraftCountsOut(
                active=drafts.active, interrupted=drafts.interrupted, exact=drafts.exact
            ),
            last_sweep=None if sweep is None else LastSweepOut.from_domain(sweep),
            last_examination=None
            if found.last_examination is None
            else LastExaminationOut.from_domain(found.last_examination),
            storage=StorageOut.from_domain(found, plan_bytes),
            latencies=None if latencies is None else LatenciesOut.from_domain(latencies),
        )
