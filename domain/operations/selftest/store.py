"""A store under test: its ports, and short names for what a test asks of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Self
from uuid import UUID

from chatkeep.domain.editing import MessagePatch, Replaced, Stored, Truncated
from chatkeep.domain.finding import Filter, Sort
from chatkeep.domain.item_log import ItemLog
from chatkeep.domain.items import Item, ItemId
from chatkeep.domain.log import (
    Bounds,
    Created,
    NewEntry,
    RequestKey,
    View,
    entries_of,
    messages_in,
)
from chatkeep.domain.model import (
    Conversation,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    Status,
    UserId,
)
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, NOON, new_conversation
from chatkeep.domain.pages import NO_BOUND, Page
from chatkeep.domain.ports import Stores

MANY = 1_000
"""More than a test stores of anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUnderTest(Stores):
    """A store in which neither `user` nor `stranger` owns anything yet.

    `at` is the time of every call that does not give another one.
    """

    user: UserId = ALICE
    stranger: UserId = BOB
    at: datetime = NOON

    @classmethod
    def of(
        cls, stores: Stores, *, user: UserId = ALICE, stranger: UserId = BOB, at: datetime = NOON
    ) -> Self:
        ports = {field.name: getattr(stores, field.name) for field in fields(Stores)}
        return cls(**ports, user=user, stranger=stranger, at=at)

    async def start(
        self,
        *messages: NewMessage,
        user_id: UserId | None = None,
        id: ConversationId | None = None,  # noqa: A002 - the field's own name
        at: datetime | None = None,
    ) -> Conversation:
        """Store a new conversation that opens with `messages`, and return it."""
        new = new_conversation(user_id or self.user, id=id, at=at or self.at)
        return (await self.create(new, messages, provision=True)).conversation

    async def create(
        self, conversation: Conversation, messages: Sequence[NewMessage], *, provision: bool
    ) -> Created:
        return await self.log.create(conversation, entries_of(messages), provision=provision)

    async def reload(self, conversation: Conversation) -> Conversation:
        """Return the conversation as it is stored now."""
        return await self.conversations.get(conversation.user_id, conversation.id)

    async def list_conversations(
        self, user_id: UserId | None = None, *, status: Status | None = None
    ) -> list[Conversation]:
        found = await self.conversations.list(
            user_id or self.user, status=status, after=None, limit=MANY
        )
        return list(found.items)

    async def find_conversations(
        self, wanted: Filter, user_id: UserId | None = None, *, sort: Sort = Sort.UPDATED
    ) -> list[Conversation]:
        found = await self.conversations.find(
            user_id or self.user, wanted, sort=sort, after=None, limit=MANY, max_read=MANY
        )
        return list(found.items)

    async def append(
        self, conversation: Conversation, *messages: NewMessage, at: datetime | None = None
    ) -> tuple[Message, ...]:
        found = await self.log.append(
            conversation.user_id, conversation.id, entries_of(messages), at or self.at
        )
        return found.messages

    async def put(
        self, conversation: Conversation, message: NewMessage, *, at: datetime | None = None
    ) -> Stored:
        return await self.log.put(conversation.user_id, conversation.id, message, at or self.at)

    async def patch(
        self, conversation: Conversation, message_id: MessageId, patch: MessagePatch
    ) -> Message:
        stored = await self.log.patch(conversation.user_id, conversation.id, message_id, patch)
        return stored.message

    async def truncate(
        self, conversation: Conversation, message_id: MessageId, *, keep: bool = True
    ) -> Truncated:
        return await self.log.truncate(conversation.user_id, conversation.id, message_id, keep=keep)

    async def replace(
        self,
        conversation: Conversation,
        *messages: NewMessage,
        after: MessageId | None,
        suffix: Sequence[MessageId],
        at: datetime | None = None,
        key: RequestKey | None = None,
    ) -> Replaced:
        return await self.log.replace(
            conversation.user_id, conversation.id, after, suffix, messages, at or self.at, key=key
        )

    async def history(  # noqa: PLR0913 - each is one independent part of the question
        self,
        conversation: Conversation,
        *,
        order: Order = Order.ASC,
        after: Position | MessageId | None = None,
        before: Position | MessageId | None = None,
        limit: int = MANY,
        originals: bool = False,
    ) -> list[Message]:
        found = await self.page_history(
            conversation,
            order=order,
            after=after,
            before=before,
            limit=limit,
            originals=originals,
        )
        return list(found.items)

    async def page_history(  # noqa: PLR0913 - each is one independent part of the question
        self,
        conversation: Conversation,
        *,
        order: Order = Order.ASC,
        after: Position | MessageId | None = None,
        before: Position | MessageId | None = None,
        limit: int = MANY,
        max_bytes: int = NO_BOUND,
        originals: bool = False,
    ) -> Page[Message]:
        """Return a page of the messages between two of them, by their positions or ids."""
        bounds = Bounds(
            after=after if isinstance(after, int) else None,
            before=before if isinstance(before, int) else None,
            after_message=after if isinstance(after, UUID) else None,
            before_message=before if isinstance(before, UUID) else None,
        )
        found = await self.log.page(
            conversation.user_id,
            conversation.id,
            bounds,
            view=View.ORIGINALS if originals else View.MESSAGES,
            order=order,
            limit=limit,
            max_bytes=max_bytes,
        )
        return Page(messages_in(found.items), more=found.more)

    @property
    def items(self) -> ItemLog:
        return ItemLog(self.log)

    async def append_items(
        self,
        conversation: Conversation,
        *items: NewEntry,
        at: datetime | None = None,
        key: RequestKey | None = None,
    ) -> Sequence[Item]:
        return await self.items.append(
            conversation.user_id, conversation.id, items, at or self.at, key=key
        )

    async def list_items(
        self,
        conversation: Conversation,
        *,
        order: Order = Order.ASC,
        after: ItemId | None = None,
        limit: int = MANY,
    ) -> list[Item]:
        found = await self.items.list(
            conversation.user_id, conversation.id, order=order, after=after, limit=limit
        )
        return list(found.items)
