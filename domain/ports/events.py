"""The port to the events of conversations."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from chatkeep.domain.events import EventPage, Followed, Mark
from chatkeep.domain.feed import FollowedUser, Moved
from chatkeep.domain.model import ConversationId, UserId
from chatkeep.domain.pages import NO_BOUND


class Events(Protocol):
    """Reads events. Readers go on from a mark, each at their own pace.

    A reader who reads from the mark of the page before gets every message that was added, in order
    of position, then every change of an older message or of the conversation, in order of revision,
    whatever happens in between. Messages of all branches count.

    All are as they are now: a message that was changed and deleted since is only deleted, and one
    that was deleted and stored again is only new. `FROM_START` gives no changes.

    A page also names the first draft with something new; its chunks can also be read from `Drafts`.
    After `FROM_START` and for `latest`, that is only an active one.
    """

    async def latest(self, user_id: UserId, conversation_id: ConversationId) -> Mark:
        """Return the mark of a reader who has read everything.

        Raises `ConversationNotFoundError`.
        """
        ...

    async def read(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        after: Mark,
        *,
        limit: int,
        max_bytes: int = NO_BOUND,
        chunk_bytes: int = 0,
    ) -> EventPage:
        """Return at most `limit` events after a mark, as they are at one moment.

        If there are none, the draft comes with its next chunks, up to `chunk_bytes` of them: one
        more at most, so there is at least one.

        Raises `ConversationNotFoundError`, also if the conversation is another one than that of
        the mark (`Mark.began`).
        """
        ...

    async def forget(self, before: datetime, *, limit: int) -> int:
        """Forget at most `limit` changes that were made before a time. Return how many.

        They are those of all users: this is for operators.
        """
        ...

    async def moved_since(
        self, user_id: UserId, since: datetime, key: UUID, *, limit: int
    ) -> Sequence[Moved]:
        """Return the first `limit` conversations of the user that moved after a time.

        They are in order of the time when they moved, and of their keys; those of the very time
        count if their key is greater than `key`. It is the time of the last append, or of a change.
        """
        ...

    async def activity(self, followed: Sequence[FollowedUser]) -> Sequence[str]:
        """Return, for each, a text that is another one after anything of the user has changed."""
        ...

    async def moved(self, followed: Sequence[Followed]) -> Collection[Followed]:
        """Return those whose conversation has another revision or a new chunk, or is gone.

        Of one with `ANY_REVISION`, the revision does not matter.
        """
        ...
