"""Reads conversations from legacy tables, and never writes there.

It reads one snapshot, in one read-only transaction, through cursors. Each pass sorts each table
once, with or without indexes, and holds one page in memory.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from chatkeep.adapters.operator.adoption import legacy_queries as queries
from chatkeep.adapters.piccolo import locks
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.transaction import READ_SNAPSHOT
from chatkeep.domain.operations.adoption.layout import AdoptionError
from chatkeep.domain.operations.adoption.ports import (
    CONVERSATIONS_PER_BATCH,
    MESSAGES_PER_BATCH,
    Batch,
    ConversationPart,
)
from chatkeep.domain.operations.adoption.rules import LegacyConversation, LegacyMessage
from chatkeep.domain.operations.adoption.tables import Layout, LegacyTable, Survey

SHOWN: Final = 100
"""Ids and values that a survey lists; it always counts all of them."""

# Columns of users, other than the id, that are required and have no default.
USERS_NEED: Final = Statement(
    "adoption.users_need",
    """
SELECT a.attname::text AS name FROM pg_attribute a
WHERE a.attrelid = to_regclass('users') AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attname <> 'id'
ORDER BY a.attnum""",
)


class PiccoloLegacyTables:
    """The legacy tables, on Postgres. Create it with `reading`."""

    def __init__(self, engine: Engine, layout: Layout) -> None:
        self._engine = engine
        self._layout = layout

    @classmethod
    @asynccontextmanager
    async def reading(cls, engine: Engine, layout: Layout) -> AsyncIterator["PiccoloLegacyTables"]:
        """Open the transaction. Raises `AdoptionError` if another process is adopting."""
        async with engine.transaction():
            await engine.fetch(READ_SNAPSHOT)
            if not await locks.try_to_take(engine, locks.ADOPTION):
                raise AdoptionError(
                    "Another process is adopting in this database: wait until it ends."
                )
            yield cls(engine, layout)

    async def survey(self) -> Survey:
        """Count the rows. Raises `AdoptionError` for ids that are missing or not unique."""
        conversations, messages = self._layout.conversations, self._layout.messages
        await self._check_ids(conversations)
        await self._check_ids(messages)
        orphans = queries.orphans_query(self._layout)
        missing_owners = queries.missing_owners_query(self._layout)
        return Survey(
            conversations=await self._count(f"SELECT FROM {conversations.quoted}"),
            messages=await self._count(f"SELECT FROM {messages.quoted}"),
            orphan_count=await self._count(orphans),
            orphans=await self._ids(orphans),
            roles=await self._values(messages, "role"),
            statuses=await self._values(conversations, "status"),
            owner_count=0 if missing_owners is None else await self._count(missing_owners),
            owners=[] if missing_owners is None else await self._ids(missing_owners),
            users_need=[row["name"] for row in await self._engine.fetch(USERS_NEED)],
        )

    async def batches(self) -> AsyncIterator[Batch]:
        conversations = self._cursor(
            "read_conversations", queries.conversations_query(self._layout)
        )
        messages = self._cursor("read_messages", queries.messages_query(self._layout))
        parts: list[ConversationPart] = []
        read = 0
        while rows := await conversations.take(1):
            row = _conversation(rows[0])
            left, is_first = row.messages, True
            while is_first or left:
                taken = await messages.take(min(left, MESSAGES_PER_BATCH - read))
                left -= len(taken)
                read += len(taken)
                parts.append(
                    ConversationPart(row, tuple(map(_message, taken)), is_first, is_last=not left)
                )
                is_first = False
                if read >= MESSAGES_PER_BATCH or len(parts) >= CONVERSATIONS_PER_BATCH:
                    yield parts
                    parts, read = [], 0
        if parts:
            yield parts
        await conversations.close()
        await messages.close()

    def _cursor(self, name: str, query: str) -> "_Cursor":
        return _Cursor(self._engine, name, query)

    async def _check_ids(self, table: LegacyTable) -> None:
        rows = await self._engine.fetch(_read("bad_ids", queries.bad_ids_query(table)))
        if rows:
            ids = ", ".join("null" if row["id"] is None else row["id"] for row in rows)
            raise AdoptionError(
                f"{table.name}: some ids are missing or not unique ({ids}), so that adopted rows "
                "could not be recognized. Correct them, or create a view with unique ids."
            )

    async def _count(self, query: str) -> int:
        counted = f"SELECT count(*) AS rows FROM ({query}) AS counted"
        [row] = await self._engine.fetch(_read("count", counted))
        count: int = row["rows"]
        return count

    async def _ids(self, query: str) -> list[str]:
        statement = _read("ids", f"{query} ORDER BY 1 LIMIT {SHOWN}")
        return [row["id"] for row in await self._engine.fetch(statement)]

    async def _values(self, table: LegacyTable, field: str) -> dict[str | None, int]:
        if table.identifier(field) is None:
            return {}
        rows = await self._engine.fetch(_read("values", queries.values_query(table, field, SHOWN)))
        return {row["value"]: row["rows"] for row in rows}


class _Cursor:
    """A cursor that holds one page of rows in memory."""

    def __init__(self, engine: Engine, name: str, query: str) -> None:
        self._engine = engine
        self._declare = _read("declare", f"DECLARE {name} NO SCROLL CURSOR FOR {query}")
        self._fetch = _read("fetch", f"FETCH {MESSAGES_PER_BATCH} FROM {name}")
        self._close = _read("close", f"CLOSE {name}")
        self._page: deque[Row] = deque()
        self._is_open = False

    async def take(self, count: int) -> list[Row]:
        """Return the next `count` rows; fewer only at the end."""
        taken: list[Row] = []
        while len(taken) < count:
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
    """Return a statement without parameters on tables whose names are known only now."""
    return Statement(f"adoption.legacy_{kind}", sql)


def _conversation(row: Row) -> LegacyConversation:
    return LegacyConversation(**dict(row.items()))


def _message(row: Row) -> LegacyMessage:
    return LegacyMessage(**dict(row.items()))
