"""Checks each conversation's count of messages and last position, and looks for orphaned rows."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Final
from uuid import UUID

import asyncpg

from chatkeep.adapters.operator.doctor.rollback_session import RollbackSession
from chatkeep.adapters.operator.doctor.structure import load_catalogue
from chatkeep.adapters.piccolo.errors import describe
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import Conversations
from chatkeep.domain.operations.diagnostics import CheckResult, failed, ok, skipped, warning

MAX_EXAMPLES: Final = 10
MAX_ORPHANS: Final = 1_000
MIN_BATCH: Final = 10
MAX_BATCH: Final = 2_000
QUICK_SECONDS: Final = 0.25
"""After a batch that took less, the next one is larger."""

SLOW_SECONDS: Final = 1.0
"""After a batch that took more, the next one is smaller."""

# An operator's statement, over all users. All counts are from one snapshot.
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
SET revision = c.revision + 1,
    message_count = (
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
# By foreign key: its table, the column with the conversation's id, and the row that must exist.
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
        f"WHERE NOT EXISTS (SELECT FROM {parent}) LIMIT {MAX_ORPHANS + 1}",
    )
    for key, (table, conversation, parent) in _KEYS.items()
}
REMOVE: Final = {
    key: f"DELETE FROM {table} o WHERE NOT EXISTS (SELECT FROM {parent})"
    for key, (table, _, parent) in _KEYS.items()
}


@dataclass
class _DriftCount:
    checked: int = 0
    drifted: int = 0
    repaired: int = 0
    examples: list[str] = field(default_factory=list)

    def summarize(self, *, repair: bool) -> CheckResult:
        if not self.drifted:
            return ok(f"all counts of {self.checked} conversations are right")
        message = f"{self.drifted} of {self.checked} conversations have wrong counts"
        find_writer = "find out what writes to the tables besides chatkeep"
        if not repair:
            result = failed(message, f"run `chatkeep doctor --repair`; {find_writer}")
        elif self.repaired < self.drifted:
            result = failed(
                f"{message}; {self.repaired} were repaired, the others are locked",
                "run it again when they are not locked",
            )
        else:
            result = warning(f"{message}; all were repaired", find_writer)
        return replace(result, examples=tuple(self.examples))


async def check_orphans(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    """Look for rows without a parent in tables whose foreign key is missing or not enforced."""
    weak = [key for key in ORPHANS if key in session.weak_keys]
    for key in weak:
        table, _, _ = _KEYS[key]
        async with session.begin_read_only() as engine:
            rows = await engine.fetch(ORPHANS[key])
        if rows:
            number = f"more than {MAX_ORPHANS}" if len(rows) > MAX_ORPHANS else str(len(rows))
            result = failed(
                f"{number} rows have no parent", f"after a backup: {REMOVE[key]}", target=table
            )
            examples = [_name(row["conversation_id"], row["user_id"]) for row in rows]
            yield replace(result, examples=tuple(dict.fromkeys(examples))[:MAX_EXAMPLES])
        else:
            yield ok("no row without a parent", target=table)
    existing = (await load_catalogue(session)).tables
    if not all(table in existing for table, _, _ in _KEYS.values()):
        yield skipped("tables are missing")
    elif not weak:
        yield ok("none: the foreign keys are enforced")


async def check_counts(
    session: RollbackSession, *, repair: bool
) -> AsyncGenerator[CheckResult, None]:
    """Count the messages of every conversation, in batches, with constant memory.

    With `repair`, correct wrong counts, one conversation at a time.
    """
    count = _DriftCount()
    after: tuple[UUID, str] = (UUID(int=0), "")
    size = MIN_BATCH
    while True:
        started = monotonic()
        try:
            async with session.begin_read_only() as engine:
                rows = await engine.fetch(
                    BATCH, conversation_id=after[0], user_id=after[1], limit=size
                )
        except asyncpg.PostgresError as error:
            if not session.is_consequence(error):
                raise
            yield skipped(f"something that it needs is missing: {describe(error)}")
            return
        count.checked += len(rows)
        await _compare(session, rows, count, repair=repair)
        if len(rows) < size:
            break
        after = (rows[-1]["id"], rows[-1]["user_id"])
        size = _next_size(size, monotonic() - started)
    yield count.summarize(repair=repair)


async def _compare(
    session: RollbackSession, rows: Sequence[Any], count: _DriftCount, *, repair: bool
) -> None:
    for row in rows:
        if row["message_count"] == row["messages"] and row["last_position"] >= row["last"]:
            continue
        count.drifted += 1
        stored = f"message_count {row['message_count']}, last_position {row['last_position']}"
        if repair and (now := await _recount(session, row["id"], row["user_id"])):
            count.repaired += 1
            found = f"now {now['message_count']} and {now['last_position']}"
        else:
            found = f"has {row['messages']} messages, the last at {row['last']}"
        if len(count.examples) < MAX_EXAMPLES:
            count.examples.append(f"{_name(row['id'], row['user_id'])}: {stored}; {found}")


async def _recount(session: RollbackSession, conversation_id: UUID, user_id: str) -> Any | None:  # noqa: ANN401 - asyncpg is untyped
    try:
        async with session.begin() as engine:
            # Appends wait for this lock, so the count that follows includes all of them.
            owned = (Conversations.id == conversation_id) & (Conversations.user_id == user_id)
            query = Conversations.select(Conversations.id).where(owned).lock_rows("UPDATE")
            await engine.fetch_query("doctor.lock", query)
            rows = await engine.fetch(RECOUNT, conversation_id=conversation_id, user_id=user_id)
    except asyncpg.LockNotAvailableError:
        return None
    # The conversation was deleted meanwhile, so nothing is wrong any more.
    return rows[0] if rows else {"message_count": 0, "last_position": 0}


def _next_size(size: int, seconds: float) -> int:
    if seconds < QUICK_SECONDS:
        return min(size * 2, MAX_BATCH)
    return max(size // 2, MIN_BATCH) if seconds > SLOW_SECONDS else size


def _name(conversation_id: object, user_id: str) -> str:
    return f"{conversation_id} of {user_id!r}"
