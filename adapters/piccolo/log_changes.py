"""Deletes and rewrites what is in a log on Postgres: each call is one statement, one round trip."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import asyncpg

from chatkeep.adapters.piccolo.branch_changes import BranchChanges
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.log_change_statements import REPLACE, TRUNCATE
from chatkeep.adapters.piccolo.log_edits import LogEdits, changed_too_often, check_may_change
from chatkeep.adapters.piccolo.log_repeats import Repeats
from chatkeep.adapters.piccolo.log_statements import DELETE, DELETE_AT, STORED
from chatkeep.adapters.piccolo.log_values import place_values, stored_at
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import (
    Row,
    message_arrays,
)
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
)
from chatkeep.domain.ids import key_text, with_text
from chatkeep.domain.log import Bounds, RequestKey, View, entries_of, messages_in
from chatkeep.domain.model import (
    ConversationId,
    MessageId,
    NewMessage,
    Order,
    Position,
    UserId,
)
from chatkeep.domain.revisions import revision_after


class LogChanges(LogEdits, BranchChanges):
    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._repeats = Repeats(engine, self)

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

    async def truncate(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        keep: bool,
        expected: int | None = None,
    ) -> Truncated:
        rows, again = await self._engine.fetch_noting(
            TRUNCATE,
            conversation_id=conversation_id,
            user_id=user_id,
            message_id=message_id,
            keep=keep,
            expected=expected,
        )
        if not rows:
            if again and not keep:  # an earlier attempt deleted the message
                count, revision = await self.counters(user_id, conversation_id)
                return Truncated(0, count, revision_after(revision, expected))
            raise MessageNotFoundError(message_id)
        [row] = rows
        if row["branch"] is not None:
            return await self.truncate_branch(
                user_id, conversation_id, message_id, keep=keep, expected=expected
            )
        if row["is_full"]:
            check_may_change(conversation_id, row)
        revision = revision_after(row["revision"] + row["gone"], expected)
        return Truncated(row["deleted"], row["message_count"], revision)

    @repeated_when_gone
    async def replace(  # noqa: PLR0913, PLR0917 - each is one independent part of the call
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: MessageId | None,
        suffix: Sequence[MessageId],
        messages: Sequence[NewMessage],
        at: datetime,
        *,
        key: RequestKey | None = None,
        expected: int | None = None,
    ) -> Replaced:
        place = (user_id, conversation_id, after)
        if before := await self._replaced_before(place, suffix, messages, key):
            return replace(before, revision=revision_after(before.revision, expected))
        values = place_values(user_id, conversation_id, len(messages), len(messages), at)
        del values["entries"]
        try:
            rows = await self._engine.fetch(
                REPLACE,
                **values,
                **message_arrays(messages),
                after=after,
                suffix=[key_text(each) for each in suffix],
                most=len(suffix) + MAX_NAMED_MORE + 1,
                key=key and key.key,
                digest=key and key.digest,
                expected=expected,
            )
        except asyncpg.UniqueViolationError as error:
            await self._check_free(user_id, messages, suffix)
            raise GoneError(changed_too_often) from error
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        [row] = rows
        if row["message_count"] is not None:
            new = stored_at(entries_of(messages), conversation_id, row["first"], at)
            return Replaced(messages_in(new), row["deleted"], row["message_count"], row["revision"])
        if row["branch"] is not None:
            return await self._replace_in_branch(
                user_id, conversation_id, after, suffix, messages, at, key, expected
            )
        if row["place"] is None:
            raise MessageNotFoundError(after)  # type: ignore[arg-type] # None has a place
        if row["late"]:
            raise GoneError(changed_too_often)
        ids = [MessageId(UUID(each)) for each in row["ids"]]
        if before := await self._replaced_before(place, ids, messages, key):
            return replace(before, revision=revision_after(before.revision, expected))
        found = map(with_text, ids, row["text_ids"] or ())
        check_suffix([MessageId(each) for each in found], suffix)
        await self._check_free(user_id, messages, suffix)
        if row["is_full"] and row["retain"]:
            raise RetainedError(conversation_id)
        raise RevisionConflictError(conversation_id, row["revision"])

    async def _replace_in_branch(  # noqa: PLR0913, PLR0917 - as `replace`
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: MessageId | None,
        suffix: Sequence[MessageId],
        messages: Sequence[NewMessage],
        at: datetime,
        key: RequestKey | None,
        expected: int | None,
    ) -> Replaced:
        try:
            replaced = await self.replace_in_branch(
                user_id, conversation_id, after, suffix, messages, at, key=key, expected=expected
            )
        except asyncpg.UniqueViolationError as error:
            await self._check_free(user_id, messages, suffix)
            raise GoneError(changed_too_often) from error
        except (RetainedError, RevisionConflictError):
            await self._check_free(user_id, messages, suffix)
            raise
        if replaced is None:
            raise GoneError(changed_too_often)
        return replace(replaced, revision=revision_after(replaced.revision, expected))

    async def _replaced_before(
        self,
        place: tuple[UserId, ConversationId, MessageId | None],
        suffix: Sequence[MessageId],
        messages: Sequence[NewMessage],
        key: RequestKey | None,
    ) -> Replaced | None:
        """Return the result of an earlier, equal call; None if there was none.

        `suffix` are the ids of the messages that are there, or are believed to be.
        """
        user_id, conversation_id, after = place
        if key is not None and (
            stored := await self._repeats.recall_replace(user_id, conversation_id, key)
        ):
            return stored
        if [message.id for message in messages] != [*suffix]:
            return None
        page = await self.page(
            user_id,
            conversation_id,
            Bounds(after_message=after),
            view=View.WHOLE,
            order=Order.ASC,
            limit=len(messages) + 1,
        )
        same = match_replace(messages, page.items)
        if same is None:
            return None
        return Replaced(same, 0, *await self.counters(user_id, conversation_id))

    async def _check_free(
        self, user_id: UserId, messages: Sequence[NewMessage], suffix: Sequence[MessageId]
    ) -> None:
        """Raise `MessageIdTakenError` if a message that is not in the suffix has one of the ids.

        Also for an id that is twice in `messages`.
        """
        ids = [message.id for message in messages if message.id is not None]
        sought = [key_text(each) for each in ids if each not in set(suffix)]
        rows = await self._engine.fetch(STORED, ids=sought, user_id=user_id, share=0)
        taken = {row["id"] for row in rows}
        for message_id in ids:
            if message_id in taken:
                raise MessageIdTakenError(message_id)
            taken.add(message_id)


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
