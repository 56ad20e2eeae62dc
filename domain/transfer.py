"""Importing and exporting whole conversations: what an operator does, on behalf of a user.

An import keeps what it is given: the order, the times, equal and backward ones too, and the ids.
Running it twice adds nothing.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from domain.errors import ConversationIdTakenError, ConversationNotFoundError, InvalidValueError
from domain.model import (
    EMPTY_OBJECT,
    Conversation,
    ConversationId,
    JsonText,
    Limits,
    Message,
    MessageId,
    NewMessage,
    Order,
    Position,
    Status,
    UserId,
    check_metadata,
    check_title,
    with_ids,
)
from domain.ports import Clock, Conversations, LastSeen, Messages, Users

# The ids of what was imported follow from it: with another one, importing again would add it again.
NAMESPACE: Final = UUID("d5d10f58-3666-4023-a1c1-dea950fb03d5")
CONVERSATIONS_PAGE: Final = 100
MESSAGES_PAGE: Final = 500
CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""By no more than this do the clocks of the processes that serve one database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenConversation:
    """A conversation as its source gives it, with what it does not say left as None.

    `canonical` is the same text whenever the same conversation is given: without an `id` of its own
    the id follows from it.
    """

    canonical: str
    id: ConversationId | None = None
    title: str | None = None
    status: Status = Status.ACTIVE
    metadata: JsonText = EMPTY_OBJECT
    created_at: datetime | None = None
    updated_at: datetime | None = None
    messages: tuple[NewMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Transfer:
    """All methods raise `StoreUnavailableError` when the store cannot answer."""

    users: Users
    conversations: Conversations
    messages: Messages
    clock: Clock
    limits: Limits

    async def import_conversation(self, user_id: UserId, given: GivenConversation) -> bool:
        """Store a conversation with all its messages, or nothing; return whether it is new.

        A user who does not exist is added. A message without a time has that of the one before it,
        the first one that of the conversation; a conversation without one has the first time that
        it says at all, else now. `updated_at` is the latest time of all.
        Without an id, it is the same conversation as before whatever was done to it since.
        Raises `ConversationIdTakenError`, `MessageIdTakenError`, `UserNotProvisionedError`, and
        `InvalidValueError` or `LimitExceededError` naming the field.
        """
        self._check(given)
        messages, created_at, updated_at = _timed(given, self.clock.now())
        new = Conversation(
            id=given.id or ConversationId(uuid5(NAMESPACE, f"{user_id}\0{given.canonical}")),
            user_id=user_id,
            title=given.title,
            status=given.status,
            metadata=given.metadata,
            message_count=0,
            created_at=created_at,
            updated_at=updated_at,
        )
        messages = with_ids(messages, updated_at, seed=new.id)
        _check_ids(messages)
        try:
            created = await self.conversations.create(new, messages, provision=True)
        except ConversationIdTakenError:
            if given.id is not None:
                raise
            return False
        return created.created

    async def count(self, user_id: UserId) -> int:
        """Return how many conversations the user has."""
        return (await self.users.usage(user_id)).conversations

    async def export(
        self, user_id: UserId
    ) -> AsyncGenerator[tuple[Conversation, Sequence[Message]], None]:
        """Yield every conversation of the user once, each with all its messages in their order.

        None is missed because it became active meanwhile, and so changed its place in the list.
        Of all of them only the ids are held in memory.
        """
        given: set[ConversationId] = set()
        since: datetime | None = None
        while True:
            recently = self.clock.now() - CLOCKS_DIFFER
            given_before = len(given)
            async for conversation in self._list(user_id, since):
                if conversation.id not in given:
                    given.add(conversation.id)
                    try:
                        messages = [m async for m in self._history(user_id, conversation.id)]
                    except ConversationNotFoundError:
                        continue  # deleted just now
                    yield conversation, messages
            if since is not None and len(given) == given_before:
                return
            since = since or recently

    async def _list(self, user_id: UserId, since: datetime | None) -> AsyncIterator[Conversation]:
        after: LastSeen | None = None
        while True:
            page = await self.conversations.list(
                user_id, status=None, after=after, limit=CONVERSATIONS_PAGE
            )
            for conversation in page:
                if since is not None and conversation.updated_at < since:
                    return
                yield conversation
            if len(page) < CONVERSATIONS_PAGE:
                return
            after = LastSeen(page[-1].updated_at, page[-1].id)

    async def _history(
        self, user_id: UserId, conversation_id: ConversationId
    ) -> AsyncIterator[Message]:
        after: Position | None = None
        while True:
            page = await self.messages.history(
                user_id,
                conversation_id,
                order=Order.ASC,
                after=after,
                before=None,
                limit=MESSAGES_PAGE,
            )
            for message in page:
                yield message
            if len(page) < MESSAGES_PAGE:
                return
            after = page[-1].position

    def _check(self, given: GivenConversation) -> None:
        check_title(given.title, self.limits)
        check_metadata(given.metadata, self.limits)
        for index, message in enumerate(given.messages):
            message.check(self.limits, within=f"messages[{index}].")


def _timed(
    given: GivenConversation, now: datetime
) -> tuple[Sequence[NewMessage], datetime, datetime]:
    """Return the messages with their times, and `created_at` and `updated_at`."""
    created_at = next(_times(given), None)
    if created_at is None:
        # The messages are left without: importing again at another time is to find them the same.
        return given.messages, now, now
    messages = []
    latest = created_at
    for message in given.messages:
        latest = message.created_at or latest
        messages.append(replace(message, created_at=latest))
    return messages, created_at, max(_times(given))


def _times(given: GivenConversation) -> Iterator[datetime]:
    if given.created_at is not None:
        yield given.created_at
    for message in given.messages:
        if message.created_at is not None:
            yield message.created_at
    if given.updated_at is not None:
        yield given.updated_at


def _check_ids(messages: Sequence[NewMessage]) -> None:
    ids = set[MessageId | None]()
    for index, message in enumerate(messages):
        if message.id in ids:
            raise InvalidValueError(f"messages[{index}].id", "stands twice in this conversation")
        ids.add(message.id)
