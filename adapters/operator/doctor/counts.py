"""Whether what conversations say of their messages is so; and rows that belong to nothing."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Final
from uuid import UUID

import asyncpg

from chatkeep.adapters.operator.doctor.rollback_session import RollbackSession
from chatkeep.adapters.operator.doctor.structure import catalogue
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import Conversations
from chatkeep.domain.operations.diagnostics import Finding, failed, ok, skipped, warning

MOST_EXAMPLES: Final = 10
MOST_ORPHANS: Final = 1_000
FEWEST: Final = 10
MOST: Final = 2_000
QUICK: Final = 0.25
"""Seconds; the next batch is made larger after one that took less."""

SLOW: Final = 1.0
"""Seconds; the next batch is made smaller after one that took more."""

# A statement of the operator's, over all users. Counts are of one moment: that of its snapshot.
BATCH: Final = Statement(
    "doctor.count_batch",
    """
SELECT c.id, c.user_id, c.message_count, c.last_position, m.messages,
       greatest(m.last, i.last, 0) AS last
FROM (
  SELECT id, user_id, message_count, last_position FROM conversations
  WHERE (id, user_id) > (:conversation_id, :user_id) ORDER BY id, user_id LIMIT :limit
) AS c
CROSS JOIN LATERAL (
  SELECT count(*) AS messages, max(m.position) AS last FROM messages m
  WHERE m.conversation_id = c.id AND m.user_id = c.user_id
) AS m
CROSS JOIN LATERAL (
  SELECT max(i.position) AS last FROM conversation_items i
  WHERE i.conversation_id = c.id AND i.user_id = c.user_id
) AS i
ORDER BY c.id, c.user_id""",
)

RECOUNT: Final = Statement(
    "doctor.recount",
    """
UPDATE conversations c
SET message_count = (
      SELECT count(*) FROM messages m
      WHERE m.conversation_id = :conversation_id AND m.user_id = :user_id
    ),
    last_position = greatest(
      c.last_position,
      (SELECT max(m.position) FROM messages m
       WHERE m.conversation_id = :conversation_id AND m.user_id = :user_id),
      (SELECT max(i.position) FROM conversation_items i
       WHERE i.conversation_id = :conversation_id AND i.user_id = :user_id)
    )
WHERE c.id = :conversation_id AND c.user_id = :user_id
RETURNING c.message_count, c.last_position""",
)

_OF_CONVERSATION: Final = "conversations p WHERE p.id = o.conversation_id AND p.user_id = o.user_id"
# Foreign key: its table, where that names a conversation, and what a row must have.
_KEYS: Final = {
    "conversations_user_id_fkey": ("conversations", "id", "users p WHERE p.id = o.user_id"),
} | {
    f"{table}_conversation_id_user_id_fkey": (table, "conversation_id", _OF_CONVERSATION)
    for table in ("messages", "conversation_items", "conversation_keys")
}
ORPHANS: Final = {
    key: Statement(
        f"doctor.orphans.{table}",
        f"SELECT o.user_id, o.{conversation} AS conversation_id FROM {table} o "
        f"WHERE NOT EXISTS (SELECT FROM {parent}) LIMIT {MOST_ORPHANS + 1}",
    )
    for key, (table, conversation, parent) in _KEYS.items()
}
REMOVE: Final = {
    key: f"DELETE FROM {table} o WHERE NOT EXISTS (SELECT FROM {parent})"
    for key, (table, _, parent) in _KEYS.items()
}


@dataclass
class _DriftCount:
    looked_at: int = 0
    drifted: int = 0
    repaired: int = 0
    examples: list[str] = field(default_factory=list)

    def finding(self, *, repair: bool) -> Finding:
        if not self.drifted:
            return ok(f"{self.looked_at} conversations have the messages that they say")
        found = (
            f"{self.drifted} of {self.looked_at} conversations had other messages than they said"
        )
        if not repair:
            found = found.replace(" had ", " have ").replace(" said", " say")
            finding = failed(found, "run `chatkeep doctor --repair`; find who writes past chatkeep")
        elif self.repaired < self.drifted:
            finding = failed(
                f"{found}; {self.repaired} were repaired, the others are locked",
                "run it again when nobody holds them",
            )
        else:
            finding = warning(f"{found}; all were repaired", "find who writes past chatkeep")
        return replace(finding, examples=tuple(self.examples))


async def orphans(session: RollbackSession) -> AsyncGenerator[Finding, None]:
    """Look for rows that belong to nothing, where no foreign key makes them impossible."""
    weak = [key for key in ORPHANS if key in session.weak_keys]
    for key in weak:
        table, _, _ = _KEYS[key]
        async with session.reading() as engine:
            rows = await engine.fetch(ORPHANS[key])
        if rows:
            number = f"more than {MOST_ORPHANS}" if len(rows) > MOST_ORPHANS else str(len(rows))
            finding = failed(
                f"{number} rows belong to nothing", f"after a backup: {REMOVE[key]}", subject=table
            )
            examples = [_name(row["conversation_id"], row["user_id"]) for row in rows]
            yield replace(finding, examples=tuple(dict.fromkeys(examples))[:MOST_EXAMPLES])
        else:
            yield ok("no row belongs to nothing", subject=table)
    there = (await catalogue(session)).tables
    if not all(table in there for table, _, _ in _KEYS.values()):
        yield skipped("tables are not there")
    elif not weak:
        yield ok("impossible: the foreign keys are there")


async def drift(session: RollbackSession, *, repair: bool) -> AsyncGenerator[Finding, None]:
    """Count the messages of every conversation, a batch at a time; constant memory.

    What is wrong is put right, one conversation at a time, with `repair`.
    """
    count = _DriftCount()
    after: tuple[UUID, str] = (UUID(int=0), "")
    size = FEWEST
    while True:
        started = monotonic()
        try:
            async with session.reading() as engine:
                rows = await engine.fetch(
                    BATCH, conversation_id=after[0], user_id=after[1], limit=size
                )
        except asyncpg.PostgresError as error:
            if not session.is_consequence(error):
                raise
            yield skipped(f"needs what is missing: {describe(error)}")
            return
        count.looked_at += len(rows)
        await _compare(session, rows, count, repair=repair)
        if len(rows) < size:
            break
        after = (rows[-1]["id"], rows[-1]["user_id"])
        size = _next_size(size, monotonic() - started)
    yield count.finding(repair=repair)


async def _compare(
    session: RollbackSession, rows: Sequence[Any], count: _DriftCount, *, repair: bool
) -> None:
    for row in rows:
        if row["message_count"] == row["messages"] and row["last_position"] >= row["last"]:
            continue
        count.drifted += 1
        said = f"message_count {row['message_count']}, last_position {row['last_position']}"
        if repair and (now := await _recount(session, row["id"], row["user_id"])):
            count.repaired += 1
            found = f"now {now['message_count']} and {now['last_position']}"
        else:
            found = f"has {row['messages']} messages, the last at {row['last']}"
        if len(count.examples) < MOST_EXAMPLES:
            count.examples.append(f"{_name(row['id'], row['user_id'])}: {said}; {found}")


async def _recount(session: RollbackSession, conversation_id: UUID, user_id: str) -> Any | None:  # noqa: ANN401 - asyncpg is untyped
    try:
        async with session.changing() as engine:
            # Appends wait for this lock, so the count that follows includes all of them.
            owned = (Conversations.id == conversation_id) & (Conversations.user_id == user_id)
            query = Conversations.select(Conversations.id).where(owned).lock_rows("UPDATE")
            await engine.fetch_query("doctor.lock", query)
            rows = await engine.fetch(RECOUNT, conversation_id=conversation_id, user_id=user_id)
    except asyncpg.LockNotAvailableError:
        return None
    # One that was deleted meanwhile has nothing left to be wrong.
    return rows[0] if rows else {"message_count": 0, "last_position": 0}


def _next_size(size: int, seconds: float) -> int:
    if seconds < QUICK:
        return min(size * 2, MOST)
    return max(size // 2, FEWEST) if seconds > SLOW else size


def _name(conversation_id: object, user_id: str) -> str:
    return f"{conversation_id} of {user_id!r}"
