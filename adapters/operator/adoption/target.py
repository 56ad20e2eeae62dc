"""Reads and writes chatkeep's own tables for an adoption.

The statements cover all users and many conversations at once, and still name the user of each row.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from piccolo.columns.combination import WhereRaw

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.errors import first_line
from chatkeep.adapters.piccolo.rows import (
    MESSAGE_TYPES,
    array_parameters,
    message_arrays,
    message_columns,
    to_jsonb,
    to_message,
    to_text,
)
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import Adoptions
from chatkeep.adapters.piccolo.users import NO_USER
from chatkeep.domain.model import (
    FIRST_REVISION,
    Conversation,
    ConversationId,
    MessageId,
    Position,
    UserId,
)
from chatkeep.domain.operations.adoption.layout import AdoptionError
from chatkeep.domain.operations.adoption.ports import Addition, StoredMessage
from chatkeep.domain.ports import MAX_NAMED

IS_MIGRATED: Final = Statement(
    "adoption.is_migrated", "SELECT to_regclass('adoptions') IS NOT NULL AS migrated"
)

_KEYS: Final = "unnest(:ids::text[]::uuid[], :user_ids::text[]) AS given (id, user_id)"
_POSITIONS: Final = f"""
SELECT c.id, c.last_position FROM {_KEYS}
JOIN conversations c ON c.id = given.id AND c.user_id = given.user_id"""
# Locks are always taken in the same order, which prevents deadlocks.
POSITIONS: Final = {
    False: Statement("adoption.positions", _POSITIONS),
    True: Statement(
        "adoption.lock_positions", f"{_POSITIONS} ORDER BY c.user_id, c.id FOR UPDATE OF c"
    ),
}

STORED: Final = Statement(
    "adoption.stored",
    f"""
SELECT m.conversation_id, {message_columns("m")}, a.run FROM {_KEYS}
JOIN messages m ON m.id = given.id AND m.user_id = given.user_id
LEFT JOIN adoptions a ON a.id = m.id""",
)

ADD_USERS: Final = Statement(
    "adoption.add_users",
    """
INSERT INTO users (id) SELECT DISTINCT given.id FROM unnest(:ids::text[]) AS given (id)
WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = given.id)
ORDER BY given.id ON CONFLICT DO NOTHING RETURNING id""",
)

ADD_CONVERSATIONS: Final = Statement(
    "adoption.add_conversations",
    """
INSERT INTO conversations (id, user_id, title, status, metadata, created_at, updated_at,
                           message_count, last_position, revision)
SELECT *, :revision::bigint
FROM unnest(:ids::text[]::uuid[], :user_ids::text[], :titles::text[], :statuses::text[],
            :metadata::text[]::jsonb[], :created::text[]::timestamptz[],
            :updated::text[]::timestamptz[], :counts::text[]::integer[],
            :last_positions::text[]::bigint[])""",
)

MOVE_CONVERSATIONS: Final = Statement(
    "adoption.move_conversations",
    """
UPDATE conversations c
SET message_count = c.message_count + given.added, last_position = given.last,
    updated_at = greatest(c.updated_at, given.updated_at), revision = c.revision + 1
FROM unnest(:ids::text[]::uuid[], :user_ids::text[], :added::text[]::integer[],
            :last_positions::text[]::bigint[], :updated::text[]::timestamptz[])
  AS given (id, user_id, added, last, updated_at)
WHERE c.id = given.id AND c.user_id = given.user_id""",
)

ADD_MESSAGES: Final = Statement(
    "adoption.add_messages",
    f"""
INSERT INTO messages ({", ".join(MESSAGE_TYPES)}, conversation_id, user_id, position)
SELECT * FROM unnest({array_parameters()}, :conversation_ids::text[]::uuid[], :user_ids::text[],
                     :positions::text[]::bigint[])""",
)

REMEMBER: Final = Statement(
    "adoption.remember",
    """
INSERT INTO adoptions (id, run) SELECT unnest(:ids::text[]::uuid[]), :run ON CONFLICT DO NOTHING""",
)


class PiccoloAdoptionTarget:
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
        rows = await self._engine.fetch(POSITIONS[lock], ids=ids, user_ids=owners)
        return {ConversationId(row["id"]): Position(row["last_position"]) for row in rows}

    async def find_adopted(self, ids: Sequence[UUID]) -> Mapping[UUID, datetime]:
        if not ids:
            return {}
        # One parameter for all ids: Piccolo's `is_in` has one for each, a text for each number.
        found = WhereRaw("{} = ANY({}::text[]::uuid[])", Adoptions.id, [str(each) for each in ids])
        query = Adoptions.select(Adoptions.id, Adoptions.run).where(found)
        rows = await self._engine.fetch_query("adoption.remembered", query)
        return {row["id"]: row["run"] for row in rows}

    async def find_messages(
        self, keys: Sequence[tuple[MessageId, UserId]]
    ) -> Mapping[MessageId, StoredMessage]:
        if not keys:
            return {}
        ids = [str(id_) for id_, _ in keys]
        owners = [owner for _, owner in keys]
        rows = await self._engine.fetch(STORED, ids=ids, user_ids=owners)
        return {
            MessageId(row["id"]): StoredMessage(to_message(row, row["conversation_id"]), row["run"])
            for row in rows
        }

    async def add(self, additions: Sequence[Addition], ids: Sequence[UUID], run: datetime) -> int:
        made = [each for each in additions if each.is_new]
        users = await self._add_users([each.conversation.user_id for each in made])
        try:
            if made:
                await self._engine.fetch(ADD_CONVERSATIONS, **_new(made), revision=FIRST_REVISION)
            if moved := [each for each in additions if not each.is_new and each.messages]:
                await self._engine.fetch(MOVE_CONVERSATIONS, **_move_values(moved))
            if any(each.messages for each in additions):
                await self._engine.fetch(ADD_MESSAGES, **_messages(additions))
        except asyncpg.UniqueViolationError as error:
            raise AdoptionError(
                "Another process has just added one of the conversations or messages: adopt again."
            ) from error
        await self._engine.fetch(REMEMBER, ids=[str(each) for each in ids], run=run)
        return users

    async def _add_users(self, users: Sequence[UserId]) -> int:
        try:
            return len(await self._engine.fetch(ADD_USERS, ids=sorted(set(users))))
        except (*NO_USER, asyncpg.RaiseError) as error:  # the last one is raised by a trigger
            named = ", ".join(sorted(set(users))[:MAX_NAMED])
            raise AdoptionError(
                f"The table users refuses a row with only an id ({first_line(error)}). Have "
                f"the application that owns the table add the owners first ({named}, ...), then "
                "adopt again."
            ) from error


def _new(additions: Sequence[Addition]) -> dict[str, list[object]]:
    conversations = [each.conversation for each in additions]
    return {
        "ids": [str(each.id) for each in conversations],
        "user_ids": [each.user_id for each in conversations],
        "titles": [to_text(each.title) for each in conversations],
        "statuses": [each.status.value for each in conversations],
        "metadata": [to_jsonb(each.metadata) for each in conversations],
        "created": [each.created_at.isoformat() for each in conversations],
        "updated": [each.updated_at.isoformat() for each in conversations],
        "counts": [str(len(each.messages)) for each in additions],
        "last_positions": [str(_last(each) if each.messages else 0) for each in additions],
    }


def _move_values(additions: Sequence[Addition]) -> dict[str, list[object]]:
    return {
        "ids": [str(each.conversation.id) for each in additions],
        "user_ids": [each.conversation.user_id for each in additions],
        "added": [str(len(each.messages)) for each in additions],
        "last_positions": [str(_last(each)) for each in additions],
        "updated": [each.conversation.updated_at.isoformat() for each in additions],
    }


def _messages(additions: Sequence[Addition]) -> dict[str, object]:
    placed = [
        (message, each.conversation, each.first + index)
        for each in additions
        for index, message in enumerate(each.messages)
    ]
    return {
        **message_arrays([message for message, _, _ in placed]),
        "conversation_ids": [str(conversation.id) for _, conversation, _ in placed],
        "user_ids": [conversation.user_id for _, conversation, _ in placed],
        "positions": [str(position) for _, _, position in placed],
    }


def _last(addition: Addition) -> int:
    return addition.first + len(addition.messages) - 1
