"""Wakes the readers of this process who wait for events of a conversation.

What is stored is the truth; a wake-up is only a hint to read now. A lost one costs promptness, and
no events.
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime

from chatkeep.domain.events import FROM_START, Followed, Mark
from chatkeep.domain.feed import FollowedUser
from chatkeep.domain.model import ConversationId, UserId


class Watch:
    """One reader who waits for events of a conversation, or of all those of a user.

    `mark` is how far they have read a conversation. Of a feed, `since` is when it began, and
    `activity` what the store said last about it.

    `active_at` is the time of the last event, or of the beginning, by the event loop's clock.
    """

    __slots__ = (
        "_loop",
        "_news",
        "active_at",
        "activity",
        "conversation_id",
        "mark",
        "since",
        "user_id",
    )

    def __init__(
        self, user_id: UserId, conversation_id: ConversationId | None, since: datetime | None = None
    ) -> None:
        self.user_id = user_id
        self.conversation_id = conversation_id
        self.mark = FROM_START
        self.since = since
        self.activity: str | None = None
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self.active_at = self._loop.time()

    @property
    def followed_user(self) -> FollowedUser | None:
        """The user whose feed this reader follows, if it is a feed."""
        return None if self.since is None else FollowedUser(self.user_id, self.since)

    @property
    def followed(self) -> Followed | None:
        """The conversation that this reader follows, unless it is a feed."""
        if self.conversation_id is None:
            return None
        mark = self.mark
        return Followed(self.user_id, self.conversation_id, mark.revision, *mark.unread_draft)

    def wake(self) -> None:
        """Let the reader look for events now."""
        self._news.set()

    def has_read(self, mark: Mark, *, events: bool) -> None:
        """Note how far the reader has read, and whether that was news."""
        self.mark = mark
        if events:
            self.active_at = self._loop.time()

    async def wait(self, seconds: float) -> bool:
        """Return whether the reader was woken. Returns at once if they were woken meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def idle_seconds(self) -> float:
        return self._loop.time() - self.active_at


class Hub:
    """The watches of this process, by conversation."""

    def __init__(self) -> None:
        self._watches: dict[tuple[UserId, ConversationId | None], set[Watch]] = {}
        self.notified = 0
        """How often the hub was notified of a change."""
        self.is_watched = asyncio.Event()
        """Set while there are watches."""

    def __iter__(self) -> Iterator[Watch]:
        for watches in self._watches.values():
            yield from watches

    def add(self, watch: Watch) -> None:
        key = watch.user_id, watch.conversation_id
        self._watches.setdefault(key, set()).add(watch)
        self.is_watched.set()

    def remove(self, watch: Watch) -> None:
        key = watch.user_id, watch.conversation_id
        watches = self._watches.get(key, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(key, None)
        if not self._watches:
            self.is_watched.clear()

    def notify(self, user_id: UserId, conversation_id: ConversationId) -> None:
        """Wake those who wait for events of a conversation. Call it after each change."""
        self.notified += 1
        for key in ((user_id, conversation_id), (user_id, None)):
            for watch in self._watches.get(key, ()):
                watch.wake()
