"""Entries on Postgres: what an export reads and an import writes, each call one statement."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from chatkeep.adapters.piccolo.conversations import PiccoloConversations, unprovisioned
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.message_statements import GIVEN_COLUMNS
from chatkeep.adapters.piccolo.messages import PiccoloMessages, given, given_bytes
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import Row, message_columns, to_jsonb, to_message, to_text
from chatkeep.adapters.piccolo.users import NO_USER
from chatkeep.domain.entries import (
    BEFORE_FIRST,
    Entry,
    EntryPage,
    GivenEntry,
    check_same,
)
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    MessageIdTakenError,
)
from chatkeep.domain.items import ItemText
from chatkeep.domain.model import (
    FIRST_POSITION,
    Conversation,
    ConversationId,
    NewMessage,
    Position,
    UserId,
    microseconds,
)

# The size of a text is known without reading it; of jsonb only how large it is stored.
_MESSAGE_BYTES: Final = (
    "coalesce(octet_length(m.content), 0) + coalesce(octet_length(m.item::text), 0) "
    "+ coalesce(pg_column_size(m.tool_calls), 0) + pg_column_size(m.metadata)"
)

# `before` is how many bytes stand in front of a row in the page, `found` how many rows there are
# when bytes do not count.
PAGE: Final = f"""
SELECT page.* FROM conversations c
LEFT JOIN LATERAL (
  SELECT sized.* FROM (
    SELECT entry.*, count(*) OVER () AS found,
           sum(entry.bytes) OVER (ORDER BY entry.position) - entry.bytes AS before
    FROM ((
      SELECT {message_columns("m")}, m.item, {_MESSAGE_BYTES} AS bytes FROM messages m
      WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.position > $3
      ORDER BY m.position LIMIT $4
    ) UNION ALL (
      SELECT NULL::uuid, NULL::uuid, NULL, NULL, NULL, NULL, NULL, NULL, i.created_at, i.position,
             i.item, octet_length(i.item::text)
      FROM conversation_items i
      WHERE i.conversation_id = $1 AND i.user_id = $2 AND i.position > $3
      ORDER BY i.position LIMIT $4
    ) ORDER BY position LIMIT $4) AS entry
  ) AS sized
  WHERE sized.before < $5
) AS page ON true
WHERE c.id = $1 AND c.user_id = $2
ORDER BY page.position"""

# The messages as $1 to $8 and $9 to $11, the items that are none as $12 to $15; see
# `adapters.piccolo.message_statements.GIVEN`. `n` is the place among all of them, from 0.
_MESSAGES: Final = (
    "unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::text[]::jsonb[], $5::text[], "
    "$6::text[], $7::text[]::jsonb[], $8::text[]::timestamptz[], $9::text[], $10::text[]::json[], "
    "$11::text[]::bigint[]) AS given (id, role, content, tool_calls, tool_call_id, name, metadata, "
    "created_at, item_id, item, n)"
)
_ITEMS: Final = (
    "unnest($12::text[], $13::text[]::json[], $14::text[]::timestamptz[], $15::text[]::bigint[]) "
    "AS given (item_id, item, created_at, n)"
)

RESTORE: Final = f"""
WITH provisioned AS (
  INSERT INTO users (id) SELECT $17 WHERE $27 ON CONFLICT DO NOTHING
), conversation AS (
  INSERT INTO conversations (id, user_id, title, status, metadata, created_at, updated_at, retain,
                             message_count, last_position)
  VALUES ($16, $17, $18, $19, $20, $21, $22, $23,
          $24, CASE WHEN $25 > 0 THEN $26::bigint + $25 - 1 ELSE 0 END)
), kept AS (
  INSERT INTO conversation_items (conversation_id, user_id, position, item_id, item, created_at)
  SELECT $16, $17, $26 + n, item_id, item, coalesce(given.created_at, $22) FROM {_ITEMS}
)
INSERT INTO messages (conversation_id, user_id, position, {GIVEN_COLUMNS}, item_id, item,
                      created_at)
SELECT $16, $17, $26 + n, {GIVEN_COLUMNS}, item_id, item, coalesce(given.created_at, $22)
FROM {_MESSAGES}"""


class PiccoloEntries:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._conversations = PiccoloConversations(engine)
        self._messages = PiccoloMessages(engine)

    async def page(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        after: Position,
        limit: int,
        max_bytes: int,
    ) -> EntryPage:
        rows = await self._engine.fetch(PAGE, conversation_id, user_id, after, limit, max_bytes)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        entries = tuple(_entry(row) for row in rows if row["position"] is not None)
        found: int = rows[0]["found"] or 0
        return EntryPage(entries, more=len(entries) < found or found == limit)

    @repeated_when_gone
    async def restore(
        self, conversation: Conversation, entries: Sequence[GivenEntry], *, provision: bool
    ) -> bool:
        try:
            await self._engine.fetch(RESTORE, *_arguments(conversation, entries), provision)
        except asyncpg.UniqueViolationError as error:
            await self._check_restored(conversation, entries, error)
            return False
        except NO_USER as error:
            raise unprovisioned(conversation.user_id, error, provision=provision) from error
        return True

    async def _check_restored(
        self, new: Conversation, entries: Sequence[GivenEntry], error: Exception
    ) -> None:
        """Return when what is stored is the same; say what is in the way when it is not."""
        try:
            stored = await self._conversations.get(new.user_id, new.id)
        except ConversationNotFoundError:
            # Then it was the id of a message; ask which one, for the driver tells only in words.
            holders = await self._messages.holders(new.user_id, _messages(entries))
            raise MessageIdTakenError(holders[0].id) from error
        try:
            first = await self._first(new, entries)
        except ConversationNotFoundError as gone:
            raise GoneError from gone
        check_same(new, entries, stored, first)

    async def _first(self, new: Conversation, entries: Sequence[GivenEntry]) -> list[Entry]:
        """Return the first entries of what is stored under the id, as far as they may be the same.

        One that is larger ends the page.
        """
        if not entries:
            return []
        page = await self.page(
            new.user_id,
            new.id,
            after=BEFORE_FIRST,
            limit=len(entries),
            max_bytes=given_bytes(_messages(entries)) + _item_bytes(entries),
        )
        return [*page.entries]


def _arguments(conversation: Conversation, entries: Sequence[GivenEntry]) -> tuple[object, ...]:
    """Return the parameters of `RESTORE` but the last."""
    messages = [(n, entry) for n, entry in enumerate(entries) if entry.message is not None]
    others = [(n, entry) for n, entry in enumerate(entries) if entry.message is None]
    return (
        *given(_messages(entries)),
        [entry.own_item_id for _, entry in messages],
        [entry.item for _, entry in messages],
        [str(n) for n, _ in messages],
        [entry.item_id for _, entry in others],
        [entry.item for _, entry in others],
        [entry.created_at and entry.created_at.isoformat() for _, entry in others],
        [str(n) for n, _ in others],
        conversation.id,
        conversation.user_id,
        to_text(conversation.title),
        conversation.status.value,
        to_jsonb(conversation.metadata),
        conversation.created_at,
        conversation.updated_at,
        conversation.retain,
        len(messages),
        len(entries),
        max(FIRST_POSITION, microseconds(conversation.updated_at)),
    )


def _messages(entries: Sequence[GivenEntry]) -> list[NewMessage]:
    return [entry.message for entry in entries if entry.message is not None]


def _item_bytes(entries: Sequence[GivenEntry]) -> int:
    """Return how many bytes the items have at most, and at least one."""
    return 1 + sum(4 * len(entry.item) for entry in entries if entry.item is not None)


def _entry(row: Row) -> Entry:
    item: str | None = row["item"]
    return Entry(
        position=row["position"],
        created_at=row["created_at"],
        message=None if row["id"] is None else to_message(row),
        item=None if item is None else ItemText(item),
    )
