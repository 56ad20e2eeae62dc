"""Truncates and rewrites the end of the current branch on Postgres (`branches.py`)."""

from collections.abc import Sequence
from datetime import datetime

from chatkeep.adapters.piccolo.branch_statements import REWRITE
from chatkeep.adapters.piccolo.branches import TRIES, crowded, pause
from chatkeep.adapters.piccolo.log_reader import LogReader
from chatkeep.adapters.piccolo.log_values import place_values, stored_at
from chatkeep.adapters.piccolo.rows import Row, message_arrays
from chatkeep.adapters.piccolo.tree_rows import ReadTree
from chatkeep.domain.editing import (
    MAX_NAMED_MORE,
    Replaced,
    Truncated,
    check_suffix,
    match_replace,
)
from chatkeep.domain.errors import MessageNotFoundError, RetainedError
from chatkeep.domain.log import Bounds, RequestKey, View, entries_of, messages_in
from chatkeep.domain.model import (
    ConversationId,
    MessageId,
    NewMessage,
    Order,
    UserId,
)
from chatkeep.domain.ranges import START, Range


class BranchChanges(LogReader):
    async def truncate_branch(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        keep: bool,
        expected: int | None,
    ) -> Truncated:
        """Do as `Log.truncate`, in a conversation with branches."""
        was_lost = False
        for attempt in range(TRIES):
            read = await self._read_tree(user_id, conversation_id, message_id)
            if read.place is None:
                if was_lost and not keep:  # an earlier attempt deleted the message
                    return Truncated(0, read.message_count, read.tree.revision)
                raise MessageNotFoundError(message_id)
            freed = read.tree.rewritable(message_id, read.place, keep=keep)
            at = read.tree[read.tree.current].created_at  # it is not used: nothing is appended
            row, again = await self._rewrite(
                user_id, conversation_id, read, freed, (), at, agrees=read.agrees(expected)
            )
            if row is not None:
                if row["is_full"]:
                    read.check(expected)
                    return Truncated(row["deleted"], row["message_count"], row["revision"])
                return Truncated(0, read.message_count, read.tree.revision)
            was_lost = was_lost or again
            await pause(attempt)
        raise crowded()

    async def replace_in_branch(  # noqa: PLR0913, PLR0917 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: MessageId | None,
        suffix: Sequence[MessageId],
        messages: Sequence[NewMessage],
        at: datetime,
        *,
        key: RequestKey | None,
        expected: int | None,
    ) -> Replaced | None:
        """Do as `Log.replace`, in a conversation with branches.

        Return None if it has changed since it was read.
        """
        read = await self._read_tree(user_id, conversation_id, after)
        position = START if after is None else read.place
        if position is None:
            raise MessageNotFoundError(after)  # type: ignore[arg-type] # None has a place
        read.tree.check_current(after, position)
        page = await self.page(
            user_id,
            conversation_id,
            Bounds(after=position),
            view=View.WHOLE,
            order=Order.ASC,
            limit=max(len(messages), len(suffix)) + MAX_NAMED_MORE + 1,
            branch=read.tree.current,
        )
        stored = match_replace(messages, page.items)
        if stored is not None:
            return Replaced(stored, 0, read.message_count, read.tree.revision)
        check_suffix([each.id for each in messages_in(page.items)], suffix)
        freed = read.tree.rewritable(after, position, keep=True)
        agrees = read.agrees(expected)
        row, _ = await self._rewrite(
            user_id, conversation_id, read, freed, messages, at, key, agrees=agrees
        )
        if row is None:
            return None
        read.check(expected)
        new = messages_in(stored_at(entries_of(messages), conversation_id, row["first"], at))
        return Replaced(new, row["deleted"], row["message_count"], row["revision"])

    async def _rewrite(  # noqa: PLR0913, PLR0917 - each is one independent part of the call
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        read: ReadTree,
        freed: Sequence[Range],
        messages: Sequence[NewMessage],
        at: datetime,
        key: RequestKey | None = None,
        *,
        agrees: bool,
    ) -> tuple[Row | None, bool]:
        """Return what was done; None if something has changed. Raises `RetainedError`.

        Nothing is done unless it `agrees` with what the caller expects.

        Also return whether the answer to an earlier attempt was lost.
        """
        values = place_values(user_id, conversation_id, len(messages), len(messages), at)
        del values["entries"]
        rows, again = await self._engine.fetch_noting(
            REWRITE,
            **values,
            **read.known(),
            **message_arrays(messages),
            agrees=agrees,
            key=key and key.key,
            digest=key and key.digest,
            lows=[str(each.first) for each in freed],
            highs=[str(each.last) for each in freed],
        )
        if rows and rows[0]["retain"] and rows[0]["is_full"]:
            raise RetainedError(conversation_id)
        return (rows[0] if rows else None), again
