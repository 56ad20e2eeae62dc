"""Reads conversations from tables that somebody made by hand; never writes there.

All is read in one read-only transaction, as it was at its beginning, through cursors: whatever
indexes those tables have, each reading sorts each once, and a page of it is held in memory.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from chatkeep.adapters.operator.adoption import legacy_queries as sources
from chatkeep.adapters.piccolo import locks
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.transaction import READ_SNAPSHOT
from chatkeep.domain.operations.adoption.layout import AdoptionError
from chatkeep.domain.operations.adoption.rules import OldConversation, OldMessage
from chatkeep.domain.operations.adoption.run import BATCH_CONVERSATIONS, BATCH_MESSAGES, Batch, Part
from chatkeep.domain.operations.adoption.tables import Layout, OldTable, Survey

SHOWN: Final = 100
"""So many ids of a kind are told; how many there are in all is always told."""

# What else a row of users needs, that has neither a default nor a value made for it.
USERS_NEED: Final = Statement(
    "adoption.users_need",
    """
SELECT a.attname::text AS name FROM pg_attribute a
WHERE a.attrelid = to_regclass('users') AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attname <> 'id'
ORDER BY a.attnum""",
)


class LegacyTables:
    """To be used within `reading`."""

    def __init__(self, engine: Engine, layout: Layout) -> None:
        self._engine = engine
        self._layout = layout

    @classmethod
    @asynccontextmanager
    async def reading(cls, engine: Engine, layout: Layout) -> AsyncIterator["LegacyTables"]:
        """Open the transaction; raise `AdoptionError` when another process adopts already."""
        async with engine.transaction():
            await engine.fetch(READ_SNAPSHOT)
            if not await locks.try_to_take(engine, locks.ADOPTION):
                raise AdoptionError("Another process is adopting in this database: wait for it.")
            yield cls(engine, layout)

    async def survey(self) -> Survey:
        """Count. Raises `AdoptionError` for ids that are missing or not unique."""
        old, said = self._layout.conversations, self._layout.messages
        await self._check_ids(old)
        await self._check_ids(said)
        orphans = sources.orphans(self._layout)
        absent = sources.absent_owners(self._layout)
        return Survey(
            conversations=await self._count(f"SELECT FROM {old.quoted}"),
            messages=await self._count(f"SELECT FROM {said.quoted}"),
            orphan_count=await self._count(orphans),
            orphans=await self._ids(orphans),
            roles=await self._values(said, "role"),
            statuses=await self._values(old, "status"),
            owner_count=0 if absent is None else await self._count(absent),
            owners=[] if absent is None else await self._ids(absent),
            users_need=[row["name"] for row in await self._engine.fetch(USERS_NEED)],
        )

    async def batches(self) -> AsyncIterator[Batch]:
        conversations = self._cursor("read_conversations", sources.conversations(self._layout))
        messages = self._cursor("read_messages", sources.messages(self._layout))
        parts: list[Part] = []
        read = 0
        while rows := await conversations.take(1):
            old = _conversation(rows[0])
            left, first = old.messages, True
            while first or left:
                taken = await messages.take(min(left, BATCH_MESSAGES - read))
                left -= len(taken)
                read += len(taken)
                parts.append(Part(old, tuple(map(_message, taken)), first, last=not left))
                first = False
                if read >= BATCH_MESSAGES or len(parts) >= BATCH_CONVERSATIONS:
                    yield parts
                    parts, read = [], 0
        if parts:
            yield parts
        await conversations.close()
        await messages.close()

    def _cursor(self, name: str, query: str) -> "_Cursor":
        return _Cursor(self._engine, name, query)

    async def _check_ids(self, table: OldTable) -> None:
        rows = await self._engine.fetch(_read("bad_ids", sources.bad_ids(table)))
        if rows:
            ids = ", ".join("null" if row["id"] is None else row["id"] for row in rows)
            raise AdoptionError(
                f"{table.name}: its ids are not there or not unique ({ids}), so nobody could tell "
                "what was adopted already. Mend them, or make a view that gives unique ones."
            )

    async def _count(self, query: str) -> int:
        counted = f"SELECT count(*) AS rows FROM ({query}) AS counted"
        [row] = await self._engine.fetch(_read("count", counted))
        count: int = row["rows"]
        return count

    async def _ids(self, query: str) -> list[str]:
        statement = _read("ids", f"{query} ORDER BY 1 LIMIT {SHOWN}")
        return [row["id"] for row in await self._engine.fetch(statement)]

    async def _values(self, table: OldTable, field: str) -> dict[str | None, int]:
        if table.identifier(field) is None:
            return {}
        rows = await self._engine.fetch(_read("values", sources.values(table, field, SHOWN)))
        return {row["value"]: row["rows"] for row in rows}


class _Cursor:
    """Rows of a query, a page of them in memory."""

    def __init__(self, engine: Engine, name: str, query: str) -> None:
        self._engine = engine
        self._declare = _read("declare", f"DECLARE {name} NO SCROLL CURSOR FOR {query}")
        self._fetch = _read("fetch", f"FETCH {BATCH_MESSAGES} FROM {name}")
        self._close = _read("close", f"CLOSE {name}")
        self._page: deque[Row] = deque()
        self._is_open = False

    async def take(self, many: int) -> list[Row]:
        """Return so many rows, fewer only at the end."""
        taken: list[Row] = []
        while len(taken) < many:
            if not self._page and not await self._read():
                break
            taken.append(self._page.popleft())
        return taken

    async def close(self) -> None:
        if self._is_open:
            await self._engine.fetch(self._close)
            self._is_open = False

    async def _read(self) -> bool:
        if not self._is_open:
            await self._engine.fetch(self._declare)
            self._is_open = True
        self._page.extend(await self._engine.fetch(self._fetch))
        return bool(self._page)


def _read(kind: str, sql: str) -> Statement:
    """Return a statement on tables whose names are known only now. It has no parameters."""
    return Statement(f"adoption.legacy_{kind}", sql)


def _conversation(row: Row) -> OldConversation:
    return OldConversation(**dict(row.items()))


def _message(row: Row) -> OldMessage:
    return OldMessage(**dict(row.items()))
