"""What an adoption reads and writes in chatkeep's own tables.

The statements cover all users and many conversations at once, and still name the user of each row.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import first_line
from chatkeep.adapters.piccolo.message_statements import GIVEN_COLUMNS
from chatkeep.adapters.piccolo.messages import given
from chatkeep.adapters.piccolo.rows import message_columns, to_jsonb, to_message, to_text
from chatkeep.adapters.piccolo.users import NO_USER
from chatkeep.domain.model import Conversation, ConversationId, MessageId, Position, UserId
from chatkeep.domain.operations.adoption.layout import AdoptionError
from chatkeep.domain.operations.adoption.run import Addition, Stored
from chatkeep.domain.ports import MAX_NAMED

IS_MIGRATED: Final = "SELECT to_regclass('adoptions') IS NOT NULL AS migrated"

_KEYS: Final = "unnest($1::text[]::uuid[], $2::text[]) AS given (id, user_id)"
_POSITIONS: Final = f"""
SELECT c.id, c.last_position FROM {_KEYS}
JOIN conversations c ON c.id = given.id AND c.user_id = given.user_id"""
# Locks are always taken in the same order, which prevents deadlocks.
POSITIONS: Final = {
    False: _POSITIONS,
    True: f"{_POSITIONS} ORDER BY c.user_id, c.id FOR UPDATE OF c",
}

REMEMBERED: Final = "SELECT id, run FROM adoptions WHERE id = ANY($1::text[]::uuid[])"

STORED: Final = f"""
SELECT {message_columns("m")}, a.run FROM {_KEYS}
JOIN messages m ON m.id = given.id AND m.user_id = given.user_id
LEFT JOIN adoptions a ON a.id = m.id"""

ADD_USERS: Final = """
INSERT INTO users (id) SELECT DISTINCT given.id FROM unnest($1::text[]) AS given (id)
WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = given.id)
ORDER BY given.id ON CONFLICT DO NOTHING RETURNING id"""

ADD_CONVERSATIONS: Final = """
INSERT INTO conversations (id, user_id, title, status, metadata, created_at, updated_at,
                           message_count, last_position)
SELECT * FROM unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]::jsonb[],
                     $6::text[]::timestamptz[], $7::text[]::timestamptz[], $8::text[]::integer[],
                     $9::text[]::bigint[])"""

MOVE_CONVERSATIONS: Final = """
UPDATE conversations c
SET message_count = c.message_count + given.added, last_position = given.last,
    updated_at = greatest(c.updated_at, given.updated_at)
FROM unnest($1::text[]::uuid[], $2::text[], $3::text[]::integer[], $4::text[]::bigint[],
            $5::text[]::timestamptz[]) AS given (id, user_id, added, last, updated_at)
WHERE c.id = given.id AND c.user_id = given.user_id"""

ADD_MESSAGES: Final = f"""
INSERT INTO messages ({GIVEN_COLUMNS}, created_at, conversation_id, user_id, position)
SELECT * FROM unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::text[]::jsonb[], $5::text[],
                     $6::text[], $7::text[]::jsonb[], $8::text[]::timestamptz[],
                     $9::text[]::uuid[], $10::text[], $11::text[]::bigint[])"""

REMEMBER: Final = """
INSERT INTO adoptions (id, run) SELECT unnest($1::text[]::uuid[]), $2 ON CONFLICT DO NOTHING"""


class PiccoloAdoptions:
    """Chatkeep's tables on Postgres. A `transaction` runs on one connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def transaction(self) -> AbstractAsyncContextManager[object]:
        return self._engine.transaction()

    async def check_migrated(self) -> None:
        """Raise `AdoptionError` if the database has not been migrated."""
        [row] = await self._engine.fetch(IS_MIGRATED)
        if not row["migrated"]:
            raise AdoptionError(
                "The database has not been migrated to this version: run `chatkeep migrate` first. "
                "If a table conversations or messages is in the way, it says how to rename that "
                "table; then adopt from the renamed one."
            )

    async def last_positions(
        self, conversations: Sequence[Conversation], *, lock: bool
    ) -> Mapping[ConversationId, Position]:
        if not conversations:
            return {}
        ids = [str(each.id) for each in conversations]
        owners = [each.user_id for each in conversations]
        rows = await self._engine.fetch(POSITIONS[lock], ids, owners)
        return {ConversationId(row["id"]): Position(row["last_position"]) for row in rows}

    async def remembered(self, ids: Sequence[UUID]) -> Mapping[UUID, datetime]:
        if not ids:
            return {}
        rows = await self._engine.fetch(REMEMBERED, [str(each) for each in ids])
        return {row["id"]: row["run"] for row in rows}

    async def stored(
        self, messages: Sequence[tuple[MessageId, UserId]]
    ) -> Mapping[MessageId, Stored]:
        if not messages:
            return {}
        ids = [str(id_) for id_, _ in messages]
        owners = [owner for _, owner in messages]
        rows = await self._engine.fetch(STORED, ids, owners)
        return {MessageId(row["id"]): Stored(to_message(row), row["run"]) for row in rows}

    async def add(self, additions: Sequence[Addition], ids: Sequence[UUID], run: datetime) -> int:
        made = [each for each in additions if each.is_new]
        users = await self._add_users([each.conversation.user_id for each in made])
        try:
            if made:
                await self._engine.fetch(ADD_CONVERSATIONS, *_new(made))
            if moved := [each for each in additions if not each.is_new and each.messages]:
                await self._engine.fetch(MOVE_CONVERSATIONS, *_moved(moved))
            if any(each.messages for each in additions):
                await self._engine.fetch(ADD_MESSAGES, *_messages(additions))
        except asyncpg.UniqueViolationError as error:
            raise AdoptionError(
                "Another process has just added one of the conversations or messages: adopt again."
            ) from error
        await self._engine.fetch(REMEMBER, [str(each) for each in ids], run)
        return users

    async def _add_users(self, users: Sequence[UserId]) -> int:
        try:
            return len(await self._engine.fetch(ADD_USERS, sorted(set(users))))
        except (*NO_USER, asyncpg.RaiseError) as error:  # the last one is raised by a trigger
            named = ", ".join(sorted(set(users))[:MAX_NAMED])
            raise AdoptionError(
                f"The table users does not take a row with only an id ({first_line(error)}). Let "
                f"the application that owns the table add the owners first ({named}, ...), then "
                "adopt again."
            ) from error


def _new(additions: Sequence[Addition]) -> tuple[list[object], ...]:
    conversations = [each.conversation for each in additions]
    return (
        [str(each.id) for each in conversations],
        [each.user_id for each in conversations],
        [to_text(each.title) for each in conversations],
        [each.status.value for each in conversations],
        [to_jsonb(each.metadata) for each in conversations],
        [each.created_at.isoformat() for each in conversations],
        [each.updated_at.isoformat() for each in conversations],
        [str(len(each.messages)) for each in additions],
        [str(_last(each) if each.messages else 0) for each in additions],
    )


def _moved(additions: Sequence[Addition]) -> tuple[list[object], ...]:
    return (
        [str(each.conversation.id) for each in additions],
        [each.conversation.user_id for each in additions],
        [str(len(each.messages)) for each in additions],
        [str(_last(each)) for each in additions],
        [each.conversation.updated_at.isoformat() for each in additions],
    )


def _messages(additions: Sequence[Addition]) -> tuple[list[object], ...]:
    placed = [
        (message, each.conversation, each.first + index)
        for each in additions
        for index, message in enumerate(each.messages)
    ]
    return (
        *given([message for message, _, _ in placed]),
        [str(conversation.id) for _, conversation, _ in placed],
        [conversation.user_id for _, conversation, _ in placed],
        [str(position) for _, _, position in placed],
    )


def _last(addition: Addition) -> int:
    return addition.first + len(addition.messages) - 1
