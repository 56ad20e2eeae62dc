"""Messages on Postgres: each call is one statement, one round trip.

Only where messages are large it is two: see `adapters.piccolo.bounds`.
An append locks its conversation's row, by updating it, before anything else: that decides order.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Final
from uuid import UUID

import asyncpg

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.message_statements import (
    APPEND,
    APPEND_ONE,
    APPEND_ONE_WINDOW,
    APPEND_WINDOW,
    AT,
    COUNT,
    DELETE,
    GET,
    HISTORY,
    HISTORY_BETWEEN,
    STORED,
    WINDOW,
)
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import Row, to_jsonb, to_message, to_text
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
    RetainedError,
)
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    FIRST_POSITION,
    LAST_POSITION,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    UserId,
    is_opening,
    microseconds,
    replayed,
)
from chatkeep.domain.pages import NO_BOUND, Page, fitting
from chatkeep.domain.ports import MAX_HEAD, Appended, Window
from chatkeep.domain.threads import run_aside

_MOST_BYTES: Final = 8
"""Of a character, about: four in a text; in JSON, a digit and its comma are stored in twelve."""

_BYTES_OF_NONE: Final = 64
"""More than a message without texts has: its metadata are an object, though an empty one."""


class PiccoloMessages:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @repeated_when_gone
    async def append(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        messages: Sequence[NewMessage],
        at: datetime,
        *,
        window: int | None = None,
        max_bytes: int = NO_BOUND,
    ) -> Appended:
        one = len(messages) == 1
        arguments = (
            *(_given_one(messages[0]) if one else given(messages)),
            conversation_id,
            user_id,
            len(messages),
            microseconds(at),
            at,
        )
        share = 0
        try:
            if window is None:
                rows = await self._engine.fetch(APPEND_ONE if one else APPEND, *arguments)
            else:
                append = APPEND_ONE_WINDOW if one else APPEND_WINDOW
                share = _share_of_end(max_bytes, window, given_bytes(messages))
                rows = await self._engine.fetch(append, *arguments, window, share)
        except asyncpg.UniqueViolationError:
            return await self._replay(user_id, conversation_id, messages, window, max_bytes)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        count: int = rows[0]["message_count"]
        first = rows[0]["last_position"] - len(messages) + 1
        added = tuple(
            message.stored(conversation_id, Position(first + index), at)
            for index, message in enumerate(messages)
        )
        if window is None:
            return Appended(added, count, None)
        if rows[0]["count_before"] != count - len(messages) or _are_withheld(rows, share):
            # Another append came between the snapshot and the lock: its messages were not read.
            # Or some are so large that there may not be room for all.
            ends = await self.window(user_id, conversation_id, limit=window, max_bytes=max_bytes)
            return Appended(added, count, ends)
        opening = [to_message(row) for row in rows if row["opening"]]
        latest = [to_message(row) for row in rows if row["opening"] is False]
        if len(opening) == rows[0]["count_before"]:
            opening += takewhile(is_opening, added)  # nothing else has been said before
        ends = Window.of(opening[:MAX_HEAD], [*latest, *added], limit=window, message_count=count)
        return Appended(added, count, ends)

    async def history(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        order: Order,
        after: Position | MessageId | None,
        before: Position | MessageId | None,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Message]:
        after_id = after if isinstance(after, UUID) else None
        before_id = before if isinstance(before, UUID) else None
        bounds = (
            after if isinstance(after, int) else FIRST_POSITION - 1,
            before if isinstance(before, int) else LAST_POSITION,
        )
        share = max_bytes // limit
        arguments = conversation_id, user_id, limit + 1, *bounds, share
        if after_id is None and before_id is None:
            rows = await self._engine.fetch(HISTORY[order], *arguments)
        else:
            rows = await self._engine.fetch(HISTORY_BETWEEN[order], *arguments, after_id, before_id)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        if after_id is not None and rows[0]["after"] is None:
            raise MessageNotFoundError(after_id)
        if before_id is not None and rows[0]["before"] is None:
            raise MessageNotFoundError(before_id)
        # A conversation without any has one empty row.
        page = rows[:limit] if rows[0]["id"] is not None else []
        if not _are_withheld(page, share):
            return Page([to_message(row) for row in page], more=len(rows) > limit)
        fit = fitting((row["bytes"] for row in page), max_bytes)
        found = await self._whole(user_id, conversation_id, page[:fit], share)
        if found:
            return Page(found, more=len(rows) > fit)
        # They were deleted meanwhile.
        return await self.history(
            user_id,
            conversation_id,
            order=order,
            after=after,
            before=before,
            limit=limit,
            max_bytes=max_bytes,
        )

    async def window(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Window:
        share = _share_of_end(max_bytes, limit)
        rows = await self._engine.fetch(WINDOW, conversation_id, user_id, limit, share)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        opening = [row for row in rows if row["opening"]]
        latest = [row for row in rows if row["opening"] is False]
        if _are_withheld(rows, share):
            half = max_bytes // 2
            opening = opening[: fitting((row["bytes"] for row in opening), half, least=0)]
            latest = latest[-fitting((row["bytes"] for row in reversed(latest)), half) :]
        return Window.of(
            await self._whole(user_id, conversation_id, opening, share),
            await self._whole(user_id, conversation_id, latest, share),
            limit=limit,
            message_count=rows[0]["message_count"],
        )

    async def get(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> Message:
        rows = await self._engine.fetch(GET, conversation_id, user_id, message_id)
        if not rows:
            raise MessageNotFoundError(message_id)
        return to_message(rows[0])

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> None:
        rows, again = await self._engine.fetch_noting(DELETE, conversation_id, user_id, message_id)
        if rows and rows[0]["retain"]:
            raise RetainedError(conversation_id)
        if not (again or (rows and rows[0]["gone"])):
            raise MessageNotFoundError(message_id)

    async def holders(self, user_id: UserId, messages: Sequence[NewMessage]) -> list[Message]:
        """Return the stored messages, at least one, that have an id of `messages`.

        For when an id was found to be taken. Raises `MessageIdTakenError` when it was one that
        `messages` name twice, `GoneError` when what had it is gone by now.
        """
        largest = max((given_bytes([each]) for each in messages), default=0)
        rows = await self._engine.fetch(STORED, _ids(messages), user_id, largest)
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

    async def _whole(
        self, user_id: UserId, conversation_id: ConversationId, rows: Sequence[Row], share: int
    ) -> list[Message]:
        """Return the messages of rows, also of those whose texts were withheld.

        Without those that were deleted meanwhile.
        """
        large = [str(row["position"]) for row in rows if row["bytes"] > share]
        if not large:
            return [to_message(row) for row in rows]
        found = await self._engine.fetch(AT, conversation_id, user_id, large)
        whole = {row["position"]: row for row in rows if row["bytes"] <= share}
        whole |= {row["position"]: row for row in found}
        return [to_message(whole[row["position"]]) for row in rows if row["position"] in whole]

    async def _replay(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        messages: Sequence[NewMessage],
        window: int | None,
        max_bytes: int,
    ) -> Appended:
        stored = await self.holders(user_id, messages)
        again = await run_aside(
            given_bytes(messages), lambda: replayed(conversation_id, messages, stored)
        )
        if window is not None:
            ends = await self.window(user_id, conversation_id, limit=window, max_bytes=max_bytes)
            return Appended(again, ends.message_count, ends)
        rows = await self._engine.fetch(COUNT, conversation_id, user_id)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        return Appended(again, rows[0]["message_count"], None)


def given(messages: Sequence[NewMessage]) -> tuple[list[object], ...]:
    """Return the arguments of `GIVEN`."""
    return (
        _ids(messages),
        [message.role.value for message in messages],
        [to_text(message.content) for message in messages],
        [to_jsonb(message.tool_calls) for message in messages],
        [to_text(message.tool_call_id) for message in messages],
        [to_text(message.name) for message in messages],
        [to_jsonb(message.metadata) for message in messages],
        [
            None if message.created_at is None else message.created_at.isoformat()
            for message in messages
        ],
    )


def given_bytes(messages: Sequence[NewMessage]) -> int:
    """Return how many bytes messages have at most when they are stored."""
    return sum(
        _MOST_BYTES * (len(each.content or "") + len(each.tool_calls or "") + len(each.metadata))
        + _BYTES_OF_NONE
        for each in messages
    )


def _share_of_end(max_bytes: int, limit: int, added: int = 0) -> int:
    """Return how large each message of a window may be for all of them to fit together."""
    return max(0, max_bytes // 2 - added) // max(limit, MAX_HEAD)


def _are_withheld(rows: Sequence[Row], share: int) -> bool:
    return any(row["bytes"] > share for row in rows if row["bytes"] is not None)


def _given_one(message: NewMessage) -> tuple[object, ...]:
    """Return the arguments of `GIVEN_ONE`."""
    return (
        message.id,
        message.role.value,
        to_text(message.content),
        to_jsonb(message.tool_calls),
        to_text(message.tool_call_id),
        to_text(message.name),
        to_jsonb(message.metadata),
        message.created_at,
    )


def _ids(messages: Sequence[NewMessage]) -> list[object]:
    return [str(message.id) for message in messages]
