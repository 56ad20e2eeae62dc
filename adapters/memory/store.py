"""What the memory adapters share. Everything hangs below its user, so nobody can reach across."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from operator import attrgetter
from typing import Final

from chatkeep.domain.errors import (
    ConversationNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
    RetainedError,
)
from chatkeep.domain.items import Item, RequestKey
from chatkeep.domain.model import (
    Conversation,
    ConversationId,
    Message,
    MessageId,
    NewMessage,
    Position,
    UserId,
    is_opening,
    microseconds,
)
from chatkeep.domain.pages import fitting
from chatkeep.domain.ports import MAX_HEAD, Window

by_position: Final = attrgetter("position")


def size(*texts: str | None) -> int:
    """Return how many bytes texts have."""
    return sum(len(text.encode()) for text in texts if text is not None)


def size_of_message(message: Message) -> int:
    return size(message.content, message.tool_calls, message.metadata)


@dataclass(slots=True)
class KeptConversation:
    """A conversation with its messages, in order of position."""

    conversation: Conversation
    messages: list[Message] = field(default_factory=list)
    last_position: int = 0
    """Of any message it ever had: a deleted message's place is not given away again."""

    items: dict[Position, Item] = field(default_factory=dict)
    """Those that were sent as items, whether they are messages or not, in order of position."""

    keys: dict[str, tuple[RequestKey, Position, Position]] = field(default_factory=dict)
    """Idempotency keys, with the first and the last position that their request was given."""

    def append(self, new: Sequence[NewMessage], at: datetime) -> tuple[Message, ...]:
        first = max(microseconds(at), self.last_position + 1)
        stored = tuple(
            message.stored(self.conversation.id, Position(position), at)
            for position, message in enumerate(new, first)
        )
        self.messages += stored
        if stored:
            self.last_position = stored[-1].position
        self.conversation = self.conversation._replace(
            message_count=len(self.messages),
            updated_at=max(at, self.conversation.updated_at),
        )
        return stored

    def check_deletable(self) -> None:
        """Raise `RetainedError` while it is on hold."""
        if self.conversation.retain:
            raise RetainedError(self.conversation.id)

    def remove(self, message: Message) -> None:
        del self.messages[bisect_left(self.messages, message.position, key=by_position)]
        self.items.pop(message.position, None)
        self.conversation = self.conversation._replace(message_count=len(self.messages))

    def window(self, limit: int, max_bytes: int) -> Window:
        half = max_bytes // 2
        opening = tuple(takewhile(is_opening, self.messages[:MAX_HEAD]))
        latest = self.messages[-limit:]
        return Window.of(
            opening[: fitting(map(size_of_message, opening), half, least=0)],
            latest[-fitting(map(size_of_message, reversed(latest)), half) :],
            limit=limit,
            message_count=len(self.messages),
        )


@dataclass(slots=True)
class KeptUser:
    """What one user owns. `messages` are those of all their conversations."""

    conversations: dict[ConversationId, KeptConversation] = field(default_factory=dict)
    messages: dict[MessageId, Message] = field(default_factory=dict)

    def append(
        self, kept: KeptConversation, new: Sequence[NewMessage], at: datetime
    ) -> tuple[Message, ...]:
        """Add messages to a conversation of theirs, or raise `MessageIdTakenError` and add none."""
        ids = set[MessageId]()
        for message in new:
            if message.id is not None:
                if message.id in self.messages or message.id in ids:
                    raise MessageIdTakenError(message.id)
                ids.add(message.id)
        stored = kept.append(new, at)
        self.messages.update((message.id, message) for message in stored)
        return stored

    def message(self, conversation_id: ConversationId, message_id: MessageId) -> Message:
        """Return the message, or raise `MessageNotFoundError`."""
        message = self.messages.get(message_id)
        if message is None or message.conversation_id != conversation_id:
            raise MessageNotFoundError(message_id)
        return message


@dataclass(slots=True)
class MemoryStore:
    """Make one, and give it to the three adapters."""

    users: dict[UserId, KeptUser] = field(default_factory=dict)

    def user(self, user_id: UserId) -> KeptUser:
        """Return what the user owns; one with nothing, who is not kept, when unknown."""
        return self.users.get(user_id) or KeptUser()

    def conversation(self, user_id: UserId, conversation_id: ConversationId) -> KeptConversation:
        """Return the conversation, or raise `ConversationNotFoundError`."""
        kept = self.user(user_id).conversations.get(conversation_id)
        if kept is None:
            raise ConversationNotFoundError(conversation_id)
        return kept
