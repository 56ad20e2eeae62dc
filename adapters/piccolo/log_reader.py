"""Reads the log of conversations on Postgres, but for pages: each call is one statement."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from chatkeep.adapters.piccolo.log_entries import TO_ENTRY
from chatkeep.adapters.piccolo.log_pages import AT, FIND
from chatkeep.adapters.piccolo.log_statements import CALLS_BEFORE, COUNT, GET, GET_WHOLE
from chatkeep.adapters.piccolo.log_times import SINCE
from chatkeep.adapters.piccolo.rows import from_text, to_message, to_text, to_whole_message
from chatkeep.adapters.piccolo.window_reader import WindowReader
from chatkeep.domain.errors import ConversationNotFoundError, MessageNotFoundError
from chatkeep.domain.items import ItemId, is_item_id, message_id_in
from chatkeep.domain.log import Appended, Entry, View
from chatkeep.domain.model import ConversationId, Message, MessageId, Position, UserId

CALLS_WITHIN: Final = 200
"""The messages before a page that are searched for the calls that its results answer."""


class LogReader(WindowReader):
    async def get(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        original: bool = False,
    ) -> Message:
        statement = GET_WHOLE if original else GET
        rows = await self._engine.fetch(
            statement, conversation_id=conversation_id, user_id=user_id, message_id=message_id
        )
        if not rows:
            raise MessageNotFoundError(message_id)
        to_one = to_whole_message if original else to_message
        return to_one(rows[0], conversation_id)

    async def position_since(
        self, user_id: UserId, conversation_id: ConversationId, at: datetime
    ) -> Position | None:
        rows = await self._engine.fetch(
            SINCE, conversation_id=conversation_id, user_id=user_id, at=at
        )
        return Position(rows[0]["found"]) if rows else None

    async def find(
        self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId
    ) -> Sequence[Entry]:
        if not is_item_id(item_id):  # Postgres would refuse the parameter
            return ()
        rows = await self._engine.fetch(
            FIND,
            conversation_id=conversation_id,
            user_id=user_id,
            item_id=item_id,
            in_message=message_id_in(item_id),
        )
        return [TO_ENTRY[View.ITEMS](row, conversation_id) for row in rows]

    async def calls_before(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        position: Position,
        call_ids: Collection[str],
    ) -> Mapping[str, bool]:
        rows = await self._engine.fetch(
            CALLS_BEFORE,
            conversation_id=conversation_id,
            user_id=user_id,
            position=position,
            ids=[to_text(call_id) for call_id in call_ids],
            limit=CALLS_WITHIN,
        )
        return {from_text(row["id"]): row["is_custom"] for row in rows}

    async def between(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        first: Position,
        last: Position,
        view: View,
    ) -> tuple[Entry, ...]:
        """Return the entries from one position to another, both included, oldest first."""
        rows = await self._engine.fetch(
            AT[view],
            conversation_id=conversation_id,
            user_id=user_id,
            positions=[str(position) for position in range(first, last + 1)],
        )
        return tuple(TO_ENTRY[view](row, conversation_id) for row in rows)

    async def counters(self, user_id: UserId, conversation_id: ConversationId) -> tuple[int, int]:
        """Return the conversation's number of messages, and its revision."""
        found = await self.appended_before(user_id, conversation_id, ())
        return found.message_count, found.revision

    async def appended_before(
        self, user_id: UserId, conversation_id: ConversationId, entries: tuple[Entry, ...]
    ) -> Appended:
        """Return the result of an append that stored these entries earlier."""
        rows = await self._engine.fetch(COUNT, conversation_id=conversation_id, user_id=user_id)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        [row] = rows
        branch = row["branch"]
        if branch is not None and entries:
            tree = await self.tree(user_id, conversation_id)
            branch = tree.writer(entries[0].position)
        return Appended(entries, row["message_count"], None, row["revision"], branch)
