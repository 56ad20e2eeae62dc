"""Wakes the readers of this process who wait for events of a conversation.

What is stored is the truth; a wake-up is only a hint to read now. A lost one costs promptness, and
no events.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from datetime import datetime
from typing import TypeVar

from chatkeep.domain.events import FROM_START, NO_DRAFTS, Followed, Mark
from chatkeep.domain.feed import FollowedUser
from chatkeep.domain.model import ConversationId, UserId
from chatkeep.domain.shared_reads import SharedReads

T = TypeVar("T")


class Watch:
    """One reader who waits for events of a conversation, or of all those of a user.

    `mark` is how far they have read a conversation. Of a feed, `since` is when it began, and
    `activity` what the store said last about it.

    `active_at` is the time of the last event, or of the beginning, by the event loop's clock.
    Chunks of drafts wake only those who want drafts. `is_new` is true until the first read, and
    `woken_at` is the moment (`Hub.moment`) of the last wake-up.
    """

    __slots__ = (
        "_loop",
        "_news",
        "active_at",
        "activity",
        "conversation_id",
        "is_new",
        "mark",
        "since",
        "user_id",
        "wants_drafts",
        "woken_at",
    )

    def __init__(
        self, user_id: UserId, conversation_id: ConversationId | None, since: datetime | None = None
    ) -> None:
        self.user_id = user_id
        self.conversation_id = conversation_id
        self.mark = FROM_START
        self.since = since
        self.activity: str | None = None
        self.wants_drafts = conversation_id is not None
        self.is_new = True
        self.woken_at = 0
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
        unread = mark.unread_draft if self.wants_drafts else NO_DRAFTS
        return Followed(self.user_id, self.conversation_id, mark.revision, *unread)

    def wake(self, moment: int = 0) -> None:
        """Let the reader look for events now, or for whatever else is new to them."""
        self.woken_at = max(self.woken_at, moment)
        self._news.set()

    def has_read(self, mark: Mark, *, events: bool) -> None:
        """Note how far the reader has read, and whether that was news."""
        self.mark = mark
        self.is_new = False
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
        self.moment = 0
        """A number that grows whenever watches are woken."""
        self._shared = SharedReads()
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

    def notify(
        self, user_id: UserId, conversation_id: ConversationId, *, of_draft: bool = False
    ) -> None:
        """Wake those who wait for events of a conversation. Call it after each change.

        With `of_draft`, nothing but a draft has changed.
        """
        self.notified += 1
        for key in ((user_id, conversation_id), (user_id, None)):
            watches = self._watches.get(key, ())
            self.wake(each for each in watches if each.wants_drafts or not of_draft)

    def wake(self, watches: Iterable[Watch]) -> None:
        """Wake these, for there may be something new for them."""
        self.moment += 1
        for watch in watches:
            watch.wake(self.moment)

    async def share(self, watch: Watch, key: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        """Return what `load` reads for a watch, or what another one is reading with this key.

        Only what is read after the watch was woken counts, and its first read is its own: what its
        caller has stored before, through whatever process, is in it.
        """
        if watch.is_new:
            return await load()
        return await self._shared.read(key, load, now=self.moment, not_before=watch.woken_at)
