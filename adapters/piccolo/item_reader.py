"""Rows of a page, as `adapters.piccolo.item_statements` reads them -> items."""

from collections.abc import Iterable, Sequence
from typing import Final

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.item_statements import AT, CALLS_BEFORE
from chatkeep.adapters.piccolo.rows import Row, from_jsonb, from_text, to_text
from chatkeep.domain.formats.native_items import NativeItems, calls_answered_from_before
from chatkeep.domain.items import Item, ItemId, ItemText
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    ConversationId,
    Message,
    MessageId,
    Order,
    Position,
    Role,
    UserId,
)

CALLS_WITHIN: Final = 200
"""So many messages before a page are looked through for the calls that its results answer."""


class ItemReader:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def items(
        self, user_id: UserId, conversation_id: ConversationId, rows: Sequence[Row], order: Order
    ) -> Sequence[Item]:
        """Return the items of a page in its order."""
        oldest_first = rows if order is Order.ASC else rows[::-1]
        native = {
            row["position"]: _native(conversation_id, row)
            for row in oldest_first
            if row["item"] is None
        }
        earlier: dict[str, bool] = {}
        if unknown := calls_answered_from_before(native.values()):
            first = oldest_first[0]["position"]
            earlier = await self._calls_before(user_id, conversation_id, first, unknown)
        as_items = NativeItems(earlier)
        found = [
            item
            for row in oldest_first
            for item in (
                as_items.of(native[row["position"]]) if row["item"] is None else (_item(row),)
            )
        ]
        return found if order is Order.ASC else found[::-1]

    async def whole(
        self, user_id: UserId, conversation_id: ConversationId, rows: Sequence[Row], share: int
    ) -> Sequence[Row]:
        """Return the rows, those in full whose texts were withheld, without those gone by now."""
        large = [str(row["position"]) for row in rows if row["bytes"] > share]
        found = await self._engine.fetch(AT, conversation_id, user_id, large)
        whole = {row["position"]: row for row in rows if row["bytes"] <= share}
        whole |= {row["position"]: row for row in found}
        return [whole[row["position"]] for row in rows if row["position"] in whole]

    async def _calls_before(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        position: Position,
        call_ids: Iterable[str],
    ) -> dict[str, bool]:
        """Return which of the calls were made shortly before, and whether by a custom tool."""
        rows = await self._engine.fetch(
            CALLS_BEFORE,
            conversation_id,
            user_id,
            position,
            [to_text(call_id) for call_id in call_ids],
            CALLS_WITHIN,
        )
        return {from_text(row["id"]): row["is_custom"] for row in rows}


def _item(row: Row) -> Item:
    """Return the item of a row that has the text of one."""
    item_id: str | None = row["item_id"]
    if item_id is None:
        prefix = "fco" if row["role"] == Role.TOOL else "fc" if row["calls"] else "msg"
        item_id = f"{prefix}_{row['id'].hex}"
    return Item(
        id=ItemId(item_id),
        text=ItemText(row["item"]),
        position=row["position"],
        created_at=row["created_at"],
    )


def _native(conversation_id: ConversationId, row: Row) -> Message:
    content, tool_calls, tool_call_id = row["content"], row["tool_calls"], row["tool_call_id"]
    return Message(
        id=MessageId(row["id"]),
        conversation_id=conversation_id,
        role=Role(row["role"]),
        content=None if content is None else from_text(content),
        tool_calls=None if tool_calls is None else from_jsonb(tool_calls),
        tool_call_id=None if tool_call_id is None else from_text(tool_call_id),
        name=None,
        metadata=EMPTY_OBJECT,
        created_at=row["created_at"],
        position=row["position"],
    )
