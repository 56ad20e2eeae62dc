"""A store put on trial: what its promises are exercised with, and judged by."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chatkeep.domain.errors import ChatkeepError
from chatkeep.domain.formats.openai_items import drafted
from chatkeep.domain.items import Item, ItemText, NewItem, RequestKey
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    Conversation,
    ConversationId,
    JsonText,
    Message,
    MessageId,
    NewMessage,
    Order,
    Role,
    Status,
    UserId,
    uuid7,
)
from chatkeep.domain.ports import Conversations, Items, Messages, Users

ALL: Final = 100
"""More than a trial stores of anything."""

HOUR: Final = timedelta(hours=1)
KEY: Final = RequestKey("key of a request", "digest of it")
OTHER_KEY: Final = RequestKey(KEY.key, "digest of another")
MESSAGE: Final = '{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]}'
REASONING: Final = '{"type":"reasoning","n":1.10,"summary":[ ],"text":"\\u0000 \\ud83e\\uddf5"}'


class BrokenPromiseError(Exception):
    """The store does not do what it must; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A store to exercise. `user` is there already and owns nothing; `stranger` likewise."""

    users: Users
    conversations: Conversations
    messages: Messages
    items: Items
    user: UserId
    stranger: UserId
    at: datetime

    async def start(
        self,
        *messages: NewMessage,
        user: UserId | None = None,
        id: ConversationId | None = None,  # noqa: A002 - the field's own name
    ) -> Conversation:
        """Store a conversation that opens with `messages`."""
        new = self.conversation(user=user, id=id)
        return (await self.conversations.create(new, messages, provision=True)).conversation

    def conversation(
        self,
        *,
        user: UserId | None = None,
        id: ConversationId | None = None,  # noqa: A002 - the field's own name
        title: str | None = None,
        metadata: JsonText = EMPTY_OBJECT,
    ) -> Conversation:
        return Conversation(
            id=id or ConversationId(uuid7(self.at)),
            user_id=user or self.user,
            title=title,
            status=Status.ACTIVE,
            metadata=metadata,
            message_count=0,
            created_at=self.at,
            updated_at=self.at,
        )

    def says(
        self,
        content: str,
        role: Role = Role.USER,
        *,
        id: MessageId | None = None,  # noqa: A002 - the field's own name
    ) -> NewMessage:
        return NewMessage(role=role, content=content, id=id or MessageId(uuid7(self.at)))

    def item(self, text: str) -> NewItem:
        return drafted(ItemText(text), field="item").new(self.at)

    async def append(
        self, conversation: Conversation, *messages: NewMessage, at: datetime | None = None
    ) -> tuple[Message, ...]:
        found = await self.messages.append(
            conversation.user_id, conversation.id, messages, at or self.at
        )
        return found.messages

    async def history(
        self, conversation: Conversation, order: Order = Order.ASC
    ) -> Sequence[Message]:
        found = await self.messages.history(
            conversation.user_id,
            conversation.id,
            order=order,
            after=None,
            before=None,
            limit=ALL,
        )
        return found.items

    async def listed(self, user: UserId) -> Sequence[Conversation]:
        found = await self.conversations.list(user, status=None, after=None, limit=ALL)
        return found.items

    async def listed_items(self, conversation: Conversation) -> Sequence[Item]:
        found = await self.items.list(
            conversation.user_id, conversation.id, order=Order.ASC, after=None, limit=ALL
        )
        return found.items

    async def count(self, conversation: Conversation) -> int:
        found = await self.conversations.get(conversation.user_id, conversation.id)
        return found.message_count


def expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise BrokenPromiseError(otherwise)


def expect_count(found: int, expected: int, after: str) -> None:
    expect(found == expected, f"{found} counted where {expected} should be ({after})")


def expect_same(given: Sequence[NewMessage], stored: Sequence[Message], which: str) -> None:
    expect(
        len(given) == len(stored) and all(map(NewMessage.equals, given, stored)),
        f"messages {which} did not come back as they were given",
    )


async def refused(error: type[ChatkeepError], call: Awaitable[object], what: str) -> None:
    try:
        await call
    except error:
        return
    raise BrokenPromiseError(f"{what} was not refused")
