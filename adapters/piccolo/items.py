"""Items on Postgres: see `adapters.piccolo.item_statements`."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from chatkeep.adapters.piccolo.conversations import PiccoloConversations, unprovisioned
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.item_reader import ItemReader
from chatkeep.adapters.piccolo.item_statements import (
    APPEND_FREELY,
    APPEND_WITH_IDS,
    APPEND_WITH_KEY,
    AT,
    CREATE,
    DELETE,
    GET,
    KEY,
    PAGE,
    PAGE_AFTER,
    TAKEN,
)
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import Row, to_jsonb, to_text
from chatkeep.adapters.piccolo.users import NO_USER
from chatkeep.domain.errors import (
    ConversationIdTakenError,
    ConversationNotFoundError,
    ItemIdTakenError,
    ItemNotFoundError,
    KeyTakenError,
    RetainedError,
)
from chatkeep.domain.items import (
    Item,
    ItemId,
    NewItem,
    RequestKey,
    given_ids,
    is_item_id,
    message_id_in,
)
from chatkeep.domain.model import (
    FIRST_POSITION,
    LAST_POSITION,
    Conversation,
    ConversationId,
    Order,
    Position,
    UserId,
    microseconds,
)
from chatkeep.domain.pages import NO_BOUND, Page, fitting


class PiccoloItems:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._conversations = PiccoloConversations(engine)
        self._reader = ItemReader(engine)

    @repeated_when_gone
    async def create(
        self,
        conversation: Conversation,
        items: Sequence[NewItem],
        *,
        key: RequestKey | None,
        provision: bool,
    ) -> Conversation:
        given_ids(items)
        new = conversation
        at = new.updated_at
        try:
            await self._engine.fetch(
                CREATE,
                *_arguments(new.user_id, new.id, items, at),
                key and key.key,
                key and key.digest,
                to_jsonb(new.metadata),
                provision,
            )
        except asyncpg.UniqueViolationError:
            keyed = key and await self._keyed(new.user_id, new.id, key)
            try:
                stored = await self._conversations.get(new.user_id, new.id)
            except ConversationNotFoundError as gone:
                raise GoneError from gone
            if key is not None and keyed is None:  # it came with an import or a PUT, without a key
                raise KeyTakenError(key.key) from None
            if key is None and stored.created_at != new.created_at:
                raise ConversationIdTakenError(new.id) from None
            return stored
        except NO_USER as error:
            raise unprovisioned(new.user_id, error, provision=provision) from error
        messages = sum(item.message is not None for item in items)
        return new._replace(message_count=messages)

    @repeated_when_gone
    async def append(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        items: Sequence[NewItem],
        at: datetime,
        *,
        key: RequestKey | None = None,
    ) -> Sequence[Item]:
        given = given_ids(items)
        arguments = _arguments(user_id, conversation_id, items, at)
        try:
            if key is not None:
                rows = await self._engine.fetch(
                    APPEND_WITH_KEY, *arguments, key.key, key.digest, *_identified(given)
                )
            elif given:
                rows = await self._engine.fetch(APPEND_WITH_IDS, *arguments, *_identified(given))
            else:
                rows = await self._engine.fetch(APPEND_FREELY, *arguments)
        except asyncpg.UniqueViolationError:
            rows = []
        if rows:
            first = rows[0]["first"]
            return [item.stored(Position(first + n), at) for n, item in enumerate(items)]
        return await self._not_appended(user_id, conversation_id, items, at, key)

    async def list(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        order: Order,
        after: ItemId | None,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Item]:
        share = max_bytes // (limit + 1)
        if after is None:
            start = FIRST_POSITION - 1 if order is Order.ASC else LAST_POSITION
            rows = await self._engine.fetch(
                PAGE[order], conversation_id, user_id, limit + 1, start, share
            )
        elif not is_item_id(after):
            await self._conversations.get(user_id, conversation_id)
            raise ItemNotFoundError(after)
        else:
            message_id = message_id_in(after)
            most = limit + 2 if message_id else limit + 1
            rows = await self._engine.fetch(
                PAGE_AFTER[order], conversation_id, user_id, most, after, message_id, share
            )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        if after is not None and rows[0]["place"] is None:
            raise ItemNotFoundError(after)
        # A conversation without any has one empty row.
        rows = rows if rows[0]["position"] is not None else []
        # The message that `after` is one item of comes once more.
        again = int(bool(rows) and after is not None and rows[0]["position"] == rows[0]["place"])
        page: Sequence[Row] = rows[: limit + again]
        if is_large := any(row["bytes"] > share for row in page):
            page = page[: again + fitting((row["bytes"] for row in page[again:]), max_bytes)]
        is_cut = len(page) < len(rows)
        if is_large:
            page = await self._reader.whole(user_id, conversation_id, page, share)
        found = await self._reader.items(user_id, conversation_id, page, order)
        if after is not None and found and found[0].position == rows[0]["place"]:
            same = [item.id for item in found if item.position == found[0].position]
            if after not in same:
                raise ItemNotFoundError(after)
            found = found[same.index(after) + 1 :]
        if is_cut and not found:  # what was on the page was deleted just now
            return await self.list(
                user_id,
                conversation_id,
                order=order,
                after=after,
                limit=limit,
                max_bytes=max_bytes,
            )
        return Page(found[:limit], more=is_cut or len(found) > limit)

    async def get(self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId) -> Item:
        item, _ = await self._find(user_id, conversation_id, item_id)
        return item

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId
    ) -> None:
        _, message_id = await self._find(user_id, conversation_id, item_id)
        rows, again = await self._engine.fetch_noting(
            DELETE, conversation_id, user_id, message_id, None if message_id else item_id
        )
        if rows and rows[0]["retain"]:
            raise RetainedError(conversation_id)
        if not (again or (rows and rows[0]["gone"])):
            raise ItemNotFoundError(item_id)

    async def _find(
        self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId
    ) -> tuple[Item, UUID | None]:
        """Return the item, and the message that it is, or is one item of."""
        if not is_item_id(item_id):  # Postgres would refuse the parameter
            raise ItemNotFoundError(item_id)
        rows = await self._engine.fetch(
            GET, conversation_id, user_id, item_id, message_id_in(item_id)
        )
        for row in rows:
            for item in await self._reader.items(user_id, conversation_id, [row], Order.ASC):
                if item.id == item_id:
                    return item, row["id"]
        raise ItemNotFoundError(item_id)

    async def _not_appended(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        items: Sequence[NewItem],
        at: datetime,
        key: RequestKey | None,
    ) -> Sequence[Item]:
        """Return what was stored by the same call before, or say why nothing was stored."""
        if key is not None and (stored := await self._keyed(user_id, conversation_id, key)):
            return await self._between(user_id, conversation_id, *stored)
        await self._conversations.get(user_id, conversation_id)
        # The statement may have been run twice; then what is stored has our ids and our time.
        try:
            found = await self.get(user_id, conversation_id, items[0].id)
        except ItemNotFoundError:
            pass
        else:
            first = found.position
            mine = [item.stored(Position(first + n), at) for n, item in enumerate(items)]
            if found == mine[0] and mine == await self._between(
                user_id, conversation_id, first, mine[-1].position
            ):
                return mine
        ids, message_ids = _identified(given_ids(items))
        taken = await self._engine.fetch(TAKEN, conversation_id, user_id, ids, message_ids)
        if taken:
            raise ItemIdTakenError(taken[0]["id"])
        raise GoneError

    async def _between(
        self, user_id: UserId, conversation_id: ConversationId, first: Position, last: Position
    ) -> Sequence[Item]:
        """Return the items of these positions, both included, oldest first."""
        positions = [str(position) for position in range(first, last + 1)]
        rows = await self._engine.fetch(AT, conversation_id, user_id, positions)
        return await self._reader.items(user_id, conversation_id, rows, Order.ASC)

    async def _keyed(
        self, user_id: UserId, conversation_id: ConversationId, key: RequestKey
    ) -> tuple[Position, Position] | None:
        """Return which positions the request of that key was given; None if there was none.

        Raises `KeyTakenError` when it was another request.
        """
        rows = await self._engine.fetch(KEY, conversation_id, user_id, key.key)
        if not rows:
            return None
        [row] = rows
        if row["digest"] != key.digest:
            raise KeyTakenError(key.key)
        return row["first_position"], row["last_position"]


def _arguments(
    user_id: UserId, conversation_id: ConversationId, items: Sequence[NewItem], at: datetime
) -> tuple[object, ...]:
    """Return the parameters $1 to $17 of the statements that store items."""
    messages = [(n, item, item.message) for n, item in enumerate(items) if item.message is not None]
    others = [(n, item) for n, item in enumerate(items) if item.message is None]
    return (
        [str(message.id) for _, _, message in messages],
        [message.role.value for _, _, message in messages],
        [to_text(message.content) for _, _, message in messages],
        [to_jsonb(message.tool_calls) for _, _, message in messages],
        [to_text(message.tool_call_id) for _, _, message in messages],
        [None if item.minted else item.id for _, item, _ in messages],
        [item.text for _, item, _ in messages],
        [str(n) for n, _, _ in messages],
        [item.id for _, item in others],
        [item.text for _, item in others],
        [str(n) for n, _ in others],
        conversation_id,
        user_id,
        len(messages),
        len(items),
        max(FIRST_POSITION, microseconds(at)),
        at,
    )


def _identified(ids: list[ItemId]) -> tuple[list[ItemId], list[str | None]]:
    """Return item ids, and the messages that ids of their form stand for."""
    return ids, [str(found) if (found := message_id_in(each)) else None for each in ids]
