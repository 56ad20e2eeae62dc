"""Reports the contents and the growth of the database: numbers and ids, never titles or contents.

Everything is read in one read-only transaction that waits for no lock. A part that takes longer
than allowed is left out, and the report says so.
"""

import json
import re
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, TypeVar

import asyncpg

from chatkeep.adapters.operator.stats.statements import (
    ANALYZED,
    ARCHIVED,
    CONVERSATIONS,
    DATABASE,
    GROWTH,
    ITEMS,
    LARGEST_USERS,
    MESSAGES,
    ORIGINALS,
    RETAINED,
    SET_LIMITS,
    SLOW_QUERIES,
    STATEMENTS_SCHEMA,
    USERS,
    VACUUMS,
    Countable,
    largest_conversations,
)
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import first_line, translate_errors
from chatkeep.adapters.piccolo.sizes import sizes
from chatkeep.adapters.piccolo.transaction import READ_ONLY
from chatkeep.domain.operations.stats import (
    COUNTED_UP_TO,
    Count,
    Day,
    Growth,
    LargeConversation,
    LargeUser,
    Originals,
    Plan,
    RelationSize,
    SlowQuery,
    Stats,
    StatsOptions,
    Vacuum,
)

T = TypeVar("T")

MIN_MESSAGES: Final = 1_000
"""With fewer, the bytes of a message say nothing: every table and index begins with a page."""

LOCK_TIMEOUT: Final = "2s"
DAY: Final = timedelta(days=1)


async def collect_stats(engine: Engine, options: StatsOptions) -> Stats:
    """Return the report; a role that may only read is enough.

    Raises `StoreUnavailableError`, also for a role that may not even read, and `DatabaseError`.
    """
    with translate_errors():
        async with engine.transaction() as transaction:
            await engine.fetch(READ_ONLY)
            await engine.fetch(
                SET_LIMITS,
                statement_timeout=f"{round(options.seconds * 1000)}ms",
                lock_timeout=LOCK_TIMEOUT,
            )
            return await _Collector(engine, transaction.connection, options).collect()


class _Collector:
    def __init__(self, engine: Engine, connection: Any, options: StatsOptions) -> None:  # noqa: ANN401 - asyncpg is untyped
        self._engine = engine
        self._connection = connection
        self._options = options
        self._notes: list[str] = []

    async def collect(self) -> Stats:
        [database] = await self._engine.fetch(DATABASE)
        relations = await sizes(self._engine)
        own = sum(each.bytes for each in relations)
        conversations, active, archived, retained = await self._conversations()
        messages = await self._count(MESSAGES)
        per_message = own / messages.rows if messages and messages.rows >= MIN_MESSAGES else None
        growth = await self._growth(database["at"], per_message)
        return Stats(
            database=database["name"],
            server_version=database["version"],
            at=database["at"],
            database_bytes=database["bytes"],
            chatkeep_bytes=own,
            relations=relations,
            users=await self._count(USERS),
            conversations=conversations,
            active=active,
            archived=archived,
            retained=retained,
            messages=messages,
            originals=await self._originals(messages),
            items=await self._count(ITEMS),
            bytes_per_message=per_message,
            growth=growth,
            plan=self._plan(database["bytes"], growth),
            largest_conversations=await self._largest_conversations(),
            largest_users=await self._largest_users(),
            vacuums=await self._vacuums(relations),
            slow_queries=await self._slow_queries(),
            notes=self._notes,
        )

    async def _part(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """Return what the work returns; None, with a note, when it takes too long."""
        try:
            async with self._connection.transaction():
                return await work()
        except asyncpg.QueryCanceledError:
            limit = f"{self._options.seconds:g} s"
            self._notes.append(f"{name}: left out, took longer than {limit} (--timeout)")
        except asyncpg.LockNotAvailableError:
            self._notes.append(f"{name}: left out, the table is locked (a migration?)")
        return None

    async def _count(self, countable: Countable) -> Count | None:
        """Count the rows; above some size take the planner's estimate."""

        async def count() -> Count | None:
            [row] = await self._engine.fetch(countable.expect)
            expected = int(json.loads(row[0])[0]["Plan"]["Plan Rows"])
            if expected > COUNTED_UP_TO and not self._options.exact:
                column = countable.column
                if column and not await self._engine.fetch(ANALYZED, column=column):
                    self._notes.append(
                        f"{countable.name}: not known before an ANALYZE (--exact counts)"
                    )
                    return None
                return Count(expected, estimated=True)
            [row] = await self._engine.fetch(countable.count)
            return Count(row[0], estimated=False)

        return await self._part(countable.name, count)

    async def _conversations(self) -> tuple[Count | None, ...]:
        """Return how many there are, and of them active, archived and retained."""
        everything = await self._count(CONVERSATIONS)
        archived = await self._count(ARCHIVED)
        retained = await self._count(RETAINED)
        active = None
        if everything and archived:
            rows = max(0, everything.rows - archived.rows)
            active = Count(rows, estimated=everything.estimated or archived.estimated)
        return everything, active, archived, retained

    async def _originals(self, messages: Count | None) -> Originals | None:
        """Return what originals take: of many messages, estimated from as many as are counted."""
        if messages is None:
            return None
        part = min(1.0, COUNTED_UP_TO / max(1, messages.rows)) if messages.estimated else 1.0
        found = await self._part(
            "originals", lambda: self._engine.fetch(ORIGINALS, percent=part * 100)
        )
        if found is None:
            return None
        [row] = found
        rows, size = round(row["rows"] / part), round(row["bytes"] / part)
        return Originals(rows, size, estimated=messages.estimated)

    async def _growth(self, now: datetime, per_message: float | None) -> Growth | None:
        today = now.astimezone(UTC).date()
        first_day = today - DAY * (self._options.days - 1)
        start = datetime.combine(first_day, time(), UTC)
        rows = await self._part("growth", lambda: self._engine.fetch(GROWTH, since=start))
        if rows is None:
            return None
        counted = {row["day"]: row["messages"] for row in rows if row["day"] <= today}
        days = [first_day + DAY * n for n in range(self._options.days)]
        since = max(start, rows[0]["first"]) if rows else start
        passed = max(1.0, (now - since) / DAY)
        per_day = sum(counted.values()) / passed
        return Growth(
            since=since,
            days=[Day(day, counted.get(day, 0)) for day in days],
            messages_per_day=per_day,
            bytes_per_day=None if per_message is None else round(per_day * per_message),
        )

    def _plan(self, used: int, growth: Growth | None) -> Plan | None:
        plan = self._options.plan
        if plan is None:
            return None
        per_day = growth.bytes_per_day if growth else None
        left = max(0, plan - used) / per_day if per_day else None
        return Plan(plan, used / plan, left)

    async def _largest_conversations(self) -> list[LargeConversation] | None:
        query = largest_conversations(self._options.top)
        rows = await self._part(
            "largest conversations",
            lambda: self._engine.fetch_query("stats.largest_conversations", query),
        )
        return None if rows is None else [LargeConversation(**row) for row in rows]

    async def _largest_users(self) -> list[LargeUser] | None:
        rows = await self._part(
            "largest users",
            lambda: self._engine.fetch(LARGEST_USERS, limit=self._options.top),
        )
        return None if rows is None else [LargeUser(**row) for row in rows]

    async def _vacuums(self, relations: list[RelationSize]) -> list[Vacuum]:
        tables = [each.name for each in relations if each.kind == "table"]
        return [Vacuum(**row) for row in await self._engine.fetch(VACUUMS, tables=tables)]

    async def _slow_queries(self) -> list[SlowQuery] | None:
        if not await self._engine.fetch(STATEMENTS_SCHEMA):
            self._notes.append(
                "slow queries: not recorded here (CREATE EXTENSION pg_stat_statements)"
            )
            return None
        try:
            rows = await self._part(
                "slow queries", lambda: self._engine.fetch(SLOW_QUERIES, limit=self._options.top)
            )
        except (
            asyncpg.ObjectNotInPrerequisiteStateError,
            asyncpg.InsufficientPrivilegeError,
            asyncpg.UndefinedTableError,
        ) as error:
            self._notes.append(f"slow queries: {first_line(error)}")
            return None
        if rows is None:
            return None
        return [
            SlowQuery(row["calls"], row["total_ms"], row["mean_ms"], _one_line(row["query"]))
            for row in rows
        ]


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
