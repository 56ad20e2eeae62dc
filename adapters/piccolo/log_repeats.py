"""Recognises repeated calls, and explains conflicts.

A call finds out only that an id or a key exists already. A second statement reads its holder.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.log_reader import LogReader
from chatkeep.adapters.piccolo.log_statements import KEY, STORED, TAKEN
from chatkeep.adapters.piccolo.log_values import have_items, most_bytes, sought_values, stored_at
from chatkeep.adapters.piccolo.races import GoneError
from chatkeep.adapters.piccolo.rows import to_whole_message
from chatkeep.domain.branches import EVERY
from chatkeep.domain.editing import Replaced
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    ItemIdTakenError,
    KeyTakenError,
    MessageIdTakenError,
)
from chatkeep.domain.ids import key_text
from chatkeep.domain.log import (
    EVERYTHING,
    Appended,
    Created,
    Entry,
    NewEntry,
    RequestKey,
    View,
    apply_view,
    item_ids_given,
    match_append,
    match_create,
    messages_in,
    messages_of,
)
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    Conversation,
    ConversationId,
    Message,
    NewMessage,
    Order,
    Position,
    UserId,
)
from chatkeep.domain.revisions import check_revision
from chatkeep.domain.threads import run_aside


class Repeats:
    def __init__(self, engine: Engine, reader: LogReader) -> None:
        self._engine = engine
        self._reader = reader

    async def recall_create(
        self,
        new: Conversation,
        entries: Sequence[NewEntry],
        key: RequestKey | None,
        error: Exception,
    ) -> Created:
        """Return the result of an earlier, equal call. Raises the error of a conflicting one."""
        keyed = None if key is None else await self._find_request(new.user_id, new.id, key)
        try:
            stored = await self._reader.conversations.get(new.user_id, new.id)
        except ConversationNotFoundError:
            # Then a message id was taken; find out which, since the driver names it only in a text.
            holders = await self._holders(new.user_id, messages_of(entries))
            raise MessageIdTakenError(holders[0].id) from error
        if key is not None:
            if keyed is None:  # an import or a PUT stored it, without a key
                raise KeyTakenError(key.key) from None
            left: tuple[Entry, ...] = ()
            if entries and not have_items(entries):
                left = await self._reader.between(new.user_id, new.id, *keyed, View.MESSAGES)
            return Created(stored, left, created=False)
        first: Sequence[Entry] = ()
        if entries:
            # A larger stored entry ends the page early, which then differs.
            try:
                page = await self._reader.page(
                    new.user_id,
                    new.id,
                    EVERYTHING,
                    view=View.WHOLE if have_items(entries) else View.ORIGINALS,
                    order=Order.ASC,
                    limit=len(entries),
                    branch=EVERY,
                    max_bytes=most_bytes(entries),
                )
            except ConversationNotFoundError as gone:
                raise GoneError from gone
            first = page.items
        return await run_aside(
            most_bytes(entries), lambda: match_create(new, entries, stored, first)
        )

    async def recall_messages(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        window: int | None,
        max_bytes: int,
    ) -> Appended:
        """Return the result of an earlier, equal call. Raises the error of a conflicting one."""
        again = await self._recall_natives(user_id, conversation_id, entries)
        if not again:
            raise GoneError
        appended = await self._reader.appended_before(user_id, conversation_id, again)
        if window is None:
            return appended
        ends = await self._reader.window(
            user_id, conversation_id, limit=window, max_bytes=max_bytes
        )
        return replace(appended, window=ends, revision=ends.revision)

    async def is_stored(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        key: RequestKey | None,
    ) -> bool:
        """Return whether an append with that key, or a message with an id of it, is stored."""
        if key is not None and await self._find_request(user_id, conversation_id, key):
            return True
        return bool(await self._find_holders(user_id, messages_of(entries)))

    async def recall_entries(  # noqa: PLR0913, PLR0917 - as `Log.append`
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        key: RequestKey | None,
        expected: int | None,
        *,
        again: bool,
    ) -> tuple[Entry, ...]:
        """Return the result of an earlier, equal call. Raises the error of a conflicting one.

        `again` means that the answer to an earlier attempt of the statement was lost.
        """
        view = View.ITEMS if have_items(entries) else View.MESSAGES
        if key is not None and (stored := await self._find_request(user_id, conversation_id, key)):
            return await self._reader.between(user_id, conversation_id, *stored, view)
        current = await self._reader.conversations.get(user_id, conversation_id)
        if view is View.ITEMS:
            may_be_mine = again or not item_ids_given(entries)
            before = await self._recall_items(
                user_id, conversation_id, entries, at, may_be_mine=may_be_mine
            )
        else:
            before = await self._recall_natives(user_id, conversation_id, entries)
        if before:
            return before
        check_revision(current, expected)
        raise GoneError

    async def _recall_items(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        *,
        may_be_mine: bool,
    ) -> tuple[Entry, ...]:
        """Return what the same statement stored when it ran before, or nothing.

        Its entries have our ids and our time. So have those of another request with the same ids
        and contents in the same microsecond: with `may_be_mine` false, it can only be that.
        Raises the error of an id that is taken.
        """
        item_id = entries[0].item_id
        found = (
            await self._reader.find(user_id, conversation_id, item_id)
            if may_be_mine and item_id is not None
            else ()
        )
        for first in (entry.position for entry in found if entry.item_id == item_id):
            mine = stored_at(entries, conversation_id, first, at)
            last = Position(first + len(entries) - 1)
            between = await self._reader.between(user_id, conversation_id, first, last, View.ITEMS)
            if [*between] == apply_view(mine, View.ITEMS):
                return between
        taken = await self._engine.fetch(
            TAKEN,
            conversation_id=conversation_id,
            user_id=user_id,
            **sought_values(item_ids_given(entries)),
        )
        if taken:
            raise ItemIdTakenError(taken[0]["id"])
        for holder in await self._find_holders(user_id, messages_of(entries)):
            raise MessageIdTakenError(holder.id)
        return ()

    async def _recall_natives(
        self, user_id: UserId, conversation_id: ConversationId, entries: Sequence[NewEntry]
    ) -> tuple[Entry, ...]:
        """Return the messages of an earlier, equal call, or nothing.

        Raises the error of an id that is taken.
        """
        messages = messages_of(entries)
        stored = await self._find_holders(user_id, messages)
        if not stored:
            return ()
        found = await run_aside(
            most_bytes(entries), lambda: match_append(conversation_id, messages, stored)
        )
        return tuple(Entry(each.position, each.created_at, each) for each in found)

    async def recall_replace(
        self, user_id: UserId, conversation_id: ConversationId, key: RequestKey
    ) -> Replaced | None:
        """Return the result of an earlier, equal call with that key; None if there was none.

        Raises `KeyTakenError`.
        """
        stored = await self._find_request(user_id, conversation_id, key)
        if stored is None:
            return None
        left = await self._reader.between(user_id, conversation_id, *stored, View.MESSAGES)
        return Replaced(
            messages_in(left), 0, *await self._reader.counters(user_id, conversation_id)
        )

    async def _find_request(
        self, user_id: UserId, conversation_id: ConversationId, key: RequestKey
    ) -> tuple[Position, Position] | None:
        """Return the positions of the request with that key; None if there was none.

        Raises `KeyTakenError` if it was another request.
        """
        rows = await self._engine.fetch(
            KEY, conversation_id=conversation_id, user_id=user_id, key=key.key
        )
        if not rows:
            return None
        [row] = rows
        if row["digest"] != key.digest:
            raise KeyTakenError(key.key)
        return row["first_position"], row["last_position"]

    async def _holders(self, user_id: UserId, messages: Sequence[NewMessage]) -> list[Message]:
        """Return what `_find_holders` does, which is at least one.

        Called after an id was found to be taken. Raises `GoneError` if its holder has been deleted
        meanwhile.
        """
        found = await self._find_holders(user_id, messages)
        if not found:
            raise GoneError
        return found

    async def _find_holders(self, user_id: UserId, messages: Sequence[NewMessage]) -> list[Message]:
        """Return the stored messages that have an id of `messages`.

        Raises `MessageIdTakenError` if there are none, but an id is a duplicate within `messages`.
        """
        largest = max((most_bytes([NewEntry(each)]) for each in messages), default=0)
        rows = await self._engine.fetch(
            STORED,
            ids=[key_text(each.id) for each in messages if each.id is not None],
            user_id=user_id,
            share=largest,
        )
        if not rows:
            counts = Counter(message.id for message in messages if message.id is not None)
            for message_id, count in counts.items():
                if count > 1:
                    raise MessageIdTakenError(message_id)
        return [
            to_whole_message(
                row if row["bytes"] <= largest else {**row, "metadata": EMPTY_OBJECT},
                row["conversation_id"],
            )
            for row in rows
        ]
