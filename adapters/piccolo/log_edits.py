"""Edits and patches messages on Postgres.

An edit is one statement. A patch reads the message first, for its metadata are merged in Python:
numbers and texts stay as they are written.
"""

from datetime import datetime
from typing import Final

import asyncpg

from chatkeep.adapters.piccolo.log_change_statements import PATCH, PUT
from chatkeep.adapters.piccolo.log_reader import LogReader
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import Row, message_values, to_jsonb, to_message
from chatkeep.domain.editing import MessagePatch, Stored
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
    RetainedError,
    RevisionConflictError,
    StoreUnavailableError,
)
from chatkeep.domain.ids import same_id
from chatkeep.domain.model import (
    FIRST_POSITION,
    ConversationId,
    MessageId,
    NewMessage,
    Unset,
    UserId,
    microseconds,
)
from chatkeep.domain.revisions import revision_after

MAX_PATCHES: Final = 100
"""How often a patch is tried while others change the same metadata."""


class LogEdits(LogReader):
    @repeated_when_gone
    async def put(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message: NewMessage,
        at: datetime,
        *,
        expected: int | None = None,
    ) -> Stored:
        values = message_values(message)
        del values["edited_at"]
        try:
            rows, again = await self._engine.fetch_noting(
                PUT,
                **values,
                user_id=user_id,
                conversation_id=conversation_id,
                at=at,
                first=max(FIRST_POSITION, microseconds(at)),
                expected=expected,
            )
        except asyncpg.UniqueViolationError as error:  # another call has just stored it
            raise GoneError(changed_too_often) from error
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        [row] = rows
        how, revision = row["how"], row["revision"]
        if how is None:
            raise RevisionConflictError(conversation_id, revision)
        found = to_message(row, row["conversation_id"])
        is_same = message.id is not None and same_id(found.id, message.id)
        if found.conversation_id != conversation_id or not is_same:
            raise MessageIdTakenError(found.id)
        found = found._replace(conversation_id=conversation_id)
        if how == "differs":
            check_may_change(conversation_id, row)
            raise GoneError(changed_too_often)
        if how == "equal":
            is_mine = again and found.created_at == (message.created_at or at)
            return Stored(found, revision_after(revision, expected), created=is_mine)
        return Stored(found, revision + 1, created=how == "added")

    async def patch(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        patch: MessagePatch,
        *,
        expected: int | None = None,
    ) -> Stored:
        stored = await self.get(user_id, conversation_id, message_id)
        row: Row | None = None
        for _ in range(MAX_PATCHES):
            patched = patch.apply(stored)
            if patched is stored:
                revision = await self._revision(user_id, conversation_id)
                return Stored(stored, revision_after(revision, expected))
            if row is not None:
                check_may_change(conversation_id, row)
            rows = await self._engine.fetch(
                PATCH,
                user_id=user_id,
                conversation_id=conversation_id,
                message_id=message_id,
                before=to_jsonb(stored.metadata),
                metadata=to_jsonb(patched.metadata),
                sets_tokens=not isinstance(patch.tokens, Unset),
                tokens=patched.tokens,
                expected=expected,
            )
            if not rows:
                raise MessageNotFoundError(message_id)
            [row] = rows
            stored = to_message(row, conversation_id)
            if row["done"]:
                return Stored(stored, row["revision"] + 1)
        raise changed_too_often()

    async def _revision(self, user_id: UserId, conversation_id: ConversationId) -> int:
        _, revision = await self.counters(user_id, conversation_id)
        return revision


def changed_too_often() -> StoreUnavailableError:
    """Return the error of a call that others have overtaken again and again."""
    return StoreUnavailableError("The conversation was changed several times in a row.")


def check_may_change(conversation_id: ConversationId, row: Row) -> None:
    """Raise `RetainedError` or `RevisionConflictError` if the statement could change nothing."""
    if row["retain"]:
        raise RetainedError(conversation_id)
    if not row["agrees"]:
        raise RevisionConflictError(conversation_id, row["revision"])
