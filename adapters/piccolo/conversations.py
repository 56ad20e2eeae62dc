"""Conversations on Postgres: each call is one statement."""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

import asyncpg

from chatkeep.adapters.piccolo.bounds import json_bytes, text_bytes, within
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.message_statements import GIVEN, GIVEN_COLUMNS
from chatkeep.adapters.piccolo.messages import PiccoloMessages, given, given_bytes
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import CONVERSATION_COLUMNS, to_conversation, to_jsonb, to_text
from chatkeep.adapters.piccolo.users import ERASE_TIMEOUT, NO_USER, refused
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    MessageIdTakenError,
    RetainedError,
    UserNotProvisionedError,
)
from chatkeep.domain.model import (
    FIRST_POSITION,
    Changes,
    Conversation,
    ConversationId,
    Message,
    NewMessage,
    Order,
    Position,
    Status,
    Unset,
    UserId,
    microseconds,
    recreated,
)
from chatkeep.domain.pages import NO_BOUND, Page
from chatkeep.domain.ports import Created, LastSeen
from chatkeep.domain.threads import run_aside

CREATE: Final = f"""
WITH provisioned AS (
  INSERT INTO users (id) SELECT $10 WHERE $19 ON CONFLICT DO NOTHING
), conversation AS (
  INSERT INTO conversations (id, user_id, title, status, metadata, created_at, updated_at, retain,
                             message_count, last_position)
  VALUES ($9, $10, $11, $12, $13, $14, $15, $16,
          $17, CASE WHEN $17 > 0 THEN $18::bigint + $17 - 1 ELSE 0 END)
)
INSERT INTO messages (conversation_id, user_id, position, {GIVEN_COLUMNS}, created_at)
SELECT $9, $10, $18 + n - 1, {GIVEN_COLUMNS}, coalesce(given.created_at, $15) FROM {GIVEN}"""

GET_OR_CREATE: Final = f"""
WITH stored AS (
  SELECT {CONVERSATION_COLUMNS} FROM conversations WHERE id = $1 AND user_id = $2
), provisioned AS (
  INSERT INTO users (id) SELECT $2 WHERE $9 AND NOT EXISTS (SELECT FROM stored)
  ON CONFLICT DO NOTHING
), made AS (
  INSERT INTO conversations (id, user_id, title, status, metadata, created_at, updated_at, retain)
  SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE NOT EXISTS (SELECT FROM stored)
  ON CONFLICT DO NOTHING RETURNING {CONVERSATION_COLUMNS}
)
SELECT *, false AS created FROM stored UNION ALL SELECT *, true FROM made"""

GET: Final = f"""
SELECT {CONVERSATION_COLUMNS} FROM conversations WHERE id = $1 AND user_id = $2"""

CHANGE: Final = f"""
UPDATE conversations
SET title = CASE WHEN $3 THEN $4 ELSE title END, status = coalesce($5, status),
    metadata = coalesce($6::jsonb, metadata), retain = coalesce($7, retain)
WHERE id = $1 AND user_id = $2 RETURNING {CONVERSATION_COLUMNS}"""

# The row is locked before its hold is looked at, so that none is set meanwhile.
DELETE: Final = """
WITH locked AS (
  SELECT id, retain FROM conversations WHERE id = $1 AND user_id = $2 FOR UPDATE
), gone AS (
  DELETE FROM conversations c USING locked
  WHERE c.id = locked.id AND c.user_id = $2 AND NOT locked.retain
)
SELECT retain FROM locked"""


def _list(*conditions: str) -> str:
    where = " AND ".join(("user_id = $1", *conditions))
    size = f"{text_bytes('title')} + {json_bytes('metadata', '$3::bigint')}"
    return f"""
SELECT {within("$3::bigint", CONVERSATION_COLUMNS, ("title", "metadata"))} FROM (
  SELECT {CONVERSATION_COLUMNS}, {size} AS bytes FROM conversations WHERE {where}
  ORDER BY updated_at DESC, id DESC LIMIT $2
) AS page
ORDER BY updated_at DESC, id DESC"""


_AFTER: Final = "(updated_at, id) < ($4, $5)"
LIST: Final = _list()
LIST_AFTER: Final = _list(_AFTER)
# One text for each status, so that the index of the archived ones can be used.
LIST_STATUS: Final = {status: _list(f"status = '{status}'") for status in Status}
LIST_STATUS_AFTER: Final = {status: _list(f"status = '{status}'", _AFTER) for status in Status}


class PiccoloConversations:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._messages = PiccoloMessages(engine)

    @repeated_when_gone
    async def create(
        self, conversation: Conversation, messages: Sequence[NewMessage], *, provision: bool
    ) -> Created:
        first = max(FIRST_POSITION, microseconds(conversation.updated_at))
        try:
            await self._engine.fetch(
                CREATE,
                *given(messages),
                *_columns(conversation),
                len(messages),
                first,
                provision,
            )
        except asyncpg.UniqueViolationError as error:
            return await self._recreate(conversation, messages, error)
        except NO_USER as error:
            raise unprovisioned(conversation.user_id, error, provision=provision) from error
        stored = tuple(
            message.stored(conversation.id, Position(first + index), conversation.updated_at)
            for index, message in enumerate(messages)
        )
        return Created(conversation._replace(message_count=len(messages)), stored, created=True)

    @repeated_when_gone
    async def get_or_create(self, conversation: Conversation, *, provision: bool) -> Created:
        try:
            rows, again = await self._engine.fetch_noting(
                GET_OR_CREATE, *_columns(conversation), provision
            )
        except NO_USER as error:
            raise unprovisioned(conversation.user_id, error, provision=provision) from error
        if rows:
            found = to_conversation(rows[0])
            made_before = again and found.created_at == conversation.created_at
            return Created(found, (), created=rows[0]["created"] or made_before)
        # Somebody else made it while this statement ran: it was not in our snapshot.
        try:
            return Created(await self.get(conversation.user_id, conversation.id), (), created=False)
        except ConversationNotFoundError as error:
            raise GoneError from error

    async def get(self, user_id: UserId, conversation_id: ConversationId) -> Conversation:
        rows = await self._engine.fetch(GET, conversation_id, user_id)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        return to_conversation(rows[0])

    async def list(
        self,
        user_id: UserId,
        *,
        status: Status | None,
        after: LastSeen | None,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Conversation]:
        if after is None:
            sql = LIST if status is None else LIST_STATUS[status]
            start: tuple[object, ...] = ()
        else:
            sql = LIST_AFTER if status is None else LIST_STATUS_AFTER[status]
            start = after.updated_at, after.id
        share = max_bytes // limit
        rows = await self._engine.fetch(sql, user_id, limit + 1, share, *start)
        found = [
            to_conversation(row)
            for row in takewhile(lambda row: row["bytes"] <= share, rows[:limit])
        ]
        if found or not rows:
            return Page(found, more=len(rows) > len(found))
        # Only an import stores one this large. It is a page of its own.
        large = await self._engine.fetch(sql, user_id, 1, NO_BOUND, *start)
        return Page([to_conversation(row) for row in large], more=bool(large) and len(rows) > 1)

    async def change(
        self, user_id: UserId, conversation_id: ConversationId, changes: Changes
    ) -> Conversation:
        title, status, metadata = changes.title, changes.status, changes.metadata
        retain = changes.retain
        rows = await self._engine.fetch(
            CHANGE,
            conversation_id,
            user_id,
            not isinstance(title, Unset),
            None if isinstance(title, Unset) else to_text(title),
            None if isinstance(status, Unset) else status.value,
            None if isinstance(metadata, Unset) else to_jsonb(metadata),
            None if isinstance(retain, Unset) else retain,
        )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        return to_conversation(rows[0])

    async def delete(self, user_id: UserId, conversation_id: ConversationId) -> None:
        rows, again = await self._engine.fetch_noting(
            DELETE, conversation_id, user_id, timeout=ERASE_TIMEOUT
        )
        if not (rows or again):
            raise ConversationNotFoundError(conversation_id)
        if rows and rows[0]["retain"]:
            raise RetainedError(conversation_id)

    async def _recreate(
        self,
        new: Conversation,
        messages: Sequence[NewMessage],
        error: asyncpg.UniqueViolationError,
    ) -> Created:
        try:
            stored = await self.get(new.user_id, new.id)
        except ConversationNotFoundError:
            # Then it was the id of a message; ask which one, for the driver tells only in words.
            holders = await self._messages.holders(new.user_id, messages)
            raise MessageIdTakenError(holders[0].id) from error
        first: Sequence[Message] = ()
        if messages:
            # One of what is stored that is larger ends the page, which is other content then.
            try:
                page = await self._messages.history(
                    new.user_id,
                    new.id,
                    order=Order.ASC,
                    after=None,
                    before=None,
                    limit=len(messages),
                    max_bytes=given_bytes(messages),
                )
            except ConversationNotFoundError as gone:
                raise GoneError from gone
            first = page.items
        same = await run_aside(
            given_bytes(messages), lambda: recreated(new, messages, stored, first)
        )
        return Created(*same, created=False)


def _columns(conversation: Conversation) -> tuple[object, ...]:
    return (
        conversation.id,
        conversation.user_id,
        to_text(conversation.title),
        conversation.status.value,
        to_jsonb(conversation.metadata),
        conversation.created_at,
        conversation.updated_at,
        conversation.retain,
    )


def unprovisioned(
    user_id: UserId, error: asyncpg.PostgresError, *, provision: bool
) -> UserNotProvisionedError:
    if provision:
        if isinstance(error, asyncpg.ForeignKeyViolationError):  # the user was erased just now
            raise GoneError(lambda: refused(user_id, error)) from error
        return refused(user_id, error)
    return UserNotProvisionedError(
        user_id, "users are added by a service key (PUT /v1/users/{id})."
    )
