"""The port to conversations."""

from typing import Protocol

from chatkeep.domain.finding import Filter, Found, LastSeen, MatchCount, Sort
from chatkeep.domain.log import (
    Created,
)
from chatkeep.domain.model import (
    Changes,
    Conversation,
    ConversationId,
    Status,
    UserId,
)
from chatkeep.domain.pages import NO_BOUND, Page


class Conversations(Protocol):
    async def get_or_create(self, conversation: Conversation, *, provision: bool) -> Created:
        """Return the user's conversation with that id, or store this one, which has no messages.

        Raises `UserNotProvisionedError` like `Log.create`.
        """
        ...

    async def get(self, user_id: UserId, conversation_id: ConversationId) -> Conversation:
        """Return the conversation, or raise `ConversationNotFoundError`."""
        ...

    async def list(
        self,
        user_id: UserId,
        *,
        status: Status | None,
        after: LastSeen | None,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Conversation]:
        """Return at most `limit` conversations, by latest activity and id, both descending.

        `status` and `after`, if given, restrict the list to that status and to later elements. It
        reads past all conversations of another status; `find` has a bound.
        """
        ...

    async def find(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        wanted: Filter,
        *,
        sort: Sort = Sort.UPDATED,
        after: LastSeen | None,
        limit: int,
        max_read: int,
        max_bytes: int = NO_BOUND,
    ) -> Found:
        """Return at most `limit` conversations that match, by that time and id, both descending.

        By `updated_at`, it reads at most about `max_read` conversations after `after`, whether they
        match or not. If it stops there, it returns what it found, and `next`: following `next` to
        its end finds every match once. By `created_at`, it reads all conversations within the times
        of `wanted`, and raises `InvalidValueError` if these are more than `max_read`.
        A value of `wanted.metadata` matches an equal string, and the number, boolean or null that
        the same text is in JSON; numbers are compared by value.
        """
        ...

    async def count(self, user_id: UserId, wanted: Filter, *, max_read: int) -> MatchCount:
        """Count the conversations that match.

        If more than `max_read` are within the times of `wanted`, it counts among the `max_read`
        with the latest activity, and the count is not exact.
        """
        ...

    async def change(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        changes: Changes,
        *,
        expected: int | None = None,
    ) -> Conversation:
        """Apply the changes and return the conversation, or raise `ConversationNotFoundError`."""
        ...

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, *, expected: int | None = None
    ) -> None:
        """Delete the conversation with everything in it.

        Raises `ConversationNotFoundError`; `RetainedError` while it is on hold.
        """
        ...
