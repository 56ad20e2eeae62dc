"""Deletes and rewrites what is in a log on Postgres: each call is one statement, one round trip."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from chatkeep.adapters.piccolo.log_change_statements import REPLACE, TRUNCATE
from chatkeep.adapters.piccolo.log_reader import LogReader
from chatkeep.adapters.piccolo.log_statements import DELETE, DELETE_AT, STORED
from chatkeep.adapters.piccolo.log_values import place_values, stored_at
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import Row, message_arrays
from chatkeep.domain.editing import (
    MAX_NAMED_MORE,
    Replaced,
    Truncated,
    check_suffix,
    match_replace,
)
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
    RetainedError,
    RevisionConflictError,
    StoreUnavailableError,
)
from chatkeep.domain.log import Bounds, View, entries_of, messages_in
from chatkeep.domain.model import (
    ConversationId,
    MessageId,
    NewMessage,
    Order,
    Position,
    UserId,
)


class LogChanges(LogReader):
    async def delete(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        expected: int | None = None,
    ) -> int:
        rows, again = await self._engine.fetch_noting(
            DELETE,
            conversation_id=conversation_id,
            user_id=user_id,
            message_id=message_id,
            expected=expected,
        )
        revision = _revision_after(conversation_id, rows, expected)
        if revision is None and not again:
            raise MessageNotFoundError(message_id)
        return revision or await self._revision(user_id, conversation_id)

    async def delete_at(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        position: Position,
        *,
        expected: int | None = None,
    ) -> int | None:
        rows, again = await self._engine.fetch_noting(
            DELETE_AT,
            conversation_id=conversation_id,
            user_id=user_id,
            position=position,
            expected=expected,
        )
        revision = _revision_after(conversation_id, rows, expected)
        if revision is None and again:
            return await self._revision(user_id, conversation_id)
        return revision

    async def _count(self, user_id: UserId, conversation_id: ConversationId) -> int:
        count, _ = await self.counters(user_id, conversation_id)
        return count

    async def _revision(self, user_id: UserId, conversation_id: ConversationId) -> int:
        _, revision = await self.counters(user_id, conversation_id)
        return revision

    async def truncate(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        keep: bool,
    ) -> Truncated:
        rows, again = await self._engine.fetch_noting(
            TRUNCATE,
            conversation_id=conversation_id,
            user_id=user_id,
            message_id=message_id,
            keep=keep,
        )
        if not rows:
            if again and not keep:  # an earlier attempt deleted the message
                return Truncated(0, await self._count(user_id, conversation_id))
            raise MessageNotFoundError(message_id)
        [row] = rows
        if row["refused"]:
            raise RetainedError(conversation_id)
        return Truncated(row["deleted"], row["message_count"])

    @repeated_when_gone
    async def replace(  # noqa: PLR0913, PLR0917 - each is one independent part of the call
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: MessageId | None,
        expected: Sequence[MessageId],
        messages: Sequence[NewMessage],
        at: datetime,
    ) -> Replaced:
        ids = [message.id for message in messages]
        if ids == [*expected] and (
            stored := await self._replaced(user_id, conversation_id, after, messages)
        ):
            return stored
        values = place_values(user_id, conversation_id, len(messages), len(messages), at)
        del values["entries"]
        try:
            rows = await self._engine.fetch(
                REPLACE,
                **values,
                **message_arrays(messages),
                after=after,
                expected=[str(each) for each in expected],
                most=len(expected) + MAX_NAMED_MORE + 1,
            )
        except asyncpg.UniqueViolationError as error:
            raise await self._find_taken(user_id, messages, expected) from error
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        [row] = rows
        if row["message_count"] is not None:
            new = stored_at(entries_of(messages), conversation_id, row["first"], at)
            return Replaced(messages_in(new), row["deleted"], row["message_count"])
        if row["place"] is None:
            raise MessageNotFoundError(after)  # type: ignore[arg-type] # None has a place
        if row["late"]:
            raise GoneError(_busy)
        if row["ids"] == ids and (
            stored := await self._replaced(user_id, conversation_id, after, messages)
        ):
            return stored
        check_suffix(row["ids"], expected)
        raise RetainedError(conversation_id)

    async def _replaced(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: MessageId | None,
        messages: Sequence[NewMessage],
    ) -> Replaced | None:
        """Return the result of an earlier, equal call; None if there was none."""
        page = await self.page(
            user_id,
            conversation_id,
            Bounds(after_message=after),
            view=View.WHOLE,
            order=Order.ASC,
            limit=len(messages) + 1,
        )
        stored = match_replace(messages, page.items)
        if stored is None:
            return None
        return Replaced(stored, 0, await self._count(user_id, conversation_id))

    async def _find_taken(
        self, user_id: UserId, messages: Sequence[NewMessage], expected: Sequence[MessageId]
    ) -> Exception:
        """Return the error about an id that another message has; `GoneError` if none has."""
        ids = [message.id for message in messages if message.id is not None]
        for index, message_id in enumerate(ids):
            if message_id in ids[:index]:
                return MessageIdTakenError(message_id)
        sought = [str(each) for each in ids if each not in set(expected)]
        rows = await self._engine.fetch(STORED, ids=sought, user_id=user_id, share=0)
        return MessageIdTakenError(rows[0]["id"]) if rows else GoneError()


def _busy() -> StoreUnavailableError:
    return StoreUnavailableError("The conversation was changed several times in a row.")


def _revision_after(
    conversation_id: ConversationId, rows: Sequence[Row], expected: int | None
) -> int | None:
    """Return the revision after a deletion; None if there was nothing to delete.

    Raises `RetainedError`, `RevisionConflictError`.
    """
    if not rows:
        return None
    [row] = rows
    if row["retain"]:
        raise RetainedError(conversation_id)
    if expected not in {None, row["revision"]}:
        raise RevisionConflictError(conversation_id, row["revision"])
    return row["revision"] + 1 if row["gone"] else None
