"""Messages on Postgres: each call is one statement, one round trip.

An append locks its conversation's row, by updating it, before anything else: that decides order.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Final
from uuid import UUID

import asyncpg

from adapters.piccolo.engine import Engine
from adapters.piccolo.rows import Row, message_columns, to_jsonb, to_message, to_text
from domain.errors import (
    ConversationNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
    RetainedError,
    StoreUnavailableError,
)
from domain.model import (
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
from domain.ports import MAX_HEAD, Appended, Window

# The messages of a batch, as parameters $1 to $8 of a statement: one array a column, so that the
# statement's text, and its plan, are the same for a batch of any size. All are sent as arrays of
# text: for another kind the driver asks every new connection about its type, in six round trips.
GIVEN: Final = (
    "unnest($1::text[]::uuid[], $2::text[], $3::text[], $4::text[]::jsonb[], $5::text[], "
    "$6::text[], $7::text[]::jsonb[], $8::text[]::timestamptz[]) WITH ORDINALITY AS given "
    "(id, role, content, tool_calls, tool_call_id, name, metadata, created_at, n)"
)
# Most appends are of a single message: arrays of one would take Postgres a fifth longer.
GIVEN_ONE: Final = (
    "(VALUES ($1::uuid, $2::text, $3::text, $4::jsonb, $5::text, $6::text, $7::jsonb, "
    "$8::timestamptz, 1)) AS given "
    "(id, role, content, tool_calls, tool_call_id, name, metadata, created_at, n)"
)
GIVEN_COLUMNS: Final = "id, role, content, tool_calls, tool_call_id, name, metadata"


def _ends(*, conversation: str, user: str, limit: str) -> str:
    """Return the query for both ends of a conversation; the arguments name its parameters."""
    return f"""(
  SELECT true AS opening, {message_columns("h")} FROM messages h
  WHERE h.conversation_id = {conversation} AND h.user_id = {user} AND h.position < coalesce((
    SELECT b.position FROM messages b
    WHERE b.conversation_id = {conversation} AND b.user_id = {user}
      AND b.role NOT IN ('system', 'developer')
    ORDER BY b.position LIMIT 1), {LAST_POSITION})
  ORDER BY h.position LIMIT {MAX_HEAD}
) UNION ALL (
  SELECT false, {message_columns("t")} FROM messages t
  WHERE t.conversation_id = {conversation} AND t.user_id = {user}
  ORDER BY t.position DESC LIMIT {limit}
)"""


def _append(given: str) -> str:
    return f"""
WITH moved AS (
  UPDATE conversations
  SET message_count = message_count + $11,
      last_position = greatest($12, last_position + 1) + $11 - 1,
      updated_at = greatest($13, updated_at)
  WHERE id = $9 AND user_id = $10
  RETURNING id, user_id, message_count, last_position
), added AS (
  INSERT INTO messages (conversation_id, user_id, position, {GIVEN_COLUMNS}, created_at)
  SELECT moved.id, moved.user_id, moved.last_position - $11 + n,
         {", ".join(f"given.{column}" for column in GIVEN_COLUMNS.split(", "))},
         coalesce(given.created_at, $13)
  FROM moved, {given}
)"""


_MOVED: Final = "SELECT message_count, last_position FROM moved"
APPEND: Final = f"{_append(GIVEN)} {_MOVED}"
APPEND_ONE: Final = f"{_append(GIVEN_ONE)} {_MOVED}"

# What a statement reads is as it was before the statement: the old messages, and the old count.
_MOVED_WINDOW: Final = f"""
SELECT moved.message_count, moved.last_position, before.message_count AS count_before, ends.*
FROM moved
JOIN conversations before ON before.id = $9 AND before.user_id = $10
LEFT JOIN LATERAL ({_ends(conversation="$9", user="$10", limit="$14")}) AS ends ON true
ORDER BY ends.position"""
APPEND_WINDOW: Final = _append(GIVEN) + _MOVED_WINDOW
APPEND_ONE_WINDOW: Final = _append(GIVEN_ONE) + _MOVED_WINDOW

WINDOW: Final = f"""
SELECT c.message_count, ends.*
FROM conversations c
LEFT JOIN LATERAL ({_ends(conversation="$1", user="$2", limit="$3")}) AS ends ON true
WHERE c.id = $1 AND c.user_id = $2
ORDER BY ends.position"""


def _page(order: Order, *, after: str, before: str) -> str:
    """Return the query for a page of conversation $1 of user $2 between two positions.

    The bound that the page starts from is a condition, the other one is looked at afterwards: with
    both as conditions the planner expects so few rows that it may read and sort all there are.
    """
    start, end = f"m.position > {after}", f"page.position < {before}"
    if order is Order.DESC:
        start, end = f"m.position < {before}", f"page.position > {after}"
    return f"""
LEFT JOIN LATERAL (
  SELECT {message_columns("m")} FROM messages m
  WHERE m.conversation_id = $1 AND m.user_id = $2 AND {start}
  ORDER BY m.position {order.value} LIMIT $3
) AS page ON {end}
WHERE c.id = $1 AND c.user_id = $2
ORDER BY page.position {order.value}"""


def _history(order: Order) -> str:
    page = _page(order, after="$4", before="$5")
    return f"SELECT page.* FROM conversations c {page}"


def _history_between(order: Order) -> str:
    page = _page(order, after="coalesce(a.position, $4)", before="coalesce(b.position, $5)")
    return f"""
SELECT a.position AS after, b.position AS before, page.*
FROM conversations c
LEFT JOIN messages a ON a.id = $6 AND a.user_id = $2 AND a.conversation_id = $1
LEFT JOIN messages b ON b.id = $7 AND b.user_id = $2 AND b.conversation_id = $1
{page}"""


HISTORY: Final = {order: _history(order) for order in Order}
HISTORY_BETWEEN: Final = {order: _history_between(order) for order in Order}

GET: Final = f"""
SELECT {message_columns("m")} FROM messages m
WHERE m.id = $3 AND m.user_id = $2 AND m.conversation_id = $1"""

STORED: Final = f"""
SELECT {message_columns("m")} FROM messages m
WHERE m.id = ANY($1::text[]::uuid[]) AND m.user_id = $2"""

# The conversation is locked first, as an append and the deletion of a conversation do, so that
# they cannot wait for each other in a circle.
DELETE: Final = """
WITH locked AS (
  SELECT id, retain FROM conversations WHERE id = $1 AND user_id = $2 FOR UPDATE
), gone AS (
  DELETE FROM messages m USING locked
  WHERE m.id = $3 AND m.user_id = $2 AND m.conversation_id = locked.id AND NOT locked.retain
  RETURNING m.id
), counted AS (
  UPDATE conversations SET message_count = message_count - 1
  WHERE id = $1 AND user_id = $2 AND EXISTS (SELECT FROM gone)
)
SELECT locked.retain, EXISTS (SELECT FROM gone) AS gone
FROM locked JOIN messages m ON m.id = $3 AND m.user_id = $2 AND m.conversation_id = locked.id"""

COUNT: Final = "SELECT message_count FROM conversations WHERE id = $1 AND user_id = $2"


class PiccoloMessages:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def append(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        messages: Sequence[NewMessage],
        at: datetime,
        *,
        window: int | None = None,
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
        try:
            if window is None:
                rows = await self._engine.fetch(APPEND_ONE if one else APPEND, *arguments)
            else:
                append = APPEND_ONE_WINDOW if one else APPEND_WINDOW
                rows = await self._engine.fetch(append, *arguments, window)
        except asyncpg.UniqueViolationError:
            return await self._replay(user_id, conversation_id, messages, window)
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
        if rows[0]["count_before"] != count - len(messages):
            # Another append came between the snapshot and the lock: its messages were not read.
            return Appended(added, count, await self.window(user_id, conversation_id, limit=window))
        opening, latest = _opening(rows), _latest(rows)
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
    ) -> Sequence[Message]:
        after_id = after if isinstance(after, UUID) else None
        before_id = before if isinstance(before, UUID) else None
        bounds = (
            after if isinstance(after, int) else FIRST_POSITION - 1,
            before if isinstance(before, int) else LAST_POSITION,
        )
        if after_id is None and before_id is None:
            rows = await self._engine.fetch(
                HISTORY[order], conversation_id, user_id, limit, *bounds
            )
        else:
            rows = await self._engine.fetch(
                HISTORY_BETWEEN[order],
                conversation_id,
                user_id,
                limit,
                *bounds,
                after_id,
                before_id,
            )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        if after_id is not None and rows[0]["after"] is None:
            raise MessageNotFoundError(after_id)
        if before_id is not None and rows[0]["before"] is None:
            raise MessageNotFoundError(before_id)
        return _messages(rows)

    async def window(
        self, user_id: UserId, conversation_id: ConversationId, *, limit: int
    ) -> Window:
        rows = await self._engine.fetch(WINDOW, conversation_id, user_id, limit)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        return Window.of(
            _opening(rows), _latest(rows), limit=limit, message_count=rows[0]["message_count"]
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
        `messages` name twice, `StoreUnavailableError` when what had it is gone by now.
        """
        rows = await self._engine.fetch(STORED, _ids(messages), user_id)
        if not rows:
            counts = Counter(message.id for message in messages if message.id is not None)
            [(id, count)] = counts.most_common(1)  # noqa: A001 - the word for it
            if count > 1:
                raise MessageIdTakenError(id)
            raise StoreUnavailableError("What had the id was deleted just now.")
        return [to_message(row) for row in rows]

    async def _replay(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        messages: Sequence[NewMessage],
        window: int | None,
    ) -> Appended:
        again = replayed(conversation_id, messages, await self.holders(user_id, messages))
        if window is not None:
            ends = await self.window(user_id, conversation_id, limit=window)
            return Appended(again, ends.message_count, ends)
        [row] = await self._engine.fetch(COUNT, conversation_id, user_id)
        return Appended(again, row["message_count"], None)


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


def _messages(rows: Sequence[Row]) -> list[Message]:
    """Return the messages of an outer join: a conversation without any has one empty row."""
    return [to_message(row) for row in rows if row["id"] is not None]


def _opening(rows: Sequence[Row]) -> list[Message]:
    return [to_message(row) for row in rows if row["opening"]]


def _latest(rows: Sequence[Row]) -> list[Message]:
    return [to_message(row) for row in rows if row["opening"] is False]
