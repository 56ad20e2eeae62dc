"""Messages in memory."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chatkeep.adapters.memory.store import MemoryStore, by_position, size_of_message
from chatkeep.domain.model import (
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    UserId,
    replayed,
)
from chatkeep.domain.pages import NO_BOUND, Page, fitting
from chatkeep.domain.ports import Appended, Window


@dataclass(frozen=True, slots=True)
class MemoryMessages:
    store: MemoryStore

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
        kept = self.store.conversation(user_id, conversation_id)
        user = self.store.user(user_id)
        stored_before = [
            user.messages[message.id]
            for message in messages
            if message.id is not None and message.id in user.messages
        ]
        stored = (
            replayed(conversation_id, messages, stored_before)
            if stored_before
            else user.append(kept, messages, at)
        )
        return Appended(
            stored,
            kept.conversation.message_count,
            None if window is None else kept.window(window, max_bytes),
        )

    async def history(  # noqa: PLR0913 - each is one independent part of the question
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
        messages = self.store.conversation(user_id, conversation_id).messages
        user = self.store.user(user_id)

        def position(bound: Position | MessageId) -> Position:
            if isinstance(bound, int):
                return bound
            return user.message(conversation_id, bound).position

        start, stop = 0, len(messages)
        if after is not None:
            start = bisect_right(messages, position(after), key=by_position)
        if before is not None:
            stop = bisect_left(messages, position(before), key=by_position)
        found = messages[start:stop]
        if order is Order.DESC:
            found.reverse()
        fit = fitting(map(size_of_message, found[:limit]), max_bytes)
        return Page(found[:fit], more=len(found) > fit)

    async def window(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Window:
        return self.store.conversation(user_id, conversation_id).window(limit, max_bytes)

    async def get(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> Message:
        return self.store.user(user_id).message(conversation_id, message_id)

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> None:
        user = self.store.user(user_id)
        message = user.message(conversation_id, message_id)
        kept = user.conversations[conversation_id]
        kept.check_deletable()
        kept.remove(message)
        del user.messages[message_id]
