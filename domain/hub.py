"""Wakes the readers of this process who wait for events of a conversation.

What is stored is the truth; a wake-up is only a hint to read now. A lost one costs promptness, and
no events.
"""

import asyncio
from collections.abc import Iterator

from chatkeep.domain.events import FROM_START, Followed, Mark
from chatkeep.domain.model import ConversationId, UserId


class Watch:
    """One reader who waits for events of a conversation. `mark` is how far they have read.

    `active_at` is the time of the last event, or of the beginning, by the event loop's clock.
    """

    __slots__ = ("_loop", "_news", "active_at", "conversation_id", "mark", "user_id")

    def __init__(self, user_id: UserId, conversation_id: ConversationId) -> None:
        self.user_id = user_id
        self.conversation_id = conversation_id
        self.mark = FROM_START
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self.active_at = self._loop.time()

    @property
    def followed(self) -> Followed:
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
        self._watches: dict[tuple[UserId, ConversationId], set[Watch]] = {}
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
        for watch in self._watches.get((user_id, conversation_id), ()):
            watch.wake()
