"""The log of conversations on Postgres: each call is one statement, one round trip.

It is two only where entries are large (`bounds.py`), or where what was asked for is not as it
should be, and the second statement finds out why.
An append locks its conversation's row, by updating it, before anything else: that decides order.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

import asyncpg

from chatkeep.adapters.piccolo.conversations import PiccoloConversations, unprovisioned
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.log_pages import AT, FIND, ITEM, MESSAGES, PAGE, POSITIONS, TO_ENTRY
from chatkeep.adapters.piccolo.log_statements import (
    APPEND,
    APPEND_ITEMS,
    APPEND_ITEMS_WITH_IDS,
    APPEND_ITEMS_WITH_KEY,
    APPEND_ONE,
    APPEND_ONE_WINDOW,
    APPEND_WINDOW,
    CALLS_BEFORE,
    COUNT,
    CREATE,
    CREATE_WITH_ITEMS,
    DELETE,
    DELETE_AT,
    GET,
    KEY,
    STORED,
    TAKEN,
    WINDOW,
)
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import (
    Row,
    conversation_values,
    from_text,
    message_arrays,
    message_values,
    to_message,
    to_text,
)
from chatkeep.adapters.piccolo.users import NO_USER
from chatkeep.domain.context import MAX_HEAD, Window
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    ItemIdTakenError,
    ItemNotFoundError,
    KeyTakenError,
    MessageIdTakenError,
    MessageNotFoundError,
    RetainedError,
)
from chatkeep.domain.items import ItemId, is_item_id, message_id_in
from chatkeep.domain.log import (
    EVERYTHING,
    Appended,
    Bounds,
    Created,
    Entry,
    NewEntry,
    RequestKey,
    View,
    item_ids_given,
    match_append,
    match_create,
    messages_in,
    messages_of,
    view_of,
)
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    FIRST_POSITION,
    LAST_POSITION,
    Conversation,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    UserId,
    is_opening,
    microseconds,
)
from chatkeep.domain.pages import NO_BOUND, Page, fitting
from chatkeep.domain.threads import run_aside

CALLS_WITHIN: Final = 200
"""The messages before a page that are searched for the calls that its results answer."""

_MOST_BYTES: Final = 8
"""Of a character, about: four in a text; in JSON, a digit and its comma are stored in twelve."""

_BYTES_OF_NONE: Final = 64
"""More than a message without texts has: its metadata are an object, though an empty one."""


class PiccoloLog:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._conversations = PiccoloConversations(engine)

    @repeated_when_gone
    async def create(
        self,
        conversation: Conversation,
        entries: Sequence[NewEntry],
        *,
        key: RequestKey | None = None,
        provision: bool,
    ) -> Created:
        item_ids_given(entries)
        new, at = conversation, conversation.updated_at
        messages = messages_of(entries)
        values = {
            **_positions(new.user_id, new.id, len(messages), len(entries), at),
            **conversation_values(new),
            "provision": provision,
        }
        try:
            if key is None and not _have_items(entries):
                await self._engine.fetch(CREATE, **values, **message_arrays(messages))
            else:
                values |= {"key": key and key.key, "digest": key and key.digest}
                await self._engine.fetch(CREATE_WITH_ITEMS, **values, **_arrays(entries))
        except asyncpg.UniqueViolationError as error:
            return await self._created_before(new, entries, key, error)
        except NO_USER as error:
            raise unprovisioned(new.user_id, error, provision=provision) from error
        stored = _stored(entries, new.id, values["first"], at)
        return Created(new._replace(message_count=len(messages)), stored, created=True)

    @repeated_when_gone
    async def append(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        *,
        key: RequestKey | None = None,
        window: int | None = None,
        max_bytes: int = NO_BOUND,
    ) -> Appended:
        if key is None and not _have_items(entries):
            return await self._append_messages(
                user_id, conversation_id, entries, at, window, max_bytes
            )
        appended = await self._append_items(user_id, conversation_id, entries, at, key)
        if window is None:
            return appended
        ends = await self.window(user_id, conversation_id, limit=window, max_bytes=max_bytes)
        return Appended(appended.entries, appended.message_count, ends)

    async def page(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        bounds: Bounds,
        *,
        view: View,
        order: Order,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Entry]:
        kind, values = _of_bounds(bounds)
        if bounds.past_item is not None and not is_item_id(bounds.past_item):
            await self._conversations.get(user_id, conversation_id)
            raise ItemNotFoundError(bounds.past_item)
        # The entry that the item is of may come once more.
        most = limit + (values.get("in_message") is not None)
        share = max_bytes // most
        rows = await self._engine.fetch(
            PAGE[view, order, kind],
            **values,
            conversation_id=conversation_id,
            user_id=user_id,
            limit=most + 1,
            share=share,
        )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        _check_found(bounds, kind, rows[0])
        # A conversation without any has one empty row.
        found = rows if rows[0]["position"] is not None else []
        again = int(bool(found) and kind == ITEM and rows[0]["position"] == rows[0]["place"])
        page = found[: limit + again]
        if _are_withheld(page, share):
            page = page[: again + fitting((row["bytes"] for row in page[again:]), max_bytes)]
        more = len(page) < len(found)
        whole = await self._whole(user_id, conversation_id, page, share, view)
        if more and len(whole) <= again:  # what was on the page was deleted just now
            return await self.page(
                user_id,
                conversation_id,
                bounds,
                view=view,
                order=order,
                limit=limit,
                max_bytes=max_bytes,
            )
        to_entry = TO_ENTRY[view]
        return Page([to_entry(row, conversation_id) for row in whole], more=more)

    async def window(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Window:
        share = _share_of_end(max_bytes, limit)
        rows = await self._engine.fetch(
            WINDOW, conversation_id=conversation_id, user_id=user_id, limit=limit, share=share
        )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        opening: Sequence[Row] = [row for row in rows if row["opening"]]
        latest: Sequence[Row] = [row for row in rows if row["opening"] is False]
        if _are_withheld(rows, share):
            half = max_bytes // 2
            opening = opening[: fitting((row["bytes"] for row in opening), half, least=0)]
            latest = latest[-fitting((row["bytes"] for row in reversed(latest)), half) :]
            opening = await self._whole(user_id, conversation_id, opening, share, View.MESSAGES)
            latest = await self._whole(user_id, conversation_id, latest, share, View.MESSAGES)
        return Window.of(
            [to_message(row) for row in opening],
            [to_message(row) for row in latest],
            limit=limit,
            message_count=rows[0]["message_count"],
        )

    async def get(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> Message:
        rows = await self._engine.fetch(
            GET, conversation_id=conversation_id, user_id=user_id, message_id=message_id
        )
        if not rows:
            raise MessageNotFoundError(message_id)
        return to_message(rows[0])

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

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> None:
        rows, again = await self._engine.fetch_noting(
            DELETE, conversation_id=conversation_id, user_id=user_id, message_id=message_id
        )
        if not _is_deleted(conversation_id, rows, again=again):
            raise MessageNotFoundError(message_id)

    async def delete_at(
        self, user_id: UserId, conversation_id: ConversationId, position: Position
    ) -> bool:
        rows, again = await self._engine.fetch_noting(
            DELETE_AT, conversation_id=conversation_id, user_id=user_id, position=position
        )
        return _is_deleted(conversation_id, rows, again=again)

    async def _append_messages(  # noqa: PLR0913, PLR0917 - as `append`
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        window: int | None,
        max_bytes: int,
    ) -> Appended:
        messages = messages_of(entries)
        values = _positions(user_id, conversation_id, len(messages), len(messages), at)
        one = len(messages) == 1
        values |= message_values(messages[0]) if one else message_arrays(messages)
        share = 0
        try:
            if window is None:
                rows = await self._engine.fetch(APPEND_ONE if one else APPEND, **values)
            else:
                share = _share_of_end(max_bytes, window, _most_bytes(entries))
                statement = APPEND_ONE_WINDOW if one else APPEND_WINDOW
                rows = await self._engine.fetch(statement, **values, limit=window, share=share)
        except asyncpg.UniqueViolationError:
            return await self._messages_before(user_id, conversation_id, entries, window, max_bytes)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        count: int = rows[0]["message_count"]
        added = _stored(entries, conversation_id, rows[0]["first"], at)
        if window is None:
            return Appended(added, count, None)
        if rows[0]["count_before"] != count - len(messages) or _are_withheld(rows, share):
            # Another append came between the snapshot and the lock: its messages were not read.
            # Or some are so large that there may not be room for all.
            ends = await self.window(user_id, conversation_id, limit=window, max_bytes=max_bytes)
            return Appended(added, count, ends)
        said = messages_in(added)
        opening = [to_message(row) for row in rows if row["opening"]]
        latest = [to_message(row) for row in rows if row["opening"] is False]
        if len(opening) == rows[0]["count_before"]:
            opening += takewhile(is_opening, said)  # nothing else has been said before
        ends = Window.of(opening[:MAX_HEAD], [*latest, *said], limit=window, message_count=count)
        return Appended(added, count, ends)

    async def _append_items(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        key: RequestKey | None,
    ) -> Appended:
        given = item_ids_given(entries)
        messages = sum(entry.message is not None for entry in entries)
        values = _positions(user_id, conversation_id, messages, len(entries), at)
        values |= _arrays(entries)
        try:
            if key is not None:
                values |= _sought(given)
                rows = await self._engine.fetch(
                    APPEND_ITEMS_WITH_KEY, **values, key=key.key, digest=key.digest
                )
            elif given:
                rows = await self._engine.fetch(APPEND_ITEMS_WITH_IDS, **values, **_sought(given))
            else:
                rows = await self._engine.fetch(APPEND_ITEMS, **values)
        except asyncpg.UniqueViolationError:
            rows = []
        if rows:
            stored = _stored(entries, conversation_id, rows[0]["first"], at)
            return Appended(stored, rows[0]["message_count"], None)
        before = await self._items_before(user_id, conversation_id, entries, at, key)
        return Appended(before, await self._count(user_id, conversation_id), None)

    async def _created_before(
        self,
        new: Conversation,
        entries: Sequence[NewEntry],
        key: RequestKey | None,
        error: Exception,
    ) -> Created:
        """Return what was stored by the same call before, or say what is in the way."""
        keyed = key and await self._keyed(new.user_id, new.id, key)
        try:
            stored = await self._conversations.get(new.user_id, new.id)
        except ConversationNotFoundError:
            # Then it was the id of a message; ask which one, for the driver tells only in words.
            holders = await self._holders(new.user_id, messages_of(entries))
            raise MessageIdTakenError(holders[0].id) from error
        if key is not None:
            if keyed is None:  # it came with an import or a PUT, without a key
                raise KeyTakenError(key.key) from None
            return Created(stored, (), created=False)
        first: Sequence[Entry] = ()
        if entries:
            # One of what is stored that is larger ends the page, which is other content then.
            try:
                page = await self.page(
                    new.user_id,
                    new.id,
                    EVERYTHING,
                    view=View.WHOLE if _have_items(entries) else View.MESSAGES,
                    order=Order.ASC,
                    limit=len(entries),
                    max_bytes=_most_bytes(entries),
                )
            except ConversationNotFoundError as gone:
                raise GoneError from gone
            first = page.items
        return await run_aside(
            _most_bytes(entries), lambda: match_create(new, entries, stored, first)
        )

    async def _messages_before(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        window: int | None,
        max_bytes: int,
    ) -> Appended:
        """Return what was stored by the same call before, or say what is in the way."""
        messages = messages_of(entries)
        stored = await self._holders(user_id, messages)
        found = await run_aside(
            _most_bytes(entries), lambda: match_append(conversation_id, messages, stored)
        )
        again = tuple(Entry(each.position, each.created_at, each) for each in found)
        if window is None:
            return Appended(again, await self._count(user_id, conversation_id), None)
        ends = await self.window(user_id, conversation_id, limit=window, max_bytes=max_bytes)
        return Appended(again, ends.message_count, ends)

    async def _items_before(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        key: RequestKey | None,
    ) -> tuple[Entry, ...]:
        """Return what was stored by the same call before, or say what is in the way."""
        if key is not None and (stored := await self._keyed(user_id, conversation_id, key)):
            return await self._between(user_id, conversation_id, *stored)
        await self._conversations.get(user_id, conversation_id)
        # The statement may have been run twice; then what is stored has our ids and our time.
        item_id = entries[0].item_id
        found = await self.find(user_id, conversation_id, item_id) if item_id is not None else ()
        for first in (entry.position for entry in found if entry.item_id == item_id):
            mine = _stored(entries, conversation_id, first, at)
            last = Position(first + len(entries) - 1)
            between = await self._between(user_id, conversation_id, first, last)
            if [*between] == view_of(mine, View.ITEMS):
                return between
        taken = await self._engine.fetch(
            TAKEN,
            conversation_id=conversation_id,
            user_id=user_id,
            **_sought(item_ids_given(entries)),
        )
        if taken:
            raise ItemIdTakenError(taken[0]["id"])
        holders = await self._holders(user_id, messages_of(entries))
        raise MessageIdTakenError(holders[0].id)

    async def _between(
        self, user_id: UserId, conversation_id: ConversationId, first: Position, last: Position
    ) -> tuple[Entry, ...]:
        """Return the entries of these positions, both included, oldest first."""
        rows = await self._engine.fetch(
            AT[View.ITEMS],
            conversation_id=conversation_id,
            user_id=user_id,
            positions=[str(position) for position in range(first, last + 1)],
        )
        return tuple(TO_ENTRY[View.ITEMS](row, conversation_id) for row in rows)

    async def _keyed(
        self, user_id: UserId, conversation_id: ConversationId, key: RequestKey
    ) -> tuple[Position, Position] | None:
        """Return which positions the request of that key was given; None if there was none.

        Raises `KeyTakenError` when it was another request.
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
        """Return the stored messages, at least one, that have an id of `messages`.

        For when an id was found to be taken. Raises `MessageIdTakenError` when it was one that
        `messages` name twice, `GoneError` when what had it is gone by now.
        """
        largest = max((_most_bytes([NewEntry(each)]) for each in messages), default=0)
        rows = await self._engine.fetch(
            STORED, ids=[str(each.id) for each in messages], user_id=user_id, share=largest
        )
        if not rows:
            counts = Counter(message.id for message in messages if message.id is not None)
            for message_id, count in counts.items():
                if count > 1:
                    raise MessageIdTakenError(message_id)
            raise GoneError
        return [
            to_message(row if row["bytes"] <= largest else {**row, "metadata": EMPTY_OBJECT})
            for row in rows
        ]

    async def _count(self, user_id: UserId, conversation_id: ConversationId) -> int:
        rows = await self._engine.fetch(COUNT, conversation_id=conversation_id, user_id=user_id)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        count: int = rows[0]["message_count"]
        return count

    async def _whole(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        rows: Sequence[Row],
        share: int,
        view: View,
    ) -> Sequence[Row]:
        """Return the rows, those in full whose texts were withheld.

        Without those that were deleted meanwhile.
        """
        large = [str(row["position"]) for row in rows if row["bytes"] > share]
        if not large:
            return rows
        found = await self._engine.fetch(
            AT[view], conversation_id=conversation_id, user_id=user_id, positions=large
        )
        whole = {row["position"]: row for row in rows if row["bytes"] <= share}
        whole |= {row["position"]: row for row in found}
        return [whole[row["position"]] for row in rows if row["position"] in whole]


def _have_items(entries: Sequence[NewEntry]) -> bool:
    return any(entry.item is not None for entry in entries)


def _most_bytes(entries: Sequence[NewEntry]) -> int:
    """Return how many bytes entries have at most when they are stored."""
    return sum(
        _MOST_BYTES * (len(each.content or "") + len(each.tool_calls or "") + len(each.metadata))
        + _BYTES_OF_NONE
        for each in messages_of(entries)
    ) + sum(_MOST_BYTES * len(each.item) + _BYTES_OF_NONE for each in entries if each.item)


def _share_of_end(max_bytes: int, limit: int, added: int = 0) -> int:
    """Return how large each message of a window may be for all of them to fit together."""
    return max(0, max_bytes // 2 - added) // max(limit, MAX_HEAD)


def _are_withheld(rows: Sequence[Row], share: int) -> bool:
    return any(row["bytes"] > share for row in rows if row["bytes"] is not None)


def _stored(
    entries: Sequence[NewEntry], conversation_id: ConversationId, first: int, at: datetime
) -> tuple[Entry, ...]:
    return tuple(
        entry.stored(conversation_id, Position(position), at)
        for position, entry in enumerate(entries, first)
    )


def _positions(
    user_id: UserId, conversation_id: ConversationId, messages: int, entries: int, at: datetime
) -> dict[str, Any]:
    """Return what gives a batch its positions."""
    return {
        "user_id": user_id,
        "conversation_id": conversation_id,
        "messages": messages,
        "entries": entries,
        "first": max(FIRST_POSITION, microseconds(at)),
        "at": at,
    }


def _arrays(entries: Sequence[NewEntry]) -> dict[str, Any]:
    """Return the values of entries by column, those of messages and those of the others."""
    numbered = [(str(n), entry) for n, entry in enumerate(entries, 1)]
    messages = [(n, entry) for n, entry in numbered if entry.message is not None]
    others = [(n, entry) for n, entry in numbered if entry.message is None]
    return {
        **message_arrays(messages_of(entries)),
        "item_id": [entry.own_item_id for _, entry in messages],
        "item": [entry.item for _, entry in messages],
        "n": [n for n, _ in messages],
        "other_item_id": [entry.item_id for _, entry in others],
        "other_item": [entry.item for _, entry in others],
        "other_created_at": [
            entry.created_at and entry.created_at.isoformat() for _, entry in others
        ],
        "other_n": [n for n, _ in others],
    }


def _sought(ids: Sequence[ItemId]) -> dict[str, Any]:
    """Return item ids, and the messages that ids of their form stand for."""
    found = [message_id_in(each) for each in ids]
    return {"ids": ids, "in_messages": [each and str(each) for each in found]}


def _of_bounds(bounds: Bounds) -> tuple[str, dict[str, Any]]:
    """Return which statement bounds need, and their values."""
    if bounds.past_item is not None:
        in_message = message_id_in(bounds.past_item)
        return ITEM, {"past_item": bounds.past_item, "in_message": in_message}
    values: dict[str, Any] = {
        "after": FIRST_POSITION - 1 if bounds.after is None else bounds.after,
        "before": LAST_POSITION if bounds.before is None else bounds.before,
    }
    if bounds.after_message is None and bounds.before_message is None:
        return POSITIONS, values
    values["after_message"] = bounds.after_message
    values["before_message"] = bounds.before_message
    return MESSAGES, values


def _check_found(bounds: Bounds, kind: str, row: Row) -> None:
    """Raise when a bound is the id of nothing in the conversation."""
    if kind == ITEM and bounds.past_item is not None and row["place"] is None:
        raise ItemNotFoundError(bounds.past_item)
    if kind == MESSAGES:
        for message_id, position in (
            (bounds.after_message, row["after"]),
            (bounds.before_message, row["before"]),
        ):
            if message_id is not None and position is None:
                raise MessageNotFoundError(message_id)


def _is_deleted(conversation_id: ConversationId, rows: Sequence[Row], *, again: bool) -> bool:
    """Raise `RetainedError` for what is on hold.

    `again`: an earlier attempt may have deleted it.
    """
    if rows and rows[0]["retain"]:
        raise RetainedError(conversation_id)
    return again or bool(rows and rows[0]["gone"])
